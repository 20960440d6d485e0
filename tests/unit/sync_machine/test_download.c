// A download beside a small ERP with pages: whatever cuts it, what comes is what an undisturbed one brings.
#include "services/sync/download.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_MAX = 16384, PAGE_SIZE = 20, ROWS = 90, PAGES = 5, ASKED_MAX = 4096 };

// An ERP that serves one request a connection.
static struct {
    int listener;
    pthread_t thread;
    atomic_size_t hold;    // sends so many bytes of the body and waits for the client to go; SIZE_MAX: all
    atomic_bool ranges;    // takes byte ranges, with a strong tag
    atomic_bool no_total;  // does not tell how many records there are
    atomic_int tag;        // version of the tag that it tells; 0: none
    atomic_bool unchanged; // answers 304 with that tag, whatever was asked
    atomic_int asked;      // requests so far
    char requests[ASKED_MAX][256];
} erp;

static char folder[32];
static char spool[64];
static struct config *config;
static CURLM *multi;
static struct download *download;
static struct fault fault;

static size_t body_of(unsigned page, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "id,name\n");
    const unsigned first = page == 0 ? 0 : (page - 1) * PAGE_SIZE;
    const unsigned count = page == 0 ? ROWS : PAGE_SIZE;
    for (unsigned row = first; row < ROWS && row < first + count; row++)
        used += (size_t)snprintf(text + used, size - used, "%u,the name of row %u\n", row, row * row);
    return used;
}

static void answer(int client, const char *request)
{
    static char body[TEXT_MAX];
    char head[512];
    unsigned page = 0;
    unsigned from = 0;
    const char *number = strstr(request, "page=");
    const char *range = strcasestr(request, "range: bytes=");
    if (number != NULL)
        page = (unsigned)strtoul(number + 5, NULL, 10);
    const size_t size = body_of(page, body, sizeof body);
    if (range != NULL && atomic_load(&erp.ranges))
        from = (unsigned)strtoul(range + 13, NULL, 10);
    const int tag = atomic_load(&erp.tag);
    int used = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\n",
                        atomic_load(&erp.unchanged) ? "304 Not Modified"
                        : from > 0                  ? "206 Partial Content"
                                                    : "200 OK");
    if (tag != 0)
        used += snprintf(head + used, sizeof head - (size_t)used, "ETag: \"%d-%u\"\r\n", tag, page);
    if (atomic_load(&erp.ranges))
        used += snprintf(head + used, sizeof head - (size_t)used, "Accept-Ranges: bytes\r\n");
    if (!atomic_load(&erp.no_total))
        used += snprintf(head + used, sizeof head - (size_t)used, "X-Total-Count: %d\r\n", ROWS);
    if (from > 0)
        used += snprintf(head + used, sizeof head - (size_t)used, "Content-Range: bytes %u-%zu/%zu\r\n", from,
                         size - 1, size);
    if (atomic_load(&erp.unchanged))
        used += snprintf(head + used, sizeof head - (size_t)used, "\r\n");
    else
        used += snprintf(head + used, sizeof head - (size_t)used, "Content-Length: %zu\r\n\r\n", size - from);
    (void)!write(client, head, (size_t)used);
    if (atomic_load(&erp.unchanged))
        return;
    const size_t hold = atomic_load(&erp.hold);
    (void)!write(client, body + from, hold < size - from ? hold : size - from);
    char rest;
    while (hold < size - from && read(client, &rest, 1) > 0)
        continue;
}

static void *erp_main(void *arg)
{
    (void)arg;
    for (;;) {
        char request[4096];
        size_t size = 0;
        ssize_t got = 0;
        const int client = accept(erp.listener, NULL, NULL);
        if (client < 0)
            return NULL;
        request[0] = '\0';
        while (strstr(request, "\r\n\r\n") == NULL &&
               (got = read(client, request + size, sizeof request - 1 - size)) > 0) {
            size += (size_t)got;
            request[size] = '\0';
        }
        const int place = atomic_load(&erp.asked);
        assert(place < ASKED_MAX);
        snprintf(erp.requests[place], sizeof erp.requests[place], "%.255s", request);
        atomic_store(&erp.asked, place + 1);
        answer(client, request);
        close(client);
    }
}

