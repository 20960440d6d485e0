// The sync's machine, told as stories: events in, and the trace of what it does and where it stands.
#include "services/sync/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sync_machine machine;
static char trace[1024];

static const char *action_name(enum sync_action action)
{
    static const char *const names[] = {"begin",   "acquire", "withdraw", "fetch",  "cut",
                                        "release", "yield",   "apply",    "record", "drop"};
    return names[action];
}

static void add(const char *word)
{
    size_t used = strlen(trace);
    snprintf(trace + used, sizeof trace - used, "%s%s", used ? " " : "", word);
}

// Gives one event; the trace grows by its actions and, in capitals' place, the state in brackets.
static void give(const struct sync_event *event)
{
    struct sync_update update;
    char state[32];
    sync_machine_step(&machine, event, &update);
    for (size_t i = 0; i < update.count; i++)
        add(action_name(update.actions[i]));
    snprintf(state, sizeof state, "[%s]", sync_state_name(machine.state));
    add(state);
}

static void tick(uint64_t run, uint32_t attempt)
{
    give(&(struct sync_event){.kind = SYNC_EVENT_TICK, .run = run, .attempt = attempt});
}

static void granted(uint64_t token)
{
    give(&(struct sync_event){.kind = SYNC_EVENT_GRANTED, .token = token});
}

static void happens(enum sync_event_kind kind)
{
    give(&(struct sync_event){.kind = kind});
}

static void ended(enum sync_event_kind kind, bool ok)
{
    give(&(struct sync_event){.kind = kind, .ok = ok});
}

static void refused(int64_t now_ms, bool over)
{
    give(&(struct sync_event){.kind = SYNC_EVENT_REFUSED, .now_ms = now_ms, .over = over});
}

static void start(enum sync_yield yield, uint32_t max_yields)
{
    trace[0] = '\0';
    sync_machine_init(&machine, &(struct sync_options){.yield = yield, .max_yields = max_yields}, 0, 0);
}

static void told(const char *story)
{
    assert_string_equal(trace, story);
    trace[0] = '\0';
}

static void a_run_is_queued_fetched_and_applied_and_holds_its_lease_only_while_it_fetches(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    ended(SYNC_EVENT_FETCHED, true);
    ended(SYNC_EVENT_APPLIED, true);
    told("begin acquire [queued] fetch [fetching] release apply [applying] [succeeded]");
    assert_int_equal(machine.token, 100);
}

static void a_repeated_tick_of_a_run_in_hand_or_ended_does_nothing(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    tick(7, 1);
    granted(100);
    tick(7, 1);
    tick(6, 9);
    ended(SYNC_EVENT_FETCHED, true);
    tick(7, 1);
    ended(SYNC_EVENT_APPLIED, true);
    tick(7, 1);
    told("begin acquire [queued] [queued] fetch [fetching] [fetching] [fetching] release apply [applying] "
         "[applying] "
         "[succeeded] [succeeded]");
}

static void a_run_whose_result_is_stored_is_not_begun_again_after_a_restart(void **state)
{
    (void)state;
    trace[0] = '\0';
    sync_machine_init(&machine, &(struct sync_options){.yield = SYNC_YIELD_CUT, .max_yields = 3}, 7, 1);
    tick(7, 1);
    told("[idle]");
    tick(7, 2);
    told("begin acquire [queued]");
}

static void asked_to_yield_the_policy_abort_cuts_gives_back_and_queues_again(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    told("begin acquire [queued] fetch [fetching]");
    happens(SYNC_EVENT_YIELD);
    told("cut yield acquire [queued]");
    granted(105);
    ended(SYNC_EVENT_FETCHED, true);
    told("fetch [fetching] release apply [applying]");
    assert_int_equal(machine.yields, 1);
    assert_int_equal(machine.token, 105);
}

static void asked_to_yield_the_policy_finish_goes_on(void **state)
{
    (void)state;
    start(SYNC_YIELD_NEVER, 3);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_YIELD);
    told("begin acquire [queued] fetch [fetching] [fetching]");
    assert_int_equal(machine.yields, 0);
}

