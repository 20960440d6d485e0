#include "tests/unit/sync_data/support.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define THINGS "key: [id], max_rejects: 50%, source: {url: \"http://e/x\", format: csv}"

static struct support_store store;

static int open_things(void **state)
{
    (void)state;
    support_open(&store, THINGS);
    return 0;
}

static int close_things(void **state)
{
    (void)state;
    support_close(&store);
    return 0;
}

// An export of the records from `first` up to `last`, as "100,x".
static char *records(int first, int last)
{
    char *text = malloc(32 * (size_t)(last - first + 2));
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, 32, "id,a\n");
    for (int id = first; id <= last; id++)
        size += (size_t)snprintf(text + size, 32, "%d,x\n", id);
    return text;
}

static void apply(const char *text)
{
    assert_int_equal(support_apply(&store, text, store.run + 1), ERR_OK);
}

static void apply_records(int first, int last, const char *expected)
{
    char *text = records(first, last);
    apply(text);
    free(text);
    assert_string_equal(support_counts(&store), expected);
}

// The keys that are withheld, "100 101 ", and the list's number.
static const char *withheld(uint64_t *ret_list)
{
    static char text[4096];
    Sb__DeletionQuery query = SB__DELETION_QUERY__INIT;
    Sb__DeletionList *list = NULL;
    char *last = NULL;
    size_t size = 0;
    text[0] = '\0';
    for (bool more = true; more;) { // page by page, as a caller does
        struct buffer answer;
        struct fault fault = {.err = ERR_OK};
        uint8_t body[128];
        buffer_init(&answer, 1 << 20);
        query.limit = 7;
        query.after = &last;
        query.n_after = last != NULL;
        const size_t body_size = protobuf_c_message_pack(&query.base, body);
        assert_int_equal(feed_call(store.delta, "deletions", body, body_size, &answer, &fault), ERR_OK);
        if (list != NULL)
            sb__deletion_list__free_unpacked(list, NULL);
        list = sb__deletion_list__unpack(NULL, answer.size, (const uint8_t *)answer.data);
        buffer_free(&answer);
        assert_non_null(list);
        for (size_t i = 0; i < list->n_deletions; i++) {
            last = list->deletions[i]->record->key[0];
            size += (size_t)snprintf(text + size, sizeof text - size, "%s ", last);
        }
        more = list->more;
    }
    if (ret_list != NULL)
        *ret_list = list->list;
    sb__deletion_list__free_unpacked(list, NULL);
    return text;
}

static void deletions_over_share_and_count_are_withheld_and_known_by_key(void **state)
{
    (void)state;
    apply_records(100, 199, "created 100 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 100");
    assert_false(store.result.guarded);
    apply_records(112, 200, "created 1 changed 0 unchanged 88 deleted 0 rejected 0 withheld 12 seq 101");
    assert_true(store.result.guarded);
    support_reopen(&store);
    assert_string_equal(withheld(NULL), "100 101 102 103 104 105 106 107 108 109 110 111 ");
}

static void ten_of_them_or_ten_percent_are_not_too_many(void **state)
{
    (void)state;
    apply_records(100, 149, "created 50 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 50");
    apply_records(110, 149, "created 0 changed 0 unchanged 40 deleted 10 rejected 0 withheld 0 seq 60");
    apply_records(110, 309, "created 160 changed 0 unchanged 40 deleted 0 rejected 0 withheld 0 seq 220");
    apply_records(130, 309, "created 0 changed 0 unchanged 180 deleted 20 rejected 0 withheld 0 seq 240");
    assert_false(store.result.guarded);
    apply_records(149, 309, "created 0 changed 0 unchanged 161 deleted 0 rejected 0 withheld 19 seq 240");
    assert_true(store.result.guarded);
}

static void the_guard_is_the_jobs_own(void **state)
{
    (void)state;
    support_close(&store);
    support_open(&store, THINGS ", delete_guard: {max_share: 50%, min_count: 0}");
    apply_records(100, 103, "created 4 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 4");
    apply_records(102, 103, "created 0 changed 0 unchanged 2 deleted 2 rejected 0 withheld 0 seq 6");
    apply_records(104, 104, "created 1 changed 0 unchanged 0 deleted 0 rejected 0 withheld 2 seq 7");
    support_close(&store);
    support_open(&store, THINGS ", delete_guard: {max_share: 100%}");
    apply_records(100, 199, "created 100 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 100");
    apply_records(200, 200, "created 1 changed 0 unchanged 0 deleted 100 rejected 0 withheld 0 seq 201");
}

