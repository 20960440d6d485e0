// Starts on journals that hold what is rare, odd or not configured any more; and leases that are taken over.
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

enum { MANY = 1100, OWNERS = 700, OLD_TOKEN = 50, RUN = 8 };

static Sb__StoredMeta meta_of(bool clean)
{
    Sb__StoredMeta meta = SB__STORED_META__INIT;
    meta.epoch = 4;
    meta.tokens_end = meta.runs_end = meta.tickets_end = 1000;
    meta.clean = clean;
    return meta;
}

static Sb__StoredLease lease_of(uint64_t token, Sb__Mode mode)
{
    Sb__StoredLease lease = SB__STORED_LEASE__INIT;
    lease.token = lease.claim = token;
    lease.resource = rig_text("erp");
    lease.mode = mode;
    lease.job = rig_text(mode == SB__MODE__MODE_SHARED ? "prices" : "");
    lease.instance = lease.process = 1;
    lease.ttl_ms = 10000;
    lease.delay_ms = 1000;
    return lease;
}

// A run of `prices` that a service took before the start.
static Sb__RunState open_run(uint64_t number, Sb__Stage stage)
{
    Sb__RunState run = SB__RUN_STATE__INIT;
    run.run = number;
    run.job = rig_text("prices");
    run.stage = stage;
    run.attempt = 1;
    return run;
}

static void recovers_run(struct rig *self, Sb__StoredRun *stored, Sb__RunState *run, uint64_t instance)
{
    sb__stored_run__init(stored);
    stored->run = run;
    stored->instance = instance;
    rig_recovers(self, CORE_TABLE_RUN, "run", &stored->base);
}

static void what_the_journal_does_not_say_is_as_if_it_had_never_been(void **state)
{
    struct rig *self = *state;
    Sb__StoredHold hold = SB__STORED_HOLD__INIT;
    Sb__StoredAlert alert = SB__STORED_ALERT__INIT;
    Sb__StoredFigures figures = SB__STORED_FIGURES__INIT;
    Sb__StoredRun no_run = SB__STORED_RUN__INIT;
    Sb__StoredRun run_of_no_number;
    Sb__RunState nothing = SB__RUN_STATE__INIT;
    Sb__StoredMeta meta = meta_of(true);
    uint8_t bytes[3] = {1, 2, 3};
    figures.duration = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    rig_recovers(self, CORE_TABLE_HOLD, "hold", &hold.base);
    rig_recovers(self, CORE_TABLE_ALERT, "alert", &alert.base);
    rig_recovers(self, CORE_TABLE_FIGURES, "prices", &figures.base);
    rig_recovers(self, CORE_TABLE_RUN, "none", &no_run.base);
    recovers_run(self, &run_of_no_number, &nothing, 0);
    rig_recovers(self, CORE_TABLE_META, "meta", &meta.base);
    rig_start(self);
    assert_int_equal(rig_job(self, PRICES)->current->run, 1001); // due at the start, with the first number
    assert_int_equal(rig_job(self, PRICES)->duration->count, 0);
    assert_int_equal(rig_resource(self, ERP)->phase, SB__PHASE__PHASE_OPEN);
}

static void a_last_run_without_a_result_comes_back_without_one(void **state)
{
    struct rig *self = *state;
    Sb__StoredJob prices = SB__STORED_JOB__INIT;
    Sb__StoredJob stocks = SB__STORED_JOB__INIT;
    Sb__RunState last = open_run(5, SB__STAGE__STAGE_LOST);
    Sb__RunState untimed = open_run(6, SB__STAGE__STAGE_FAILED);
    Sb__Result result = SB__RESULT__INIT;
    last.attempt = 0; // of an older version
    untimed.result = &result;
    prices.job = rig_text("prices");
    prices.last = &last;
    stocks.job = rig_text("stocks");
    stocks.last = &untimed;
    rig_recovers(self, CORE_TABLE_JOB, "prices", &prices.base);
    rig_recovers(self, CORE_TABLE_JOB, "stocks", &stocks.base);
    rig_start(self);
    assert_int_equal(rig_job(self, PRICES)->last->attempt, 1);
    assert_null(rig_job(self, PRICES)->last->result);
    assert_int_equal(rig_job(self, STOCKS)->last->run, 6);
    assert_null(rig_job(self, STOCKS)->last->result);
}

