// More at once than fits into one step or a table: the next step goes on with it, nothing is lost, and a full
// table turns the newcomer away and disturbs nobody else.
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

enum {
    JOBS = 1088, // 17 sessions' worth
    SERVICES = JOBS / RIG_SESSION_JOBS,
    VERY_MANY_JOBS = 4200, // more topics than a beat repeats
    LEASES = 1024,         // that can be held at once
    MOVED_JOBS = 4200,     // more than two steps can store
    ORDERS = 3000,
    ORDER = 100000,
    CALLS = 40000,
    SEQS_A_BEAT = 4096,
    TOLD_A_BEAT = 64
};

// A core of so many jobs, which all are due at its start.
static void start(struct rig *self, uint32_t jobs)
{
    self->config.job_count = self->config.jobs_max = jobs;
    self->config.calls_max = CALLS;
    self->jobs[PEOPLE].resource = ERP;
    for (size_t i = 0; i < jobs; i++) {
        self->jobs[i].every_ms = 86400000;
        self->jobs[i].fresh_within_ms = 2 * 86400000;
    }
    rig_start(self);
}

// Enough jobs for every lease that there can be, and sessions that run them.
static void begin(struct rig *self, uint32_t jobs, struct rig_client services[SERVICES])
{
    self->resources[ERP].capacity = 2000;
    self->resources[ERP].lease_ttl_ms = 300000;
    start(self, jobs);
    for (size_t i = 0; i < SERVICES; i++)
        services[i] = rig_comes(self, i + 1, i * RIG_SESSION_JOBS, RIG_SESSION_JOBS, NULL);
}

// Every job that a session runs asks for its turn, and waits for the answer; the count of those that got it.
static size_t everybody_asks(struct rig *self, const struct rig_client *services)
{
    size_t granted = 0;
    for (size_t i = 0; i < JOBS; i++) {
        Sb__Acquire turn = rig_turn(self, i, i + 1);
        turn.poll_ms = 60000;
        const Sb__Reply *reply = rig_acquire(self, &services[i / RIG_SESSION_JOBS], turn);
        granted += reply != NULL && reply->body_case == SB__REPLY__BODY_GRANTED ? 1 : 0;
    }
    return granted;
}

// ---------------------------------------------------------------- ticks and beats

static void every_job_is_due_at_the_start_though_they_are_more_than_one_step_can_tell(void **state)
{
    struct rig *self = *state;
    start(self, JOBS);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(self->ticks[i], 1);
}

// At most 64 a beat, and each of them in its turn: a thousand jobs are told again within sixteen beats.
static void due_runs_are_told_again_with_each_beat_each_in_its_turn(void **state)
{
    enum { THOUSAND = 1000 };
    struct rig *self = *state;
    start(self, THOUSAND);
    rig_pass(self, 1000);
    uint64_t told = 0;
    for (size_t i = 0; i < THOUSAND; i++)
        told += self->ticks[i] - 1;
    assert_int_equal(told, TOLD_A_BEAT);
    rig_pass(self, 15000);
    for (size_t i = 0; i < THOUSAND; i++)
        assert_true(self->ticks[i] >= 2);
}

// Its service may have dropped it, as after a refusal that was not meant for it.
static void a_run_whose_turn_nobody_asks_for_any_more_is_told_again_until_somebody_does(void **state)
{
    struct rig *self = *state;
    start(self, 1);
    const struct rig_client service = rig_comes(self, 1, 0, 1, NULL);
    (void)rig_granted(self, &service, rig_order(self, ERP, ORDER));
    Sb__Acquire turn = rig_turn(self, 0, 1);
    turn.poll_ms = 1000;
    (void)rig_acquire(self, &service, turn);
    const uint64_t told = self->ticks[0];
    rig_pass(self, 2000);
    assert_int_equal(self->ticks[0], told); // it waits
    rig_pass(self, 3000);
    assert_true(self->ticks[0] > told);
    const uint64_t again = self->ticks[0];
    (void)rig_acquire(self, &service, turn);
    rig_pass(self, 2000);
    assert_int_equal(self->ticks[0], again);
}

static void a_beat_repeats_so_many_seqs_and_no_more(void **state)
{
    struct rig *self = *state;
    start(self, VERY_MANY_JOBS);
    rig_pass(self, 1000);
    assert_int_equal(self->beats, 1);
    assert_int_equal(self->seqs, SEQS_A_BEAT);
}

