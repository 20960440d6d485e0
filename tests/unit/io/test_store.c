#include "proto/io/store.h"

#include "tests/unit/io/folder.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

enum { WORDS, NUMBERS, TABLES };
enum { FILLERS = 4000, FILLER_SIZE = 1000 };

static const char *const names[TABLES] = {"words", "numbers"};
static const struct store_options small = {
    .tables = names, .table_count = TABLES, .map_size = 1 << 20, .map_size_max = 64 << 20};

struct place {
    char folder[64];
    struct store *store;
};

static struct store *opened(const char *path)
{
    struct store *store = NULL;
    struct fault fault = {0};
    if (store_open(path, &small, &store, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return store;
}

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/syncbus-store-XXXXXX");
    assert_int_equal(folder_make(place->folder), 0);
    place->store = opened(place->folder);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    store_close(&place->store);
    assert_null(place->store);
    assert_int_equal(folder_remove(place->folder), 0);
    free(place);
    return 0;
}

static struct bytes text(const char *text)
{
    return (struct bytes){.data = text, .size = strlen(text)};
}

static enum err put_words(struct store_txn *txn, void *arg, struct fault *fault)
{
    (void)fault;
    enum err err = ERR_OK;
    for (const char *const *word = arg; *word != NULL && err == ERR_OK; word++)
        err = store_put(txn, WORDS, text(*word), text(*word));
    return err;
}

static void put(struct store *store, const char *const *words)
{
    struct fault fault = {0};
    if (store_write(store, put_words, (void *)(uintptr_t)words, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
}

static void holds(struct store *store, const char *word, bool there)
{
    struct store_txn *txn = NULL;
    struct bytes value = {0};
    assert_int_equal(store_read(store, &txn, NULL), ERR_OK);
    const enum err err = store_get(txn, WORDS, text(word), &value);
    assert_int_equal(err, there ? ERR_OK : ERR_NOT_FOUND);
    if (there)
        assert_memory_equal(value.data, word, value.size);
    store_end(&txn);
    assert_null(txn);
}

static void what_was_written_is_there_after_a_restart(void **state)
{
    struct place *place = *state;
    static const char *const words[] = {"one", "two", NULL};
    put(place->store, words);
    store_close(&place->store);
    place->store = opened(place->folder);
    holds(place->store, "one", true);
    holds(place->store, "two", true);
    holds(place->store, "three", false);
}

static enum err put_and_refuse(struct store_txn *txn, void *arg, struct fault *fault)
{
    enum err err = put_words(txn, arg, fault);
    return err == ERR_OK ? fault_set(fault, ERR_STALE, "an older one") : err;
}

static void a_body_that_refuses_leaves_nothing_behind(void **state)
{
    struct place *place = *state;
    static const char *words[] = {"half", NULL};
    struct fault fault = {0};
    assert_int_equal(store_write(place->store, put_and_refuse, words, &fault), ERR_STALE);
    assert_string_equal(fault.text, "an older one");
    holds(place->store, "half", false);
}

static enum err put_a_wrong_key(struct store_txn *txn, void *arg, struct fault *fault)
{
    (void)fault;
    static const char *words[] = {"before", NULL};
    enum err err = put_words(txn, words, fault);
    assert_int_equal(err, ERR_OK);
    const enum err wrong = store_put(txn, WORDS, *(struct bytes *)arg, text("x"));
    assert_int_equal(wrong, ERR_INVALID);
    return ERR_OK; // even if the body overlooks it
}

static void an_error_that_the_body_overlooks_rolls_back_all_the_same(void **state)
{
    struct place *place = *state;
    static const char many[STORE_KEY_MAX + 1] = "k";
    struct bytes keys[] = {{.data = many, .size = sizeof many}, {.data = many, .size = 0}};
    for (size_t i = 0; i < 2; i++) {
        struct fault fault = {0};
        assert_int_equal(store_write(place->store, put_a_wrong_key, &keys[i], &fault), ERR_INVALID);
        assert_true(fault.text[0] != '\0');
        holds(place->store, "before", false);
    }
}

// Counts its runs: a full map makes it run again.
struct filling {
    unsigned runs;
    size_t count;
};

static enum err fill(struct store_txn *txn, void *arg, struct fault *fault)
{
    (void)fault;
    struct filling *filling = arg;
    filling->runs++;
    enum err err = ERR_OK;
    for (size_t i = 0; i < filling->count && err == ERR_OK; i++) {
        uint8_t key[8];
        void *place = NULL;
        err = store_reserve(txn, NUMBERS, store_number(i, key), FILLER_SIZE, &place);
        if (err == ERR_OK)
            memset(place, (int)(i & 0xff), FILLER_SIZE);
    }
    return err;
}

static void a_map_of_one_mebibyte_grows_under_one_transaction(void **state)
{
    struct place *place = *state;
    struct filling filling = {.count = FILLERS};
    struct fault fault = {0};
    assert_int_equal(store_write(place->store, fill, &filling, &fault), ERR_OK);
    assert_true(filling.runs > 1);
    store_close(&place->store);
    place->store = opened(place->folder); // with its first size asked for again
    struct store_txn *txn = NULL;
    uint64_t count = 0;
    uint8_t key[8];
    struct bytes value = {0};
    assert_int_equal(store_read(place->store, &txn, NULL), ERR_OK);
    assert_int_equal(store_count(txn, NUMBERS, &count), ERR_OK);
    assert_int_equal(count, FILLERS);
    assert_int_equal(store_get(txn, NUMBERS, store_number(777, key), &value), ERR_OK);
    assert_int_equal(value.size, FILLER_SIZE);
    assert_int_equal(((const uint8_t *)value.data)[FILLER_SIZE - 1], 777 & 0xff);
    store_end(&txn);
}

static void room_made_beforehand_spares_the_second_run(void **state)
{
    struct place *place = *state;
    struct filling filling = {.count = FILLERS};
    struct fault fault = {0};
    assert_int_equal(store_make_room(place->store, 2 * (uint64_t)FILLERS * FILLER_SIZE, &fault), ERR_OK);
    assert_int_equal(store_write(place->store, fill, &filling, &fault), ERR_OK);
    assert_int_equal(filling.runs, 1);
}

static void room_past_the_limit_is_not_made_and_no_error(void **state)
{
    struct place *place = *state;
    struct filling filling = {.count = FILLERS};
    struct fault fault = {0};
    assert_int_equal(store_make_room(place->store, UINT64_MAX, &fault), ERR_OK);
    assert_int_equal(store_make_room(place->store, UINT64_MAX, &fault), ERR_OK);
    assert_int_equal(store_write(place->store, fill, &filling, &fault), ERR_OK);
    filling.count = 100 * FILLERS;
    assert_int_equal(store_write(place->store, fill, &filling, &fault), ERR_FULL);
}

static void a_scan_finds_exactly_the_key_that_is_asked_for(void **state)
{
    struct place *place = *state;
    static const char *const words[] = {"a", "b", "d", NULL};
    static const char *const asked[] = {"b", "a", "c", "d", "e", "d", "bb", "b"};
    put(place->store, words);
    struct store_txn *txn = NULL;
    struct store_scan *scan = NULL;
    assert_int_equal(store_read(place->store, &txn, NULL), ERR_OK);
    assert_int_equal(store_scan_begin(txn, WORDS, &scan), ERR_OK);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        struct bytes value = {0};
        const bool there = asked[i][1] == '\0' && strchr("abd", asked[i][0]) != NULL;
        assert_int_equal(store_scan_find(scan, text(asked[i]), &value), there ? ERR_OK : ERR_NOT_FOUND);
        if (there)
            assert_memory_equal(value.data, asked[i], 1);
    }
    store_scan_end(&scan);
    store_end(&txn);
}

static void a_store_at_its_limit_says_so_and_keeps_what_it_has(void **state)
{
    struct place *place = *state;
    static const char *const words[] = {"kept", NULL};
    put(place->store, words);
    struct filling filling = {.count = 100 * 1000};
    struct fault fault = {0};
    assert_int_equal(store_write(place->store, fill, &filling, &fault), ERR_FULL);
    assert_non_null(strstr(fault.text, "limit of 67108864 bytes"));
    holds(place->store, "kept", true);
    filling.count = 10;
    assert_int_equal(store_write(place->store, fill, &filling, &fault), ERR_OK);
}

static void a_reader_sees_one_state_however_long_it_reads(void **state)
{
    struct place *place = *state;
    static const char *const words[] = {"old", NULL};
    static const char *const others[] = {"new", NULL};
    put(place->store, words);
    struct store_txn *txn = NULL;
    struct bytes value = {0};
    assert_int_equal(store_read(place->store, &txn, NULL), ERR_OK);
    put(place->store, others);
    assert_int_equal(store_get(txn, WORDS, text("old"), &value), ERR_OK);
    assert_int_equal(store_get(txn, WORDS, text("new"), &value), ERR_NOT_FOUND);
    store_end(&txn);
    holds(place->store, "new", true);
}

static enum err drop(struct store_txn *txn, void *arg, struct fault *fault)
{
    (void)fault;
    return store_delete(txn, WORDS, text(arg));
}

static void what_is_deleted_is_gone_and_what_is_not_there_is_said(void **state)
{
    struct place *place = *state;
    static const char *const words[] = {"a", "b", NULL};
    put(place->store, words);
    assert_int_equal(store_write(place->store, drop, "a", NULL), ERR_OK);
    assert_int_equal(store_write(place->store, drop, "a", NULL), ERR_NOT_FOUND);
    holds(place->store, "a", false);
    holds(place->store, "b", true);
}

// A scan of the words, with the place it has come to.
struct reading {
    struct store_txn *txn;
    struct store_scan *scan;
    struct bytes key, value;
};

static struct reading reading_begin(struct store *store)
{
    struct reading reading = {0};
    assert_int_equal(store_read(store, &reading.txn, NULL), ERR_OK);
    assert_int_equal(store_scan_begin(reading.txn, WORDS, &reading.scan), ERR_OK);
    return reading;
}

static void reading_end(struct reading *reading)
{
    store_scan_end(&reading->scan);
    store_end(&reading->txn);
    assert_null(reading->scan);
}

static void at(const struct reading *reading, enum err err, const char *word)
{
    assert_int_equal(err, ERR_OK);
    assert_int_equal(reading->key.size, strlen(word));
    assert_memory_equal(reading->key.data, word, reading->key.size);
    assert_memory_equal(reading->value.data, word, reading->value.size);
}

static void a_scan_goes_through_the_keys_in_order(void **state)
{
    struct place *place = *state;
    static const char *const words[] = {"d", "b", "c", "bb", NULL};
    put(place->store, words);
    struct reading on = reading_begin(place->store);
    at(&on, store_scan_seek(on.scan, text(""), &on.key, &on.value), "b");
    at(&on, store_scan_next(on.scan, &on.key, &on.value), "bb");
    at(&on, store_scan_next(on.scan, &on.key, &on.value), "c");
    at(&on, store_scan_next(on.scan, &on.key, &on.value), "d");
    assert_int_equal(store_scan_next(on.scan, &on.key, &on.value), ERR_NOT_FOUND);
    at(&on, store_scan_seek(on.scan, text("ba"), &on.key, &on.value), "bb");
    assert_int_equal(store_scan_seek(on.scan, text("e"), &on.key, &on.value), ERR_NOT_FOUND);
    reading_end(&on);
}

static void a_scan_goes_back_from_the_last_key_at_or_before_a_place(void **state)
{
    struct place *place = *state;
    static const char *const words[] = {"b", "d", "f", NULL};
    put(place->store, words);
    struct reading on = reading_begin(place->store);
    at(&on, store_scan_last(on.scan, text(""), &on.key, &on.value), "f");
    at(&on, store_scan_last(on.scan, text("z"), &on.key, &on.value), "f");
    at(&on, store_scan_last(on.scan, text("d"), &on.key, &on.value), "d");
    at(&on, store_scan_previous(on.scan, &on.key, &on.value), "b");
    assert_int_equal(store_scan_previous(on.scan, &on.key, &on.value), ERR_NOT_FOUND);
    at(&on, store_scan_last(on.scan, text("e"), &on.key, &on.value), "d");
    assert_int_equal(store_scan_last(on.scan, text("a"), &on.key, &on.value), ERR_NOT_FOUND);
    reading_end(&on);
}

static void an_empty_table_has_neither_first_nor_last(void **state)
{
    struct place *place = *state;
    struct reading on = reading_begin(place->store);
    assert_int_equal(store_scan_seek(on.scan, text(""), &on.key, &on.value), ERR_NOT_FOUND);
    assert_int_equal(store_scan_last(on.scan, text(""), &on.key, &on.value), ERR_NOT_FOUND);
    assert_int_equal(store_scan_last(on.scan, text("x"), &on.key, &on.value), ERR_NOT_FOUND);
    reading_end(&on);
}

static void numbers_as_keys_keep_their_order(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 255, 256, UINT64_C(1) << 32, UINT64_MAX};
    uint8_t last[8], key[8];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct bytes bytes = store_number(numbers[i], key);
        assert_true(store_number_of(bytes) == numbers[i]);
        if (i > 0)
            assert_true(memcmp(last, key, sizeof key) < 0);
        memcpy(last, key, sizeof key);
    }
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        STORE_TEST(what_was_written_is_there_after_a_restart),
        STORE_TEST(a_body_that_refuses_leaves_nothing_behind),
        STORE_TEST(an_error_that_the_body_overlooks_rolls_back_all_the_same),
        STORE_TEST(a_map_of_one_mebibyte_grows_under_one_transaction),
        STORE_TEST(room_made_beforehand_spares_the_second_run),
        STORE_TEST(room_past_the_limit_is_not_made_and_no_error),
        STORE_TEST(a_scan_finds_exactly_the_key_that_is_asked_for),
        STORE_TEST(a_store_at_its_limit_says_so_and_keeps_what_it_has),
        STORE_TEST(a_reader_sees_one_state_however_long_it_reads),
        STORE_TEST(what_is_deleted_is_gone_and_what_is_not_there_is_said),
        STORE_TEST(a_scan_goes_through_the_keys_in_order),
        STORE_TEST(a_scan_goes_back_from_the_last_key_at_or_before_a_place),
        STORE_TEST(an_empty_table_has_neither_first_nor_last),
        cmocka_unit_test(numbers_as_keys_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