static void a_run_that_yielded_max_yields_times_finishes_its_fetch(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 2);
    tick(7, 1);
    for (uint64_t token = 100; token < 103; token++) {
        granted(token);
        happens(SYNC_EVENT_YIELD);
    }
    told("begin acquire [queued] fetch [fetching] cut yield acquire [queued] fetch [fetching] cut yield "
         "acquire [queued] "
         "fetch [fetching] [fetching]");
    ended(SYNC_EVENT_FETCHED, true);
    ended(SYNC_EVENT_APPLIED, true);
    tick(8, 1);
    assert_int_equal(machine.yields, 0);
}

static void a_lost_lease_cuts_the_fetch_and_queues_the_same_run_again(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_LOST);
    told("begin acquire [queued] fetch [fetching] cut acquire [queued]");
    assert_int_equal(machine.run, 7);
    assert_int_equal(machine.yields, 0);
}

static void a_failed_fetch_gives_the_lease_back_and_records_the_failure(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    ended(SYNC_EVENT_FETCHED, false);
    told("begin acquire [queued] fetch [fetching] release record [failed]");
    tick(7, 2);
    told("begin acquire [queued]");
}

static void another_attempt_of_the_run_in_hand_is_a_new_start(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    tick(7, 2);
    told("begin acquire [queued] withdraw begin acquire [queued]");
    granted(100);
    tick(8, 1);
    told("fetch [fetching] cut release begin acquire [queued]");
}

static void a_tick_that_comes_while_applying_waits_for_the_end(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    ended(SYNC_EVENT_FETCHED, true);
    tick(7, 2);
    told("begin acquire [queued] fetch [fetching] release apply [applying] [applying]");
    ended(SYNC_EVENT_APPLIED, true);
    told("begin acquire [queued]");
    assert_int_equal(machine.attempt, 2);
}

static void a_refused_wish_is_made_again_after_a_while(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    refused(5000, false);
    assert_int_equal(sync_machine_deadline(&machine), 5000 + SYNC_RETRY_MS);
    give(&(struct sync_event){.kind = SYNC_EVENT_TIME, .now_ms = 5000 + SYNC_RETRY_MS - 1});
    give(&(struct sync_event){.kind = SYNC_EVENT_TIME, .now_ms = 5000 + SYNC_RETRY_MS});
    told("begin acquire [queued] [due] [due] acquire [queued]");
    assert_true(sync_machine_deadline(&machine) == INT64_MAX);
}

static void a_run_that_the_broker_knows_no_more_is_dropped_and_its_next_tick_begins_it_again(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    refused(5000, true);
    tick(7, 1);
    told("begin acquire [queued] drop [idle] begin acquire [queued]");
}

static void late_events_of_another_state_do_nothing(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    granted(1);
    happens(SYNC_EVENT_YIELD);
    happens(SYNC_EVENT_LOST);
    ended(SYNC_EVENT_FETCHED, true);
    ended(SYNC_EVENT_APPLIED, true);
    refused(0, true);
    happens(SYNC_EVENT_TIME);
    told("[idle] [idle] [idle] [idle] [idle] [idle] [idle]");
}

static void a_stop_leaves_the_erp_before_the_lease_and_takes_no_more_runs(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_STOP);
    tick(8, 1);
    told("begin acquire [queued] fetch [fetching] cut release drop [idle] [idle]");
    assert_true(sync_machine_stopped(&machine));
}

static void a_stop_lets_an_apply_end(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    ended(SYNC_EVENT_FETCHED, true);
    tick(8, 1);
    happens(SYNC_EVENT_STOP);
    assert_false(sync_machine_stopped(&machine));
    ended(SYNC_EVENT_APPLIED, true);
    assert_true(sync_machine_stopped(&machine));
    told(
        "begin acquire [queued] fetch [fetching] release apply [applying] [applying] [applying] [succeeded]");
}

static void a_stop_without_a_run_is_an_end_at_once(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    assert_false(sync_machine_stopped(&machine));
    tick(0, 1); // no run has this number
    happens(SYNC_EVENT_STOP);
    told("[idle] [idle]");
    assert_true(sync_machine_stopped(&machine));
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    ended(SYNC_EVENT_FETCHED, false);
    happens(SYNC_EVENT_STOP);
    assert_true(sync_machine_stopped(&machine));
}