// ---------------------------------------------------------------- names and runs

static void a_full_table_of_names_turns_the_newcomer_away(void **state)
{
    enum { NAMES = 8 };
    struct rig *self = *state;
    self->config.sessions_max = 8;
    start(self, JOBS);
    struct rig_client known = rig_comes(self, 7, PRICES, RIG_JOBS, NULL);
    char name[NAMES][16];
    char *serves[NAMES];
    Sb__Hello hello = SB__HELLO__INIT;
    hello.name = rig_text("many");
    hello.instance = hello.process = hello.host = 8;
    hello.serves = serves;
    hello.n_serves = NAMES;
    Sb__Code code = SB__CODE__CODE_OK;
    for (size_t hellos = 0; code == SB__CODE__CODE_OK && hellos < JOBS; hellos++) {
        for (size_t i = 0; i < NAMES; i++) {
            (void)snprintf(name[i], sizeof name[i], "c%zu", hellos * NAMES + i);
            serves[i] = name[i];
        }
        code = RIG_ASK(self, NULL, hello, HELLO, &hello)->code;
    }
    assert_int_equal(code, SB__CODE__CODE_BUSY);
    // Nobody else is disturbed: who is known says Hello as ever.
    assert_int_equal(rig_hello(self, &known, PRICES, RIG_JOBS)->code, SB__CODE__CODE_OK);
}

// One process took every run, and its next Hello knows none of them: more than one step can tell.
static void a_service_that_forgot_two_thousand_runs_loses_them_step_by_step(void **state)
{
    enum { TWICE = 2 * JOBS };
    struct rig *self = *state;
    struct rig_client client = {.instance = 7, .process = 1};
    self->resources[ERP].capacity = 1;
    start(self, TWICE);
    for (size_t i = 0; i < TWICE; i++) {
        if (i % RIG_SESSION_JOBS == 0)
            assert_int_equal(rig_hello(self, &client, i, RIG_SESSION_JOBS)->code, SB__CODE__CODE_OK);
        Sb__Acquire turn = rig_turn(self, i, i + 1);
        turn.poll_ms = 2000;
        (void)rig_acquire(self, &client, turn);
    }
    assert_int_equal(rig_hello_anew(self, &client, 0, 0)->code, SB__CODE__CODE_OK);
    assert_true(core_deadline(self->core) <= self->boot_ms);
    rig_pass(self, 0);
    for (size_t i = 0; i < TWICE; i++)
        assert_int_equal(self->stages[i], SB__STAGE__STAGE_LOST);
}

// ---------------------------------------------------------------- calls

static void many_call(struct rig *self)
{
    for (int i = 0; i < CALLS; i++)
        (void)rig_call(self, "clerk", "", 60000);
    assert_int_equal(self->answers[SB__CODE__CODE_NO_SERVICE], 0);
}

static void the_calls_of_a_service_that_left_are_all_answered_step_by_step(void **state)
{
    struct rig *self = *state;
    Sb__Bye bye = SB__BYE__INIT;
    start(self, RIG_JOBS);
    const struct rig_client clerk = rig_comes(self, 7, 0, 0, "clerk");
    many_call(self);
    (void)RIG_ASK(self, &clerk, bye, BYE, &bye);
    rig_pass(self, 0);
    assert_int_equal(self->answers[SB__CODE__CODE_NO_SERVICE], CALLS);
}

// The calls alone are more than one step answers; the Welcome of its next process finds its room all the
// same.
static void a_service_that_left_very_many_calls_behind_is_welcome_again(void **state)
{
    struct rig *self = *state;
    start(self, VERY_MANY_JOBS);
    struct rig_client clerk = rig_comes(self, 1, 0, 0, "clerk");
    many_call(self);
    clerk.process++;
    assert_int_equal(rig_hello(self, &clerk, 0, RIG_SESSION_JOBS)->welcome->state->n_jobs, RIG_SESSION_JOBS);
    rig_pass(self, 0);
    assert_int_equal(self->answers[SB__CODE__CODE_NO_SERVICE], CALLS);
}

