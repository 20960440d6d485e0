// Requests that are wrong, late, repeated or about what is not there: each is answered, and changes nothing
// that it should not.
#include "tests/unit/core/rig.h"

#include <string.h>

enum { CLAIM = 77, OTHER = 1000 };

// ---------------------------------------------------------------- whoever asks

static void a_request_that_nobody_knows_is_refused(void **state)
{
    struct rig *self = *state;
    Sb__Request request = SB__REQUEST__INIT;
    const struct rig_client client = rig_comes(self, 1, 0, 0, NULL);
    assert_int_equal(rig_ask(self, &client, &request)->code, SB__CODE__CODE_INVALID);
}

static void a_session_whose_time_is_over_is_not_known_even_before_it_is_forgotten(void **state)
{
    struct rig *self = *state;
    Sb__Ping ping = SB__PING__INIT;
    struct rig_client client = rig_comes(self, 1, 0, 0, NULL);
    assert_int_equal(RIG_ASK(self, &client, ping, PING, &ping)->code, SB__CODE__CODE_OK);
    self->boot_ms += self->config.session_ttl_ms;
    assert_int_equal(RIG_ASK(self, &client, ping, PING, &ping)->code, SB__CODE__CODE_NO_SESSION);
    // A Hello needs none, whatever session it names.
    assert_int_equal(rig_hello(self, &client, 0, 0)->code, SB__CODE__CODE_OK);
    assert_int_equal(RIG_ASK(self, &client, ping, PING, &ping)->code, SB__CODE__CODE_OK);
}

// ---------------------------------------------------------------- Hello

static Sb__Code greets(struct rig *self, const Sb__Hello *hello)
{
    Sb__Hello message = *hello;
    return RIG_ASK(self, NULL, hello, HELLO, &message)->code;
}

static void a_hello_without_a_name_or_a_number_of_its_own_is_refused(void **state)
{
    struct rig *self = *state;
    Sb__Hello good = SB__HELLO__INIT;
    good.name = rig_text("sync");
    good.instance = good.process = good.host = 5;
    Sb__Hello bad = good;
    bad.name = rig_text("");
    assert_int_equal(greets(self, &bad), SB__CODE__CODE_INVALID);
    bad = good;
    bad.instance = 0;
    assert_int_equal(greets(self, &bad), SB__CODE__CODE_INVALID);
    bad = good;
    bad.process = 0;
    assert_int_equal(greets(self, &bad), SB__CODE__CODE_INVALID);
    bad = good;
    bad.host = 0;
    assert_int_equal(greets(self, &bad), SB__CODE__CODE_INVALID);
    assert_int_equal(greets(self, &good), SB__CODE__CODE_OK);
}

static void a_hello_for_too_much_or_for_nothing_that_has_a_name_is_refused(void **state)
{
    struct rig *self = *state;
    char *names[65];
    Sb__Hello hello = SB__HELLO__INIT;
    for (size_t i = 0; i < 65; i++)
        names[i] = self->names[PRICES];
    hello.name = rig_text("sync");
    hello.instance = hello.process = hello.host = 5;
    hello.jobs = names;
    hello.serves = names;
    hello.n_jobs = 65;
    assert_int_equal(greets(self, &hello), SB__CODE__CODE_INVALID);
    hello.n_jobs = 0;
    hello.n_serves = 9;
    assert_int_equal(greets(self, &hello), SB__CODE__CODE_INVALID);
    hello.n_serves = 1;
    names[0] = rig_text("");
    assert_int_equal(greets(self, &hello), SB__CODE__CODE_INVALID);
    names[0] = self->names[PRICES];
    assert_int_equal(greets(self, &hello), SB__CODE__CODE_OK);
}

// ---------------------------------------------------------------- Acquire