static void configure(const char *options)
{
    char text[512];
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    assert_int_equal(getsockname(erp.listener, (struct sockaddr *)&address, &size), 0);
    snprintf(text, sizeof text,
             "resources: {erp: {}}\njobs: {t: {every: 1h, key: [id], source: {url: "
             "\"http://127.0.0.1:%u/x\"%s}}}\n",
             ntohs(address.sin_port), options);
    download_destroy(&download);
    config_destroy(&config);
    if (config_parse(text, strlen(text), "test.yaml", 1, NULL, NULL, &config, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    assert_int_equal(download_new(&config->jobs[0], spool, multi, &download, &fault), ERR_OK);
}

#define PAGED ", page: {parameter: page, size: 20}"

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    erp.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    atomic_store(&erp.hold, SIZE_MAX);
    atomic_store(&erp.ranges, false);
    atomic_store(&erp.no_total, false);
    atomic_store(&erp.unchanged, false);
    atomic_store(&erp.tag, 1);
    atomic_store(&erp.asked, 0);
    if (bind(erp.listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(erp.listener, 8) != 0)
        return -1;
    snprintf(folder, sizeof folder, "/tmp/download-XXXXXX");
    if (mkdtemp(folder) == NULL || pthread_create(&erp.thread, NULL, erp_main, NULL) != 0)
        return -1;
    snprintf(spool, sizeof spool, "%s/spool", folder);
    multi = curl_multi_init();
    fault = (struct fault){.err = ERR_OK};
    configure(PAGED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    download_destroy(&download);
    config_destroy(&config);
    curl_multi_cleanup(multi);
    shutdown(erp.listener, SHUT_RDWR);
    pthread_join(erp.thread, NULL);
    close(erp.listener);
    return rmdir(folder);
}

static void begin(const struct validator *known)
{
    const struct validator nothing = {.full_ms = 0};
    struct plan plan;
    assert_int_equal(plan_fetch(&config->jobs[0], NULL, known ? known : &nothing, 1000, &plan, &fault),
                     ERR_OK);
    assert_int_equal(download_begin(download, &plan, &fault), ERR_OK);
}

// Lets the transfer go on until it ended, or until `enough` more bytes came: true if it ended.
static bool go_on(size_t enough, bool *ret_more, enum err *ret_err)
{
    const uint64_t before = download_done(download);
    for (;;) {
        int running = 0;
        int left = 0;
        assert_int_equal(curl_multi_perform(multi, &running), CURLM_OK);
        CURLMsg *message = curl_multi_info_read(multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            const CURLcode result = message->data.result;
            assert_true(download_is(download, message->easy_handle));
            curl_multi_remove_handle(multi, message->easy_handle);
            *ret_err = download_ended(download, result, 0, ret_more, &fault);
            return true;
        }
        if (enough != SIZE_MAX && download_done(download) >= before + enough)
            return false;
        assert_int_equal(curl_multi_poll(multi, NULL, 0, 1000, NULL), CURLM_OK);
    }
}

static enum err to_the_end(void)
{
    bool more = true;
    enum err err = ERR_OK;
    while (err == ERR_OK && more) {
        assert_int_equal(download_start(download, 0, &fault), ERR_OK);
        assert_true(go_on(SIZE_MAX, &more, &err));
    }
    return err;
}

// The pages that came, in one text.
static size_t read_pages(char *text)
{
    size_t count = 0;
    const uint64_t *ends = download_pages(download, &count);
    assert_int_equal(count, PAGES);
    const int file = open(spool, O_RDONLY | O_CLOEXEC);
    const ssize_t size = pread(file, text, ends[count - 1], 0);
    close(file);
    assert_int_equal(size, ends[count - 1]);
    size_t at = 0;
    for (unsigned page = 1; page <= PAGES; page++) {
        char body[TEXT_MAX];
        at += body_of(page, body, sizeof body);
        assert_int_equal(ends[page - 1], at);
    }
    return (size_t)size;
}

static void assert_whole(void)
{
    char came[TEXT_MAX * 2];
    char body[TEXT_MAX];
    size_t at = 0;
    const size_t size = read_pages(came);
    for (unsigned page = 1; page <= PAGES; page++) {
        const size_t part = body_of(page, body, sizeof body);
        assert_memory_equal(came + at, body, part);
        at += part;
    }
    assert_int_equal(at, size);
    assert_null(download_withheld(download));
}

static void pages_lie_one_behind_the_other_and_the_first_one_is_fetched_again(void **state)
{
    (void)state;
    begin(NULL);
    assert_int_equal(to_the_end(), ERR_OK);
    assert_whole();
    assert_int_equal(atomic_load(&erp.asked), PAGES + 1);
    for (unsigned i = 0; i < PAGES + 1; i++) {
        char line[64];
        snprintf(line, sizeof line, "GET /x?page=%u&size=20 HTTP", i < PAGES ? i + 1 : 1);
        assert_non_null(strstr(erp.requests[i], line));
        assert_null(strstr(erp.requests[i], "If-"));
    }
}

// Each transfer is cut at a random byte or let through; what came before is not asked for again.
static void cuts_at_random_bytes_of_random_pages_bring_what_an_undisturbed_download_does(void **state)
{
    (void)state;
    uint64_t seed = 42;
    int ranges = 0;
    for (int round = 0; round < 60; round++) {
        atomic_store(&erp.ranges, round % 2 == 0);
        atomic_store(&erp.asked, 0);
        begin(NULL);
        bool more = true;
        unsigned ended = 0;
        while (more) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            const bool cut = (seed >> 33) % 3 != 0;
            const size_t bytes = 1 + (seed >> 40) % 200;
            enum err err = ERR_OK;
            atomic_store(&erp.hold, cut ? bytes : SIZE_MAX);
            assert_int_equal(download_start(download, 0, &fault), ERR_OK);
            if (go_on(cut ? bytes : SIZE_MAX, &more, &err)) {
                assert_int_equal(err, ERR_OK);
                ended++;
            } else {
                download_cut(download);
            }
        }
        assert_whole();
        assert_int_equal(ended, PAGES + 1);
        for (int i = 0; i < atomic_load(&erp.asked); i++)
            ranges += strstr(erp.requests[i], "Range: bytes=") != NULL;
        // A page is asked for until it has come, and never again, but for the first one at the end.
        unsigned page = 1;
        for (int i = 0; i < atomic_load(&erp.asked); i++) {
            const unsigned asked = (unsigned)strtoul(strstr(erp.requests[i], "page=") + 5, NULL, 10);
            if (asked != page) {
                assert_int_equal(asked, page == PAGES ? 1 : page + 1);
                page = asked;
            }
        }
        assert_int_equal(page, 1);
    }
    assert_true(ranges > 20);
}

static void the_export_in_one_piece_is_the_same_however_it_is_cut(void **state)
{
    (void)state;
    uint64_t seed = 9;
    char body[TEXT_MAX];
    char came[TEXT_MAX];
    configure("");
    const size_t size = body_of(0, body, sizeof body);
    for (int round = 0; round < 40; round++) {
        atomic_store(&erp.ranges, round % 2 == 0);
        begin(NULL);
        bool more = true;
        while (more) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            const bool cut = (seed >> 33) % 4 != 0;
            const size_t bytes = 1 + (seed >> 40) % 600;
            enum err err = ERR_OK;
            atomic_store(&erp.hold, cut ? bytes : SIZE_MAX);
            assert_int_equal(download_start(download, 0, &fault), ERR_OK);
            if (!go_on(cut ? bytes : SIZE_MAX, &more, &err))
                download_cut(download);
            assert_int_equal(err, ERR_OK);
        }
        const int file = open(spool, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(file, came, sizeof came), size);
        close(file);
        assert_memory_equal(came, body, size);
    }
}

static void progress_grows_with_each_byte_and_ends_at_its_total(void **state)
{
    (void)state;
    uint64_t done = 0;
    bool more = true;
    begin(NULL);
    assert_int_equal(download_total(download), 0);
    for (int page = 1; more; page++) {
        enum err err = ERR_OK;
        assert_int_equal(download_start(download, 0, &fault), ERR_OK);
        assert_true(go_on(SIZE_MAX, &more, &err));
        assert_int_equal(err, ERR_OK);
        assert_true(download_done(download) > done);
        assert_true(download_total(download) >= download_done(download));
        done = download_done(download);
    }
    assert_int_equal(download_total(download), download_done(download));
}

static void a_transfer_that_ended_too_late_is_fetched_again_and_what_came_before_stays(void **state)
{
    (void)state;
    bool more = true;
    enum err err = ERR_OK;
    begin(NULL);
    assert_int_equal(download_start(download, 0, &fault), ERR_OK);
    assert_true(go_on(SIZE_MAX, &more, &err));
    const uint64_t done = download_done(download);
    atomic_store(&erp.hold, 30);
    assert_int_equal(download_start(download, 0, &fault), ERR_OK);
    assert_false(go_on(30, &more, &err));
    download_cut(download);
    download_forget(download);
    assert_int_equal(download_done(download), done);
    atomic_store(&erp.hold, SIZE_MAX);
    assert_int_equal(to_the_end(), ERR_OK);
    assert_whole();
}

static void without_a_total_several_pages_withhold_deletions_and_the_first_is_not_fetched_again(void **state)
{
    (void)state;
    atomic_store(&erp.no_total, true);
    begin(NULL);
    assert_int_equal(to_the_end(), ERR_OK);
    assert_non_null(strstr(download_withheld(download), "total_header"));
    assert_int_equal(atomic_load(&erp.asked), PAGES);
}

static void a_page_past_max_size_fails_however_small_it_is_itself(void **state)
{
    (void)state;
    configure(PAGED ", max_size: 1200B");
    begin(NULL);
    assert_int_equal(to_the_end(), ERR_FULL);
    assert_true(atomic_load(&erp.asked) > 1);
}

static void the_time_of_all_pages_counts_against_the_timeout(void **state)
{
    (void)state;
    bool more = true;
    enum err err = ERR_OK;
    configure(PAGED ", timeout: 10s, stall_timeout: 1d");
    begin(NULL);
    // The transfers of this test begin at -4 s and end at 0, by its own clock: 4 s each.
    for (int page = 0; page < 2; page++) {
        assert_int_equal(download_start(download, -4000, &fault), ERR_OK);
        assert_true(go_on(SIZE_MAX, &more, &err));
    }
    atomic_store(&erp.hold, 10);
    assert_int_equal(download_start(download, 0, &fault), ERR_OK);
    assert_int_equal(download_deadline(download), 2000);
    assert_int_equal(download_time(download, 2000, &fault), ERR_TIMED_OUT);
    assert_non_null(strstr(fault.text, "not done after 10s"));
}

static void not_modified_brings_nothing_and_is_believed_only_for_what_was_asked(void **state)
{
    (void)state;
    configure("");
    begin(NULL);
    assert_int_equal(to_the_end(), ERR_OK);
    const struct validator known = download_remember(download, &(struct validator){.full_ms = 0}, 1000);
    assert_string_equal(known.etag, "\"1-0\"");
    atomic_store(&erp.unchanged, true);
    begin(&known);
    assert_int_equal(to_the_end(), ERR_OK);
    assert_true(download_not_modified(download));
    assert_non_null(strstr(erp.requests[1], "If-None-Match: \"1-0\"\r\n"));
    // Of another version: it is asked for anew without conditions, and "not modified" to that is an error.
    atomic_store(&erp.tag, 2);
    begin(&known);
    assert_int_equal(to_the_end(), ERR_CORRUPT);
    assert_non_null(strstr(fault.text, "304 (not modified), which was not asked"));
    assert_null(strstr(erp.requests[3], "If-None-Match"));
    atomic_store(&erp.unchanged, false);
    begin(&known);
    assert_int_equal(to_the_end(), ERR_OK);
    assert_false(download_not_modified(download));
    assert_int_equal(atomic_load(&erp.asked), 5);
}

#define story(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(pages_lie_one_behind_the_other_and_the_first_one_is_fetched_again),
        story(cuts_at_random_bytes_of_random_pages_bring_what_an_undisturbed_download_does),
        story(the_export_in_one_piece_is_the_same_however_it_is_cut),
        story(progress_grows_with_each_byte_and_ends_at_its_total),
        story(a_transfer_that_ended_too_late_is_fetched_again_and_what_came_before_stays),
        story(without_a_total_several_pages_withhold_deletions_and_the_first_is_not_fetched_again),
        story(a_page_past_max_size_fails_however_small_it_is_itself),
        story(the_time_of_all_pages_counts_against_the_timeout),
        story(not_modified_brings_nothing_and_is_believed_only_for_what_was_asked),
    };
    return cmocka_run_group_tests_name("download", tests, NULL, NULL);
}
