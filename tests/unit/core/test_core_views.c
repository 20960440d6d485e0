// What the core tells of its state and of the past: pages, cuts, estimates.
#include "proto/base/histogram.h"
#include "tests/unit/core/rig.h"

#include <string.h>

enum { PAGE = 1000, BLOCKERS = 16, MANY_SERVICES = 520, SERVICES_TOLD = 512, REASON_MAX = 160 };

// ---------------------------------------------------------------- looks into the journal

static void a_look_at_the_runs_of_a_job_names_the_keys_before_the_one_told(void **state)
{
    struct rig *self = *state;
    static const uint8_t before[] = {0, 0, 0, 0, 0, 0, 0, 9};
    static const uint8_t last[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    Sb__Runs runs = SB__RUNS__INIT;
    runs.job = rig_text("stocks");
    runs.before = 9;
    runs.limit = PAGE + 1; // more than a page
    assert_null(RIG_ASK(self, NULL, runs, RUNS, &runs));
    assert_int_equal(self->update.read_count, 1);
    struct core_read read = self->update.reads[0];
    assert_int_equal(read.table, CORE_TABLE_RUN);
    assert_int_equal(read.limit, PAGE);
    assert_string_equal(read.job, "stocks");
    assert_memory_equal(read.to, before, read.to_size);
    runs.job = rig_text("");
    runs.before = 0;
    assert_null(RIG_ASK(self, NULL, runs, RUNS, &runs));
    read = self->update.reads[0];
    assert_null(read.job);
    assert_memory_equal(read.to, last, read.to_size);
}

static void runs_that_were_found_are_told_and_what_is_broken_is_left_out(void **state)
{
    struct rig *self = *state;
    const struct core_read read = {.request = 3, .table = CORE_TABLE_RUN};
    Sb__RunState run = SB__RUN_STATE__INIT;
    Sb__StoredRun stored = SB__STORED_RUN__INIT, broken = SB__STORED_RUN__INIT;
    const ProtobufCMessage *values[] = {&broken.base, &stored.base};
    run.run = 12;
    stored.run = &run;
    const Sb__Reply *reply = core_read_reply(self->core, &read, values, 2);
    assert_int_equal(reply->run_list->n_runs, 1);
    assert_int_equal(reply->run_list->runs[0]->run, 12);
}

static void a_look_at_the_whole_ledger_begins_at_its_first_key(void **state)
{
    struct rig *self = *state;
    Sb__Ledger ledger = SB__LEDGER__INIT;
    assert_null(RIG_ASK(self, NULL, ledger, LEDGER, &ledger));
    const struct core_read read = self->update.reads[0];
    assert_null(read.job);
    assert_int_equal(read.from_size, 1);
    assert_int_equal(read.to_size, CORE_KEY_MAX);
    assert_int_equal(read.to[CORE_KEY_MAX - 1], 0xff);
    Sb__StoredLedgerEntry broken = SB__STORED_LEDGER_ENTRY__INIT;
    const ProtobufCMessage *values[] = {&broken.base};
    assert_int_equal(core_read_reply(self->core, &read, values, 1)->ledger_list->n_entries, 0);
}

static void a_look_at_the_ledger_ends_before_the_time_told(void **state)
{
    struct rig *self = *state;
    static const uint8_t to[] = "stocks\0\0\0\0\0\0\0\0\6";
    Sb__Ledger ledger = SB__LEDGER__INIT;
    ledger.job = rig_text("stocks");
    ledger.to_ms = 6;
    assert_null(RIG_ASK(self, NULL, ledger, LEDGER, &ledger));
    assert_int_equal(self->update.reads[0].to_size, sizeof to - 1);
    assert_memory_equal(self->update.reads[0].to, to, sizeof to - 1);
}

static void a_look_at_the_past_of_what_is_not_there_is_refused(void **state)
{
    struct rig *self = *state;
    Sb__Ledger ledger = SB__LEDGER__INIT;
    Sb__Runs runs = SB__RUNS__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    ledger.job = runs.job = pauses.resource = rig_text("nothing");
    assert_int_equal(RIG_ASK(self, NULL, ledger, LEDGER, &ledger)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(RIG_ASK(self, NULL, runs, RUNS, &runs)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(RIG_ASK(self, NULL, pauses, PAUSES, &pauses)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(self->update.read_count, 0);
}

// ---------------------------------------------------------------- pauses

// Twenty jobs of one resource and one of the other stood in the way, each for longer than the one before.
static void the_report_on_pauses_tells_the_sixteen_that_took_most_time_of_its_resource(void **state)
{
    enum { JOBS = 21 };
    struct rig *self = *state;
    static struct histogram waits[JOBS];
    static Sb__StoredFigures figures[JOBS];
    for (size_t i = 0; i < JOBS; i++) {
        self->jobs[i].resource = i == JOBS - 1 ? CRM : ERP;
        histogram_add(&waits[i], 100 * ((int64_t)i + 1));
        sb__stored_figures__init(&figures[i]);
        figures[i].blocked_others = (ProtobufCBinaryData){.len = sizeof waits[i], .data = (void *)&waits[i]};
        rig_recovers(self, CORE_TABLE_FIGURES, self->names[i], &figures[i].base);
    }
    self->config.job_count = self->config.jobs_max = JOBS;
    rig_start(self);
    Sb__Pauses pauses = SB__PAUSES__INIT;
    Sb__StoredPause broken = SB__STORED_PAUSE__INIT;
    const ProtobufCMessage *values[] = {&broken.base};
    pauses.resource = rig_text("erp");
    assert_null(RIG_ASK(self, NULL, pauses, PAUSES, &pauses));
    const struct core_read read = self->update.reads[0];
    assert_string_equal(read.job, "erp");
    assert_memory_equal(read.from, "erp", 4);
    const Sb__PauseReport *report = core_read_reply(self->core, &read, values, 1)->pause_report;
    assert_int_equal(report->n_recent, 0);
    assert_int_equal(report->n_blockers, BLOCKERS);
    assert_string_equal(report->blockers[0]->job, "j19"); // j20 stands on the other resource
    assert_string_equal(report->blockers[BLOCKERS - 1]->job, "j4");
    // And those that fall off the end as they come are not told either.
    for (size_t i = 0; i < JOBS / 2; i++) {
        const struct histogram kept = waits[i];
        waits[i] = waits[JOBS - 1 - i];
        waits[JOBS - 1 - i] = kept;
    }
    rig_start(self);
    const struct core_read whole = {.table = CORE_TABLE_PAUSE};
    report = core_read_reply(self->core, &whole, values, 0)->pause_report;
    assert_int_equal(report->n_blockers, BLOCKERS);
    assert_string_equal(report->blockers[0]->job, self->names[0]);
    assert_string_equal(report->blockers[BLOCKERS - 1]->job, "j15");
}

static void a_job_that_left_the_config_is_not_in_the_report_any_more(void **state)
{
    struct rig *self = *state;
    struct histogram wait = {0};
    histogram_add(&wait, 100);
    Sb__StoredFigures figures = SB__STORED_FIGURES__INIT;
    figures.blocked_others = (ProtobufCBinaryData){.len = sizeof wait, .data = (void *)&wait};
    rig_recovers(self, CORE_TABLE_FIGURES, "prices", &figures.base);
    rig_start(self);
    const struct core_read whole = {.table = CORE_TABLE_PAUSE};
    assert_int_equal(core_read_reply(self->core, &whole, NULL, 0)->pause_report->n_blockers, 1);
    self->config.jobs = &self->jobs[STOCKS];
    self->config.job_count = RIG_JOBS - 1;
    (void)rig_reload(self);
    rig_pass(self, 0);
    assert_int_equal(core_read_reply(self->core, &whole, NULL, 0)->pause_report->n_blockers, 0);
}

// ---------------------------------------------------------------- the state

static void a_state_comes_in_pages_of_jobs_and_tells_all_else_with_the_first(void **state)
{
    struct rig *self = *state;
    assert_int_equal(rig_hold(self, "stocks", "", 0, 1)->code, SB__CODE__CODE_OK);
    const Sb__State *page = rig_state(self, "", "", 2);
    assert_int_equal(page->n_jobs, 2);
    assert_true(page->more);
    assert_int_equal(page->n_holds, 1);
    assert_string_equal(page->profile, ""); // none was configured
    page = rig_state(self, "", "stocks", PAGE);
    assert_int_equal(page->n_jobs, 1);
    assert_string_equal(page->jobs[0]->job, "people");
    assert_false(page->more);
    assert_int_equal(page->n_holds, 0);
}

static void a_state_of_one_job_tells_what_lies_on_it_and_on_resources(void **state)
{
    struct rig *self = *state;
    (void)rig_hold(self, "stocks", "", 0, 1);
    (void)rig_hold(self, "prices", "", 0, 2);
    (void)rig_hold(self, "", "crm", 0, 3);
    rig_pass(self, 7200001); // the data of all of them grow stale
    const size_t alerts = rig_state(self, "", "", 0)->n_alerts;
    const Sb__State *one = rig_state(self, "stocks", "", 0);
    assert_int_equal(one->n_jobs, 1);
    assert_int_equal(one->n_holds, 2);
    assert_string_equal(one->holds[0]->job, "stocks");
    assert_string_equal(one->holds[1]->resource, "crm");
    assert_in_range(one->n_alerts, 1, alerts - 2); // not those of the two others
    for (size_t i = 0; i < one->n_alerts; i++)
        assert_string_equal(one->alerts[i]->subject, "stocks");
}

static void a_state_tells_so_many_services_and_no_more(void **state)
{
    struct rig *self = *state;
    for (uint64_t i = 1; i <= MANY_SERVICES; i++)
        (void)rig_comes(self, i, 0, 0, NULL);
    assert_int_equal(rig_state(self, "", "", 0)->n_services, SERVICES_TOLD);
}

static void the_share_of_unchanged_records_comes_from_all_good_runs(void **state)
{
    struct rig *self = *state;
    Sb__StoredJob job = SB__STORED_JOB__INIT;
    job.job = rig_text("stocks");
    job.seen = 400;
    job.unchanged = 300;
    rig_recovers(self, CORE_TABLE_JOB, "stocks", &job.base);
    rig_start(self);
    assert_true(rig_state(self, "stocks", "", 0)->jobs[0]->unchanged_share == 0.75);
    assert_true(rig_state(self, "prices", "", 0)->jobs[0]->unchanged_share == 0);
}

// ---------------------------------------------------------------- estimates

static void a_wait_for_a_hold_ends_with_it_and_other_resources_are_in_nobodys_way(void **state)
{
    struct rig *self = *state;
    const struct rig_client sync = rig_comes(self, 1, PRICES, RIG_JOBS, NULL);
    assert_int_equal(rig_acquire(self, &sync, rig_turn(self, PEOPLE, 10))->body_case,
                     SB__REPLY__BODY_GRANTED);
    (void)rig_hold(self, "prices", "", self->wall_ms + 5000, 1);
    const Sb__Reply *reply = rig_acquire(self, &sync, rig_turn(self, PRICES, 11));
    assert_int_equal(reply->body_case, SB__REPLY__BODY_WAITING);
    assert_int_equal(reply->waiting->eta_ms, 5000);
    (void)rig_hold(self, "", "erp", 0, 2); // the job's own is the one that is reckoned with
    assert_int_equal(rig_acquire(self, &sync, rig_turn(self, PRICES, 11))->waiting->eta_ms, 5000);
}

static void a_wait_for_a_hold_without_an_end_has_no_estimate(void **state)
{
    struct rig *self = *state;
    const struct rig_client sync = rig_comes(self, 1, PRICES, 1, NULL);
    (void)rig_hold(self, "prices", "", 0, 1);
    assert_int_equal(rig_acquire(self, &sync, rig_turn(self, PRICES, 11))->waiting->eta_ms, -1);
}

static void a_holder_that_would_take_more_than_a_week_has_no_estimate(void **state)
{
    struct rig *self = *state;
    self->jobs[PEOPLE].yields = false; // it is not asked to yield, so it is waited for
    rig_start(self);
    const struct rig_client sync = rig_comes(self, 1, PEOPLE, 1, NULL);
    const struct rig_client order = rig_comes(self, 2, 0, 0, NULL);
    Sb__Renew renew = SB__RENEW__INIT;
    renew.token = rig_granted(self, &sync, rig_turn(self, PEOPLE, 10));
    renew.total = UINT64_C(1000000000000);
    assert_int_equal(RIG_ASK(self, &sync, renew, RENEW, &renew)->code, SB__CODE__CODE_OK);
    rig_pass(self, 1000);
    renew.done = 1;
    assert_int_equal(RIG_ASK(self, &sync, renew, RENEW, &renew)->code, SB__CODE__CODE_OK);
    const Sb__Waiting *waiting = rig_acquire(self, &order, rig_order(self, CRM, 20))->waiting;
    assert_int_equal(waiting->eta_ms, -1);
    assert_int_equal(waiting->blockers[0]->eta_ms, -1);
}

// ---------------------------------------------------------------- texts

static const char *reason_kept(struct rig *self, const char *reason)
{
    Sb__Hold hold = SB__HOLD__INIT;
    hold.job = rig_text("prices");
    hold.by = rig_text("op");
    hold.reason = rig_text(reason);
    hold.hold = ++self->id;
    assert_int_equal(RIG_ASK(self, NULL, hold, HOLD, &hold)->code, SB__CODE__CODE_OK);
    const Sb__State *seen = rig_state(self, "", "", 0);
    return seen->holds[seen->n_holds - 1]->reason;
}

static void a_text_that_is_too_long_is_cut_before_a_character_that_does_not_fit(void **state)
{
    struct rig *self = *state;
    char text[2 * REASON_MAX + 1] = "";
    memset(text, 'a', sizeof text - 1);
    assert_int_equal(strlen(reason_kept(self, text)), REASON_MAX);
    memcpy(text + REASON_MAX - 1, "\xe2\x82\xac", 3); // a euro sign across the end
    assert_int_equal(strlen(reason_kept(self, text)), REASON_MAX - 1);
    memset(text, 0x80, sizeof text - 1); // nothing of it begins a character
    assert_string_equal(reason_kept(self, text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_look_at_the_runs_of_a_job_names_the_keys_before_the_one_told),
        RIG_TEST(runs_that_were_found_are_told_and_what_is_broken_is_left_out),
        RIG_TEST(a_look_at_the_whole_ledger_begins_at_its_first_key),
        RIG_TEST(a_look_at_the_ledger_ends_before_the_time_told),
        RIG_TEST(a_look_at_the_past_of_what_is_not_there_is_refused),
        RIG_TEST(the_report_on_pauses_tells_the_sixteen_that_took_most_time_of_its_resource),
        RIG_TEST(a_job_that_left_the_config_is_not_in_the_report_any_more),
        RIG_TEST(a_state_comes_in_pages_of_jobs_and_tells_all_else_with_the_first),
        RIG_TEST(a_state_of_one_job_tells_what_lies_on_it_and_on_resources),
        RIG_TEST(a_state_tells_so_many_services_and_no_more),
        RIG_TEST(the_share_of_unchanged_records_comes_from_all_good_runs),
        RIG_TEST(a_wait_for_a_hold_ends_with_it_and_other_resources_are_in_nobodys_way),
        RIG_TEST(a_wait_for_a_hold_without_an_end_has_no_estimate),
        RIG_TEST(a_holder_that_would_take_more_than_a_week_has_no_estimate),
        RIG_TEST(a_text_that_is_too_long_is_cut_before_a_character_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
