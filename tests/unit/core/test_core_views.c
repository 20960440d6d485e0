// What the core tells of its state and of the past: pages, cuts, estimates.
#include "proto/base/histogram.h"
#include "tests/unit/core/desk.h"

enum { PAGE = 1000, BLOCKERS = 16, MANY_SERVICES = 520, SERVICES_TOLD = 512, REASON_MAX = 160 };

// ---------------------------------------------------------------- looks into the journal

static void a_look_at_the_runs_of_a_job_names_the_keys_before_the_one_told(void **state)
{
    struct desk *self = *state;
    static const uint8_t before[] = {0, 0, 0, 0, 0, 0, 0, 9};
    static const uint8_t last[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    Sb__Runs runs = SB__RUNS__INIT;
    runs.job = desk_text("stock");
    runs.before = 9;
    runs.limit = PAGE + 1; // more than a page
    assert_null(DESK_ASK(self, runs, RUNS, &runs));
    assert_int_equal(self->update.read_count, 1);
    struct core_read read = self->update.reads[0];
    assert_int_equal(read.table, CORE_TABLE_RUN);
    assert_int_equal(read.limit, PAGE);
    assert_string_equal(read.job, "stock");
    assert_memory_equal(read.to, before, read.to_size);
    runs.job = desk_text("");
    runs.before = 0;
    assert_null(DESK_ASK(self, runs, RUNS, &runs));
    read = self->update.reads[0];
    assert_null(read.job);
    assert_memory_equal(read.to, last, read.to_size);
}

static void runs_that_were_found_are_told_and_what_is_broken_is_left_out(void **state)
{
    struct desk *self = *state;
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
    struct desk *self = *state;
    Sb__Ledger ledger = SB__LEDGER__INIT;
    assert_null(DESK_ASK(self, ledger, LEDGER, &ledger));
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
    struct desk *self = *state;
    static const uint8_t to[] = "stock\0\0\0\0\0\0\0\0\6";
    Sb__Ledger ledger = SB__LEDGER__INIT;
    ledger.job = desk_text("stock");
    ledger.to_ms = 6;
    assert_null(DESK_ASK(self, ledger, LEDGER, &ledger));
    assert_int_equal(self->update.reads[0].to_size, sizeof to - 1);
    assert_memory_equal(self->update.reads[0].to, to, sizeof to - 1);
}

static void a_look_at_the_past_of_what_is_not_there_is_refused(void **state)
{
    struct desk *self = *state;
    Sb__Ledger ledger = SB__LEDGER__INIT;
    Sb__Runs runs = SB__RUNS__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    ledger.job = runs.job = pauses.resource = desk_text("nothing");
    assert_int_equal(DESK_ASK(self, ledger, LEDGER, &ledger)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(DESK_ASK(self, runs, RUNS, &runs)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(DESK_ASK(self, pauses, PAUSES, &pauses)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(self->update.read_count, 0);
}

// ---------------------------------------------------------------- pauses

// Twenty jobs of one resource and one of the other stood in the way, each for longer than the one before.
static void the_report_on_pauses_tells_the_sixteen_that_took_most_time_of_its_resource(void **state)
{
    enum { JOBS = 21 };
    struct desk *self = *state;
    static struct core_job_config jobs[JOBS];
    static char names[JOBS][8];
    static struct histogram waits[JOBS];
    static Sb__StoredFigures figures[JOBS];
    static struct core_record records[JOBS];
    for (size_t i = 0; i < JOBS; i++) {
        (void)snprintf(names[i], sizeof names[i], "j%02zu", i);
        jobs[i] = DESK_CONFIGURED[0];
        jobs[i].name = names[i];
        jobs[i].resource = i == JOBS - 1 ? 1 : 0;
        histogram_add(&waits[i], 100 * ((int64_t)i + 1));
        sb__stored_figures__init(&figures[i]);
        figures[i].blocked_others = (ProtobufCBinaryData){.len = sizeof waits[i], .data = (void *)&waits[i]};
        records[i] = (struct core_record){
            .table = CORE_TABLE_FIGURES, .key_size = strlen(names[i]), .value = &figures[i].base};
        memcpy(records[i].key, names[i], records[i].key_size);
    }
    self->config.jobs = jobs;
    self->config.job_count = self->config.jobs_max = JOBS;
    desk_start(self, records, JOBS);
    Sb__Pauses pauses = SB__PAUSES__INIT;
    Sb__StoredPause broken = SB__STORED_PAUSE__INIT;
    const ProtobufCMessage *values[] = {&broken.base};
    pauses.resource = desk_text("erp");
    assert_null(DESK_ASK(self, pauses, PAUSES, &pauses));
    const struct core_read read = self->update.reads[0];
    assert_string_equal(read.job, "erp");
    assert_memory_equal(read.from, "erp", 4);
    const Sb__PauseReport *report = core_read_reply(self->core, &read, values, 1)->pause_report;
    assert_int_equal(report->n_recent, 0);
    assert_int_equal(report->n_blockers, BLOCKERS);
    assert_string_equal(report->blockers[0]->job, "j19"); // j20 stands on the other resource
    assert_string_equal(report->blockers[BLOCKERS - 1]->job, "j04");
    // And those that fall off the end as they come are not told either.
    for (size_t i = 0; i < JOBS / 2; i++) {
        const struct histogram kept = waits[i];
        waits[i] = waits[JOBS - 1 - i];
        waits[JOBS - 1 - i] = kept;
    }
    desk_start(self, records, JOBS);
    const struct core_read whole = {.table = CORE_TABLE_PAUSE};
    report = core_read_reply(self->core, &whole, values, 0)->pause_report;
    assert_int_equal(report->n_blockers, BLOCKERS);
    assert_string_equal(report->blockers[0]->job, "j00");
    assert_string_equal(report->blockers[BLOCKERS - 1]->job, "j15");
}

static void a_job_that_left_the_config_is_not_in_the_report_any_more(void **state)
{
    struct desk *self = *state;
    struct histogram wait = {0};
    histogram_add(&wait, 100);
    Sb__StoredFigures figures = SB__STORED_FIGURES__INIT;
    figures.blocked_others = (ProtobufCBinaryData){.len = sizeof wait, .data = (void *)&wait};
    struct core_record record = {.table = CORE_TABLE_FIGURES, .key_size = 6, .value = &figures.base};
    memcpy(record.key, "prices", 6);
    desk_start(self, &record, 1);
    const struct core_read whole = {.table = CORE_TABLE_PAUSE};
    assert_int_equal(core_read_reply(self->core, &whole, NULL, 0)->pause_report->n_blockers, 1);
    struct core_config config = self->config;
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    config.jobs = DESK_CONFIGURED + 1;
    config.job_count = DESK_JOBS - 1;
    event.reload.config = &config;
    desk_step(self, &event);
    desk_pass(self, 0);
    assert_int_equal(core_read_reply(self->core, &whole, NULL, 0)->pause_report->n_blockers, 0);
}

// ---------------------------------------------------------------- the state

static void a_state_comes_in_pages_of_jobs_and_tells_all_else_with_the_first(void **state)
{
    struct desk *self = *state;
    assert_int_equal(desk_hold(self, "stock", "", 0, 1)->code, SB__CODE__CODE_OK);
    const Sb__State *page = desk_look(self, "", "", 2);
    assert_int_equal(page->n_jobs, 2);
    assert_true(page->more);
    assert_int_equal(page->n_holds, 1);
    assert_string_equal(page->profile, ""); // none was configured
    page = desk_look(self, "", "stock", PAGE);
    assert_int_equal(page->n_jobs, 1);
    assert_string_equal(page->jobs[0]->job, "goods");
    assert_false(page->more);
    assert_int_equal(page->n_holds, 0);
}

static void a_state_of_one_job_tells_what_lies_on_it_and_on_resources(void **state)
{
    struct desk *self = *state;
    (void)desk_hold(self, "stock", "", 0, 1);
    (void)desk_hold(self, "prices", "", 0, 2);
    (void)desk_hold(self, "", "shop", 0, 3);
    desk_pass(self, 7200001); // the data of all of them grow stale
    const size_t alerts = desk_look(self, "", "", 0)->n_alerts;
    const Sb__State *one = desk_look(self, "stock", "", 0);
    assert_int_equal(one->n_jobs, 1);
    assert_int_equal(one->n_holds, 2);
    assert_string_equal(one->holds[0]->job, "stock");
    assert_string_equal(one->holds[1]->resource, "shop");
    assert_in_range(one->n_alerts, 1, alerts - 2); // not those of the two others
    for (size_t i = 0; i < one->n_alerts; i++)
        assert_string_equal(one->alerts[i]->subject, "stock");
}

static void a_state_tells_so_many_services_and_no_more(void **state)
{
    struct desk *self = *state;
    for (uint64_t i = 1; i <= MANY_SERVICES; i++) {
        self->session = 0;
        assert_int_equal(desk_hello(self, i, i, NULL, 0, NULL, 0)->code, SB__CODE__CODE_OK);
    }
    assert_int_equal(desk_look(self, "", "", 0)->n_services, SERVICES_TOLD);
}

static void the_share_of_unchanged_records_comes_from_all_good_runs(void **state)
{
    struct desk *self = *state;
    Sb__StoredJob job = SB__STORED_JOB__INIT;
    job.job = desk_text("stock");
    job.seen = 400;
    job.unchanged = 300;
    const struct core_record record = {.table = CORE_TABLE_JOB, .value = &job.base};
    desk_start(self, &record, 1);
    assert_true(desk_look(self, "stock", "", 0)->jobs[0]->unchanged_share == 0.75);
    assert_true(desk_look(self, "prices", "", 0)->jobs[0]->unchanged_share == 0);
}

// ---------------------------------------------------------------- estimates

static void a_wait_for_a_hold_ends_with_it_and_other_resources_are_in_nobodys_way(void **state)
{
    struct desk *self = *state;
    char *jobs[] = {desk_text("prices"), desk_text("goods")};
    (void)desk_hello(self, 1, 1, jobs, 2, NULL, 0);
    assert_int_equal(desk_acquire(self, 1, 2, 10)->body_case, SB__REPLY__BODY_GRANTED);
    (void)desk_hold(self, "prices", "", self->wall_ms + 5000, 1);
    const Sb__Reply *reply = desk_acquire(self, 0, 0, 11);
    assert_int_equal(reply->body_case, SB__REPLY__BODY_WAITING);
    assert_int_equal(reply->waiting->eta_ms, 5000);
    (void)desk_hold(self, "", "erp", 0, 2); // the job's own is the one that is reckoned with
    assert_int_equal(desk_acquire(self, 0, 0, 11)->waiting->eta_ms, 5000);
}

static void a_wait_for_a_hold_without_an_end_has_no_estimate(void **state)
{
    struct desk *self = *state;
    char *jobs[] = {desk_text("prices")};
    (void)desk_hello(self, 1, 1, jobs, 1, NULL, 0);
    (void)desk_hold(self, "prices", "", 0, 1);
    assert_int_equal(desk_acquire(self, 0, 0, 11)->waiting->eta_ms, -1);
}

static void a_holder_that_would_take_more_than_a_week_has_no_estimate(void **state)
{
    struct desk *self = *state;
    char *jobs[] = {desk_text("goods")};
    struct core_job_config finishing[DESK_JOBS];
    memcpy(finishing, DESK_CONFIGURED, sizeof finishing);
    finishing[2].yields = false; // it is not asked to yield, so it is waited for
    self->config.jobs = finishing;
    desk_start(self, NULL, 0);
    desk_pass(self, 0);
    (void)desk_hello(self, 1, 1, jobs, 1, NULL, 0);
    const uint64_t token = desk_acquire(self, 1, 2, 10)->granted->token;
    Sb__Renew renew = SB__RENEW__INIT;
    renew.token = token;
    renew.resource = desk_text("shop");
    renew.mode = SB__MODE__MODE_SHARED;
    renew.job = jobs[0];
    renew.run = self->runs[2];
    renew.claim = 10;
    renew.attempt = 1;
    renew.total = UINT64_C(1000000000000);
    assert_int_equal(DESK_ASK(self, renew, RENEW, &renew)->code, SB__CODE__CODE_OK);
    desk_pass(self, 1000);
    renew.done = 1;
    assert_int_equal(DESK_ASK(self, renew, RENEW, &renew)->code, SB__CODE__CODE_OK);
    (void)desk_hello(self, 2, 2, NULL, 0, NULL, 0);
    const Sb__Waiting *waiting = desk_acquire(self, 1, DESK_JOBS, 20)->waiting;
    assert_int_equal(waiting->eta_ms, -1);
    assert_int_equal(waiting->blockers[0]->eta_ms, -1);
}

// ---------------------------------------------------------------- texts

static const char *reason_kept(struct desk *self, const char *reason)
{
    Sb__Hold hold = SB__HOLD__INIT;
    hold.job = desk_text("prices");
    hold.by = desk_text("op");
    hold.reason = desk_text(reason);
    hold.hold = ++self->id;
    assert_int_equal(DESK_ASK(self, hold, HOLD, &hold)->code, SB__CODE__CODE_OK);
    const Sb__State *seen = desk_look(self, "", "", 0);
    return seen->holds[seen->n_holds - 1]->reason;
}

static void a_text_that_is_too_long_is_cut_before_a_character_that_does_not_fit(void **state)
{
    struct desk *self = *state;
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
        DESK_TEST(a_look_at_the_runs_of_a_job_names_the_keys_before_the_one_told),
        DESK_TEST(runs_that_were_found_are_told_and_what_is_broken_is_left_out),
        DESK_TEST(a_look_at_the_whole_ledger_begins_at_its_first_key),
        DESK_TEST(a_look_at_the_ledger_ends_before_the_time_told),
        DESK_TEST(a_look_at_the_past_of_what_is_not_there_is_refused),
        DESK_TEST(the_report_on_pauses_tells_the_sixteen_that_took_most_time_of_its_resource),
        DESK_TEST(a_job_that_left_the_config_is_not_in_the_report_any_more),
        DESK_TEST(a_state_comes_in_pages_of_jobs_and_tells_all_else_with_the_first),
        DESK_TEST(a_state_of_one_job_tells_what_lies_on_it_and_on_resources),
        DESK_TEST(a_state_tells_so_many_services_and_no_more),
        DESK_TEST(the_share_of_unchanged_records_comes_from_all_good_runs),
        DESK_TEST(a_wait_for_a_hold_ends_with_it_and_other_resources_are_in_nobodys_way),
        DESK_TEST(a_wait_for_a_hold_without_an_end_has_no_estimate),
        DESK_TEST(a_holder_that_would_take_more_than_a_week_has_no_estimate),
        DESK_TEST(a_text_that_is_too_long_is_cut_before_a_character_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
