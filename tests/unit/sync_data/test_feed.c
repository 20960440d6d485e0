#include "tests/unit/sync_data/support.h"

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

static void an_index_is_refused(void **state)
{
    (void)state;
    char index[] = "name";
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    query.index = index;
    assert_string_equal(support_call(&store, "list", &query.base, &sb__record_list__descriptor),
                        "failed: an index is not supported by this version");
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

static void unknown_methods_and_broken_bodies_are_refused(void **state)
{
    (void)state;
    struct buffer ret;
    struct fault fault = {.err = ERR_OK};
    buffer_init(&ret, 1024);
    assert_int_equal(feed_call(store.delta, "drop", "", 0, &ret, &fault), ERR_INVALID);
    assert_string_equal(fault.text, "things answers get, list, feed and rejects, not drop");
    assert_int_equal(feed_call(store.delta, "feed", "\xff", 1, &ret, &fault), ERR_INVALID);
    assert_int_equal(feed_call(store.delta, "list", "\x0a\x7f", 2, &ret, &fault), ERR_INVALID);
    assert_int_equal(ret.size, 0);
    buffer_free(&ret);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_things, close_things)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(get_gives_one_record_as_it_is_now),
        STORE_TEST(list_gives_records_in_key_order_page_by_page),
        STORE_TEST(an_index_is_refused),
        STORE_TEST(the_feed_replayed_from_nothing_gives_the_records),
        STORE_TEST(another_feeds_number_means_nothing_here),
        STORE_TEST(rejects_of_the_last_run_say_line_reason_and_bytes),
        STORE_TEST(large_answers_come_in_pages),
        STORE_TEST(unknown_methods_and_broken_bodies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