static void the_next_good_fetch_that_has_them_clears_them(void **state)
{
    (void)state;
    uint64_t first = 0, second = 0, third = 0;
    apply_records(100, 199, "created 100 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 100");
    apply_records(120, 199, "created 0 changed 0 unchanged 80 deleted 0 rejected 0 withheld 20 seq 100");
    assert_true(strlen(withheld(&first)) > 0);
    apply(""); // a broken export clears nothing
    assert_true(strlen(withheld(&second)) > 0);
    assert_true(first == second);
    apply_records(120, 199, "created 0 changed 0 unchanged 80 deleted 0 rejected 0 withheld 20 seq 100");
    (void)withheld(&second);
    assert_true(first == second); // the same ones are the same list
    apply_records(107, 199, "created 0 changed 0 unchanged 93 deleted 7 rejected 0 withheld 0 seq 107");
    assert_string_equal(withheld(&third), "");
    assert_true(third > first);
    assert_false(store.result.guarded);
}

static void rows_without_a_key_withhold_by_key_too(void **state)
{
    (void)state;
    apply("id,a\n1,x\n2,x\n3,x\n4,x\n");
    apply("id,a\n1,x\n,x\n");
    assert_string_equal(support_counts(&store),
                        "created 0 changed 0 unchanged 1 deleted 2 rejected 1 withheld 1 seq 6");
    assert_false(store.result.guarded);
    assert_string_equal(withheld(NULL), "2 ");
}

static enum err release(const char *by, uint64_t list, uint64_t *ret_released, struct fault *fault)
{
    return delta_release(store.delta, by, list, ret_released, fault);
}

static void a_release_deletes_exactly_these_with_feed_and_publication(void **state)
{
    (void)state;
    struct fault fault = {.err = ERR_OK};
    Sb__Change *change = NULL;
    uint64_t list = 0, released = 0;
    apply_records(100, 199, "created 100 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 100");
    assert_int_equal(delta_published(store.delta, 1, &fault), ERR_OK);
    apply_records(115, 199, "created 0 changed 0 unchanged 85 deleted 0 rejected 0 withheld 15 seq 100");
    // 105 came back, with other values: it stays.
    char *text = records(114, 199);
    memcpy(text, "id,a\n105,y\n", 11);
    text[11] = '\0';
    char *rest = records(115, 199);
    char *whole = malloc(strlen(text) + strlen(rest) + 1);
    (void)snprintf(whole, strlen(text) + strlen(rest) + 1, "%s%s", text, rest + 5);
    apply(whole);
    assert_string_equal(support_counts(&store),
                        "created 0 changed 1 unchanged 85 deleted 0 rejected 0 withheld 14 seq 101");
    assert_int_equal(delta_published(store.delta, 101, &fault), ERR_OK);
    assert_string_equal(withheld(&list), "100 101 102 103 104 106 107 108 109 110 111 112 113 114 ");
    assert_int_equal(release("Eva", list, &released, &fault), ERR_OK);
    assert_int_equal(released, 14);
    assert_string_equal(withheld(NULL), "");
    assert_int_equal(delta_next_change(store.delta, &change, &fault), ERR_OK);
    assert_int_equal(change->first, 102);
    assert_int_equal(change->last, 115);
    assert_int_equal(change->deleted, 14);
    assert_int_equal(change->run, 0);
    sb__change__free_unpacked(change, NULL);
    Sb__FeedQuery query = SB__FEED_QUERY__INIT;
    query.after = 114;
    const char *answer = support_call(&store, "feed", &query.base, &sb__feed_list__descriptor);
    assert_non_null(strstr(answer, "\"op\":\"deleted\""));
    assert_non_null(strstr(answer, "\"key\":[\"114\"]"));
    assert_non_null(strstr(answer, "\"by\":\"Eva\""));
    apply(whole);
    assert_string_equal(support_counts(&store),
                        "created 0 changed 0 unchanged 86 deleted 0 rejected 0 withheld 0 seq 115");
    free(text);
    free(rest);
    free(whole);
}

static void a_release_is_of_the_list_that_was_seen_and_by_somebody(void **state)
{
    (void)state;
    struct fault fault = {.err = ERR_OK};
    uint64_t list = 0, released = 99;
    apply_records(100, 199, "created 100 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 100");
    apply_records(120, 199, "created 0 changed 0 unchanged 80 deleted 0 rejected 0 withheld 20 seq 100");
    (void)withheld(&list);
    apply_records(121, 199, "created 0 changed 0 unchanged 79 deleted 0 rejected 0 withheld 21 seq 100");
    assert_int_equal(release("Eva", list, &released, &fault), ERR_CONFLICT);
    assert_non_null(strstr(fault.text, "look at it again"));
    assert_int_equal(release("", 0, &released, &fault), ERR_INVALID);
    assert_int_equal(release("\xff", 0, &released, &fault), ERR_INVALID);
    assert_int_equal(release("Eva\x1b[31m", 0, &released, &fault), ERR_INVALID);
    assert_int_equal(released, 99);
    assert_int_equal(release("Eva", 0, &released, &fault), ERR_OK);
    assert_int_equal(released, 21);
    assert_int_equal(release("Eva", 0, &released, &fault), ERR_OK); // again: there is nothing more
    assert_int_equal(released, 0);
}

