// What the states of an order are called, which of them are its ends, and what ends a question.
#include "services/order/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct order_machine at_state(enum order_state state)
{
    const struct order_options options = {.timeout_ms = 1000, .visibility_lag_ms = 1000};
    struct order_machine order;
    order_machine_init(&order, &options, 0);
    order.state = state;
    return order;
}

static void four_states_are_ends_and_nothing_else_is(void **state)
{
    (void)state;
    for (int at = 0; at < ORDER_STATE_COUNT; at++) {
        const struct order_machine order = at_state((enum order_state)at);
        const bool end =
            at == ORDER_PLACED || at == ORDER_REJECTED || at == ORDER_CANCELLED || at == ORDER_NEEDS_PERSON;
        assert_int_equal(order_machine_ended(&order), end);
        if (end) {
            assert_false(order_machine_holds(&order));
            assert_false(order_machine_can_cancel(&order));
            assert_true(order_machine_deadline(&order) == INT64_MAX);
        }
    }
}

static void each_state_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int at = 0; at < ORDER_STATE_COUNT; at++)
        for (int other = 0; other < at; other++)
            assert_string_not_equal(order_state_name((enum order_state)at),
                                    order_state_name((enum order_state)other));
}

static void a_question_that_may_be_at_work_keeps_the_lease_and_is_followed_by_none(void **state)
{
    (void)state;
    struct order_machine order = at_state(ORDER_ASKING);
    struct order_update update;
    order.uncertain = true;
    (void)order_machine_step(
        &order,
        &(struct order_event){.kind = ORDER_EVENT_NOT_TOLD, .now_ms = 500, .sent = true, .sent_ms = 400},
        &update);
    assert_int_equal(order.state, ORDER_HOLDING);
    assert_int_equal(update.count, 0);
    assert_int_equal(order_machine_deadline(&order), 1400);
    (void)order_machine_step(&order, &(struct order_event){.kind = ORDER_EVENT_TIME, .now_ms = 1400},
                             &update);
    assert_int_equal(order.state, ORDER_UNKNOWN);
    assert_int_equal(update.count, 1);
    assert_int_equal(update.actions[0], ORDER_ACTION_RELEASE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_states_are_ends_and_nothing_else_is),
        cmocka_unit_test(each_state_has_a_name_of_its_own),
        cmocka_unit_test(a_question_that_may_be_at_work_keeps_the_lease_and_is_followed_by_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
