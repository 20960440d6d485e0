// The fetch beside a scripted ERP: what it asks for, what it keeps, and what it says when the ERP misbehaves.
#include "services/sync/fetch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANSWERS_MAX = 4, TEXT_MAX = 4096 };

// An ERP that gives one answer after the other, each on a connection of its own.
static struct {
    int listener;
    pthread_t thread;
    const char *answers[ANSWERS_MAX]; // what it sends; NULL ends it
    bool hold[ANSWERS_MAX]; // keeps the connection open after the answer, until the client closes it
    char requests[ANSWERS_MAX][TEXT_MAX]; // what it was asked
} erp;

static struct config_source source;
static char url[64];
static char folder[32];
static char spool[64];
static CURLM *multi;
static struct fetch *fetch;
static struct fault fault;

static void *erp_main(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ANSWERS_MAX && erp.answers[i] != NULL; i++) {
        int client = accept(erp.listener, NULL, NULL);
        size_t size = 0;
        ssize_t got;
        while (strstr(erp.requests[i], "\r\n\r\n") == NULL &&
               (got = read(client, erp.requests[i] + size, TEXT_MAX - 1 - size)) > 0)
            size += (size_t)got;
        (void)!write(client, erp.answers[i], strlen(erp.answers[i]));
        char rest;
        while (erp.hold[i] && read(client, &rest, 1) > 0)
            continue;
        close(client);
    }
    return NULL;
}

static void serve(const char *first, const char *second)
{
    memset(erp.requests, 0, sizeof erp.requests);
    erp.answers[0] = first;
    erp.answers[1] = second;
    erp.answers[2] = NULL;
    assert_int_equal(pthread_create(&erp.thread, NULL, erp_main, NULL), 0);
}

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    erp.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(erp.hold, 0, sizeof erp.hold);
    if (bind(erp.listener, (struct sockaddr *)&address, size) != 0 || listen(erp.listener, 8) != 0 ||
        getsockname(erp.listener, (struct sockaddr *)&address, &size) != 0)
        return -1;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/export", ntohs(address.sin_port));
    snprintf(folder, sizeof folder, "/tmp/fetch-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(spool, sizeof spool, "%s/spool", folder);
    source = (struct config_source){.url = url,
                                    .size_max = 1000,
                                    .connect_timeout_ms = 5000,
                                    .stall_timeout_ms = INT32_MAX,
                                    .timeout_ms = INT32_MAX};
    multi = curl_multi_init();
    fault = (struct fault){.err = ERR_OK};
    return fetch_new(&source, NULL, spool, multi, &fetch, &fault) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fetch_destroy(&fetch);
    curl_multi_cleanup(multi);
    close(erp.listener);
    assert_int_equal(access(spool, F_OK), -1); // an unfinished export leaves nothing
    return rmdir(folder);
}

// Lets the transfer go on until it ended, or until `enough` bytes are in the spool (0: to the end).
static enum err go_on(uint64_t enough)
{
    int running = 1;
    while (running > 0 && (enough == 0 || fetch_done(fetch) < enough)) {
        assert_int_equal(curl_multi_perform(multi, &running), CURLM_OK);
        int left;
        CURLMsg *message = curl_multi_info_read(multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            CURLcode result = message->data.result;
            assert_true(fetch_is(fetch, message->easy_handle));
            curl_multi_remove_handle(multi, message->easy_handle);
            return fetch_ended(fetch, result, &fault);
        }
        assert_int_equal(curl_multi_poll(multi, NULL, 0, 1000, NULL), CURLM_OK);
    }
    return ERR_OK;
}

static enum err whole(void)
{
    assert_int_equal(fetch_start(fetch, 0, &fault), ERR_OK);
    enum err err = go_on(0);
    pthread_join(erp.thread, NULL);
    return err;
}

