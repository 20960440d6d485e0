#include "broker/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void put(struct outbox *outbox, uint64_t update, uint64_t peer, const char *topic, const char *text)
{
    assert_int_equal(outbox_put(outbox, update, peer, topic, text, strlen(text)), ERR_OK);
}

static void taken(struct outbox *outbox, uint64_t durable, const char *text)
{
    struct outbox_item *item = outbox_take(outbox, durable);
    assert_non_null(item);
    assert_int_equal(item->size, strlen(text));
    assert_memory_equal(item->data, text, item->size);
    outbox_item_free(item);
}

static void nothing_leaves_before_its_update_is_durable(void **state)
{
    (void)state;
    struct outbox outbox = {0};
    put(&outbox, 3, 7, NULL, "reply");
    put(&outbox, 4, 0, "run.prices", "event");
    assert_null(outbox_take(&outbox, 2));
    taken(&outbox, 3, "reply");
    assert_null(outbox_take(&outbox, 3));
    taken(&outbox, 9, "event");
    assert_null(outbox_take(&outbox, 9));
    assert_int_equal(outbox.bytes, 0);
}

static void what_waits_leaves_in_the_order_in_which_it_came(void **state)
{
    (void)state;
    struct outbox outbox = {0};
    put(&outbox, 1, 7, NULL, "a");
    put(&outbox, 1, 0, "run.x", "b");
    put(&outbox, 2, 8, NULL, "c");
    taken(&outbox, 2, "a");
    taken(&outbox, 2, "b");
    put(&outbox, 5, 8, NULL, "d");
    taken(&outbox, 5, "c");
    taken(&outbox, 5, "d");
    assert_null(outbox.first);
    assert_null(outbox.last);
}

static void what_is_durable_does_not_overtake_what_waits(void **state)
{
    (void)state;
    struct outbox outbox = {0};
    assert_true(outbox_may_pass(&outbox, 4, 4));
    assert_false(outbox_may_pass(&outbox, 5, 4));
    put(&outbox, 5, 0, "tick.prices", "tick");
    assert_false(outbox_may_pass(&outbox, 6, 6));
    put(&outbox, 6, 0, "beat", "beat");
    taken(&outbox, 6, "tick");
    taken(&outbox, 6, "beat");
    assert_true(outbox_may_pass(&outbox, 6, 6));
}

static void what_never_leaves_is_freed(void **state)
{
    (void)state;
    struct outbox outbox = {0};
    put(&outbox, 1, 0, "run.x", "b");
    put(&outbox, 2, 8, NULL, "");
    outbox_clear(&outbox);
    assert_null(outbox.first);
    assert_int_equal(outbox.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_before_its_update_is_durable),
        cmocka_unit_test(what_waits_leaves_in_the_order_in_which_it_came),
        cmocka_unit_test(what_is_durable_does_not_overtake_what_waits),
        cmocka_unit_test(what_never_leaves_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
