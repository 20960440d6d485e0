// More at once than fits into one step: whatever it is, the next step goes on with it, and nobody is left
// out.
#include "tests/unit/core/rig.h"

#include <string.h>

enum {
    JOBS = 1088,
    A_SESSION = 64,
    SERVICES = JOBS / A_SESSION,
    LEASES = 1024,
    ORDERS = 3000,
    ORDER = 100000
};

// Enough jobs for every lease that there can be, and sessions that run them.
static void start(struct rig *self, struct rig_client services[SERVICES])
{
    self->config.job_count = JOBS;
    self->resources[ERP].capacity = 2000;
    self->resources[ERP].lease_ttl_ms = 300000;
    for (size_t i = 0; i < JOBS; i++) {
        self->jobs[i].resource = ERP;
        self->jobs[i].every_ms = 86400000;
        self->jobs[i].fresh_within_ms = 2 * 86400000;
    }
    rig_start(self);
    for (size_t i = 0; i < SERVICES; i++) {
        services[i] = (struct rig_client){.instance = i + 1, .process = 1};
        assert_int_equal(rig_hello(self, &services[i], i * A_SESSION, A_SESSION), SB__CODE__CODE_OK);
    }
}

// Every job asks for its turn, and waits for the answer; the count of those that got it at once.
static size_t everybody_asks(struct rig *self, const struct rig_client *services, uint64_t claims)
{
    size_t granted = 0;
    for (size_t i = 0; i < JOBS; i++) {
        Sb__Acquire turn = rig_turn(self, i, claims + i);
        turn.poll_ms = 60000;
        const Sb__Reply *reply = rig_acquire(self, &services[i / A_SESSION], &turn);
        granted += reply != NULL && reply->body_case == SB__REPLY__BODY_GRANTED ? 1 : 0;
    }
    return granted;
}

static void every_job_is_due_at_the_start_though_they_are_more_than_one_step_can_tell(void **state)
{
    struct rig *self = *state;
    struct rig_client services[SERVICES];
    start(self, services);
    for (size_t i = 0; i < JOBS; i++)
        assert_true(self->runs[i] != 0);
}

static void a_thousand_turns_are_granted_when_an_order_ends_and_no_more_than_there_can_be(void **state)
{
    struct rig *self = *state;
    struct rig_client services[SERVICES];
    start(self, services);
    const uint64_t token = rig_granted(self, &services[0], rig_order(self, ERP, ORDER));
    assert_int_equal(everybody_asks(self, services, 1), 0);
    rig_release(self, &services[0], token, false);
    assert_true(rig_resource(self, ERP)->shared < LEASES); // as many as one step can tell
    rig_pass(self, 0);
    assert_int_equal(rig_resource(self, ERP)->shared, LEASES);
    assert_int_equal(rig_resource(self, ERP)->waiting_shared, JOBS - LEASES);
    // An order of another resource has to wait for a place, too.
    Sb__Acquire order = rig_order(self, CRM, ORDER + 1);
    assert_int_equal(rig_acquire(self, &services[0], &order)->body_case, SB__REPLY__BODY_WAITING);
    core_check(self->core);
}

static void a_thousand_leases_that_end_at_once_end_step_by_step(void **state)
{
    struct rig *self = *state;
    struct rig_client services[SERVICES];
    start(self, services);
    assert_int_equal(everybody_asks(self, services, 1), LEASES);
    for (size_t i = 0; i < SERVICES; i++) { // their next processes know none of them
        services[i].process++;
        assert_int_equal(rig_hello(self, &services[i], i * A_SESSION, A_SESSION), SB__CODE__CODE_OK);
    }
    self->boot_ms += 2000; // delay and settle time, for all at once
    self->wall_ms += 2000;
    assert_int_equal(rig_resource(self, ERP)->shared, LEASES);
    rig_pass(self, 0);
    assert_int_equal(rig_resource(self, ERP)->shared, 0);
    for (size_t i = 0; i < JOBS; i++)
        assert_true(self->stages[i] != SB__STAGE__STAGE_FETCHING);
}

// Orders that all wait for an answer for longer than a pause may last.
static void many_order(struct rig *self, const struct rig_client *client)
{
    for (uint64_t i = 0; i < ORDERS; i++) {
        Sb__Acquire order = rig_order(self, ERP, ORDER + i);
        order.poll_ms = 75000;
        assert_null(rig_acquire(self, client, &order));
    }
}

// A pause that fails with thousands of orders behind it: each is told so.
static void thousands_of_orders_that_cannot_go_on_are_all_told_so(void **state)
{
    struct rig *self = *state;
    struct rig_client services[SERVICES];
    start(self, services);
    assert_int_equal(everybody_asks(self, services, 1), LEASES);
    many_order(self, &services[0]);
    rig_tick(self, 60000);
    // One that asks again before it was told has both its answers.
    assert_true(self->answers[SB__CODE__CODE_PAUSE_TIMEOUT] < ORDERS);
    Sb__Acquire last = rig_order(self, ERP, ORDER + ORDERS - 1);
    assert_int_equal(rig_acquire(self, &services[0], &last)->code, SB__CODE__CODE_PAUSE_TIMEOUT);
    assert_int_equal(self->update.reply_count, 2);
    rig_pass(self, 0);
    assert_int_equal(self->answers[SB__CODE__CODE_PAUSE_TIMEOUT], ORDERS + 1);
    assert_int_equal(rig_resource(self, ERP)->waiting_exclusive, 0);
    assert_int_equal(rig_resource(self, ERP)->shared, LEASES);
}

static void thousands_of_orders_that_a_hold_stops_are_all_told_so_and_none_is_granted(void **state)
{
    struct rig *self = *state;
    struct rig_client services[SERVICES];
    Sb__Hold hold = SB__HOLD__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    start(self, services);
    assert_int_equal(everybody_asks(self, services, 1), LEASES);
    many_order(self, &services[0]);
    hold.resource = (char *)(uintptr_t)self->resources[ERP].name;
    hold.by = hold.reason = hold.resource;
    hold.orders_too = true;
    request.body_case = SB__REQUEST__BODY_HOLD;
    request.hold = &hold;
    assert_int_equal(rig_ask(self, NULL, &request)->code, SB__CODE__CODE_OK);
    rig_pass(self, 0);
    assert_int_equal(self->answers[SB__CODE__CODE_ON_HOLD], ORDERS);
    rig_pass(self, 310000); // the turns have ended
    assert_int_equal(rig_resource(self, ERP)->token, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            every_job_is_due_at_the_start_though_they_are_more_than_one_step_can_tell, rig_set_up,
            rig_tear_down),
        cmocka_unit_test_setup_teardown(
            a_thousand_turns_are_granted_when_an_order_ends_and_no_more_than_there_can_be, rig_set_up,
            rig_tear_down),
        cmocka_unit_test_setup_teardown(a_thousand_leases_that_end_at_once_end_step_by_step, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(thousands_of_orders_that_cannot_go_on_are_all_told_so, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(
            thousands_of_orders_that_a_hold_stops_are_all_told_so_and_none_is_granted, rig_set_up,
            rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
