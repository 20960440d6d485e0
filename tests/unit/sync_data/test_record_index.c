#include "tests/unit/sync_data/support.h"

#include "proto/base/random.h"
#include "services/sync/delta_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THINGS "key: [id], index: [order, \"a b\"], source: {url: \"http://e/x\", format: json}"

enum { KEYS = 60, VALUES = 7, TEXT_MAX = 1 << 18 };

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

static void apply(const char *text)
{
    assert_int_equal(support_apply(&store, text, store.run + 1), ERR_OK);
    assert_string_equal(store.fault.text, "");
}

// The keys that the list gives, page by page, "1 2 "; all of them if `index` is NULL.
static const char *keys_of(const char *index, const char *value, uint32_t limit)
{
    static char text[TEXT_MAX];
    char after[2048] = "";
    char *last[] = {after};
    size_t size = 0;
    text[0] = '\0';
    for (bool more = true; more;) {
        Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
        struct buffer answer;
        struct fault fault = {.err = ERR_OK};
        uint8_t body[4096];
        query.limit = limit;
        query.index = (char *)(index != NULL ? index : "");
        query.value = (char *)value;
        query.after = last;
        query.n_after = after[0] != '\0';
        buffer_init(&answer, 4 << 20);
        const size_t body_size = protobuf_c_message_pack(&query.base, body);
        if (feed_call(store.delta, "list", body, body_size, &answer, &fault) != ERR_OK)
            fail_msg("%s", fault.text);
        Sb__RecordList *list = sb__record_list__unpack(NULL, answer.size, (const uint8_t *)answer.data);
        buffer_free(&answer);
        assert_non_null(list);
        for (size_t i = 0; i < list->n_records; i++) {
            size += (size_t)snprintf(text + size, sizeof text - size, "%s ", list->records[i]->key[0]);
            (void)snprintf(after, sizeof after, "%s", list->records[i]->key[0]);
        }
        more = list->more;
        sb__record_list__free_unpacked(list, NULL);
    }
    return text;
}

static void assert_keys(const char *index, const char *value, const char *expected)
{
    assert_string_equal(keys_of(index, value, 1), expected);
    assert_string_equal(keys_of(index, value, 100), expected);
}

static uint64_t entries(void)
{
    struct store_txn *txn = NULL;
    uint64_t count = 0;
    assert_int_equal(store_read(store.delta->store, &txn, NULL), ERR_OK);
    assert_int_equal(store_count(txn, TABLE_INDEX, &count), ERR_OK);
    store_end(&txn);
    return count;
}

static void records_are_found_by_the_value_of_a_field(void **state)
{
    (void)state;
    apply("[{\"id\":1,\"order\":\"A-1\",\"a b\":7},{\"id\":2,\"order\":\" A-1 \"},{\"id\":3,\"order\":\"B\"},"
          "{\"id\":4,\"order\":\"\"},{\"id\":5,\"order\":null,\"a b\":\"7\"}]");
    assert_keys("order", "A-1", "1 2 ");
    assert_keys("order", "B ", "3 ");
    assert_keys("order", "a-1", "");
    assert_keys("a b", "7", "1 5 "); // a number and a text of the same letters are one truth
    assert_int_equal(entries(), 5);
}

static void an_index_follows_each_change_of_its_records(void **state)
{
    (void)state;
    apply("[{\"id\":1,\"order\":\"A\"},{\"id\":2,\"order\":\"A\"},{\"id\":3,\"order\":\"A\"}]");
    apply("[{\"id\":1,\"order\":\"A\",\"x\":1},{\"id\":2,\"order\":\"B\"},{\"id\":4,\"order\":\"A\"}]");
    assert_keys("order", "A", "1 4 ");
    assert_keys("order", "B", "2 ");
    assert_int_equal(entries(), 3);
}

static void values_of_any_bytes_are_found(void **state)
{
    (void)state;
    apply("[{\"id\":1,\"order\":\"say \\\"x\\\" \\\\ \\n\\u0001\\u007f "
          "\xc3\xa0\"},{\"id\":2,\"x\\\"y\":1,\"a b\":-1.50e3}]");
    assert_keys("order", "say \"x\" \\ \n\x01\x7f \xc3\xa0", "1 ");
    assert_keys("a b", "-1.50e3", "2 ");
}