static void assert_spool(const char *text)
{
    char bytes[TEXT_MAX];
    int file = open(spool, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(file, bytes, sizeof bytes);
    close(file);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void assert_fails(enum err err, const char *words)
{
    assert_int_equal(whole(), err);
    if (strstr(fault.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fault.text, words);
}

#define HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n"

static void a_whole_export_lands_in_the_spool(void **state)
{
    (void)state;
    serve(HEAD "Content-Length: 6\r\n\r\nid\n1\n2", NULL);
    assert_int_equal(whole(), ERR_OK);
    assert_spool("id\n1\n2");
    assert_int_equal(fetch_total(fetch), 6);
    assert_null(strstr(erp.requests[0], "Range"));
}

// Cuts a transfer after 4 bytes and starts it again: gives the second request.
static const char *cut_and_go_on(const char *first, const char *second, enum err err)
{
    serve(first, second);
    erp.hold[0] = true;
    assert_int_equal(fetch_start(fetch, 0, &fault), ERR_OK);
    assert_int_equal(go_on(4), ERR_OK);
    fetch_cut(fetch);
    assert_int_equal(whole(), err);
    return erp.requests[1];
}

static void a_cut_export_goes_on_at_its_byte_where_the_erp_can(void **state)
{
    (void)state;
    const char *asked =
        cut_and_go_on(HEAD "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\nContent-Length: 8\r\n\r\nabcd",
                      "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nETag: \"v1\"\r\n"
                      "Content-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nefgh",
                      ERR_OK);
    assert_non_null(strstr(asked, "\r\nRange: bytes=4-\r\n"));
    assert_non_null(strstr(asked, "\r\nIf-Range: \"v1\"\r\n"));
    assert_spool("abcdefgh");
}

static void a_cut_export_that_changed_meanwhile_begins_anew(void **state)
{
    (void)state;
    cut_and_go_on(HEAD "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\nContent-Length: 8\r\n\r\nabcd",
                  HEAD "ETag: \"v2\"\r\nContent-Length: 5\r\n\r\nstuff", ERR_OK);
    assert_spool("stuff");
}

static void a_cut_export_begins_anew_where_the_erp_has_only_a_weak_validator_or_no_ranges(void **state)
{
    (void)state;
    const char *asked =
        cut_and_go_on(HEAD "ETag: W/\"v1\"\r\nAccept-Ranges: bytes\r\nContent-Length: 8\r\n\r\nabcd",
                      HEAD "Content-Length: 5\r\n\r\nstuff", ERR_OK);
    assert_null(strstr(asked, "Range"));
    assert_spool("stuff");
    asked = cut_and_go_on(HEAD "ETag: \"v\r1\"\r\nAccept-Ranges: bytes\r\nContent-Length: 8\r\n\r\nabcd",
                          HEAD "Content-Length: 8\r\n\r\nabcdefgh", ERR_OK);
    assert_null(strstr(asked, "If-Range: \"v")); // no request can carry such a tag
    asked = cut_and_go_on(HEAD "ETag: \"v1\"\r\nContent-Length: 8\r\n\r\nabcd",
                          HEAD "Content-Length: 5\r\n\r\nstuff", ERR_OK);
    assert_null(strstr(asked, "Range"));
}

// Aims the fetch at its URL with what is known of it, and gives the request.
static const char *aimed(const char *etag, const char *date, const char *answer, enum err err)
{
    const struct fetch_aim aim = {.url = url, .etag = etag, .last_modified = date};
    assert_int_equal(fetch_aim(fetch, &aim, &fault), ERR_OK);
    serve(answer, NULL);
    assert_int_equal(whole(), err);
    return erp.requests[0];
}

#define DATE      "Tue, 14 Nov 2023 22:13:10 GMT"
#define UNCHANGED "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"

static void what_is_known_is_asked_about_by_its_tag_or_else_by_its_time(void **state)
{
    (void)state;
    const char *asked = aimed("W/\"v1\"", DATE, UNCHANGED, ERR_OK);
    assert_non_null(strstr(asked, "If-None-Match: W/\"v1\"\r\n"));
    assert_null(strstr(asked, "If-Modified-Since"));
    assert_true(fetch_not_modified(fetch));
    assert_int_equal(fetch_done(fetch), 0);
    asked = aimed("", DATE, UNCHANGED, ERR_OK);
    assert_non_null(strstr(asked, "If-Modified-Since: " DATE "\r\n"));
    assert_null(strstr(asked, "If-None-Match"));
    asked = aimed("\"v1\"", NULL, HEAD "Content-Length: 2\r\n\r\nid", ERR_OK);
    assert_false(fetch_not_modified(fetch));
    assert_spool("id");
    asked = aimed(NULL, NULL, UNCHANGED, ERR_CORRUPT);
    assert_null(strstr(asked, "If-"));
    assert_non_null(strstr(fault.text, "which was not asked"));
}

static void the_rest_of_a_cut_export_is_not_asked_for_with_the_condition_of_the_last_one(void **state)
{
    (void)state;
    const struct fetch_aim aim = {.url = url, .etag = "\"v0\""};
    assert_int_equal(fetch_aim(fetch, &aim, &fault), ERR_OK);
    const char *asked =
        cut_and_go_on(HEAD "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\nContent-Length: 8\r\n\r\nabcd",
                      "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nETag: \"v1\"\r\n"
                      "Content-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nefgh",
                      ERR_OK);
    assert_non_null(strstr(erp.requests[0], "If-None-Match: \"v0\"\r\n"));
    assert_non_null(strstr(asked, "\r\nIf-Range: \"v1\"\r\n"));
    assert_null(strstr(asked, "If-None-Match"));
    assert_spool("abcdefgh");
}

static void another_part_than_the_one_asked_for_fails(void **state)
{
    (void)state;
    cut_and_go_on(HEAD "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\nContent-Length: 8\r\n\r\nabcd",
                  "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Range: bytes 3-6/8\r\n"
                  "Content-Length: 4\r\n\r\ndefg",
                  ERR_CORRUPT);
}

static void a_part_of_another_version_fails(void **state)
{
    (void)state;
    cut_and_go_on(HEAD "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\nContent-Length: 8\r\n\r\nabcd",
                  "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nETag: \"v2\"\r\n"
                  "Content-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nefgh",
                  ERR_CORRUPT);
}

static void an_export_cut_short_fails_with_and_without_a_length(void **state)
{
    (void)state;
    serve(HEAD "Content-Length: 8\r\n\r\nabcd", NULL);
    assert_fails(ERR_CORRUPT, "cut short after 4 bytes");
    serve(HEAD "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", NULL);
    assert_fails(ERR_CORRUPT, "cut short after 4 bytes");
    serve("", NULL);
    assert_fails(ERR_CORRUPT, "cut short");
}

static void a_status_that_is_no_export_is_told_and_a_redirect_not_followed(void **state)
{
    (void)state;
    serve("HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!", NULL);
    assert_fails(ERR_REFUSED, "answered 500");
    serve("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: "
          "0\r\n\r\n",
          NULL);
    assert_fails(ERR_REFUSED, "points elsewhere");
    serve("HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", NULL);
    assert_fails(ERR_CORRUPT, "another part");
}

static void what_does_not_speak_http_is_told_so(void **state)
{
    (void)state;
    serve("id,a\n1,x\n", NULL);
    assert_fails(ERR_CORRUPT, "does not speak HTTP");
}

static void an_export_past_its_limit_fails_whether_its_length_was_told_or_not(void **state)
{
    (void)state;
    source.size_max = 5;
    serve(HEAD "Content-Length: 6\r\n\r\nabcdef", NULL);
    assert_fails(ERR_FULL, "source.max_size");
    serve(HEAD "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n", NULL);
    assert_fails(ERR_FULL, "source.max_size");
}

static void a_silent_erp_and_a_slow_one_are_cut_at_their_deadlines(void **state)
{
    (void)state;
    source.stall_timeout_ms = INT64_MAX / 4;
    source.timeout_ms = 1000;
    serve(HEAD "Content-Length: 8\r\n\r\nabcd", HEAD "Content-Length: 8\r\n\r\nabcd");
    erp.hold[0] = true;
    erp.hold[1] = true;
    assert_true(fetch_deadline(fetch) == INT64_MAX);
    assert_int_equal(fetch_start(fetch, 0, &fault), ERR_OK);
    assert_int_equal(go_on(4), ERR_OK);
    int64_t deadline = fetch_deadline(fetch);
    assert_int_equal(fetch_time(fetch, deadline - 1, &fault), ERR_OK);
    assert_int_equal(fetch_time(fetch, deadline, &fault), ERR_TIMED_OUT);
    assert_non_null(strstr(fault.text, "not done after 1s (4 bytes)"));
    source.stall_timeout_ms = 1000;
    assert_int_equal(fetch_start(fetch, INT64_MAX / 2, &fault), ERR_OK);
    assert_int_equal(go_on(4), ERR_OK);
    assert_int_equal(fetch_time(fetch, INT64_MAX / 2, &fault), ERR_TIMED_OUT);
    assert_non_null(strstr(fault.text, "no byte for"));
    pthread_join(erp.thread, NULL);
}

static bool may_not_send(void *arg)
{
    ++*(int *)arg;
    return false;
}

// The lease may have ended while the connection was made.
static void a_request_that_may_not_be_sent_any_more_is_not(void **state)
{
    (void)state;
    int asked = 0;
    serve("", NULL);
    fetch_guard(fetch, may_not_send, &asked);
    assert_fails(ERR_TIMED_OUT, "too late to send");
    assert_int_equal(asked, 1);
    assert_string_equal(erp.requests[0], "");
}

static void secrets_of_the_address_are_not_told(void **state)
{
    (void)state;
    struct fetch *other = NULL;
    assert_int_equal(
        fetch_new(&source, "http://joe:secret@127.0.0.1:1/x?key=hidden", spool, multi, &other, &fault),
        ERR_OK);
    assert_int_equal(fetch_start(other, 0, &fault), ERR_OK);
    struct fetch *first = fetch;
    fetch = other;
    assert_int_not_equal(go_on(0), ERR_OK);
    fetch = first;
    fetch_destroy(&other);
    assert_non_null(strstr(fault.text, "http://127.0.0.1:1/x: "));
    assert_null(strstr(fault.text, "secret"));
    assert_null(strstr(fault.text, "hidden"));
    close(open(spool, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); // for tear_down's fetch to remove
}

static void a_header_comes_from_the_environment_and_a_missing_one_is_told_by_its_name(void **state)
{
    (void)state;
    char name[] = "Authorization";
    char variable[] = "SYNCBUS_TEST_TOKEN";
    struct config_header header = {.name = name, .value_env = variable};
    source.headers = (struct config_headers){.items = &header, .count = 1};
    fetch_destroy(&fetch);
    unsetenv(variable);
    assert_int_equal(fetch_new(&source, NULL, spool, multi, &fetch, &fault), ERR_INVALID);
    assert_non_null(strstr(fault.text, variable));
    setenv(variable, "secret\r\nX-Injected: 1", 1); // it would be a header of its own
    assert_int_equal(fetch_new(&source, NULL, spool, multi, &fetch, &fault), ERR_INVALID);
    assert_non_null(strstr(fault.text, "header Authorization: the environment's SYNCBUS_TEST_TOKEN holds"));
    assert_null(strstr(fault.text, "secret"));
    setenv(variable, "Bearer 1", 1);
    assert_int_equal(fetch_new(&source, NULL, spool, multi, &fetch, &fault), ERR_OK);
    serve(HEAD "Content-Length: 2\r\n\r\nid", NULL);
    assert_int_equal(whole(), ERR_OK);
    assert_non_null(strstr(erp.requests[0], "Authorization: Bearer 1\r\n"));
}

#define story(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(a_whole_export_lands_in_the_spool),
        story(a_cut_export_goes_on_at_its_byte_where_the_erp_can),
        story(a_cut_export_that_changed_meanwhile_begins_anew),
        story(a_cut_export_begins_anew_where_the_erp_has_only_a_weak_validator_or_no_ranges),
        story(what_is_known_is_asked_about_by_its_tag_or_else_by_its_time),
        story(the_rest_of_a_cut_export_is_not_asked_for_with_the_condition_of_the_last_one),
        story(another_part_than_the_one_asked_for_fails),
        story(a_part_of_another_version_fails),
        story(an_export_cut_short_fails_with_and_without_a_length),
        story(a_status_that_is_no_export_is_told_and_a_redirect_not_followed),
        story(what_does_not_speak_http_is_told_so),
        story(an_export_past_its_limit_fails_whether_its_length_was_told_or_not),
        story(a_silent_erp_and_a_slow_one_are_cut_at_their_deadlines),
        story(a_request_that_may_not_be_sent_any_more_is_not),
        story(secrets_of_the_address_are_not_told),
        story(a_header_comes_from_the_environment_and_a_missing_one_is_told_by_its_name),
    };
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