static void a_claim_stands_for_one_wish_alone(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const Sb__Acquire turn = rig_turn(self, PRICES, CLAIM);
    const uint64_t token = rig_granted(self, &self->sync, turn);
    Sb__Acquire other = turn;
    other.run++;
    assert_int_equal(rig_acquire(self, &self->sync, other)->code, SB__CODE__CODE_CONFLICT);
    other = turn;
    other.mode = SB__MODE__MODE_EXCLUSIVE;
    assert_int_equal(rig_acquire(self, &self->sync, other)->code, SB__CODE__CODE_CONFLICT);
    other = turn;
    other.resource = rig_text("crm");
    assert_int_equal(rig_acquire(self, &self->sync, other)->code, SB__CODE__CODE_CONFLICT);
    assert_int_equal(rig_acquire(self, &self->order, turn)->code, SB__CODE__CODE_CONFLICT);
    assert_int_equal(rig_granted(self, &self->sync, turn), token); // the same wish: the same lease
    // One that waits, too.
    const Sb__Acquire wish = rig_order(self, ERP, CLAIM + 1);
    assert_int_equal(rig_acquire(self, &self->order, wish)->code, SB__CODE__CODE_OK);
    other = wish;
    other.mode = SB__MODE__MODE_SHARED;
    assert_int_equal(rig_acquire(self, &self->order, other)->code, SB__CODE__CODE_CONFLICT);
    assert_int_equal(rig_acquire(self, &self->sync, wish)->code, SB__CODE__CODE_CONFLICT);
    assert_int_equal(rig_resource(self, ERP)->waiting_exclusive, 1);
}

static void a_wish_needs_a_mode_and_a_claim(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    Sb__Acquire wish = rig_order(self, ERP, CLAIM);
    wish.mode = SB__MODE__MODE_UNSPECIFIED;
    assert_int_equal(rig_acquire(self, &self->order, wish)->code, SB__CODE__CODE_INVALID);
    assert_int_equal(rig_acquire(self, &self->order, rig_order(self, ERP, 0))->code, SB__CODE__CODE_INVALID);
    assert_int_equal(rig_acquire(self, &self->order, rig_order(self, ERP, CLAIM))->code, SB__CODE__CODE_OK);
}

// The job was bound to another store while a run of it was under way.
static void a_job_without_a_run_has_no_turn_even_for_a_wish_that_names_none(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    assert_int_equal(rig_report(self, &self->sync, 0, self->runs[0], self->attempts[0], true),
                     SB__CODE__CODE_OK);
    Sb__Acquire wish = rig_turn(self, 0, CLAIM);
    assert_int_equal(rig_acquire(self, &self->sync, wish)->code, SB__CODE__CODE_CONFLICT);
    wish.run = wish.attempt = 0;
    assert_int_equal(rig_acquire(self, &self->sync, wish)->code, SB__CODE__CODE_CONFLICT);
}

static void a_run_that_another_store_took_is_not_the_new_owners(void **state)
{
    struct rig *self = *state;
    struct rig_client heir = {.instance = OTHER, .process = 1};
    Sb__Rebind rebind = SB__REBIND__INIT;
    rig_begin(self);
    (void)rig_granted(self, &self->sync, rig_turn(self, PRICES, CLAIM));
    rebind.name = self->names[PRICES];
    assert_int_equal(RIG_ASK(self, NULL, rebind, REBIND, &rebind)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_hello(self, &heir, PRICES, 1)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_acquire(self, &heir, rig_turn(self, PRICES, CLAIM + 1))->code,
                     SB__CODE__CODE_CONFLICT);
}

static void a_store_whose_job_was_bound_to_another_has_no_turn_and_publishes_no_change(void **state)
{
    struct rig *self = *state;
    Sb__Rebind rebind = SB__REBIND__INIT;
    Sb__Change change = SB__CHANGE__INIT;
    Sb__Publish publish = SB__PUBLISH__INIT;
    rig_begin(self);
    rebind.name = change.entity = self->names[PRICES];
    publish.body_case = SB__PUBLISH__BODY_CHANGE;
    publish.change = &change;
    assert_int_equal(RIG_ASK(self, NULL, rebind, REBIND, &rebind)->code, SB__CODE__CODE_OK);
    assert_int_equal(RIG_ASK(self, &self->sync, publish, PUBLISH, &publish)->code, SB__CODE__CODE_OK);
    const struct rig_client heir = rig_comes(self, OTHER, PRICES, 1, NULL);
    assert_int_equal(rig_acquire(self, &self->sync, rig_turn(self, PRICES, CLAIM))->code,
                     SB__CODE__CODE_CONFLICT);
    assert_int_equal(RIG_ASK(self, &self->sync, publish, PUBLISH, &publish)->code, SB__CODE__CODE_FORBIDDEN);
    (void)rig_granted(self, &heir, rig_turn(self, PRICES, CLAIM + 1));
    assert_int_equal(RIG_ASK(self, &heir, publish, PUBLISH, &publish)->code, SB__CODE__CODE_OK);
}