// Its session ends with a beat that has very many topics to repeat.
static void the_beat_with_which_a_service_of_very_many_calls_is_gone_has_its_room(void **state)
{
    struct rig *self = *state;
    self->config.session_ttl_ms = 1;
    start(self, VERY_MANY_JOBS);
    (void)rig_comes(self, 1, 0, 0, "clerk");
    many_call(self);
    rig_tick(self, 1000);
    assert_int_equal(self->seqs, SEQS_A_BEAT);
    rig_pass(self, 0);
    assert_int_equal(self->answers[SB__CODE__CODE_NO_SERVICE], CALLS);
}

// ---------------------------------------------------------------- leases

static void a_thousand_turns_are_granted_when_an_order_ends_and_no_more_than_there_can_be(void **state)
{
    struct rig *self = *state;
    struct rig_client services[SERVICES];
    begin(self, JOBS, services);
    const uint64_t token = rig_granted(self, &services[0], rig_order(self, ERP, ORDER));
    assert_int_equal(everybody_asks(self, services), 0);
    rig_release(self, &services[0], token, false);
    assert_true(rig_resource(self, ERP)->shared < LEASES); // as many as one step can tell
    rig_pass(self, 0);
    assert_int_equal(rig_resource(self, ERP)->shared, LEASES);
    assert_int_equal(rig_resource(self, ERP)->waiting_shared, JOBS - LEASES);
    // An order of another resource has to wait for a place, too.
    assert_int_equal(rig_acquire(self, &services[0], rig_order(self, CRM, ORDER + 1))->body_case,
                     SB__REPLY__BODY_WAITING);
    core_check(self->core);
}

// In the same step as the leases a waiter loses its place, a hold ends, a call has had its time, and a beat
// has very many topics to repeat.
static void a_thousand_leases_that_end_at_once_end_step_by_step_with_all_else_that_is_due(void **state)
{
    struct rig *self = *state;
    struct rig_client services[SERVICES];
    begin(self, VERY_MANY_JOBS, services);
    assert_int_equal(everybody_asks(self, services), LEASES);
    (void)rig_comes(self, SERVICES + 1, 0, 0, "clerk");
    for (size_t i = 0; i < SERVICES; i++) { // their next processes know none of the leases
        services[i].process++;
        assert_int_equal(rig_hello(self, &services[i], i * RIG_SESSION_JOBS, RIG_SESSION_JOBS)->code,
                         SB__CODE__CODE_OK);
    }
    assert_int_equal(
        rig_acquire(self, &services[SERVICES - 1], rig_turn(self, JOBS - 1, JOBS + 1))->body_case,
        SB__REPLY__BODY_WAITING);
    (void)rig_hold(self, self->names[JOBS], "", self->wall_ms + 2000, 1);
    (void)rig_call(self, "clerk", "", 2000);
    assert_int_equal(rig_resource(self, ERP)->shared, LEASES);
    rig_tick(self, 2000); // delay and settle time, for all at once
    assert_in_range(rig_resource(self, ERP)->shared, 1, LEASES - 1);
    rig_pass(self, 0);
    assert_int_equal(rig_resource(self, ERP)->shared, 0);
    assert_int_equal(self->leases[SB__LEASE_CHANGE__LEASE_CHANGE_EXPIRED], LEASES);
    assert_int_equal(rig_resource(self, ERP)->waiting_shared, 0);
    assert_int_equal(self->deleted[CORE_TABLE_HOLD], 1);
    assert_int_equal(self->answers[SB__CODE__CODE_TIMEOUT], 1);
    assert_int_equal(self->seqs, SEQS_A_BEAT);
    for (size_t i = 0; i < JOBS; i++)
        assert_true(self->stages[i] != SB__STAGE__STAGE_FETCHING);
}

// Orders that all wait for an answer for longer than a pause may last.
static void many_order(struct rig *self, const struct rig_client *client)
{
    for (uint64_t i = 0; i < ORDERS; i++) {
        Sb__Acquire order = rig_order(self, ERP, ORDER + i);
        order.poll_ms = 75000;
        assert_null(rig_acquire(self, client, order));
    }
}

