// An order's way from its acceptance to its end, with every answer, loss and crash in between.
#include "services/order/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TIMEOUT_MS = 120000, LAG_MS = 5000 };

static struct order_machine order;
static struct order_update update;
static int64_t now_ms;
static uint64_t token;

static int set_up(void **state)
{
    (void)state;
    const struct order_options options = {.timeout_ms = TIMEOUT_MS, .visibility_lag_ms = LAG_MS};
    now_ms = 1000000;
    token = 100;
    order_machine_init(&order, &options, now_ms);
    return 0;
}

static void step(struct order_event event)
{
    event.now_ms = now_ms;
    (void)order_machine_step(&order, &event, &update);
}

// The actions as letters: Acquire, Withdraw, Store, sEnd, asK, Cut, Release, Halt.
static void assert_did(const char *letters)
{
    static const char names[] = {
        [ORDER_ACTION_STORE] = 'S',   [ORDER_ACTION_ACQUIRE] = 'A', [ORDER_ACTION_WITHDRAW] = 'W',
        [ORDER_ACTION_SEND] = 'E',    [ORDER_ACTION_ASK] = 'K',     [ORDER_ACTION_CUT] = 'C',
        [ORDER_ACTION_RELEASE] = 'R', [ORDER_ACTION_HALT] = 'H'};
    char did[ORDER_ACTIONS_MAX + 1] = "";
    for (size_t i = 0; i < update.count; i++)
        did[i] = names[update.actions[i]];
    assert_string_equal(did, letters);
}

static void assert_state(enum order_state state)
{
    assert_string_equal(order_state_name(order.state), order_state_name(state));
}

static void time_comes(void)
{
    assert_true(order_machine_deadline(&order) < INT64_MAX);
    if (now_ms < order_machine_deadline(&order))
        now_ms = order_machine_deadline(&order);
    step((struct order_event){.kind = ORDER_EVENT_TIME});
}

static void granted(void)
{
    step((struct order_event){.kind = ORDER_EVENT_GRANTED, .token = ++token, .ample = true});
}

static void send_it(void)
{
    time_comes();
    assert_did("A");
    granted();
    assert_did("SE");
    assert_state(ORDER_SENDING);
}

static void answered(int status, bool has_id)
{
    step((struct order_event){.kind = ORDER_EVENT_SENT,
                              .sent = true,
                              .sent_ms = now_ms,
                              .status = status,
                              .answered = status != 0,
                              .has_id = has_id});
}

// ---------------------------------------------------------------- the good way

static void an_order_is_stored_as_sending_before_it_is_sent_and_placed_by_a_good_answer_with_an_id(
    void **state)
{
    (void)state;
    send_it();
    answered(201, true);
    assert_did("SR");
    assert_state(ORDER_PLACED);
    assert_true(order_machine_ended(&order));
    assert_int_equal(order.attempts, 1);
}

static void an_order_is_not_sent_with_half_of_the_lease_gone(void **state)
{
    (void)state;
    time_comes();
    step((struct order_event){.kind = ORDER_EVENT_GRANTED, .token = ++token, .ample = false});
    assert_did("R");
    assert_state(ORDER_ACCEPTED);
    assert_int_equal(order.attempts, 0);
}

static void a_refused_wish_leaves_the_order_accepted_and_waits_longer_each_time_up_to_a_minute(void **state)
{
    (void)state;
    int64_t last = 0;
    for (int i = 0; i < 10; i++) {
        time_comes();
        step((struct order_event){.kind = ORDER_EVENT_REFUSED});
        assert_did("");
        assert_state(ORDER_ACCEPTED);
        int64_t wait = order_machine_deadline(&order) - now_ms;
        assert_true(wait >= last && wait <= ORDER_BACKOFF_MAX_MS);
        last = wait;
    }
    assert_int_equal(last, ORDER_BACKOFF_MAX_MS);
}

// ---------------------------------------------------------------- answers

static void a_good_answer_without_an_id_leaves_it_unknown_and_the_erp_is_asked_under_the_same_lease(
    void **state)
{
    (void)state;
    send_it();
    answered(200, false);
    assert_did("SK");
    assert_state(ORDER_ASKING);
    step((struct order_event){.kind = ORDER_EVENT_FOUND});
    assert_did("SR");
    assert_state(ORDER_PLACED);
}