static void of_two_open_runs_the_lesser_number_is_under_way_in_whatever_order_they_come(void **state)
{
    struct rig *self = *state;
    struct rig_client sync = {.instance = 1, .process = 1};
    Sb__RunState first = open_run(RUN, SB__STAGE__STAGE_FETCHING);
    Sb__RunState second = open_run(RUN + 1, SB__STAGE__STAGE_DUE);
    Sb__StoredRun stored[2];
    recovers_run(self, &stored[0], &second, 0);
    recovers_run(self, &stored[1], &first, 1);
    rig_start(self);
    assert_int_equal(rig_job(self, PRICES)->current->run, RUN);
    self->runs[PRICES] = RUN;
    assert_int_equal(rig_hello(self, &sync, PRICES, 1)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_report(self, &sync, PRICES, RUN, 1, true), SB__CODE__CODE_OK);
    assert_int_equal(self->runs[PRICES], RUN + 1);
}

static void a_run_that_fetched_before_the_start_is_not_one_to_merge_with(void **state)
{
    struct rig *self = *state;
    Sb__RunState run = open_run(RUN, SB__STAGE__STAGE_FETCHING);
    Sb__StoredRun stored;
    recovers_run(self, &stored, &run, 1);
    rig_start(self);
    const Sb__Triggered *triggered = rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_MANUAL)->triggered;
    assert_false(triggered->merged);
    assert_true(triggered->run > RUN);
}

// It stepped aside before the start, and waits for its next turn.
static void a_run_that_had_a_turn_before_the_start_is_at_work_since_then(void **state)
{
    struct rig *self = *state;
    Sb__RunState run = open_run(RUN, SB__STAGE__STAGE_QUEUED);
    Sb__StoredRun stored;
    run.yields = 1;
    self->jobs[PRICES].max_duration_ms = 60000;
    recovers_run(self, &stored, &run, 1);
    rig_start(self);
    assert_false(rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_MANUAL)->triggered->merged);
    assert_int_equal(self->records[CORE_TABLE_ALERT], 0);
    rig_pass(self, 60000);
    assert_int_equal(self->records[CORE_TABLE_ALERT], 1); // it hangs
}

static void runs_of_jobs_that_left_the_config_end_as_many_as_fit_into_the_start(void **state)
{
    struct rig *self = *state;
    static Sb__RunState runs[MANY];
    static Sb__StoredRun stored[MANY];
    for (size_t i = 0; i < MANY; i++) {
        runs[i] = open_run(i + 1, SB__STAGE__STAGE_QUEUED);
        runs[i].job = rig_text("gone");
        runs[i].slot_ms = (int64_t)(i + 1) * 600000;
        recovers_run(self, &stored[i], &runs[i], 1);
    }
    rig_start(self);
    assert_int_equal(self->outcome, SB__STAGE__STAGE_LOST);
    assert_true(self->records[CORE_TABLE_LEDGER] > MANY / 2);
    assert_true(self->records[CORE_TABLE_LEDGER] < MANY); // the others at the next start
}

static void owners_come_back_once_each_and_no_more_than_there_is_room_for(void **state)
{
    struct rig *self = *state;
    struct rig_client other = {.instance = 9, .process = 1};
    static Sb__StoredOwner owners[OWNERS];
    static char names[OWNERS][16];
    for (size_t i = 0; i < OWNERS; i++) {
        (void)snprintf(names[i], sizeof names[i], "o%zu", i);
        sb__stored_owner__init(&owners[i]);
        owners[i].name = i < 2 ? rig_text("prices") : names[i];
        owners[i].instance = i + 1;
        owners[i].holder = rig_text("sync");
        rig_recovers(self, CORE_TABLE_OWNER, names[i], &owners[i].base);
    }
    rig_start(self);
    other.instance = 2; // the second owner of the name: there is but one
    assert_int_equal(rig_hello(self, &other, PRICES, 1)->code, SB__CODE__CODE_CONFLICT);
    other.instance = 1;
    assert_int_equal(rig_hello(self, &other, PRICES, 1)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_hello(self, &other, STOCKS, 1)->code, SB__CODE__CODE_BUSY); // the table is full
}