// A pause that fails with thousands of orders behind it: each is told so.
static void thousands_of_orders_that_cannot_go_on_are_all_told_so(void **state)
{
    struct rig *self = *state;
    struct rig_client services[SERVICES];
    begin(self, JOBS, services);
    assert_int_equal(everybody_asks(self, services), LEASES);
    many_order(self, &services[0]);
    rig_tick(self, 60000);
    // One that asks again before it was told has both its answers.
    assert_true(self->answers[SB__CODE__CODE_PAUSE_TIMEOUT] < ORDERS);
    const Sb__Acquire last = rig_order(self, ERP, ORDER + ORDERS - 1);
    assert_int_equal(rig_acquire(self, &services[0], last)->code, SB__CODE__CODE_PAUSE_TIMEOUT);
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
    begin(self, JOBS, services);
    assert_int_equal(everybody_asks(self, services), LEASES);
    many_order(self, &services[0]);
    hold.resource = hold.by = hold.reason = rig_text("erp");
    hold.orders_too = true;
    assert_int_equal(RIG_ASK(self, NULL, hold, HOLD, &hold)->code, SB__CODE__CODE_OK);
    rig_pass(self, 0);
    assert_int_equal(self->answers[SB__CODE__CODE_ON_HOLD], ORDERS);
    rig_pass(self, 310000); // the turns have ended
    assert_int_equal(rig_resource(self, ERP)->token, 0);
}

// ---------------------------------------------------------------- reloads

// A thousand jobs leave the config at once; their places are free again.
static void a_reload_that_removes_nearly_all_jobs_is_carried_out_step_by_step(void **state)
{
    struct rig *self = *state;
    start(self, JOBS);
    self->config.job_count = 1;
    (void)rig_reload(self);
    rig_pass(self, 0);
    assert_int_equal(rig_state(self, "", "", 0)->n_jobs, 1);
    self->config.job_count = JOBS;
    (void)rig_reload(self);
    rig_pass(self, 0);
    const Sb__State *whole = rig_state(self, "", "", 0);
    assert_int_equal(whole->n_jobs, 200); // a page of them
    assert_true(whole->more);
}

// Its job and every other of them leave the config at once.
static void a_job_with_nearly_every_hold_that_there_can_be_leaves_step_by_step(void **state)
{
    enum { THOUSAND = 1000, LEFT = 3, HOLDS = 250, HELD = 500 };
    struct rig *self = *state;
    start(self, THOUSAND);
    for (size_t i = 0; i < HOLDS; i++)
        assert_int_equal(rig_hold(self, self->names[HELD], "", 0, i + 1)->code, SB__CODE__CODE_OK);
    self->config.job_count = LEFT;
    (void)rig_reload(self);
    rig_pass(self, 0);
    assert_int_equal(self->deleted[CORE_TABLE_HOLD], HOLDS);
    assert_int_equal(self->deleted[CORE_TABLE_JOB], THOUSAND - LEFT);
    assert_int_equal(rig_state(self, "", "", 0)->n_holds, 0);
}

// What the journal has of many jobs that do well: each one's place, as it was stored last.
static struct journal {
    Sb__StoredMeta meta;
    Sb__StoredJob jobs[MOVED_JOBS];
} journal;

// Each had its slot two hours ago, and there is a grid that had one an hour ago.
static void start_journal(struct rig *self)
{
    enum { DAY_MS = 86400000, HOUR_MS = 3600000 };
    sb__stored_meta__init(&journal.meta);
    journal.meta.clean = true;
    rig_recovers(self, CORE_TABLE_META, "meta", &journal.meta.base);
    self->config.job_count = self->config.jobs_max = MOVED_JOBS;
    for (size_t i = 0; i < MOVED_JOBS; i++) {
        Sb__StoredJob *job = &journal.jobs[i];
        sb__stored_job__init(job);
        job->job = self->names[i];
        job->last_slot_ms = self->wall_ms - 2 * HOUR_MS;
        job->last_success_ms = job->known_since_ms = self->wall_ms;
        rig_recovers(self, CORE_TABLE_JOB, self->names[i], &job->base);
        self->jobs[i].every_ms = self->jobs[i].fresh_within_ms = DAY_MS;
        self->jobs[i].offset_ms = job->last_slot_ms % DAY_MS;
    }
    rig_start(self);
    for (size_t i = 0; i < MOVED_JOBS; i++)
        self->jobs[i].offset_ms = (self->wall_ms - HOUR_MS) % DAY_MS;
}

// The last step's records become durable; how many jobs' places were among them.
static size_t commit(const struct rig *self)
{
    size_t places = 0;
    for (size_t i = 0; i < self->update.record_count; i++) {
        const struct core_record *record = &self->update.records[i];
        if (record->table == CORE_TABLE_META)
            journal.meta = *(const Sb__StoredMeta *)record->value;
        if (record->table != CORE_TABLE_JOB)
            continue;
        size_t job = 0;
        while (strncmp(self->names[job], (const char *)record->key, record->key_size) != 0 ||
               self->names[job][record->key_size] != '\0')
            job++;
        journal.jobs[job].last_slot_ms = ((const Sb__StoredJob *)record->value)->last_slot_ms;
        places++;
    }
    return places;
}