static void tickets_of_an_earlier_epoch_keep_their_order_and_no_other_is_believed(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const uint64_t turn = rig_granted(self, &self->sync, rig_turn(self, PRICES, CLAIM));
    Sb__Acquire later = rig_order(self, ERP, CLAIM + 9);
    Sb__Acquire twin = rig_order(self, ERP, CLAIM + 5);
    Sb__Acquire made_up = rig_order(self, ERP, CLAIM + 1);
    later.ticket = twin.ticket = 7;
    made_up.ticket = UINT64_MAX;
    later.poll_ms = twin.poll_ms = 2000;
    const Sb__Waiting *waiting = rig_acquire(self, &self->order, made_up)->waiting;
    assert_true(waiting->ticket < UINT64_MAX);
    assert_true(waiting->ticket > 7);
    assert_null(rig_acquire(self, &self->order, later));
    assert_null(rig_acquire(self, &self->order, twin));
    rig_release(self, &self->sync, turn, false);
    // Of the two with one ticket the lesser claim goes first, whoever asked first.
    assert_int_equal(self->update.replies[self->update.reply_count - 1].reply->body_case,
                     SB__REPLY__BODY_GRANTED);
    later.poll_ms = 0;
    assert_int_equal(rig_acquire(self, &self->order, later)->body_case, SB__REPLY__BODY_WAITING);
    twin.poll_ms = 0;
    assert_int_equal(rig_acquire(self, &self->order, twin)->body_case, SB__REPLY__BODY_GRANTED);
}

// ---------------------------------------------------------------- Release, Revoke

static void a_lease_that_has_ended_is_not_given_back_before_it_has_settled(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    Sb__Acquire wish = rig_order(self, ERP, CLAIM);
    wish.settle_ms = 60000;
    const uint64_t token = rig_granted(self, &self->order, wish);
    rig_pass(self, 12000); // ttl and delay are over
    rig_release(self, &self->order, token, false);
    assert_int_equal(rig_resource(self, ERP)->token, token);
    rig_pass(self, 60000);
    assert_int_equal(rig_resource(self, ERP)->token, 0);
}

static void a_revocation_that_names_a_resource_means_a_lease_of_that_one(void **state)
{
    struct rig *self = *state;
    Sb__Revoke revoke = SB__REVOKE__INIT;
    rig_begin(self);
    const Sb__Acquire wish = rig_order(self, ERP, CLAIM);
    revoke.token = rig_granted(self, &self->order, wish);
    revoke.resource = rig_text("crm");
    assert_int_equal(RIG_ASK(self, NULL, revoke, REVOKE, &revoke)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(rig_renew(self, &self->order, wish, revoke.token)->code, SB__CODE__CODE_OK);
    revoke.resource = rig_text("erp");
    assert_int_equal(RIG_ASK(self, NULL, revoke, REVOKE, &revoke)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_renew(self, &self->order, wish, revoke.token)->code, SB__CODE__CODE_LEASE_LOST);
}

static void a_lease_whose_run_has_ended_is_renewed_asked_to_yield_and_given_back(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const Sb__Acquire turn = rig_turn(self, PRICES, CLAIM);
    const uint64_t token = rig_granted(self, &self->sync, turn);
    assert_int_equal(rig_report(self, &self->sync, PRICES, turn.run, 1, true), SB__CODE__CODE_OK);
    assert_int_equal(rig_acquire(self, &self->order, rig_order(self, ERP, CLAIM + 1))->code,
                     SB__CODE__CODE_OK);
    assert_true(rig_renew(self, &self->sync, turn, token)->renewed->yield);
    rig_release(self, &self->sync, token, false);
    assert_int_equal(rig_resource(self, ERP)->shared, 0);
    assert_int_equal(rig_job(self, PRICES)->last->stage, SB__STAGE__STAGE_SUCCEEDED);
}

static void a_lease_in_the_journal_is_stored_again_when_its_life_grew_longer(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    Sb__Acquire wish = rig_order(self, ERP, CLAIM);
    wish.settle_ms = 60000;
    const uint64_t token = rig_granted(self, &self->order, wish);
    assert_int_equal(self->records[CORE_TABLE_LEASE], 1);
    self->resources[ERP].lease_ttl_ms = 20000;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_renew(self, &self->order, wish, token)->renewed->ttl_ms, 20000);
    assert_int_equal(self->records[CORE_TABLE_LEASE], 2);
    (void)rig_renew(self, &self->order, wish, token);
    assert_int_equal(self->records[CORE_TABLE_LEASE], 2);
}