static void of_several_ticks_while_applying_the_greatest_waits(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    ended(SYNC_EVENT_FETCHED, true);
    tick(9, 1);
    tick(8, 1);
    ended(SYNC_EVENT_APPLIED, true);
    told("begin acquire [queued] fetch [fetching] release apply [applying] [applying] [applying] begin "
         "acquire "
         "[queued]");
    assert_int_equal(machine.run, 9);
}

static void asked_to_yield_the_policy_page_lets_the_page_end_steps_aside_and_goes_on_with_the_next(
    void **state)
{
    (void)state;
    start(SYNC_YIELD_PART, 3);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_PART);
    told("begin acquire [queued] fetch [fetching] fetch [fetching]");
    happens(SYNC_EVENT_YIELD);
    happens(SYNC_EVENT_YIELD);
    told("[fetching] [fetching]");
    happens(SYNC_EVENT_PART);
    told("yield acquire [queued]");
    granted(105);
    happens(SYNC_EVENT_PART);
    ended(SYNC_EVENT_FETCHED, true);
    told("fetch [fetching] fetch [fetching] release apply [applying]");
    assert_int_equal(machine.yields, 1);
}

static void a_page_that_is_the_last_is_not_followed_by_a_yield(void **state)
{
    (void)state;
    start(SYNC_YIELD_PART, 3);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_YIELD);
    ended(SYNC_EVENT_FETCHED, true);
    ended(SYNC_EVENT_APPLIED, true);
    told("begin acquire [queued] fetch [fetching] [fetching] release apply [applying] [succeeded]");
    assert_int_equal(machine.yields, 0);
}

static void a_wish_to_yield_ends_with_the_lease_that_it_was_for(void **state)
{
    (void)state;
    start(SYNC_YIELD_PART, 3);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_YIELD);
    happens(SYNC_EVENT_LOST);
    granted(105);
    happens(SYNC_EVENT_PART);
    told("begin acquire [queued] fetch [fetching] [fetching] cut acquire [queued] fetch [fetching] fetch "
         "[fetching]");
}

static void between_pages_too_a_run_that_yielded_max_yields_times_finishes_its_fetch(void **state)
{
    (void)state;
    start(SYNC_YIELD_PART, 1);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_YIELD);
    happens(SYNC_EVENT_PART);
    granted(105);
    happens(SYNC_EVENT_YIELD);
    happens(SYNC_EVENT_PART);
    told("begin acquire [queued] fetch [fetching] [fetching] yield acquire [queued] fetch [fetching] "
         "[fetching] fetch [fetching]");
}

static void the_policies_abort_and_finish_go_on_from_page_to_page(void **state)
{
    (void)state;
    start(SYNC_YIELD_CUT, 3);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_PART);
    happens(SYNC_EVENT_YIELD);
    granted(105);
    happens(SYNC_EVENT_PART);
    told("begin acquire [queued] fetch [fetching] fetch [fetching] cut yield acquire [queued] fetch "
         "[fetching] fetch [fetching]");
    start(SYNC_YIELD_NEVER, 3);
    tick(7, 1);
    granted(100);
    happens(SYNC_EVENT_YIELD);
    happens(SYNC_EVENT_PART);
    told("begin acquire [queued] fetch [fetching] [fetching] fetch [fetching]");
}

