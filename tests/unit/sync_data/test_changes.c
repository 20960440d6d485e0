// The list of what a sync is about to change: whatever order keys come in, each is found and all are sorted.
#include "services/sync/changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 5000, SIZE = 1200 };

// Key number n: some differ only in their length, in a zero byte or far behind their beginning, and some are
// too long for the store.
static struct bytes key_of(unsigned n, char room[SIZE])
{
    char number[16];
    const size_t padding = n % 11 == 0 ? 900 : n % 7 == 0 ? 40 : n % 5;
    const int digits = snprintf(number, sizeof number, "%u", n);
    memset(room, n % 3 == 0 ? '\0' : 'k', 2 + padding);
    room[0] = 'k';
    memcpy(room + 2 + padding, number, (size_t)digits);
    return (struct bytes){.data = room, .size = 2 + padding + (size_t)digits};
}

static void add(struct changes *changes, unsigned n)
{
    char room[SIZE];
    const struct change change = {
        .op = SB__OP__OP_CREATED, .key = key_of(n, room), .json = {.data = "{}", .size = 2}, .id = n};
    assert_null(changes_find(changes, change.key));
    assert_int_equal(changes_add(changes, &change), ERR_OK);
}

static void assert_found(const struct changes *changes, unsigned n)
{
    char room[SIZE];
    const struct change *found = changes_find(changes, key_of(n, room));
    assert_non_null(found);
    assert_int_equal(found->id, n);
}

static int compare(const struct change *a, const struct change *b)
{
    uint8_t room_a[RECORD_STORE_KEY_SIZE];
    uint8_t room_b[RECORD_STORE_KEY_SIZE];
    const struct bytes left = record_store_key(a->key, room_a);
    const struct bytes right = record_store_key(b->key, room_b);
    return record_compare_names(left.data, left.size, right.data, right.size);
}

static void assert_sorted(const struct changes *changes)
{
    assert_int_equal(changes->count, COUNT);
    for (size_t i = 1; i < COUNT; i++)
        assert_true(compare(&changes->items[i - 1], changes_at(changes, i)) < 0);
    for (unsigned n = 0; n < COUNT; n++)
        assert_found(changes, n);
}

static void keys_that_come_in_any_order_are_found_and_sorted(void **state)
{
    (void)state;
    struct changes changes;
    changes_init(&changes);
    for (unsigned i = 0; i < COUNT; i++) {
        add(&changes, i * 1237 % COUNT); // each once
        assert_found(&changes, i / 2 * 1237 % COUNT);
    }
    assert_int_equal(changes_sort(&changes), ERR_OK);
    assert_sorted(&changes);
    changes_free(&changes);
}

static void keys_that_come_in_their_order_need_no_index(void **state)
{
    (void)state;
    struct changes any;
    struct changes ascending;
    changes_init(&any);
    changes_init(&ascending);
    for (unsigned n = 0; n < COUNT; n++)
        add(&any, n);
    assert_true(any.index_size > 0);
    assert_int_equal(changes_sort(&any), ERR_OK);
    for (size_t i = 0; i < COUNT; i++) {
        add(&ascending, (unsigned)any.items[i].id);
        assert_found(&ascending, (unsigned)any.items[i / 2].id);
    }
    assert_int_equal(ascending.index_size, 0);
    assert_int_equal(changes_sort(&ascending), ERR_OK);
    assert_sorted(&ascending);
    changes_free(&any);
    changes_free(&ascending);
}

static void one_key_out_of_order_is_enough_to_sort_them_all(void **state)
{
    (void)state;
    struct changes any;
    struct changes late;
    changes_init(&any);
    changes_init(&late);
    for (unsigned n = 0; n < COUNT; n++)
        add(&any, n);
    assert_int_equal(changes_sort(&any), ERR_OK);
    for (size_t i = 1; i < COUNT; i++)
        add(&late, (unsigned)any.items[i].id);
    add(&late, (unsigned)any.items[0].id);
    assert_int_equal(changes_sort(&late), ERR_OK);
    assert_sorted(&late);
    changes_free(&any);
    changes_free(&late);
}

static void none_are_sorted_too(void **state)
{
    (void)state;
    struct changes changes;
    changes_init(&changes);
    assert_int_equal(changes_sort(&changes), ERR_OK);
    assert_null(changes_find(&changes, (struct bytes){.data = "k", .size = 1}));
    changes_free(&changes);
}

// ---------------------------------------------------------------- keys that look alike

static struct change change_of(const char *key)
{
    return (struct change){.op = SB__OP__OP_DELETED, .key = {.data = key, .size = strlen(key)}};
}