static void an_export_of_changes_only_keeps_what_it_does_not_have_withheld(void **state)
{
    (void)state;
    apply_records(100, 199, "created 100 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 100");
    apply_records(112, 199, "created 0 changed 0 unchanged 88 deleted 0 rejected 0 withheld 12 seq 100");
    struct config_job job = *store.job;
    const struct config_job *before = store.job;
    job.source.complete = false;
    store.job = &job;
    support_reopen(&store);
    apply("id,a\n101,y\n103,x\n");
    assert_string_equal(support_counts(&store),
                        "created 0 changed 1 unchanged 1 deleted 0 rejected 0 withheld 10 seq 101");
    assert_true(store.result.guarded);
    assert_string_equal(withheld(NULL), "100 102 104 105 106 107 108 109 110 111 ");
    store.job = before;
    support_reopen(&store);
}

static void too_many_rejects_are_told_apart_from_other_failures(void **state)
{
    (void)state;
    struct fault fault = {.err = ERR_OK};
    Sb__Report *report = NULL;
    apply("id,a\n1\n2\n3,x\n");
    assert_false(store.result.ok);
    assert_true(store.result.over_rejects);
    assert_int_equal(delta_next_report(store.delta, &report, &fault), ERR_OK);
    assert_true(report->result->over_rejects);
    sb__report__free_unpacked(report, NULL);
    apply("<html>");
    assert_false(store.result.ok);
    assert_false(store.result.over_rejects);
}

// ---------------------------------------------------------------- a release beside a sync

struct beside {
    char path[128];    // of a pipe in the place of the spool
    Sb__Result result; // of the sync
    enum err err;      // the same
};

static void *apply_beside(void *arg)
{
    struct beside *beside = arg;
    struct fault fault = {.err = ERR_OK};
    const struct delta_run run = {.run = 77, .attempt = 1};
    const atomic_bool cancel = false;
    beside->err = delta_apply(store.delta, beside->path, &run, &cancel, &beside->result, &fault);
    return NULL;
}

static void a_sync_compares_anew_after_a_release_beside_it(void **state)
{
    (void)state;
    struct beside beside = {.err = ERR_OK};
    struct fault fault = {.err = ERR_OK};
    uint64_t released = 0;
    pthread_t thread;
    apply_records(100, 199, "created 100 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 100");
    apply_records(120, 199, "created 0 changed 0 unchanged 80 deleted 0 rejected 0 withheld 20 seq 100");
    (void)snprintf(beside.path, sizeof beside.path, "%s/pipe", store.folder);
    assert_int_equal(mkfifo(beside.path, 0600), 0);
    char *text = records(100, 199); // all are back
    assert_int_equal(pthread_create(&thread, NULL, apply_beside, &beside), 0);
    const int file = open(beside.path, O_WRONLY); // once the sync reads
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(release("Eva", 0, &released, &fault), ERR_OK);
    assert_int_equal(released, 20);
    // What it reads a second time is a file.
    assert_int_equal(unlink(beside.path), 0);
    FILE *again = fopen(beside.path, "w");
    assert_non_null(again);
    assert_true(fputs(text, again) >= 0);
    assert_int_equal(fclose(again), 0);
    assert_int_equal(close(file), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(beside.err, ERR_OK);
    assert_int_equal(beside.result.created, 20);
    assert_int_equal(beside.result.unchanged, 80);
    assert_int_equal(beside.result.last_seq, 140); // 20 went and came
    apply_records(100, 199, "created 0 changed 0 unchanged 100 deleted 0 rejected 0 withheld 0 seq 140");
    free(text);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_things, close_things)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(deletions_over_share_and_count_are_withheld_and_known_by_key),
        STORE_TEST(ten_of_them_or_ten_percent_are_not_too_many),
        STORE_TEST(the_guard_is_the_jobs_own),
        STORE_TEST(the_next_good_fetch_that_has_them_clears_them),
        STORE_TEST(rows_without_a_key_withhold_by_key_too),
        STORE_TEST(a_release_deletes_exactly_these_with_feed_and_publication),
        STORE_TEST(a_release_is_of_the_list_that_was_seen_and_by_somebody),
        STORE_TEST(an_export_of_changes_only_keeps_what_it_does_not_have_withheld),
        STORE_TEST(too_many_rejects_are_told_apart_from_other_failures),
        STORE_TEST(a_sync_compares_anew_after_a_release_beside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