// Whether the actions so far leave a lease held, a wish open, a transfer running: each must fit the state.
static void keeps_in_step(enum sync_yield yield)
{
    uint64_t seed = 1;
    bool wished = false;
    bool held = false;
    bool running = false;
    start(yield, 2);
    for (int step = 0; step < 200000; step++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        struct sync_event event = {.kind = (enum sync_event_kind)((seed >> 33) % SYNC_EVENT_STOP),
                                   .now_ms = step * 100,
                                   .run = 1 + (uint64_t)step / 1000,
                                   .attempt = 1 + (uint32_t)((seed >> 40) % 3),
                                   .token = (uint64_t)step + 1,
                                   .over = (seed >> 50) % 2,
                                   .ok = (seed >> 51) % 2};
        if (event.kind == SYNC_EVENT_GRANTED && wished) {
            wished = false;
            held = true;
        } else if (event.kind == SYNC_EVENT_REFUSED && wished) {
            wished = false;
        } else if (event.kind == SYNC_EVENT_LOST && held) {
            held = false;
        } else if ((event.kind == SYNC_EVENT_FETCHED || event.kind == SYNC_EVENT_PART) && running) {
            running = false;
        }
        struct sync_update update;
        sync_machine_step(&machine, &event, &update);
        for (size_t i = 0; i < update.count; i++) {
            switch (update.actions[i]) {
            case SYNC_ACTION_ACQUIRE:
                assert_false(wished || held);
                wished = true;
                break;
            case SYNC_ACTION_WITHDRAW:
                assert_true(wished);
                wished = false;
                break;
            case SYNC_ACTION_FETCH:
                assert_true(held && !running);
                running = true;
                break;
            case SYNC_ACTION_CUT: running = false; break;
            case SYNC_ACTION_RELEASE:
            case SYNC_ACTION_YIELD:
                assert_true(held && !running); // the ERP is left before the lease
                held = false;
                break;
            default: break;
            }
        }
        assert_int_equal(wished, machine.state == SYNC_QUEUED);
        assert_int_equal(held, machine.state == SYNC_FETCHING);
        assert_int_equal(running, machine.state == SYNC_FETCHING);
    }
}

static void any_order_of_events_keeps_lease_wish_and_transfer_in_step_with_the_state(void **state)
{
    (void)state;
    keeps_in_step(SYNC_YIELD_NEVER);
    keeps_in_step(SYNC_YIELD_PART);
    keeps_in_step(SYNC_YIELD_CUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_queued_fetched_and_applied_and_holds_its_lease_only_while_it_fetches),
        cmocka_unit_test(a_repeated_tick_of_a_run_in_hand_or_ended_does_nothing),
        cmocka_unit_test(a_run_whose_result_is_stored_is_not_begun_again_after_a_restart),
        cmocka_unit_test(asked_to_yield_the_policy_abort_cuts_gives_back_and_queues_again),
        cmocka_unit_test(asked_to_yield_the_policy_finish_goes_on),
        cmocka_unit_test(a_run_that_yielded_max_yields_times_finishes_its_fetch),
        cmocka_unit_test(a_lost_lease_cuts_the_fetch_and_queues_the_same_run_again),
        cmocka_unit_test(a_failed_fetch_gives_the_lease_back_and_records_the_failure),
        cmocka_unit_test(another_attempt_of_the_run_in_hand_is_a_new_start),
        cmocka_unit_test(a_tick_that_comes_while_applying_waits_for_the_end),
        cmocka_unit_test(a_refused_wish_is_made_again_after_a_while),
        cmocka_unit_test(a_run_that_the_broker_knows_no_more_is_dropped_and_its_next_tick_begins_it_again),
        cmocka_unit_test(late_events_of_another_state_do_nothing),
        cmocka_unit_test(a_stop_leaves_the_erp_before_the_lease_and_takes_no_more_runs),
        cmocka_unit_test(a_stop_lets_an_apply_end),
        cmocka_unit_test(
            asked_to_yield_the_policy_page_lets_the_page_end_steps_aside_and_goes_on_with_the_next),
        cmocka_unit_test(a_page_that_is_the_last_is_not_followed_by_a_yield),
        cmocka_unit_test(a_wish_to_yield_ends_with_the_lease_that_it_was_for),
        cmocka_unit_test(between_pages_too_a_run_that_yielded_max_yields_times_finishes_its_fetch),
        cmocka_unit_test(the_policies_abort_and_finish_go_on_from_page_to_page),
        cmocka_unit_test(a_stop_without_a_run_is_an_end_at_once),
        cmocka_unit_test(of_several_ticks_while_applying_the_greatest_waits),
        cmocka_unit_test(any_order_of_events_keeps_lease_wish_and_transfer_in_step_with_the_state),
    };
    return cmocka_run_group_tests_name("sync machine", tests, NULL, NULL);
}