static void keys_whose_hashes_begin_alike_are_told_apart(void **state)
{
    (void)state;
    // The greater one comes first, so that an index is made; the last pair is of no change.
    static const char *const pairs[][2] = {
        {"k54356", "k183690"}, {"k9872", "k339252"}, {"k37436", "k283358"}};
    struct changes changes;
    changes_init(&changes);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++) {
            const struct change change = change_of(pairs[i][j]);
            assert_int_equal(changes_add(&changes, &change), ERR_OK);
        }
    const struct change alone = change_of(pairs[2][0]);
    assert_int_equal(changes_add(&changes, &alone), ERR_OK);
    assert_true(changes.index_size > 0);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++)
            assert_ptr_equal(changes_find(&changes, change_of(pairs[i][j]).key), &changes.items[2 * i + j]);
    assert_non_null(changes_find(&changes, alone.key));
    assert_null(changes_find(&changes, change_of(pairs[2][1]).key));
    changes_free(&changes);
}

// ---------------------------------------------------------------- limits

static void no_more_memory_is_taken_than_a_sync_may(void **state)
{
    (void)state;
    struct changes changes;
    changes_init(&changes);
    changes.size = CHANGES_SIZE_MAX - 1000; // as if so much were in its blocks
    const struct change change = change_of("k");
    assert_int_equal(changes_add(&changes, &change), ERR_FULL);
    assert_int_equal(changes.count, 0);
    assert_null(changes_find(&changes, change.key));
    assert_int_equal(changes_withhold(&changes, change.key), ERR_FULL);
    assert_int_equal(changes.withheld_count, 0);
    assert_int_equal(changes_reject(&changes, 1, "why", "raw", 3), ERR_FULL);
    assert_int_equal(changes.reject_count, 0);
    changes_free(&changes);
}

static void there_are_no_more_changes_than_their_numbers_can_say(void **state)
{
    (void)state;
    struct changes changes;
    changes_init(&changes);
    changes.count = changes.capacity = (size_t)1 << 31; // none of them is looked at
    const struct change change = change_of("k");
    assert_int_equal(changes_add(&changes, &change), ERR_FULL);
    changes.count = changes.capacity = 0;
    assert_int_equal(changes_add(&changes, &change), ERR_OK);
    changes_free(&changes);
}

static void the_first_rejected_rows_are_kept_and_the_beginning_of_each(void **state)
{
    (void)state;
    struct changes changes;
    char raw[REJECT_RAW_MAX + 1];
    memset(raw, 'r', sizeof raw);
    changes_init(&changes);
    for (uint64_t line = 1; line <= REJECTS_MAX + 2; line++)
        assert_int_equal(changes_reject(&changes, line, "why", raw, line == 1 ? sizeof raw : 1), ERR_OK);
    assert_int_equal(changes.reject_count, REJECTS_MAX);
    assert_int_equal(changes.rejects[0].raw.size, REJECT_RAW_MAX);
    assert_int_equal(changes.rejects[REJECTS_MAX - 1].line, REJECTS_MAX);
    assert_int_equal(changes.rejects[REJECTS_MAX - 1].raw.size, 1);
    assert_int_equal(changes.rejects[REJECTS_MAX - 1].why.size, 3);
    changes_free(&changes);
}

static void all_records_that_are_missed_are_noted_in_their_order(void **state)
{
    (void)state;
    struct changes changes;
    char room[SIZE];
    changes_init(&changes);
    for (unsigned n = 0; n < COUNT; n++)
        assert_int_equal(changes_withhold(&changes, key_of(n, room)), ERR_OK);
    assert_int_equal(changes.withheld_count, COUNT);
    for (unsigned n = 0; n < COUNT; n++) {
        const struct bytes key = key_of(n, room);
        assert_int_equal(changes.withheld[n].size, key.size);
        assert_memory_equal(changes.withheld[n].data, key.data, key.size);
    }
    changes_free(&changes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_come_in_any_order_are_found_and_sorted),
        cmocka_unit_test(keys_that_come_in_their_order_need_no_index),
        cmocka_unit_test(one_key_out_of_order_is_enough_to_sort_them_all),
        cmocka_unit_test(none_are_sorted_too),
        cmocka_unit_test(keys_whose_hashes_begin_alike_are_told_apart),
        cmocka_unit_test(no_more_memory_is_taken_than_a_sync_may),
        cmocka_unit_test(there_are_no_more_changes_than_their_numbers_can_say),
        cmocka_unit_test(the_first_rejected_rows_are_kept_and_the_beginning_of_each),
        cmocka_unit_test(all_records_that_are_missed_are_noted_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