static void a_refusal_of_the_erp_rejects_the_order(void **state)
{
    const int statuses[] = {400, 409, 422};
    for (size_t i = 0; i < 3; i++) {
        set_up(state);
        send_it();
        answered(statuses[i], false);
        assert_did("SR");
        assert_state(ORDER_REJECTED);
    }
}

static void before_the_first_byte_or_with_a_definite_later_the_order_is_accepted_again(void **state)
{
    const int statuses[] = {0, 412, 425, 429};
    for (size_t i = 0; i < 4; i++) {
        set_up(state);
        send_it();
        step((struct order_event){.kind = ORDER_EVENT_SENT, .sent = statuses[i] != 0, .status = statuses[i]});
        assert_did("SR");
        assert_state(ORDER_ACCEPTED);
        assert_true(order_machine_deadline(&order) > now_ms);
        assert_true(order_machine_can_cancel(&order));
    }
}

static void a_timeout_or_unavailability_told_by_the_erp_is_harmless_only_where_it_honours_keys(void **state)
{
    const int statuses[] = {408, 503};
    for (size_t i = 0; i < 2; i++) {
        set_up(state);
        send_it();
        answered(statuses[i], false);
        assert_state(ORDER_ASKING);
        set_up(state);
        order.options.honours_keys = true;
        send_it();
        answered(statuses[i], false);
        assert_did("SR");
        assert_state(ORDER_ACCEPTED);
    }
}

static void
after_an_unavailability_that_may_have_placed_it_an_order_is_neither_cancelled_nor_rejected_unasked(
    void **state)
{
    (void)state;
    order.options.honours_keys = true;
    send_it();
    answered(503, false);
    step((struct order_event){.kind = ORDER_EVENT_CANCEL});
    assert_did("");
    assert_state(ORDER_ACCEPTED);
    send_it();
    answered(409, false); // "there is one of this key already"
    assert_state(ORDER_ASKING);
    step((struct order_event){.kind = ORDER_EVENT_FOUND});
    assert_state(ORDER_PLACED);
}

static void every_other_status_after_the_first_byte_leaves_it_unknown(void **state)
{
    const int statuses[] = {0, 100, 204, 301, 302, 307, 402, 406, 410, 413, 418, 500, 502, 504, 599};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        set_up(state);
        order.options.honours_keys = true;
        send_it();
        answered(statuses[i], false);
        assert_state(ORDER_ASKING);
        assert_true(order.uncertain);
    }
}

static void the_erps_retry_after_is_waited_for_within_reason(void **state)
{
    (void)state;
    send_it();
    step(
        (struct order_event){.kind = ORDER_EVENT_SENT, .sent = true, .status = 429, .retry_after_ms = 90000});
    assert_int_equal(order_machine_deadline(&order), now_ms + 90000);
    send_it();
    step((struct order_event){
        .kind = ORDER_EVENT_SENT, .sent = true, .status = 429, .retry_after_ms = INT32_MAX});
    assert_int_equal(order_machine_deadline(&order), now_ms + ORDER_RETRY_AFTER_MAX_MS);
}

static void an_expired_password_rejects_no_order_and_stops_all_sending(void **state)
{
    const int statuses[] = {401, 403, 404, 405};
    for (size_t i = 0; i < 4; i++) {
        set_up(state);
        send_it();
        answered(statuses[i], false);
        assert_did("SRH");
        assert_state(ORDER_ACCEPTED);
        assert_true(order_machine_can_cancel(&order));
    }
}

// ---------------------------------------------------------------- unknown

// Sent, and no answer for the whole of its time.
static void time_out(void)
{
    send_it();
    int64_t sent_ms = now_ms;
    now_ms += TIMEOUT_MS;
    step((struct order_event){.kind = ORDER_EVENT_SENT, .sent = true, .sent_ms = sent_ms});
    assert_did("SK");
}

static void not_found_counts_only_after_the_timeout_and_the_visibility_lag(void **state)
{
    (void)state;
    time_out();
    int64_t certain_ms = now_ms + LAG_MS;
    step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
    assert_did("R");
    assert_state(ORDER_UNKNOWN);
    assert_int_equal(order_machine_deadline(&order), certain_ms);
    time_comes();
    assert_did("A");
    granted();
    assert_did("K");
    step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
    assert_did("SR");
    assert_state(ORDER_NEEDS_PERSON);
}

static void a_question_asked_too_early_does_not_count_though_its_answer_comes_late(void **state)
{
    (void)state;
    time_out();
    now_ms += LAG_MS * 2;
    step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
    assert_state(ORDER_UNKNOWN);
}