// ---------------------------------------------------------------- Report

static void a_report_says_the_result_of_a_job_that_there_is(void **state)
{
    struct rig *self = *state;
    Sb__Result result = SB__RESULT__INIT;
    Sb__Report report = SB__REPORT__INIT;
    rig_begin(self);
    report.job = rig_text("nothing");
    report.result = &result;
    assert_int_equal(RIG_ASK(self, &self->sync, report, REPORT, &report)->code, SB__CODE__CODE_NOT_FOUND);
    report.job = self->names[PRICES];
    report.result = NULL;
    assert_int_equal(RIG_ASK(self, &self->sync, report, REPORT, &report)->code, SB__CODE__CODE_INVALID);
    assert_int_equal(rig_report(self, &self->order, PRICES, self->runs[PRICES], 1, true),
                     SB__CODE__CODE_CONFLICT);
    assert_non_null(rig_job(self, PRICES)->current);
}

static void times_that_make_no_sense_count_as_no_time(void **state)
{
    struct rig *self = *state;
    Sb__Result result = SB__RESULT__INIT;
    Sb__Report report = SB__REPORT__INIT;
    rig_begin(self);
    report.result = &result;
    report.attempt = 1;
    result.ok = true;
    result.not_modified = true;
    result.started_ms = 0; // not told
    result.ended_ms = self->wall_ms;
    report.job = self->names[PRICES];
    report.run = self->runs[PRICES];
    assert_int_equal(RIG_ASK(self, &self->sync, report, REPORT, &report)->code, SB__CODE__CODE_OK);
    result.started_ms = self->wall_ms;
    result.ended_ms = self->wall_ms - 5000; // the clock was set back
    report.job = self->names[STOCKS];
    report.run = self->runs[STOCKS];
    assert_int_equal(RIG_ASK(self, &self->sync, report, REPORT, &report)->code, SB__CODE__CODE_OK);
    result.started_ms = result.ended_ms = 0;
    report.job = self->names[PEOPLE];
    report.run = self->runs[PEOPLE];
    assert_int_equal(RIG_ASK(self, &self->sync, report, REPORT, &report)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, PEOPLE)->last_success_ms, self->wall_ms);
    assert_int_equal(rig_job(self, PRICES)->duration->max_ms, 0);
    assert_int_equal(rig_job(self, STOCKS)->duration->max_ms, 0);
    assert_int_equal(rig_job(self, STOCKS)->runs, 1);
}

// The result waited with its service for longer than data stay fresh.
static void a_good_report_of_long_ago_does_not_make_data_fresh(void **state)
{
    struct rig *self = *state;
    Sb__Result result = SB__RESULT__INIT;
    Sb__Report report = SB__REPORT__INIT;
    rig_begin(self);
    rig_pass(self, self->jobs[PRICES].fresh_within_ms + 1);
    assert_string_equal(rig_state(self, "prices", "", 0)->alerts[0]->kind, "stale");
    const uint64_t cleared = self->deleted[CORE_TABLE_ALERT];
    report.job = self->names[PRICES];
    report.run = self->runs[PRICES];
    report.attempt = 1;
    report.result = &result;
    result.ok = true;
    result.started_ms = result.ended_ms = self->wall_ms - self->jobs[PRICES].fresh_within_ms - 1;
    assert_int_equal(RIG_ASK(self, &self->sync, report, REPORT, &report)->code, SB__CODE__CODE_OK);
    assert_int_equal(self->deleted[CORE_TABLE_ALERT], cleared);
    (void)rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_MANUAL);
    assert_int_equal(rig_report(self, &self->sync, PRICES, self->runs[PRICES], 1, true), SB__CODE__CODE_OK);
    assert_int_equal(self->deleted[CORE_TABLE_ALERT], cleared + 1);
}

