#include "tests/unit/sync_data/support.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THINGS "key: [id, kind], max_rejects: 50%, source: {url: \"http://e/x\", format: csv}"

static struct support_store store;

static int open_things(void **state)
{
    (void)state;
    support_open(&store, THINGS);
    assert_int_equal(support_apply(&store, "id,kind,a\n1,x,one\n2,x,two\n3,x,three\n", 1), ERR_OK);
    assert_int_equal(support_apply(&store, "id,kind,a\n1,x,uno\n3,x,three\n4,y\n", 2), ERR_OK);
    return 0;
}

static int close_things(void **state)
{
    (void)state;
    support_close(&store);
    return 0;
}

static void assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("%s does not say: %s", text, part);
}

static void get_gives_one_record_as_it_is_now(void **state)
{
    (void)state;
    char id[] = "1", kind[] = "x", other[] = "y";
    char *key[] = {id, kind};
    Sb__RecordKey query = SB__RECORD_KEY__INIT;
    query.n_key = 2;
    query.key = key;
    const char *answer = support_call(&store, "get", &query.base, &sb__record__descriptor);
    assert_says(answer, "\"key\":[\"1\",\"x\"]");
    assert_says(answer, "{\\\"a\\\":\\\"uno\\\",\\\"id\\\":\\\"1\\\",\\\"kind\\\":\\\"x\\\"}");
    assert_says(answer, "\"seq\":4");
    key[1] = other;
    assert_string_equal(support_call(&store, "get", &query.base, &sb__record__descriptor),
                        "failed: things has no such record");
    query.n_key = 1;
    assert_string_equal(support_call(&store, "get", &query.base, &sb__record__descriptor),
                        "failed: the key has 2 parts, not 1");
}

static void list_gives_records_in_key_order_page_by_page(void **state)
{
    (void)state;
    char id[] = "1", kind[] = "x";
    char *after[] = {id, kind};
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    query.limit = 1;
    const char *answer = support_call(&store, "list", &query.base, &sb__record_list__descriptor);
    assert_says(answer, "uno");
    assert_null(strstr(answer, "three"));
    assert_says(answer, "\"more\":true");
    assert_says(answer, "\"last_seq\":5");
    query.n_after = 2;
    query.after = after;
    answer = support_call(&store, "list", &query.base, &sb__record_list__descriptor);
    assert_says(answer, "three");
    assert_null(strstr(answer, "uno"));
    assert_says(answer, "\"more\":false");
}

static void an_index_that_is_not_kept_is_refused(void **state)
{
    (void)state;
    char index[] = "name", value[] = "x";
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    query.index = index;
    assert_string_equal(support_call(&store, "list", &query.base, &sb__record_list__descriptor),
                        "failed: an index and a value go together");
    query.value = value;
    assert_string_equal(support_call(&store, "list", &query.base, &sb__record_list__descriptor),
                        "failed: things has no index \"name\"; it has none");
}

static void the_feed_replayed_from_nothing_gives_the_records(void **state)
{
    (void)state;
    Sb__FeedQuery query = SB__FEED_QUERY__INIT;
    uint8_t body[64];
    char replayed[8][64] = {{0}};
    uint64_t last = 0;
    for (;;) { // D2, D3: numbers without gaps, and what they say in the end is what is stored
        struct buffer ret;
        struct fault fault = {.err = ERR_OK};
        query.after = last;
        query.limit = 2;
        buffer_init(&ret, 1 << 20);
        const size_t size = protobuf_c_message_pack(&query.base, body);
        assert_int_equal(feed_call(store.delta, "feed", body, size, &ret, &fault), ERR_OK);
        Sb__FeedList *list = sb__feed_list__unpack(NULL, ret.size, (const uint8_t *)ret.data);
        assert_non_null(list);
        assert_int_equal(list->last_seq, 5);
        assert_int_equal(list->first_seq, 1);
        const size_t count = list->n_items;
        for (size_t i = 0; i < count; i++) {
            const Sb__FeedItem *item = list->items[i];
            assert_int_equal(item->seq, ++last);
            char *place = replayed[item->record->key[0][0] - '0'];
            (void)snprintf(place, sizeof replayed[0], "%.63s", item->record->record);
        }
        sb__feed_list__free_unpacked(list, NULL);
        buffer_free(&ret);
        if (count == 0)
            break;
    }
    assert_int_equal(last, 5);
    assert_string_equal(replayed[1], "{\"a\":\"uno\",\"id\":\"1\",\"kind\":\"x\"}");
    assert_string_equal(replayed[2], "");
    assert_memory_equal(replayed[3], "{\"a\":\"three\"", 12);
}

