// What decoding, comparing and storing do when memory ends: each allocation fails in turn.
#include "services/sync/changes.h"
#include "services/sync/decode_pages.h"
#include "tests/unit/scarce/scarce.h"
#include "tests/unit/sync_data/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CSV "key: [id], source: {url: \"http://e/x\", format: csv, csv: {encoding: latin-1}}"
#define PARENTS                                                                                              \
    "key: [id], source: {url: \"http://e/x\", format: json, json: {records: \"$[*].l\", parent: [id, "       \
    "name]}}"
#define JSON                                                                                                 \
    "key: [id], source: {url: \"http://e/x\", format: json, json: {records: $.items, object_key: id}}"

static const char csv[] = "id,name,note\n1,\"say \"\"hi\"\"\",x\n2,caff\xe8,\"two\nlines\"\n3,bad\n4,y,z\n";
static const char json[] =
    "{\"items\":{\"1\":{\"a\":{\"b\":[1,2]}},\"2\":7,\"3\":{\"a\":1,\"a\":2},\"4\":{\"c\":\"x\"}}}";

static const char parents[] = "[{\"id\":\"a parent whose name takes more than what a buffer begins with, so "
                              "that it has to grow\",\"l\":[{\"id\":1,"
                              "\"a\":\"x\"},{\"id\":2}],\"name\":\"n\"},{\"l\":[{\"id\":3}],\"id\":\"p\"},{"
                              "\"id\":\"\",\"name\":\"\",\"l\":[{\"id\":"
                              "4}]}]";

static enum err count_row(void *arg, const struct row *row, struct fault *fault)
{
    (void)fault;
    unsigned *counts = arg;
    counts[row->why != NULL]++;
    return ERR_OK;
}

// Decodes with memory that ends; true if it did.
static bool decode_scarcely(const char *fields, const char *text, size_t part, unsigned allocations)
{
    struct config *config = support_config(fields);
    unsigned counts[2] = {0, 0};
    const struct decode_sink sink = {.take = count_row, .arg = counts};
    struct decode *decode = NULL;
    struct fault fault = {.err = ERR_OK};
    const size_t size = strlen(text);
    scarce_after(allocations);
    enum err err = decode_new(&config->jobs[0], &sink, &decode, &fault);
    for (size_t at = 0; at < size && err == ERR_OK; at += part)
        err = decode_feed(decode, text + at, size - at < part ? size - at : part, &fault);
    if (err == ERR_OK)
        err = decode_end(decode, &fault);
    decode_destroy(&decode);
    const bool failed = scarce_end();
    if (err == ERR_OK)
        assert_int_equal(counts[0] + counts[1],
                         4); // a record may be spoiled for want of memory, but none is lost
    else
        assert_int_equal(err, ERR_NO_MEMORY);
    assert_true(failed || (err == ERR_OK && counts[0] >= 2));
    config_destroy(&config);
    return failed;
}

static void a_decoder_without_memory_says_so_or_spoils_one_record_and_loses_none(void **state)
{
    (void)state;
    static const size_t parts[] = {1, 7, 1000};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        unsigned allocations = 0;
        while (decode_scarcely(CSV, csv, parts[i], allocations))
            allocations++;
        assert_true(allocations > 8);
        allocations = 0;
        while (decode_scarcely(JSON, json, parts[i], allocations))
            allocations++;
        assert_true(allocations > 6);
        allocations = 0;
        while (decode_scarcely(PARENTS, parents, parts[i], allocations))
            allocations++;
        assert_true(allocations > 14);
    }
}

// Decodes a file as pages or as a whole, with memory that ends; true if it did.
static bool decode_file_scarcely(const char *path, size_t size, bool pages, unsigned allocations)
{
    struct config *config = support_config(PARENTS);
    unsigned counts[2] = {0, 0};
    const struct decode_sink sink = {.take = count_row, .arg = counts};
    const atomic_bool cancel = false;
    const uint64_t ends[] = {size};
    struct fault fault = {.err = ERR_OK};
    scarce_after(allocations);
    const enum err err = pages ? decode_pages(&config->jobs[0], path, ends, 1, &sink, &cancel, &fault)
                               : decode_file(&config->jobs[0], path, &sink, &cancel, &fault);
    const bool failed = scarce_end();
    if (err == ERR_OK)
        assert_int_equal(counts[0] + counts[1], 4);
    else
        assert_int_equal(err, ERR_NO_MEMORY);
    assert_int_equal(fault.err, err);
    assert_true(failed || (err == ERR_OK && counts[0] == 4));
    config_destroy(&config);
    return failed;
}

static void a_file_without_memory_fails_or_gives_all_its_rows(void **state)
{
    (void)state;
    char path[] = "/tmp/syncbus-spool-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, parents, sizeof parents - 1), sizeof parents - 1);
    assert_int_equal(close(file), 0);
    for (int pages = 0; pages < 2; pages++) {
        unsigned allocations = 0;
        while (decode_file_scarcely(path, sizeof parents - 1, pages != 0, allocations))
            allocations++;
        assert_true(allocations > 14);
    }
    assert_int_equal(unlink(path), 0);
}

