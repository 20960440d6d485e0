#include "services/sync/look_up.h"
#include "tests/unit/sync_data/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Enough rows that keys out of order make the hashes be gathered long before the last of them.
enum { ROWS = 4000, TEXT_MAX = ROWS * 32 + 32 };

static struct support_store store;

static int open_things(void **state)
{
    (void)state;
    support_open(&store, "key: [id], max_rejects: 50%, source: {url: \"http://e/x\", format: csv}");
    return 0;
}

static int close_things(void **state)
{
    (void)state;
    support_close(&store);
    return 0;
}

// How the rows of an export come.
enum order { UP, DOWN, MIXED };

static unsigned row_at(enum order order, unsigned i)
{
    return order == UP ? i : order == DOWN ? ROWS - 1 - i : i * 1999 % ROWS; // 1999 and ROWS share no factor
}

// An export of the first `count` rows in their order, of which each `step`th (0: none) has another value, and
// then `more`. The caller frees it.
static char *export_of(enum order order, unsigned count, unsigned step, const char *more)
{
    char *text = malloc(TEXT_MAX);
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, TEXT_MAX, "id,a\n");
    for (unsigned i = 0; i < count; i++) {
        const unsigned row = row_at(order, i);
        const char *value = step > 0 && row % step == 0 ? "new" : "x";
        size += (size_t)snprintf(text + size, TEXT_MAX - size, "%05u,%s%u\n", row, value, row % 7);
    }
    (void)snprintf(text + size, TEXT_MAX - size, "%s", more);
    return text;
}

static void assert_sync(char *text, const char *expected)
{
    assert_int_equal(support_apply(&store, text, store.run + 1), ERR_OK);
    assert_string_equal(support_counts(&store), expected);
    free(text);
}

static void fill_store(void)
{
    assert_sync(export_of(UP, ROWS, 0, ""),
                "created 4000 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 4000");
}

// ---------------------------------------------------------------- through a sync

static void rows_in_no_order_are_told_apart_as_those_in_order_are(void **state)
{
    (void)state;
    fill_store();
    assert_sync(export_of(MIXED, ROWS, 0, ""),
                "created 0 changed 0 unchanged 4000 deleted 0 rejected 0 withheld 0 seq 4000");
    assert_sync(export_of(DOWN, ROWS, 10, "99999,x\n"),
                "created 1 changed 400 unchanged 3600 deleted 0 rejected 0 withheld 0 seq 4401");
    assert_sync(export_of(UP, ROWS, 10, ""),
                "created 0 changed 0 unchanged 4000 deleted 1 rejected 0 withheld 0 seq 4402");
}

static void records_that_rows_in_no_order_lack_are_deleted(void **state)
{
    (void)state;
    fill_store();
    assert_sync(export_of(MIXED, ROWS - 3, 0, ""),
                "created 0 changed 0 unchanged 3997 deleted 3 rejected 0 withheld 0 seq 4003");
}

static void an_equal_row_again_is_none_and_another_of_its_key_is_rejected_in_any_order(void **state)
{
    (void)state;
    fill_store();
    // Row 0 comes first, as it is stored; once more; and with another value.
    assert_sync(export_of(MIXED, ROWS, 0, "00000,x0\n00000,y\n"),
                "created 0 changed 0 unchanged 4000 deleted 0 rejected 1 withheld 0 seq 4000");
    // It comes first with another value, which wins, and then as it is stored.
    assert_sync(export_of(MIXED, ROWS, ROWS, "00000,x0\n00000,new0\n"),
                "created 0 changed 1 unchanged 3999 deleted 0 rejected 1 withheld 0 seq 4001");
}

static void a_rejected_row_in_no_order_protects_its_record(void **state)
{
    (void)state;
    fill_store();
    assert_sync(export_of(MIXED, ROWS - 1, 0, "02001,x,too many\n"),
                "created 0 changed 0 unchanged 3999 deleted 0 rejected 1 withheld 0 seq 4000");
}

// ---------------------------------------------------------------- by itself

static void begin(struct store_txn **txn, struct look_up **look_up, uint64_t ids_end)
{
    struct fault fault = {.err = ERR_OK};
    assert_int_equal(store_read(store.delta->store, txn, &fault), ERR_OK);
    assert_int_equal(look_up_new(*txn, ids_end, look_up), ERR_OK);
}

static enum err find_row(struct look_up *look_up, unsigned row, struct stored_record *ret)
{
    char key[8] = {0, 5};
    (void)snprintf(key + 2, sizeof key - 2, "%05u", row);
    return look_up_key(look_up, (struct bytes){.data = key, .size = 7}, ret);
}

static void hashes_are_gathered_only_when_keys_have_jumped_back_often_enough(void **state)
{
    (void)state;
    struct store_txn *txn = NULL;
    struct look_up *look_up = NULL;
    struct stored_record first;
    struct stored_record found;
    fill_store();
    begin(&txn, &look_up, ROWS + 1);
    assert_int_equal(find_row(look_up, 0, &first), ERR_OK);
    for (unsigned i = 1; i < ROWS; i++)
        assert_int_equal(find_row(look_up, i, &found), ERR_OK);
    assert_true(look_up_equal(look_up, first.hash) == 0);
    for (unsigned i = ROWS; i-- > 0;)
        assert_int_equal(find_row(look_up, i, &found), ERR_OK);
    assert_true(look_up_equal(look_up, first.hash) == first.id);
    uint8_t other[RECORD_HASH_SIZE];
    for (size_t i = 0; i < sizeof other; i++) {
        memcpy(other, first.hash, sizeof other);
        other[i] ^= 1;
        assert_true(look_up_equal(look_up, other) == 0);
    }
    assert_int_equal(find_row(look_up, ROWS, &found), ERR_NOT_FOUND);
    look_up_destroy(&look_up);
    assert_null(look_up);
    look_up_destroy(&look_up);
    store_end(&txn);
}

static void a_record_with_an_id_that_nobody_gave_is_damage(void **state)
{
    (void)state;
    struct store_txn *txn = NULL;
    struct look_up *look_up = NULL;
    struct stored_record found;
    fill_store();
    begin(&txn, &look_up, 2); // ids go up to ROWS
    enum err err = find_row(look_up, ROWS - 1, &found);
    assert_int_equal(err, ERR_CORRUPT);
    for (unsigned i = ROWS; i-- > 0 && look_up_equal(look_up, (const uint8_t[RECORD_HASH_SIZE]){0}) == 0;)
        err = find_row(look_up, i, &found);
    assert_int_equal(err, ERR_OK); // row 0 has id 1
    look_up_destroy(&look_up);
    store_end(&txn);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_things, close_things)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(rows_in_no_order_are_told_apart_as_those_in_order_are),
        STORE_TEST(records_that_rows_in_no_order_lack_are_deleted),
        STORE_TEST(an_equal_row_again_is_none_and_another_of_its_key_is_rejected_in_any_order),
        STORE_TEST(a_rejected_row_in_no_order_protects_its_record),
        STORE_TEST(hashes_are_gathered_only_when_keys_have_jumped_back_often_enough),
        STORE_TEST(a_record_with_an_id_that_nobody_gave_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