// They are as many as can be held at once; one more, and one with the claim of another, are waited for.
static void leases_that_cannot_be_kept_are_waited_for(void **state)
{
    struct rig *self = *state;
    static Sb__StoredLease leases[1025];
    Sb__StoredMeta meta = meta_of(true);
    Sb__StoredLease twin = lease_of(900000, SB__MODE__MODE_SHARED);
    meta.tokens_end = 1000000;
    twin.claim = 1;
    rig_recovers(self, CORE_TABLE_META, "meta", &meta.base);
    for (uint64_t i = 0; i < 1025; i++) {
        leases[i] = lease_of(i + 1, SB__MODE__MODE_SHARED);
        rig_recovers(self, CORE_TABLE_LEASE, "lease", &leases[i].base);
        if (i == 0)
            rig_recovers(self, CORE_TABLE_LEASE, "twin", &twin.base);
    }
    rig_start(self);
    assert_int_equal(rig_resource(self, ERP)->shared, 1024);
    assert_int_equal(rig_resource(self, ERP)->phase, SB__PHASE__PHASE_RECOVERING);
    // The table is full: no lease of another resource is taken over, nor granted.
    struct rig_client order = {.instance = 2, .process = 1};
    Sb__Acquire wish = rig_order(self, CRM, 5000);
    assert_int_equal(rig_hello(self, &order, 0, 0)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_acquire(self, &order, wish)->body_case, SB__REPLY__BODY_WAITING);
    wish = rig_order(self, ERP, 5001);
    assert_int_equal(rig_renew(self, &order, wish, 2000)->code, SB__CODE__CODE_LEASE_LOST);
    rig_pass(self, 12000);
    assert_int_equal(rig_resource(self, ERP)->shared, 0);
    assert_int_equal(rig_resource(self, ERP)->phase, SB__PHASE__PHASE_OPEN);
}

// ---------------------------------------------------------------- what is taken over

// An unclean stop, after which a sync that runs `prices` and its run are there.
static void start_in_recovery(struct rig *self, struct rig_client *sync, Sb__StoredRun *stored)
{
    static Sb__StoredMeta meta;
    meta = meta_of(false);
    rig_recovers(self, CORE_TABLE_META, "meta", &meta.base);
    if (stored != NULL)
        rig_recovers(self, CORE_TABLE_RUN, "run", &stored->base);
    rig_start(self);
    self->runs[PRICES] = stored != NULL ? stored->run->run : 0;
    self->attempts[PRICES] = 1;
    assert_int_equal(rig_hello(self, sync, PRICES, 2)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_resource(self, ERP)->phase, SB__PHASE__PHASE_RECOVERING);
}

static void refuses(struct rig *self, const struct rig_client *client, Sb__Acquire wish, uint64_t token)
{
    assert_int_equal(rig_renew(self, client, wish, token)->code, SB__CODE__CODE_LEASE_LOST);
    assert_int_equal(rig_resource(self, ERP)->shared, 0);
}

static void a_lease_that_nobody_can_have_had_is_not_taken_over(void **state)
{
    struct rig *self = *state;
    struct rig_client sync = {.instance = 1, .process = 1};
    Sb__RunState run = open_run(RUN, SB__STAGE__STAGE_FETCHING);
    Sb__StoredRun stored = SB__STORED_RUN__INIT;
    stored.run = &run;
    stored.instance = 1;
    start_in_recovery(self, &sync, &stored);
    const Sb__Acquire good = rig_turn(self, PRICES, 77);
    Sb__Acquire wish = good;
    refuses(self, &sync, wish, UINT64_C(1) << 60); // this epoch has not given it out
    refuses(self, &sync, wish, 0);
    wish.resource = rig_text("nowhere");
    refuses(self, &sync, wish, OLD_TOKEN);
    wish = good;
    wish.claim = 0;
    refuses(self, &sync, wish, OLD_TOKEN);
    wish = good;
    wish.mode = SB__MODE__MODE_UNSPECIFIED;
    refuses(self, &sync, wish, OLD_TOKEN);
    wish = good;
    wish.settle_ms = 3600 * 1000 + 1;
    refuses(self, &sync, wish, OLD_TOKEN);
    wish = good;
    wish.job = rig_text("nothing");
    refuses(self, &sync, wish, OLD_TOKEN);
    wish = good;
    wish.resource = rig_text("crm"); // where the job has no turns
    refuses(self, &sync, wish, OLD_TOKEN);
    assert_int_equal(rig_renew(self, &sync, good, OLD_TOKEN)->code, SB__CODE__CODE_OK);
    // Its claim stands for that lease now.
    assert_int_equal(rig_renew(self, &sync, good, OLD_TOKEN + 1)->code, SB__CODE__CODE_LEASE_LOST);
    assert_int_equal(rig_resource(self, ERP)->shared, 1);
}

