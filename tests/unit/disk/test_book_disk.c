// The book of orders on a disk that fails and loses its power: an order that was accepted is there, as it was
// left.
#include "services/order/book.h"
#include "tests/unit/disk/cuts.h"
#include "tests/unit/disk/disk.h"
#include "tests/unit/io/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ORDERS = 8, KEY_SIZE = 8, LARGE = 3 };

struct place {
    char folder[40];            // all is in it
    char data[64], book[48];    // the book's file, and its folder
    char cut_data[64], cut[48]; // and those of a book after a power cut
    struct book *open;          // NULL: none
    bool stopped;               // the book failed, so that the service ended
    struct fault fault;         // of it
    uint64_t orders[ORDERS];    // what the book should say of each; 0: nothing
    struct cuts cuts;           // what was acknowledged
};

static uint64_t number_of(const Sb__StoredOrder *order)
{
    static uint8_t packed[2 * BOOK_BODY_MAX];
    assert_true(sb__stored_order__get_packed_size(order) <= sizeof packed);
    return cuts_entry(0, NULL, 0, packed, sb__stored_order__pack(order, packed));
}

static bool add_number(void *arg, Sb__StoredOrder *order, bool *ret_taken)
{
    uint64_t *state = arg;
    *ret_taken = false;
    *state += number_of(order) * (book_is_open(order->state->status) ? 3 : 1);
    return true;
}

// What the book in `folder` says, of all orders and of those that are open.
static uint64_t recovered(const char *folder)
{
    struct book *book = NULL;
    struct fault fault = {0};
    uint64_t all = 0, open = 0;
    if (book_open(folder, &book, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    assert_int_equal(book_read(book, "", add_number, &all, &fault), ERR_OK);
    assert_int_equal(book_read_open(book, add_number, &open, &fault), ERR_OK);
    book_close(&book);
    return all + 5 * open;
}

static uint64_t recovered_after_cut(void *arg)
{
    return recovered(((struct place *)arg)->cut);
}

static void acknowledge(struct place *place, size_t number, const Sb__StoredOrder *order, enum err err)
{
    uint64_t state = 0;
    const bool open = book_is_open(order->state->status);
    place->stopped = err != ERR_OK;
    place->orders[number] = number_of(order) * (open ? 3 + 5 * 3 : 1);
    for (size_t i = 0; i < ORDERS; i++)
        state += place->orders[i];
    cuts_acknowledge(&place->cuts, state);
}

static void step(struct place *place, size_t number, Sb__OrderStatus status)
{
    Sb__StoredOrder *order = NULL;
    char key[KEY_SIZE];
    (void)snprintf(key, sizeof key, "K-%zu", number);
    if (place->stopped)
        return;
    assert_int_equal(book_get(place->open, key, &order, &place->fault), ERR_OK);
    assert_int_equal(book_order_change(order, status, "because", "", 2000), ERR_OK);
    acknowledge(place, number, order, book_put(place->open, order, &place->fault));
    sb__stored_order__free_unpacked(order, NULL);
}

static void accept(struct place *place, size_t number)
{
    static char body[20000];
    Sb__StoredOrder *order = NULL;
    char key[KEY_SIZE];
    (void)snprintf(key, sizeof key, "K-%zu", number);
    memset(body, 'x', sizeof body - 1);
    if (place->stopped)
        return;
    // Some need pages of their own.
    assert_int_equal(book_order_new(key, number % LARGE == 0 ? body : "{}", "anna", 1000, &order), ERR_OK);
    const enum err err = book_add(place->open, order, &place->fault);
    order->number = number + 1; // also of one that may have landed although its call failed
    acknowledge(place, number, order, err);
    sb__stored_order__free_unpacked(order, NULL);
}

static void live(struct place *place)
{
    for (size_t i = 0; i < ORDERS; i++) {
        accept(place, i);
        step(place, i, SB__ORDER_STATUS__ORDER_STATUS_SENDING);
        if (i >= 2)
            step(place, i - 2,
                 i % 2 == 0 ? SB__ORDER_STATUS__ORDER_STATUS_PLACED
                            : SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON);
    }
}

static int set_up(void **state)
{
    static struct place new;
    new = (struct place){.folder = "/tmp/syncbus-disk-XXXXXX"};
    assert_int_equal(folder_make(new.folder), 0);
    (void)snprintf(new.book, sizeof new.book, "%s/a", new.folder);
    (void)snprintf(new.cut, sizeof new.cut, "%s/b", new.folder);
    (void)snprintf(new.data, sizeof new.data, "%s/data.mdb", new.book);
    (void)snprintf(new.cut_data, sizeof new.cut_data, "%s/data.mdb", new.cut);
    assert_int_equal(mkdir(new.cut, 0700), 0);
    disk_watch(new.data);
    assert_int_equal(book_open(new.book, &new.open, &new.fault), ERR_OK);
    cuts_acknowledge(&new.cuts, 0);
    *state = &new;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    book_close(&place->open);
    disk_forget();
    return folder_remove(place->folder);
}

static void a_power_cut_at_any_call_leaves_each_accepted_order(void **state)
{
    struct place *place = *state;
    live(place);
    assert_false(place->stopped);
    book_close(&place->open);
    cuts_try(&place->cuts, place->cut_data, recovered_after_cut, place);
    print_message("%zu commits, %zu calls, %zu power cuts; %zu left what was being committed\n",
                  place->cuts.count - 1, disk_calls(), place->cuts.tried, place->cuts.completed);
    assert_true(place->cuts.completed > 0);
    assert_true(place->cuts.completed < place->cuts.tried);
}

static void a_call_that_fails_is_told_and_each_accepted_order_is_still_there(void **state)
{
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct place *place = *state;
        disk_fail(n);
        live(place);
        failed = disk_has_failed();
        assert_int_equal(place->stopped, failed);
        if (failed) {
            assert_int_equal(place->fault.err, ERR_IO);
            assert_non_null(strstr(place->fault.text, "what is on disk is not known now"));
        } else {
            print_message("each of %zu calls has failed\n", n - 1);
        }
        book_close(&place->open);
        const size_t calls = disk_calls();
        if (failed) // the last one was being committed when the call failed
            place->cuts.commits[place->cuts.count - 1].calls = calls + 1;
        for (uint64_t seed = 0; seed < 2 + CUTS_TORN; seed++) {
            disk_cut(calls, seed, place->cut_data);
            cuts_check(&place->cuts, calls, seed, recovered(place->cut));
        }
        disk_watch(""); // what follows is no part of the story
        cuts_check(&place->cuts, calls, UINT64_MAX, recovered(place->book));
        (void)tear_down(state);
        (void)set_up(state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_power_cut_at_any_call_leaves_each_accepted_order),
        TEST(a_call_that_fails_is_told_and_each_accepted_order_is_still_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