// Its service reports the first attempt, given up for lost, when the second one is due, waits, or fetches.
static void a_late_good_report_ends_the_run_until_the_next_attempt_fetches(void **state)
{
    struct rig *self = *state;
    uint64_t first[RIG_JOBS];
    rig_begin(self);
    for (size_t i = 0; i < RIG_JOBS; i++) {
        first[i] = self->runs[i];
        rig_release(self, &self->sync, rig_granted(self, &self->sync, rig_turn(self, i, CLAIM + i)), false);
    }
    self->sync.process++;
    assert_int_equal(rig_hello_anew(self, &self->sync, PRICES, RIG_JOBS)->code, SB__CODE__CODE_OK);
    assert_int_equal(self->stages[PRICES], SB__STAGE__STAGE_LOST);
    rig_pass(self, 30000);
    assert_int_equal(self->attempts[PRICES], 2);
    const uint64_t token = rig_granted(self, &self->sync, rig_turn(self, STOCKS, CLAIM + 10));
    (void)rig_granted(self, &self->order, rig_order(self, CRM, CLAIM + 11));
    assert_int_equal(rig_acquire(self, &self->sync, rig_turn(self, PEOPLE, CLAIM + 12))->code,
                     SB__CODE__CODE_OK);
    // A bad one of the earlier attempt means nothing any more.
    assert_int_equal(rig_report(self, &self->sync, PRICES, first[PRICES], 1, false), SB__CODE__CODE_OK);
    assert_int_equal(self->stages[PRICES], SB__STAGE__STAGE_DUE);
    assert_int_equal(rig_report(self, &self->sync, PRICES, first[PRICES], 1, true), SB__CODE__CODE_OK);
    assert_int_equal(self->stages[PRICES], SB__STAGE__STAGE_SUCCEEDED);
    assert_int_equal(rig_report(self, &self->sync, PEOPLE, first[PEOPLE], 1, true), SB__CODE__CODE_OK);
    assert_int_equal(self->stages[PEOPLE], SB__STAGE__STAGE_SUCCEEDED);
    assert_int_equal(rig_report(self, &self->sync, STOCKS, first[STOCKS], 1, true), SB__CODE__CODE_OK);
    assert_int_equal(self->stages[STOCKS], SB__STAGE__STAGE_FETCHING);
    rig_release(self, &self->sync, token, false);
}

// ---------------------------------------------------------------- Trigger

static void a_trigger_is_a_persons_or_a_webhooks(void **state)
{
    struct rig *self = *state;
    assert_int_equal(rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_SCHEDULE)->code,
                     SB__CODE__CODE_INVALID);
    assert_int_equal(rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_UNSPECIFIED)->code, SB__CODE__CODE_OK);
}

static void a_request_of_no_number_is_never_taken_for_a_repeat(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    (void)rig_granted(self, &self->sync, rig_turn(self, PRICES, CLAIM));
    self->id = UINT64_MAX; // the next one is 0
    const Sb__Triggered *triggered =
        rig_trigger(self, &self->sync, PRICES, SB__CAUSE__CAUSE_MANUAL)->triggered;
    assert_true(triggered->run > self->runs[PRICES]);
    assert_false(triggered->merged);
}

static void a_webhook_makes_no_run_wait_that_a_person_asked_for(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const uint64_t run = self->runs[PRICES];
    (void)rig_granted(self, &self->sync, rig_turn(self, PRICES, CLAIM));
    const uint64_t next = rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_MANUAL)->triggered->run;
    const Sb__Triggered *triggered = rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_WEBHOOK)->triggered;
    assert_int_equal(triggered->run, next);
    assert_true(triggered->merged);
    assert_int_equal(rig_report(self, &self->sync, PRICES, run, 1, true), SB__CODE__CODE_OK);
    assert_int_equal(self->runs[PRICES], next); // at once
}

// ---------------------------------------------------------------- a stop