static void a_run_that_another_store_took_is_not_taken_over_with_a_lease(void **state)
{
    struct rig *self = *state;
    struct rig_client sync = {.instance = 1, .process = 1};
    Sb__RunState run = open_run(RUN, SB__STAGE__STAGE_FETCHING);
    Sb__StoredRun stored = SB__STORED_RUN__INIT;
    stored.run = &run;
    stored.instance = 2;
    start_in_recovery(self, &sync, &stored);
    refuses(self, &sync, rig_turn(self, PRICES, 77), OLD_TOKEN);
}

static void a_lease_of_a_run_that_went_on_without_it_is_taken_over_alone(void **state)
{
    struct rig *self = *state;
    struct rig_client sync = {.instance = 1, .process = 1};
    Sb__RunState run = open_run(RUN, SB__STAGE__STAGE_DUE);
    Sb__StoredRun stored = SB__STORED_RUN__INIT;
    run.attempt = 2;
    stored.run = &run;
    start_in_recovery(self, &sync, &stored);
    Sb__Acquire wish = rig_turn(self, PRICES, 77);
    assert_int_equal(rig_renew(self, &sync, wish, OLD_TOKEN)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, PRICES)->current->stage, SB__STAGE__STAGE_DUE);
    wish = rig_turn(self, STOCKS, 78);
    wish.run = RUN + 5; // ended long ago
    assert_int_equal(rig_renew(self, &sync, wish, OLD_TOKEN + 1)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, STOCKS)->current->stage, SB__STAGE__STAGE_DUE);
    assert_int_equal(rig_resource(self, ERP)->shared, 2);
}

static void a_run_that_waits_for_its_next_attempt_does_not_go_on_with_a_lease(void **state)
{
    struct rig *self = *state;
    struct rig_client sync = {.instance = 1, .process = 1};
    Sb__RunState run = open_run(RUN, SB__STAGE__STAGE_LOST);
    Sb__StoredRun stored = SB__STORED_RUN__INIT;
    stored.run = &run;
    stored.retry_ms = self->wall_ms + 20000;
    start_in_recovery(self, &sync, &stored);
    const Sb__Acquire wish = rig_turn(self, PRICES, 77);
    assert_int_equal(rig_renew(self, &sync, wish, OLD_TOKEN)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, PRICES)->current->stage, SB__STAGE__STAGE_LOST);
}

static void who_asks_again_while_it_recovers_is_told_when_its_claim_turns_out_to_have_a_lease(void **state)
{
    struct rig *self = *state;
    struct rig_client order = {.instance = 3, .process = 1};
    start_in_recovery(self, &order, NULL);
    Sb__Acquire wish = rig_order(self, ERP, 77);
    wish.poll_ms = 2000;
    assert_null(rig_acquire(self, &order, wish));
    wish.settle_ms = 60000;
    assert_int_equal(rig_renew(self, &order, wish, OLD_TOKEN)->code, SB__CODE__CODE_OK);
    assert_int_equal(self->answers[SB__CODE__CODE_CONFLICT], 1);
    assert_int_equal(self->records[CORE_TABLE_LEASE],
                     1); // it settles longer than the delay: the next start needs it
    assert_int_equal(rig_resource(self, ERP)->token, OLD_TOKEN);
    assert_int_equal(rig_resource(self, ERP)->waiting_exclusive, 0);
}

// (†) Of two claims of which one is exclusive, the greater token's is the living one.
static void a_greater_claim_ends_an_exclusive_lease_that_the_journal_had(void **state)
{
    struct rig *self = *state;
    struct rig_client order = {.instance = 3, .process = 1};
    Sb__StoredLease lease = lease_of(OLD_TOKEN, SB__MODE__MODE_EXCLUSIVE);
    Sb__StoredLease elsewhere = lease_of(OLD_TOKEN + 1, SB__MODE__MODE_EXCLUSIVE);
    elsewhere.resource = rig_text("crm");
    rig_recovers(self, CORE_TABLE_LEASE, "elsewhere", &elsewhere.base);
    rig_recovers(self, CORE_TABLE_LEASE, "lease", &lease.base);
    start_in_recovery(self, &order, NULL);
    Sb__Acquire wish = rig_order(self, ERP, 77);
    assert_int_equal(rig_renew(self, &order, wish, OLD_TOKEN - 1)->code, SB__CODE__CODE_LEASE_LOST);
    assert_int_equal(rig_renew(self, &order, wish, OLD_TOKEN + 5)->code, SB__CODE__CODE_OK);
    assert_int_equal(self->deleted[CORE_TABLE_LEASE], 1);
    assert_int_equal(rig_resource(self, ERP)->token, OLD_TOKEN + 5);
    assert_int_equal(rig_resource(self, CRM)->token, OLD_TOKEN + 1); // another resource's is not in its way
}