// Records that wait for their parent, and grow by its field, take more and more; true if memory ended.
static bool hold_scarcely(unsigned allocations)
{
    enum { ROWS = 40 };
    struct config *config = support_config(PARENTS);
    char text[ROWS * 32 + 300];
    size_t size = (size_t)snprintf(text, sizeof text, "[{\"l\":[{\"id\":0}");
    for (unsigned i = 1; i < ROWS; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, ",{\"id\":%u,\"a\":\"%0*u\"}", i,
                                 (int)(i % 9), i);
    size += (size_t)snprintf(text + size, sizeof text - size, "],\"name\":\"%0200u\",\"id\":1}]", 1);
    unsigned counts[2] = {0, 0};
    const struct decode_sink sink = {.take = count_row, .arg = counts};
    struct decode *decode = NULL;
    struct fault fault = {.err = ERR_OK};
    scarce_after(allocations);
    enum err err = decode_new(&config->jobs[0], &sink, &decode, &fault);
    if (err == ERR_OK)
        err = decode_feed(decode, text, size, &fault);
    if (err == ERR_OK)
        err = decode_end(decode, &fault);
    decode_destroy(&decode);
    const bool failed = scarce_end();
    assert_int_equal(fault.err, err);
    if (err == ERR_OK)
        assert_int_equal(counts[0] + counts[1], ROWS);
    else
        assert_int_equal(err, ERR_NO_MEMORY);
    config_destroy(&config);
    return failed;
}

static void records_that_wait_without_memory_are_all_given_or_none_of_them(void **state)
{
    (void)state;
    unsigned allocations = 0;
    while (hold_scarcely(allocations))
        allocations++;
    assert_true(allocations > 20);
}

// An export of which each row comes after one with a greater key, so that hashes are gathered, too.
static char *backwards(unsigned rows, const char *value)
{
    char *text = malloc((size_t)rows * 32 + 32);
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, 32, "id,a\n");
    for (unsigned i = rows; i-- > 0;)
        size += (size_t)snprintf(text + size, 32, "%06u,%s\n", i, i % 100 == 0 ? value : "same");
    return text;
}

static void a_sync_without_memory_changes_nothing_and_goes_well_the_next_time(void **state)
{
    (void)state;
    enum { ROWS = 2500 };
    struct support_store store;
    support_open(&store, "key: [id], source: {url: \"http://e/x\", format: csv}");
    char *old = backwards(ROWS, "old");
    char *new = backwards(ROWS, "new");
    assert_int_equal(support_apply(&store, old, 1), ERR_OK);
    const uint64_t before = store.result.last_seq;
    unsigned allocations = 0;
    bool failed = true;
    for (; failed; allocations++) {
        scarce_after(allocations);
        const enum err err = support_apply(&store, new, 1);
        failed = scarce_end();
        if (err == ERR_OK && store.result.ok)
            break;
        assert_true(failed);
        assert_int_equal(store.fault.err, ERR_NO_MEMORY);
        Sb__Change head;
        assert_int_equal(delta_head(store.delta, &head, NULL), ERR_OK);
        assert_int_equal(head.last, before);
    }
    assert_true(allocations > 10);
    assert_int_equal(store.result.changed, ROWS / 100);
    assert_int_equal(store.result.last_seq, before + ROWS / 100);
    free(old);
    free(new);
    support_close(&store);
}

// Adds changes, rejected rows and missed records in turn, with memory that ends; true if it did. What got
// none is not in its list, and goes well once there is some again.
static bool collect_scarcely(unsigned allocations)
{
    enum { COUNT = 1500 }; // room for more than the first is needed
    struct changes changes;
    char key[16];
    changes_init(&changes);
    scarce_after(allocations);
    for (unsigned i = COUNT; i-- > 0;) {
        const int size = snprintf(key, sizeof key, "%06u", i);
        const struct change change = {.key = {.data = key, .size = (size_t)size}};
        enum err err = changes_add(&changes, &change);
        if (err != ERR_OK) {
            assert_int_equal(err, ERR_NO_MEMORY);
            assert_null(changes_find(&changes, change.key));
            err = changes_add(&changes, &change);
        }
        assert_int_equal(err, ERR_OK);
        err = changes_withhold(&changes, change.key);
        assert_int_equal(err == ERR_NO_MEMORY ? changes_withhold(&changes, change.key) : err, ERR_OK);
        err = changes_reject(&changes, i, "why", key, change.key.size);
        assert_int_equal(
            err == ERR_NO_MEMORY ? changes_reject(&changes, i, "why", key, change.key.size) : err, ERR_OK);
    }
    const enum err err = changes_sort(&changes);
    assert_int_equal(err == ERR_NO_MEMORY ? changes_sort(&changes) : err, ERR_OK);
    const bool failed = scarce_end();
    assert_int_equal(changes.count, COUNT);
    assert_int_equal(changes.withheld_count, COUNT);
    assert_int_equal(changes.reject_count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof key, "%06u", i);
        assert_memory_equal(changes.items[i].key.data, key, 6);
        assert_memory_equal(changes.withheld[COUNT - 1 - i].data, key, 6);
        assert_memory_equal(changes.rejects[COUNT - 1 - i].raw.data, key, 6);
    }
    changes_free(&changes);
    return failed;
}

static void a_list_of_changes_that_gets_no_memory_keeps_what_it_has(void **state)
{
    (void)state;
    unsigned allocations = 0;
    while (collect_scarcely(allocations))
        allocations++;
    assert_true(allocations > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decoder_without_memory_says_so_or_spoils_one_record_and_loses_none),
        cmocka_unit_test(a_file_without_memory_fails_or_gives_all_its_rows),
        cmocka_unit_test(records_that_wait_without_memory_are_all_given_or_none_of_them),
        cmocka_unit_test(a_list_of_changes_that_gets_no_memory_keeps_what_it_has),
        cmocka_unit_test(a_sync_without_memory_changes_nothing_and_goes_well_the_next_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