static void another_feeds_number_means_nothing_here(void **state)
{
    (void)state;
    Sb__FeedQuery query = SB__FEED_QUERY__INIT;
    query.after = 1;
    query.feed = store.result.feed + 1;
    const char *answer = support_call(&store, "feed", &query.base, &sb__feed_list__descriptor);
    assert_says(answer, "\"compacted\":true");
    assert_null(strstr(answer, "uno"));
    query.feed = store.result.feed;
    answer = support_call(&store, "feed", &query.base, &sb__feed_list__descriptor);
    assert_says(answer, "\"compacted\":false");
    assert_says(answer, "\"op\":\"deleted\"");
}

static void rejects_of_the_last_run_say_line_reason_and_bytes(void **state)
{
    (void)state;
    Sb__FeedQuery query = SB__FEED_QUERY__INIT;
    const char *answer = support_call(&store, "rejects", &query.base, &sb__reject_list__descriptor);
    assert_says(answer, "\"line\":4");
    assert_says(answer, "2 fields in place of 3");
    assert_says(answer, "NCx5"); // "4,y"
    assert_says(answer, "\"run\":2");
    assert_int_equal(support_apply(&store, "id,kind,a\n1,x,uno\n3,x,three\n", 3), ERR_OK);
    answer = support_call(&store, "rejects", &query.base, &sb__reject_list__descriptor);
    assert_null(strstr(answer, "line"));
}

static void large_answers_come_in_pages(void **state)
{
    (void)state;
    enum { ROWS = 300, WIDTH = 2000 };
    char *text = calloc(1, (size_t)ROWS * (WIDTH + 32));
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, 32, "id,kind,a\n");
    for (int i = 0; i < ROWS; i++)
        size += (size_t)snprintf(text + size, WIDTH + 32, "%04d,x,%0*d\n", i, WIDTH, i);
    assert_int_equal(support_apply(&store, text, 3), ERR_OK);
    free(text);
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    query.limit = ROWS;
    const char *answer = support_call(&store, "list", &query.base, &sb__record_list__descriptor);
    assert_true(strlen(answer) < FEED_ANSWER_MAX + 32768);
    assert_says(answer, "\"more\":true");
}

static enum err hash_row(void *arg, const struct row *row, struct fault *fault)
{
    struct buffer scratch;
    buffer_init(&scratch, 4096);
    const enum err err = record_hash(row, &scratch, arg);
    buffer_free(&scratch);
    return err == ERR_OK ? err : fault_set(fault, err, "%s", err_text(err));
}

static void each_stored_hash_is_that_of_its_record(void **state)
{
    (void)state; // D1: the record is decoded again from what a caller got
    struct config *config = support_config("key: [id], source: {url: \"http://e/x\", format: json}");
    struct fault fault = {.err = ERR_OK};
    struct buffer ret;
    buffer_init(&ret, 1 << 20);
    assert_int_equal(feed_call(store.delta, "list", "", 0, &ret, &fault), ERR_OK);
    Sb__RecordList *list = sb__record_list__unpack(NULL, ret.size, (const uint8_t *)ret.data);
    assert_non_null(list);
    assert_int_equal(list->n_records, 2);
    for (size_t i = 0; i < list->n_records; i++) {
        uint8_t hash[RECORD_HASH_SIZE] = {0};
        const char *record = list->records[i]->record;
        const struct decode_sink sink = {.take = hash_row, .arg = hash};
        struct decode *decode = NULL;
        assert_int_equal(decode_new(&config->jobs[0], &sink, &decode, &fault), ERR_OK);
        assert_int_equal(decode_feed(decode, "[", 1, &fault), ERR_OK);
        assert_int_equal(decode_feed(decode, record, strlen(record), &fault), ERR_OK);
        assert_int_equal(decode_feed(decode, "]", 1, &fault), ERR_OK);
        assert_int_equal(decode_end(decode, &fault), ERR_OK);
        decode_destroy(&decode);
        assert_int_equal(list->records[i]->hash.len, RECORD_HASH_SIZE);
        assert_memory_equal(list->records[i]->hash.data, hash, RECORD_HASH_SIZE);
    }
    sb__record_list__free_unpacked(list, NULL);
    buffer_free(&ret);
    config_destroy(&config);
}