static void a_greater_claim_of_a_sync_ends_an_exclusive_lease_that_the_journal_had(void **state)
{
    struct rig *self = *state;
    struct rig_client sync = {.instance = 1, .process = 1};
    Sb__StoredLease lease = lease_of(OLD_TOKEN, SB__MODE__MODE_EXCLUSIVE);
    rig_recovers(self, CORE_TABLE_LEASE, "lease", &lease.base);
    start_in_recovery(self, &sync, NULL);
    Sb__Acquire wish = rig_turn(self, PRICES, 77);
    wish.run = 5;
    assert_int_equal(rig_renew(self, &sync, wish, OLD_TOKEN + 5)->code, SB__CODE__CODE_OK);
    wish = rig_turn(self, STOCKS, 78);
    wish.run = 6;
    assert_int_equal(rig_renew(self, &sync, wish, OLD_TOKEN + 3)->code,
                     SB__CODE__CODE_OK); // both are shared
    assert_int_equal(rig_resource(self, ERP)->token, 0);
    assert_int_equal(rig_resource(self, ERP)->shared, 2);
}

static void a_run_that_was_lost_before_the_start_is_mended_in_the_ledger(void **state)
{
    struct rig *self = *state;
    struct rig_client sync = {.instance = 1, .process = 1};
    Sb__StoredJob job = SB__STORED_JOB__INIT;
    job.job = rig_text("prices");
    job.lost_run = RUN;
    job.runs = job.failures = job.failing_in_a_row = job.lost_failing = 1;
    job.lost_slot_ms = self->wall_ms - 1200000;
    job.lost_due_ms = job.lost_slot_ms + 5;
    job.lost_attempt = 2;
    rig_recovers(self, CORE_TABLE_JOB, "prices", &job.base);
    rig_start(self);
    assert_int_equal(rig_hello(self, &sync, PRICES, 1)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_report(self, &sync, PRICES, RUN, 2, false), SB__CODE__CODE_OK); // mends nothing
    assert_int_equal(self->records[CORE_TABLE_LEDGER], 0);
    assert_int_equal(rig_report(self, &sync, PRICES, RUN, 2, true), SB__CODE__CODE_OK);
    assert_int_equal(self->records[CORE_TABLE_LEDGER], 1);
    assert_int_equal(self->outcome, SB__STAGE__STAGE_SUCCEEDED);
    assert_int_equal(rig_job(self, PRICES)->runs, 1);
    assert_int_equal(rig_job(self, PRICES)->failures, 0);
    assert_int_equal(rig_report(self, &sync, PRICES, RUN, 2, true), SB__CODE__CODE_OK); // once
    assert_int_equal(rig_report(self, &sync, PRICES, 0, 0, true), SB__CODE__CODE_OK);   // a run of no number
    assert_int_equal(self->records[CORE_TABLE_LEDGER], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(what_the_journal_does_not_say_is_as_if_it_had_never_been),
        RIG_TEST(a_last_run_without_a_result_comes_back_without_one),
        RIG_TEST(of_two_open_runs_the_lesser_number_is_under_way_in_whatever_order_they_come),
        RIG_TEST(a_run_that_fetched_before_the_start_is_not_one_to_merge_with),
        RIG_TEST(a_run_that_had_a_turn_before_the_start_is_at_work_since_then),
        RIG_TEST(runs_of_jobs_that_left_the_config_end_as_many_as_fit_into_the_start),
        RIG_TEST(owners_come_back_once_each_and_no_more_than_there_is_room_for),
        RIG_TEST(leases_that_cannot_be_kept_are_waited_for),
        RIG_TEST(a_lease_that_nobody_can_have_had_is_not_taken_over),
        RIG_TEST(a_run_that_another_store_took_is_not_taken_over_with_a_lease),
        RIG_TEST(a_lease_of_a_run_that_went_on_without_it_is_taken_over_alone),
        RIG_TEST(a_run_that_waits_for_its_next_attempt_does_not_go_on_with_a_lease),
        RIG_TEST(who_asks_again_while_it_recovers_is_told_when_its_claim_turns_out_to_have_a_lease),
        RIG_TEST(a_greater_claim_ends_an_exclusive_lease_that_the_journal_had),
        RIG_TEST(a_greater_claim_of_a_sync_ends_an_exclusive_lease_that_the_journal_had),
        RIG_TEST(a_run_that_was_lost_before_the_start_is_mended_in_the_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