static void where_the_erp_honours_keys_an_order_that_is_not_there_is_sent_again(void **state)
{
    (void)state;
    order.options.honours_keys = true;
    time_out();
    now_ms += LAG_MS;
    step((struct order_event){.kind = ORDER_EVENT_NOT_TOLD});
    assert_state(ORDER_UNKNOWN);
    time_comes();
    granted();
    step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
    assert_did("SR");
    assert_state(ORDER_ACCEPTED);
    assert_false(order_machine_can_cancel(&order));
    send_it();
    answered(201, true);
    assert_state(ORDER_PLACED);
    assert_int_equal(order.attempts, 2);
}

static void a_refusal_after_an_unknown_attempt_rejects_only_what_is_not_found(void **state)
{
    for (int found = 0; found < 2; found++) {
        set_up(state);
        order.options.honours_keys = true;
        order.uncertain = true;
        send_it();
        answered(409, false);
        assert_did("SK");
        now_ms += TIMEOUT_MS + LAG_MS;
        step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
        assert_state(ORDER_UNKNOWN);
        time_comes();
        granted();
        step((struct order_event){.kind = found ? ORDER_EVENT_FOUND : ORDER_EVENT_NOT_FOUND});
        assert_state(found ? ORDER_PLACED : ORDER_REJECTED);
    }
}

static void the_lease_is_kept_while_a_request_that_was_cut_may_be_at_work(void **state)
{
    (void)state;
    send_it();
    int64_t end_ms = now_ms + TIMEOUT_MS;
    answered(0, false); // the connection broke
    assert_did("SK");
    int questions = 0;
    while (order.state == ORDER_ASKING) {
        step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
        assert_did("");
        assert_state(ORDER_HOLDING);
        time_comes();
        questions++;
    }
    assert_true(questions > 2);
    assert_did("R");
    assert_state(ORDER_UNKNOWN);
    assert_int_equal(now_ms, end_ms);
}