static void a_reload_that_moves_more_jobs_than_a_step_can_store_goes_on_with_them_in_the_next(void **state)
{
    struct rig *self = *state;
    start_journal(self);
    const int64_t told_ms = self->wall_ms;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    size_t places = commit(self);
    assert_int_equal(journal.meta.slots_told_ms, told_ms);
    while (core_deadline(self->core) <= self->boot_ms) {
        rig_tick(self, 0);
        places += commit(self);
    }
    assert_int_equal(places, MOVED_JOBS);
    assert_int_equal(journal.meta.slots_told_ms, 0);
    for (size_t i = 0; i < MOVED_JOBS; i++)
        assert_int_equal(journal.jobs[i].last_slot_ms, told_ms);
}

// The broker is killed when it has answered, and again when only the first step of its next life is stored:
// the slot that the new grid had before its time never comes.
static void a_reload_that_was_answered_holds_over_a_kill_though_not_every_job_was_stored(void **state)
{
    struct rig *self = *state;
    start_journal(self);
    (void)rig_reload(self);
    core_check(self->core);
    const size_t places = commit(self);
    rig_start_only(self);
    (void)commit(self);
    rig_start(self);
    assert_int_equal(self->records[CORE_TABLE_LEDGER] + self->records[CORE_TABLE_RUN], 0);
    assert_int_equal(self->records[CORE_TABLE_JOB], MOVED_JOBS - places); // it goes on with them
    rig_pass(self, 600000);
    assert_int_equal(self->records[CORE_TABLE_LEDGER] + self->records[CORE_TABLE_RUN], 0);
    rig_pass(self, 86400000);
    for (size_t i = 0; i < MOVED_JOBS; i++)
        assert_true(self->ticks[i] > 0);
}

// A config can change every resource at once: it is taken over when there is room for that.
static void a_reload_waits_for_a_step_that_the_slots_before_it_have_not_half_filled(void **state)
{
    enum { DUE = 520, EVERY_MS = 3600000 };
    struct rig *self = *state;
    start(self, JOBS);
    self->config.job_count = self->config.jobs_max = JOBS;
    for (size_t i = 0; i < JOBS; i++) {
        self->jobs[i].every_ms = EVERY_MS;
        self->jobs[i].offset_ms = i < DUE ? 0 : EVERY_MS / 2;
    }
    rig_start(self);
    rig_pass(self, EVERY_MS - self->wall_ms % EVERY_MS - 1);
    self->boot_ms++;
    self->wall_ms++;
    for (size_t i = 0; i < JOBS; i++)
        self->jobs[i].offset_ms = EVERY_MS / 4;
    const uint64_t entries = self->records[CORE_TABLE_JOB];
    assert_null(rig_reload(self));
    assert_int_equal(self->records[CORE_TABLE_JOB] - entries, DUE);
    rig_tick(self, 0);
    assert_non_null(self->update.reload);
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    assert_int_equal(self->records[CORE_TABLE_JOB] - entries, DUE + JOBS);
    core_check(self->core);
}

static void a_reload_waits_for_a_step_that_tells_of_very_much_too(void **state)
{
    enum { DUE = 300, EVERY_MS = 3600000 };
    struct rig *self = *state;
    start(self, DUE);
    for (size_t i = 0; i < DUE; i++)
        self->jobs[i].every_ms = EVERY_MS;
    rig_start(self);
    rig_pass(self, 2 * EVERY_MS - self->wall_ms % EVERY_MS - 1);
    self->boot_ms++;
    self->wall_ms++;
    assert_null(rig_reload(self)); // nobody took the runs: each is missed, and the next is due
    rig_tick(self, 0);
    assert_non_null(self->update.reload);
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
}

