// The book: what was accepted is there after every reopening, once, in order of acceptance.
#include "services/order/book.h"

#include "proto/io/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ACCEPTED     SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED
#define SENDING      SB__ORDER_STATUS__ORDER_STATUS_SENDING
#define PLACED       SB__ORDER_STATUS__ORDER_STATUS_PLACED
#define UNKNOWN      SB__ORDER_STATUS__ORDER_STATUS_UNKNOWN
#define NEEDS_PERSON SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON

static char folder[32];
static struct book *book;
static struct fault fault;
static char seen[256];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/book-XXXXXX");
    fault = (struct fault){.err = ERR_OK};
    return mkdtemp(folder) == NULL || book_open(folder, &book, &fault) != ERR_OK ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    book_close(&book);
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void reopen(void)
{
    book_close(&book);
    assert_int_equal(book_open(folder, &book, &fault), ERR_OK);
}

static Sb__StoredOrder *new_order(const char *key)
{
    Sb__StoredOrder *order = NULL;
    assert_int_equal(book_order_new(key, "{\"a\":1}", "anna", 1000, &order), ERR_OK);
    return order;
}

static void add(const char *key)
{
    Sb__StoredOrder *order = new_order(key);
    assert_int_equal(book_add(book, order, &fault), ERR_OK);
    sb__stored_order__free_unpacked(order, NULL);
}

static void change(const char *key, Sb__OrderStatus status)
{
    Sb__StoredOrder *order = NULL;
    assert_int_equal(book_get(book, key, &order, &fault), ERR_OK);
    assert_int_equal(book_order_change(order, status, "because", "", 2000), ERR_OK);
    assert_int_equal(book_put(book, order, &fault), ERR_OK);
    sb__stored_order__free_unpacked(order, NULL);
}

static bool note(void *arg, Sb__StoredOrder *order, bool *ret_taken)
{
    size_t *left = arg;
    (void)ret_taken;
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%s ", order->state->key);
    return --*left > 0;
}

static const char *open_orders(void)
{
    size_t left = 100;
    seen[0] = '\0';
    assert_int_equal(book_read_open(book, note, &left, &fault), ERR_OK);
    return seen;
}

static const char *all_orders(const char *after, size_t limit)
{
    seen[0] = '\0';
    assert_int_equal(book_read(book, after, note, &limit, &fault), ERR_OK);
    return seen;
}

static const char *persons(const char *after, size_t limit)
{
    seen[0] = '\0';
    assert_int_equal(book_read_persons(book, after, note, &limit, &fault), ERR_OK);
    return seen;
}

static void orders_that_need_a_person_are_listed_until_that_person_has_resolved_them(void **state)
{
    (void)state;
    assert_string_equal(persons("", 100), "");
    add("K-3");
    add("K-1");
    add("K-2");
    change("K-3", NEEDS_PERSON);
    change("K-1", NEEDS_PERSON);
    change("K-2", UNKNOWN);
    reopen();
    assert_string_equal(persons("", 100), "K-1 K-3 ");
    assert_string_equal(persons("", 1), "K-1 ");
    assert_string_equal(persons("K-1", 100), "K-3 ");
    assert_string_equal(persons("K-2", 100), "K-3 ");
    assert_string_equal(persons("K-3", 100), "");
    change("K-1", PLACED);
    assert_string_equal(persons("", 100), "K-3 ");
    assert_string_equal(open_orders(), "K-2 ");
}

static enum err forget_list(struct store_txn *txn, void *arg, struct fault *why)
{
    (void)arg;
    (void)why;
    enum err err = store_delete(txn, 2, (struct bytes){.data = "", .size = 1});
    return err == ERR_OK ? store_delete(txn, 2, (struct bytes){.data = "K-2", .size = 3}) : err;
}

static void a_book_that_had_no_such_list_gets_one(void **state)
{
    static const char *const tables[] = {"order", "open", "person"};
    const struct store_options options = {
        .tables = tables, .table_count = 3, .map_size = 1 << 24, .map_size_max = 1 << 24};
    struct store *store = NULL;
    (void)state;
    add("K-1");
    add("K-2");
    change("K-2", NEEDS_PERSON);
    book_close(&book);
    assert_int_equal(store_open(folder, &options, &store, &fault), ERR_OK);
    assert_int_equal(store_write(store, forget_list, NULL, &fault), ERR_OK);
    store_close(&store);
    assert_int_equal(book_open(folder, &book, &fault), ERR_OK);
    assert_string_equal(persons("", 100), "K-2 ");
}