static void the_lease_is_kept_when_a_gateway_gave_up_but_not_when_the_erp_itself_answered(void **state)
{
    static const struct {
        int status;
        bool kept;
    } cases[] = {{500, false}, {502, true}, {504, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_up(state);
        send_it();
        int64_t sent_ms = now_ms;
        answered(cases[i].status, false);
        step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
        assert_state(cases[i].kept ? ORDER_HOLDING : ORDER_UNKNOWN);
        while (order.state != ORDER_UNKNOWN) {
            time_comes();
            if (order.state == ORDER_ASKING)
                step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
        }
        assert_did("R");
        assert_int_equal(now_ms, cases[i].kept ? sent_ms + TIMEOUT_MS : sent_ms);
    }
}

static void the_lease_is_given_back_at_once_when_the_order_is_found_sooner(void **state)
{
    (void)state;
    send_it();
    answered(0, false);
    step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
    assert_state(ORDER_HOLDING);
    time_comes();
    assert_did("K");
    step((struct order_event){.kind = ORDER_EVENT_FOUND});
    assert_did("SR");
    assert_state(ORDER_PLACED);
}

// ---------------------------------------------------------------- losses and crashes

static void a_lost_lease_cuts_the_request_and_leaves_the_order_unknown_if_a_byte_had_left(void **state)
{
    (void)state;
    send_it();
    step((struct order_event){.kind = ORDER_EVENT_LOST, .sent = true, .sent_ms = now_ms});
    assert_did("CS");
    assert_state(ORDER_UNKNOWN);
    set_up(state);
    send_it();
    step((struct order_event){.kind = ORDER_EVENT_LOST, .sent = false});
    assert_did("CS");
    assert_state(ORDER_ACCEPTED);
    assert_true(order_machine_can_cancel(&order));
}

static void a_lease_lost_while_asking_or_holding_leaves_the_order_to_be_asked_about_again(void **state)
{
    (void)state;
    send_it();
    answered(0, false);
    step((struct order_event){.kind = ORDER_EVENT_LOST});
    assert_did("C");
    assert_state(ORDER_UNKNOWN);
    time_comes();
    granted();
    step((struct order_event){.kind = ORDER_EVENT_NOT_TOLD});
    assert_state(ORDER_HOLDING);
    step((struct order_event){.kind = ORDER_EVENT_LOST});
    assert_did("");
    assert_state(ORDER_UNKNOWN);
}

static void an_order_that_a_crash_found_sending_is_asked_about_and_its_time_waited_out_anew(void **state)
{
    (void)state;
    order_machine_restore(&order, ORDER_SENDING, 1, false, false, now_ms);
    assert_state(ORDER_UNKNOWN);
    assert_true(order.uncertain);
    assert_false(order_machine_can_cancel(&order));
    time_comes();
    granted();
    assert_did("K");
    step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
    assert_state(ORDER_UNKNOWN);
    assert_true(order.certain_ms >= now_ms + TIMEOUT_MS + LAG_MS);
}

static void an_accepted_order_goes_on_after_a_restart_but_an_uncertain_one_only_where_keys_are_honoured(
    void **state)
{
    order_machine_restore(&order, ORDER_ACCEPTED, 2, false, false, now_ms);
    assert_state(ORDER_ACCEPTED);
    set_up(state);
    order.options.honours_keys = true;
    order_machine_restore(&order, ORDER_ACCEPTED, 2, true, false, now_ms);
    assert_state(ORDER_ACCEPTED);
    set_up(state); // the configuration says now that keys are not honoured
    order_machine_restore(&order, ORDER_ACCEPTED, 2, true, false, now_ms);
    assert_state(ORDER_UNKNOWN);
}

// ---------------------------------------------------------------- people

static void an_order_can_be_cancelled_while_every_attempt_definitely_failed(void **state)
{
    (void)state;
    time_comes();
    step((struct order_event){.kind = ORDER_EVENT_CANCEL});
    assert_did("SW");
    assert_state(ORDER_CANCELLED);
    set_up(state);
    send_it();
    step((struct order_event){.kind = ORDER_EVENT_CANCEL});
    assert_did("");
    assert_state(ORDER_SENDING);
    answered(429, false);
    step((struct order_event){.kind = ORDER_EVENT_CANCEL});
    assert_did("S");
    assert_state(ORDER_CANCELLED);
}

static void an_unknown_order_cannot_be_cancelled_but_a_person_may_say_how_it_ended(void **state)
{
    (void)state;
    time_out();
    step((struct order_event){.kind = ORDER_EVENT_RESOLVE, .placed = true});
    assert_did(""); // not while it holds the lease
    step((struct order_event){.kind = ORDER_EVENT_NOT_FOUND});
    step((struct order_event){.kind = ORDER_EVENT_CANCEL});
    assert_did("");
    assert_state(ORDER_UNKNOWN);
    time_comes();
    step((struct order_event){.kind = ORDER_EVENT_RESOLVE, .placed = true});
    assert_did("SW");
    assert_state(ORDER_PLACED);
}

static void an_end_of_the_service_leaves_the_line_but_never_a_request_in_mid_air(void **state)
{
    (void)state;
    time_comes();
    step((struct order_event){.kind = ORDER_EVENT_LEAVE});
    assert_did("W");
    assert_state(ORDER_ACCEPTED);
    send_it();
    step((struct order_event){.kind = ORDER_EVENT_LEAVE});
    assert_did("");
    assert_state(ORDER_SENDING);
    answered(500, false);
    step((struct order_event){.kind = ORDER_EVENT_LEAVE});
    assert_did("C");
    assert_state(ORDER_HOLDING); // the question may be at work
    now_ms += TIMEOUT_MS;
    time_comes();
    assert_did("R");
    time_comes();
    step((struct order_event){.kind = ORDER_EVENT_LEAVE});
    assert_did("W");
    assert_state(ORDER_UNKNOWN);
}

static void late_events_change_nothing(void **state)
{
    (void)state;
    send_it();
    answered(201, true);
    for (int kind = ORDER_EVENT_TIME; kind <= ORDER_EVENT_LEAVE; kind++) {
        const struct order_event event = {
            .kind = (enum order_event_kind)kind, .now_ms = now_ms, .token = 999, .ample = true, .sent = true};
        assert_false(order_machine_step(&order, &event, &update));
        assert_state(ORDER_PLACED);
    }
}

// Whatever comes in whatever order, the machine's own checks hold and an order that was sent twice without
// its key being honoured never appears.
static void no_order_of_events_sends_twice_what_may_be_there(void **state)
{
    uint64_t seed = 7;
    for (int life = 0; life < 20000; life++) {
        set_up(state);
        int risky = 0;
        for (int i = 0; i < 30; i++) {
            static const int statuses[] = {0, 201, 400, 401, 412, 429, 500, 503};
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            uint64_t dice = seed >> 33;
            struct order_event event = {.kind = (enum order_event_kind)(dice % (ORDER_EVENT_LEAVE + 1)),
                                        .now_ms = now_ms,
                                        .token = ++token,
                                        .ample = (dice & 64) != 0,
                                        .sent = (dice & 128) != 0,
                                        .sent_ms = now_ms,
                                        .status = statuses[(dice >> 8) % 8],
                                        .answered = (dice & 4096) != 0,
                                        .has_id = (dice & 8192) != 0};
            now_ms += (int64_t)((dice >> 14) % 50000);
            event.now_ms = now_ms;
            bool sending = order.state == ORDER_SENDING;
            (void)order_machine_step(&order, &event, &update);
            for (size_t n = 0; n < update.count; n++)
                assert_false(update.actions[n] == ORDER_ACTION_SEND && risky > 0);
            bool tried = sending && order.state != ORDER_SENDING && event.sent;
            bool failed = order.state == ORDER_ACCEPTED || order.state == ORDER_REJECTED;
            risky += tried && !failed ? 1 : 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(
            an_order_is_stored_as_sending_before_it_is_sent_and_placed_by_a_good_answer_with_an_id, set_up),
        cmocka_unit_test_setup(an_order_is_not_sent_with_half_of_the_lease_gone, set_up),
        cmocka_unit_test_setup(
            a_refused_wish_leaves_the_order_accepted_and_waits_longer_each_time_up_to_a_minute, set_up),
        cmocka_unit_test_setup(
            a_good_answer_without_an_id_leaves_it_unknown_and_the_erp_is_asked_under_the_same_lease, set_up),
        cmocka_unit_test_setup(a_refusal_of_the_erp_rejects_the_order, set_up),
        cmocka_unit_test_setup(before_the_first_byte_or_with_a_definite_later_the_order_is_accepted_again,
                               set_up),
        cmocka_unit_test_setup(
            a_timeout_or_unavailability_told_by_the_erp_is_harmless_only_where_it_honours_keys, set_up),
        cmocka_unit_test_setup(
            after_an_unavailability_that_may_have_placed_it_an_order_is_neither_cancelled_nor_rejected_unasked,
            set_up),
        cmocka_unit_test_setup(every_other_status_after_the_first_byte_leaves_it_unknown, set_up),
        cmocka_unit_test_setup(the_erps_retry_after_is_waited_for_within_reason, set_up),
        cmocka_unit_test_setup(an_expired_password_rejects_no_order_and_stops_all_sending, set_up),
        cmocka_unit_test_setup(not_found_counts_only_after_the_timeout_and_the_visibility_lag, set_up),
        cmocka_unit_test_setup(a_question_asked_too_early_does_not_count_though_its_answer_comes_late,
                               set_up),
        cmocka_unit_test_setup(where_the_erp_honours_keys_an_order_that_is_not_there_is_sent_again, set_up),
        cmocka_unit_test_setup(a_refusal_after_an_unknown_attempt_rejects_only_what_is_not_found, set_up),
        cmocka_unit_test_setup(the_lease_is_kept_while_a_request_that_was_cut_may_be_at_work, set_up),
        cmocka_unit_test_setup(the_lease_is_kept_when_a_gateway_gave_up_but_not_when_the_erp_itself_answered,
                               set_up),
        cmocka_unit_test_setup(the_lease_is_given_back_at_once_when_the_order_is_found_sooner, set_up),
        cmocka_unit_test_setup(a_lost_lease_cuts_the_request_and_leaves_the_order_unknown_if_a_byte_had_left,
                               set_up),
        cmocka_unit_test_setup(a_lease_lost_while_asking_or_holding_leaves_the_order_to_be_asked_about_again,
                               set_up),
        cmocka_unit_test_setup(
            an_order_that_a_crash_found_sending_is_asked_about_and_its_time_waited_out_anew, set_up),
        cmocka_unit_test_setup(
            an_accepted_order_goes_on_after_a_restart_but_an_uncertain_one_only_where_keys_are_honoured,
            set_up),
        cmocka_unit_test_setup(an_order_can_be_cancelled_while_every_attempt_definitely_failed, set_up),
        cmocka_unit_test_setup(an_unknown_order_cannot_be_cancelled_but_a_person_may_say_how_it_ended,
                               set_up),
        cmocka_unit_test_setup(an_end_of_the_service_leaves_the_line_but_never_a_request_in_mid_air, set_up),
        cmocka_unit_test_setup(late_events_change_nothing, set_up),
        cmocka_unit_test_setup(no_order_of_events_sends_twice_what_may_be_there, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