static void keys_of_any_length_are_found_in_pages(void **state)
{
    (void)state;
    static const int sizes[] = {400, 488, 489, 490, 491, 492, 509, 510, 511, 1000};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    static char text[32768];
    size_t size = (size_t)snprintf(text, sizeof text, "[");
    for (int i = 0; i < COUNT; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s{\"id\":\"%0*d\",\"order\":\"A\"}",
                                 i > 0 ? "," : "", sizes[i], i);
    (void)snprintf(text + size, sizeof text - size, "]");
    apply(text);
    for (uint32_t limit = 1; limit < 4; limit++) {
        const char *keys = keys_of("order", "A", limit);
        size_t count = 0;
        for (const char *at = keys; (at = strchr(at, ' ')) != NULL; at++)
            count++;
        assert_int_equal(count, COUNT);
    }
    apply("[{\"id\":1,\"order\":\"A\"}]");
    assert_int_equal(entries(), 1);
}

static void an_index_that_comes_or_goes_is_made_anew_at_the_start(void **state)
{
    (void)state;
    apply("[{\"id\":1,\"order\":\"A\",\"c\":5,\"a b\":1},{\"id\":2,\"order\":\"A\",\"c\":6}]");
    char order[] = "order", other[] = "c";
    char *names[] = {other, order};
    struct config_job job = *store.job;
    const struct config_job *before = store.job;
    job.index = (struct words){.items = names, .count = 2};
    store.job = &job;
    support_reopen(&store);
    assert_keys("c", "5", "1 ");
    assert_keys("order", "A", "1 2 ");
    assert_int_equal(entries(), 4);
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    char gone[] = "a b", value[] = "1";
    query.index = gone;
    query.value = value;
    assert_string_equal(support_call(&store, "list", &query.base, &sb__record_list__descriptor),
                        "failed: things has no index \"a b\"; it has c, order");
    apply("[{\"id\":1,\"order\":\"A\",\"c\":6},{\"id\":2,\"order\":\"B\",\"c\":6}]");
    assert_keys("c", "6", "1 2 ");
    assert_keys("c", "5", "");
    job.index.count = 0;
    support_reopen(&store);
    assert_int_equal(entries(), 0);
    assert_string_equal(support_call(&store, "list", &query.base, &sb__record_list__descriptor),
                        "failed: things has no index \"a b\"; it has none");
    store.job = before;
    support_reopen(&store);
    assert_int_equal(entries(), 2);
}

// ---------------------------------------------------------------- against plain means

// What each record has: 0: it is not there; else value + 1, of which 1 stands for none.
struct model {
    unsigned order[KEYS];
    unsigned other[KEYS];
};

static void write_export(const struct model *model, char *text)
{
    size_t size = (size_t)snprintf(text, TEXT_MAX, "[");
    for (int id = 0; id < KEYS; id++) {
        if (model->order[id] == 0)
            continue;
        size += (size_t)snprintf(text + size, TEXT_MAX - size, "%s{\"id\":\"%02d\"", size > 1 ? "," : "", id);
        if (model->order[id] > 1)
            size += (size_t)snprintf(text + size, TEXT_MAX - size, ",\"order\":\"o%u\"", model->order[id]);
        if (model->other[id] > 1)
            size += (size_t)snprintf(text + size, TEXT_MAX - size, ",\"a b\":%u", model->other[id]);
        size += (size_t)snprintf(text + size, TEXT_MAX - size, "}");
    }
    (void)snprintf(text + size, TEXT_MAX - size, "]");
}

static void assert_index(const struct model *model, bool other, uint64_t *count)
{
    for (unsigned value = 2; value <= VALUES + 1; value++) {
        char expected[TEXT_MAX / 64] = "", name[16];
        size_t size = 0;
        for (int id = 0; id < KEYS; id++) {
            if (model->order[id] == 0 || (other ? model->other : model->order)[id] != value)
                continue;
            size += (size_t)snprintf(expected + size, sizeof expected - size, "%02d ", id);
            (*count)++;
        }
        (void)snprintf(name, sizeof name, other ? "%u" : "o%u", value);
        assert_string_equal(keys_of(other ? "a b" : "order", name, 3), expected);
    }
}

// Changes some records; of those that go, so few that the guard lets them, or so many that it does not.
static void change_some(struct model *model, struct random *random, bool many)
{
    for (int change = 0; change < (many ? 40 : 12); change++) {
        const size_t id = random_below(random, KEYS);
        const bool gone = many ? change < 30 : change < 9 && random_below(random, 4) == 0;
        model->order[id] = gone ? 0 : 1 + (unsigned)random_below(random, VALUES + 1);
        model->other[id] = 1 + (unsigned)random_below(random, VALUES + 1);
    }
    model->order[0] = 2; // an export without a record would be taken for broken
}

// Reads the feed on after `last` into what each record is now; gives its new end.
static uint64_t replay(char (*records)[64], uint64_t last)
{
    for (size_t count = 1; count > 0;) {
        Sb__FeedQuery query = SB__FEED_QUERY__INIT;
        struct buffer answer;
        struct fault fault = {.err = ERR_OK};
        uint8_t body[32];
        query.after = last;
        buffer_init(&answer, 4 << 20);
        const size_t body_size = protobuf_c_message_pack(&query.base, body);
        assert_int_equal(feed_call(store.delta, "feed", body, body_size, &answer, &fault), ERR_OK);
        Sb__FeedList *list = sb__feed_list__unpack(NULL, answer.size, (const uint8_t *)answer.data);
        buffer_free(&answer);
        assert_non_null(list);
        count = list->n_items;
        for (size_t i = 0; i < count; i++) {
            const Sb__Record *record = list->items[i]->record;
            assert_int_equal(list->items[i]->seq, ++last);
            (void)snprintf(records[strtol(record->key[0], NULL, 10)], 64, "%s", record->record);
        }
        sb__feed_list__free_unpacked(list, NULL);
    }
    return last;
}

static void assert_replayed(char (*records)[64])
{
    char expected[KEYS * 4] = "";
    size_t size = 0;
    for (int id = 0; id < KEYS; id++)
        if (records[id][0] != '\0')
            size += (size_t)snprintf(expected + size, sizeof expected - size, "%02d ", id);
    assert_string_equal(keys_of(NULL, "", 100), expected);
}

static void after_any_syncs_and_releases_indexes_and_feed_say_what_the_records_say(void **state)
{
    (void)state; // D1 to D4, extended to indexes
    enum { SYNCS = 80 };
    static char text[TEXT_MAX];
    static char records[KEYS][64];
    struct random random;
    struct model model = {.order = {1}};
    uint64_t last = 0, releases = 0, released = 0;
    random_init(&random, 7);
    for (int sync = 0; sync < SYNCS; sync++) {
        change_some(&model, &random, sync % 8 == 7);
        write_export(&model, text);
        apply(text);
        if (store.result.withheld > 0) {
            assert_int_equal(delta_release(store.delta, "eva", 0, &released, NULL), ERR_OK);
            assert_int_equal(released, store.result.withheld);
            releases++;
        }
        uint64_t count = 0;
        assert_index(&model, false, &count);
        assert_index(&model, true, &count);
        assert_int_equal(entries(), count); // none is stale
        last = replay(records, last);
        assert_replayed(records);
        if (sync % 10 == 9)
            support_reopen(&store);
    }
    assert_true(releases >= 5);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_things, close_things)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(records_are_found_by_the_value_of_a_field),
        STORE_TEST(an_index_follows_each_change_of_its_records),
        STORE_TEST(values_of_any_bytes_are_found),
        STORE_TEST(keys_of_any_length_are_found_in_pages),
        STORE_TEST(an_index_that_comes_or_goes_is_made_anew_at_the_start),
        STORE_TEST(after_any_syncs_and_releases_indexes_and_feed_say_what_the_records_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