static void while_the_broker_stops_nothing_is_granted_and_no_config_taken(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const uint64_t token = rig_granted(self, &self->sync, rig_turn(self, PRICES, CLAIM));
    assert_int_equal(rig_acquire(self, &self->order, rig_order(self, ERP, CLAIM + 1))->code,
                     SB__CODE__CODE_OK);
    rig_stop(self);
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_INVALID);
    rig_release(self, &self->sync, token, false);
    Sb__Acquire wish = rig_order(self, ERP, CLAIM + 1);
    assert_int_equal(rig_acquire(self, &self->order, wish)->body_case, SB__REPLY__BODY_WAITING);
    const uint64_t stored = self->records[CORE_TABLE_META];
    rig_stop(self); // a second time changes nothing
    assert_int_equal(self->records[CORE_TABLE_META], stored);
}

static void a_pause_whose_last_waiter_left_while_the_broker_stops_is_told_without_one(void **state)
{
    struct rig *self = *state;
    self->jobs[STOCKS].pause_timeout_ms = 5000;
    rig_start(self);
    const struct rig_client sync = rig_comes(self, 1, STOCKS, 1, NULL);
    assert_int_equal(rig_acquire(self, &sync, rig_turn(self, STOCKS, 4))->body_case, SB__REPLY__BODY_GRANTED);
    (void)rig_acquire(self, &sync, rig_order(self, ERP, 5));
    rig_stop(self);
    assert_string_equal(rig_state(self, "", "", 0)->resources[0]->holder, "sync");
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    withdraw.claim = 5;
    assert_int_equal(RIG_ASK(self, &sync, withdraw, WITHDRAW, &withdraw)->code, SB__CODE__CODE_OK);
    const Sb__ResourceState *seen = rig_state(self, "", "", 0)->resources[0];
    assert_int_equal(seen->phase, SB__PHASE__PHASE_DRAINING);
    assert_string_equal(seen->holder, "");
    assert_int_equal(seen->n_blockers, 1);
    rig_tick(self, 5000); // nobody is there to be told that it failed
    assert_int_equal(self->leases[SB__LEASE_CHANGE__LEASE_CHANGE_PAUSE_TIMED_OUT], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_request_that_nobody_knows_is_refused),
        RIG_TEST(a_session_whose_time_is_over_is_not_known_even_before_it_is_forgotten),
        RIG_TEST(a_hello_without_a_name_or_a_number_of_its_own_is_refused),
        RIG_TEST(a_hello_for_too_much_or_for_nothing_that_has_a_name_is_refused),
        RIG_TEST(a_claim_stands_for_one_wish_alone),
        RIG_TEST(a_wish_needs_a_mode_and_a_claim),
        RIG_TEST(a_job_without_a_run_has_no_turn_even_for_a_wish_that_names_none),
        RIG_TEST(a_run_that_another_store_took_is_not_the_new_owners),
        RIG_TEST(a_store_whose_job_was_bound_to_another_has_no_turn_and_publishes_no_change),
        RIG_TEST(tickets_of_an_earlier_epoch_keep_their_order_and_no_other_is_believed),
        RIG_TEST(a_lease_that_has_ended_is_not_given_back_before_it_has_settled),
        RIG_TEST(a_revocation_that_names_a_resource_means_a_lease_of_that_one),
        RIG_TEST(a_lease_whose_run_has_ended_is_renewed_asked_to_yield_and_given_back),
        RIG_TEST(a_lease_in_the_journal_is_stored_again_when_its_life_grew_longer),
        RIG_TEST(a_report_says_the_result_of_a_job_that_there_is),
        RIG_TEST(times_that_make_no_sense_count_as_no_time),
        RIG_TEST(a_good_report_of_long_ago_does_not_make_data_fresh),
        RIG_TEST(a_late_good_report_ends_the_run_until_the_next_attempt_fetches),
        RIG_TEST(a_trigger_is_a_persons_or_a_webhooks),
        RIG_TEST(a_request_of_no_number_is_never_taken_for_a_repeat),
        RIG_TEST(a_webhook_makes_no_run_wait_that_a_person_asked_for),
        RIG_TEST(while_the_broker_stops_nothing_is_granted_and_no_config_taken),
        RIG_TEST(a_pause_whose_last_waiter_left_while_the_broker_stops_is_told_without_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