// A sync in a thread of its own, as the service runs it.
struct beside {
    const char *text; // its export
    enum err err;     // what came of it
    atomic_bool done; // set last
};

static void *apply_beside(void *arg)
{
    struct beside *beside = arg;
    beside->err = support_apply(&store, beside->text, 3);
    atomic_store(&beside->done, true);
    return NULL;
}

static void a_reader_never_sees_half_of_a_sync(void **state)
{
    (void)state; // D5
    enum { ROWS = 3000 };
    char *text = malloc(ROWS * 32 + 32);
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, 32, "id,kind,a\n");
    for (int i = 100; i < 100 + ROWS; i++)
        size += (size_t)snprintf(text + size, 32, "%d,x,%d\n", i, i);
    struct beside beside = {.text = text};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, apply_beside, &beside), 0);
    const uint64_t after = 5 + ROWS + 2; // all are new, and the two that were there are gone
    bool done;
    do {
        Sb__Change head;
        struct fault fault = {.err = ERR_OK};
        done = atomic_load(&beside.done);
        assert_int_equal(delta_head(store.delta, &head, &fault), ERR_OK);
        assert_true(head.last == after || (head.last == 5 && !done));
    } while (!done);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(beside.err, ERR_OK);
    free(text);
}

static void unknown_methods_and_broken_bodies_are_refused(void **state)
{
    (void)state;
    struct buffer ret;
    struct fault fault = {.err = ERR_OK};
    buffer_init(&ret, 1024);
    assert_int_equal(feed_call(store.delta, "drop", "", 0, &ret, &fault), ERR_INVALID);
    assert_string_equal(fault.text, "things answers get, list, feed, rejects and deletions, not drop");
    assert_int_equal(feed_call(store.delta, "feed", "\xff", 1, &ret, &fault), ERR_INVALID);
    assert_int_equal(feed_call(store.delta, "list", "\x0a\x7f", 2, &ret, &fault), ERR_INVALID);
    // Not the record "a": its name would only be cut there.
    fault.err = ERR_OK;
    assert_int_equal(feed_call(store.delta, "get",
                               "\x0a\x03"
                               "a\x00z",
                               5, &ret, &fault),
                     ERR_INVALID);
    assert_string_equal(fault.text, "field key holds a NUL byte, which would end it unseen");
    assert_int_equal(feed_call(store.delta, "deletions", "\xff", 1, &ret, &fault), ERR_INVALID);
    assert_int_equal(ret.size, 0);
    buffer_free(&ret);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_things, close_things)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(get_gives_one_record_as_it_is_now),
        STORE_TEST(list_gives_records_in_key_order_page_by_page),
        STORE_TEST(an_index_that_is_not_kept_is_refused),
        STORE_TEST(the_feed_replayed_from_nothing_gives_the_records),
        STORE_TEST(another_feeds_number_means_nothing_here),
        STORE_TEST(rejects_of_the_last_run_say_line_reason_and_bytes),
        STORE_TEST(large_answers_come_in_pages),
        STORE_TEST(each_stored_hash_is_that_of_its_record),
        STORE_TEST(a_reader_never_sees_half_of_a_sync),
        STORE_TEST(unknown_methods_and_broken_bodies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