// Nobody is to be answered whose reload, by a signal, another one came before.
static void a_reload_that_comes_while_another_waits_takes_its_place(void **state)
{
    enum { EVERY_MS = 3600000 };
    struct rig *self = *state;
    start(self, VERY_MANY_JOBS);
    for (size_t i = 0; i < VERY_MANY_JOBS; i++)
        self->jobs[i].every_ms = EVERY_MS;
    rig_start(self);
    rig_pass(self, 2 * EVERY_MS - self->wall_ms % EVERY_MS - 1);
    self->boot_ms++;
    self->wall_ms++;
    struct core_event event = {.kind = CORE_EVENT_RELOAD, .reload = {.config = &self->config}};
    for (uint64_t peer = 0; peer <= 2; peer++) {
        event.reload.wish = (struct core_reload_wish){.peer = peer, .request = peer};
        rig_step(self, &event);
        assert_int_equal(self->update.reply_count, peer == 2 ? 1 : 0);
    }
    assert_int_equal(self->update.replies[0].peer, 1);
    assert_int_equal(self->update.replies[0].reply->code, SB__CODE__CODE_BUSY);
}

static void a_reload_past_the_room_is_refused_and_changes_nothing(void **state)
{
    struct rig *self = *state;
    start(self, JOBS);
    self->config.job_count = 2;
    self->jobs[1].name = "one-more";
    const Sb__Reply *reply = rig_reload(self);
    assert_int_equal(self->update.reply_count, 1);
    assert_int_equal(reply->code, SB__CODE__CODE_INVALID);
    assert_non_null(strstr(reply->text, "room for 1088 jobs"));
    assert_int_equal(rig_job(self, JOBS - 1)->runs, 0); // it is still there
}

static void who_asks_for_a_reload_is_answered_when_the_config_was_read(void **state)
{
    struct rig *self = *state;
    Sb__Reload reload = SB__RELOAD__INIT;
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    assert_null(RIG_ASK(self, NULL, reload, RELOAD, &reload));
    assert_non_null(self->update.reload);
    event.reload.wish = *self->update.reload;
    event.reload.why = "syncbus.yaml:3:1: no such option";
    rig_step(self, &event);
    assert_null(self->update.reload);
    assert_int_equal(self->update.replies[0].reply->id, self->id);
    assert_int_equal(self->update.replies[0].reply->code, SB__CODE__CODE_INVALID);
    assert_string_equal(self->update.replies[0].reply->text, event.reload.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(every_job_is_due_at_the_start_though_they_are_more_than_one_step_can_tell),
        RIG_TEST(due_runs_are_told_again_with_each_beat_each_in_its_turn),
        RIG_TEST(a_run_whose_turn_nobody_asks_for_any_more_is_told_again_until_somebody_does),
        RIG_TEST(a_beat_repeats_so_many_seqs_and_no_more),
        RIG_TEST(a_full_table_of_names_turns_the_newcomer_away),
        RIG_TEST(a_service_that_forgot_two_thousand_runs_loses_them_step_by_step),
        RIG_TEST(the_calls_of_a_service_that_left_are_all_answered_step_by_step),
        RIG_TEST(a_service_that_left_very_many_calls_behind_is_welcome_again),
        RIG_TEST(the_beat_with_which_a_service_of_very_many_calls_is_gone_has_its_room),
        RIG_TEST(a_thousand_turns_are_granted_when_an_order_ends_and_no_more_than_there_can_be),
        RIG_TEST(a_thousand_leases_that_end_at_once_end_step_by_step_with_all_else_that_is_due),
        RIG_TEST(thousands_of_orders_that_cannot_go_on_are_all_told_so),
        RIG_TEST(thousands_of_orders_that_a_hold_stops_are_all_told_so_and_none_is_granted),
        RIG_TEST(a_reload_that_removes_nearly_all_jobs_is_carried_out_step_by_step),
        RIG_TEST(a_job_with_nearly_every_hold_that_there_can_be_leaves_step_by_step),
        RIG_TEST(a_reload_that_moves_more_jobs_than_a_step_can_store_goes_on_with_them_in_the_next),
        RIG_TEST(a_reload_that_was_answered_holds_over_a_kill_though_not_every_job_was_stored),
        RIG_TEST(a_reload_waits_for_a_step_that_the_slots_before_it_have_not_half_filled),
        RIG_TEST(a_reload_waits_for_a_step_that_tells_of_very_much_too),
        RIG_TEST(a_reload_that_comes_while_another_waits_takes_its_place),
        RIG_TEST(a_reload_past_the_room_is_refused_and_changes_nothing),
        RIG_TEST(who_asks_for_a_reload_is_answered_when_the_config_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