static void an_accepted_order_is_there_after_a_restart_with_all_that_was_said(void **state)
{
    (void)state;
    add("K-1");
    reopen();
    Sb__StoredOrder *order = NULL;
    assert_int_equal(book_get(book, "K-1", &order, &fault), ERR_OK);
    assert_string_equal(order->body, "{\"a\":1}");
    assert_string_equal(order->state->by, "anna");
    assert_int_equal(order->state->status, ACCEPTED);
    assert_int_equal(order->state->accepted_ms, 1000);
    assert_int_equal(order->state->n_history, 1);
    sb__stored_order__free_unpacked(order, NULL);
}

static void a_key_is_taken_once(void **state)
{
    (void)state;
    add("K-1");
    Sb__StoredOrder *order = new_order("K-1");
    assert_int_equal(book_add(book, order, &fault), ERR_EXISTS);
    assert_int_equal(order->number, 0);
    sb__stored_order__free_unpacked(order, NULL);
    assert_string_equal(open_orders(), "K-1 ");
}

static void open_orders_are_read_in_order_of_acceptance_across_restarts(void **state)
{
    (void)state;
    add("z");
    add("m");
    reopen();
    add("a");
    change("m", SENDING);
    assert_string_equal(open_orders(), "z m a ");
    change("m", UNKNOWN);
    change("z", PLACED);
    reopen();
    assert_string_equal(open_orders(), "m a ");
    change("a", NEEDS_PERSON);
    change("m", PLACED);
    reopen();
    assert_string_equal(open_orders(), "");
    add("b");
    assert_string_equal(open_orders(), "b ");
}

static void an_ended_order_that_a_person_resolves_takes_no_open_one_off_the_list(void **state)
{
    (void)state;
    add("a");
    change("a", NEEDS_PERSON);
    reopen(); // no order is open: numbers begin anew
    add("b");
    change("a", PLACED);
    reopen();
    assert_string_equal(open_orders(), "b ");
}

static void all_orders_are_read_in_pages_by_key(void **state)
{
    (void)state;
    add("b");
    add("c");
    add("a");
    change("b", PLACED);
    assert_string_equal(all_orders("", 2), "a b ");
    assert_string_equal(all_orders("b", 2), "c ");
    assert_string_equal(all_orders("aa", 2), "b c ");
    assert_string_equal(all_orders("c", 2), "");
}

static void an_order_that_is_not_there_is_said_so(void **state)
{
    (void)state;
    Sb__StoredOrder *order = NULL;
    assert_int_equal(book_get(book, "none", &order, &fault), ERR_NOT_FOUND);
    assert_null(order);
}

static void a_long_history_keeps_its_beginning_and_its_end(void **state)
{
    (void)state;
    Sb__StoredOrder *order = new_order("K-1");
    for (int i = 0; i < 500; i++) {
        char what[16];
        snprintf(what, sizeof what, "step %d", i);
        order->state->attempts = (uint32_t)i;
        assert_int_equal(book_order_change(order, SENDING, what, "", i), ERR_OK);
    }
    assert_int_equal(order->state->n_history, BOOK_HISTORY_MAX);
    assert_int_equal(order->state->history[0]->status, ACCEPTED);
    assert_string_equal(order->state->history[1]->what, "step 0");
    assert_string_equal(order->state->history[BOOK_HISTORY_MAX - 1]->what, "step 499");
    assert_int_equal(order->state->history[BOOK_HISTORY_MAX - 1]->attempt, 499);
    assert_string_equal(order->state->why, "step 499");
    assert_int_equal(book_order_name(order, "E-1"), ERR_OK);
    assert_int_equal(book_order_name(order, "E-2"), ERR_OK);
    assert_string_equal(order->state->erp_id, "E-2");
    sb__stored_order__free_unpacked(order, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_accepted_order_is_there_after_a_restart_with_all_that_was_said),
        TEST(a_key_is_taken_once),
        TEST(open_orders_are_read_in_order_of_acceptance_across_restarts),
        TEST(an_ended_order_that_a_person_resolves_takes_no_open_one_off_the_list),
        TEST(all_orders_are_read_in_pages_by_key),
        TEST(an_order_that_is_not_there_is_said_so),
        TEST(orders_that_need_a_person_are_listed_until_that_person_has_resolved_them),
        TEST(a_book_that_had_no_such_list_gets_one),
        TEST(a_long_history_keeps_its_beginning_and_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
