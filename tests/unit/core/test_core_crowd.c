// The core with very many jobs, names and calls: nothing from outside fills a step or a table to overflowing,
// and a full table turns the newcomer away and disturbs nobody else.
#include "broker/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { JOBS = 1000, A_SESSION = 64, CALLS = 40000, TOLD_A_BEAT = 64 };

struct fixture {
    void *memory; // of the core
    struct core *core;
    struct core_update update; // of the last step
    struct core_job_config jobs[JOBS];
    char names[JOBS][16];
    uint64_t runs[JOBS]; // as last ticked
    unsigned told[JOBS]; // ticks of it, repeats included
    int64_t boot_ms, wall_ms;
    uint64_t session, id;
    unsigned answers; // NO_SERVICE replies so far
    unsigned lost;    // runs that were told as lost
};

static const struct core_resource_config RESOURCE = {.name = "erp",
                                                     .capacity = 1,
                                                     .lease_ttl_ms = 10000,
                                                     .grant_delay_ms = 1000,
                                                     .max_exclusive_ms = 600000,
                                                     .max_exclusive_streak_ms = 900000,
                                                     .aging_ms = 600000};

static void hear(struct fixture *self)
{
    for (size_t i = 0; i < self->update.publication_count; i++) {
        const Sb__Event *event = self->update.publications[i].event;
        if (event->body_case == SB__EVENT__BODY_TICK) {
            const size_t job = strtoul(event->tick->job + 1, NULL, 10);
            self->runs[job] = event->tick->run;
            self->told[job]++;
        }
        if (event->body_case == SB__EVENT__BODY_RUN && event->run->stage == SB__STAGE__STAGE_LOST)
            self->lost++;
    }
    for (size_t i = 0; i < self->update.reply_count; i++)
        self->answers += self->update.replies[i].reply->code == SB__CODE__CODE_NO_SERVICE ? 1 : 0;
}

static void step(struct fixture *self, struct core_event *event)
{
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = self->core != NULL ? core_update_number(self->core) : 0;
    core_step(self->core, event, &self->update);
    hear(self);
}

// Takes all deadlines up to a time from now.
static void pass(struct fixture *self, int64_t duration_ms)
{
    const int64_t end = self->boot_ms + duration_ms;
    while (core_deadline(self->core) <= end) {
        const int64_t at = core_deadline(self->core);
        if (at > self->boot_ms) {
            self->wall_ms += at - self->boot_ms;
            self->boot_ms = at;
        }
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
    }
    self->wall_ms += end - self->boot_ms;
    self->boot_ms = end;
    core_check(self->core);
}

static const Sb__Reply *ask(struct fixture *self, Sb__Request *request)
{
    request->id = ++self->id;
    request->session = self->session;
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = 1;
    event.request.request = request;
    step(self, &event);
    for (size_t i = 0; i < self->update.reply_count; i++) {
        if (self->update.replies[i].reply->id == request->id)
            return self->update.replies[i].reply;
    }
    return NULL;
}

// Says Hello for some jobs from `first` on, and for calls; the code of the answer.
static Sb__Code hello(struct fixture *self, uint64_t instance, size_t first, size_t jobs, char **serves,
                      size_t serve_count)
{
    char *names[A_SESSION];
    Sb__Hello message = SB__HELLO__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    for (size_t i = 0; i < jobs; i++)
        names[i] = self->names[first + i];
    message.name = (char *)(uintptr_t) "sync";
    message.instance = message.process = instance;
    message.host = 1;
    message.jobs = names;
    message.n_jobs = jobs;
    message.serves = serves;
    message.n_serves = serve_count;
    // It lists every run, so that none is lost yet.
    static Sb__RunState states[JOBS];
    static Sb__RunState *runs[JOBS];
    for (size_t i = 0; i < JOBS; i++) {
        sb__run_state__init(&states[i]);
        states[i].run = self->runs[i];
        runs[i] = &states[i];
    }
    message.runs = runs;
    message.n_runs = jobs > 0 ? JOBS : 0;
    request.body_case = SB__REQUEST__BODY_HELLO;
    request.hello = &message;
    const uint64_t before = self->session;
    self->session = 0;
    const Sb__Reply *reply = ask(self, &request);
    self->session = reply->code == SB__CODE__CODE_OK ? reply->welcome->session : before;
    return reply->code;
}

static int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    for (size_t i = 0; i < JOBS; i++) {
        (void)snprintf(self->names[i], sizeof self->names[i], "j%04zu", i);
        self->jobs[i] = (struct core_job_config){.name = self->names[i],
                                                 .every_ms = 3600000,
                                                 .priority = 3,
                                                 .pause_timeout_ms = 60000,
                                                 .max_yields = 3,
                                                 .stall_ms = 60000,
                                                 .retry_after_ms = 30000,
                                                 .fresh_within_ms = 7200000,
                                                 .catches_up = true};
    }
    const struct core_config config = {.resources = &RESOURCE,
                                       .resource_count = 1,
                                       .jobs = self->jobs,
                                       .job_count = JOBS,
                                       .jobs_max = JOBS,
                                       .resources_max = 1,
                                       .beat_ms = 1000,
                                       .session_ttl_ms = 3600000,
                                       .sessions_max = 8,
                                       .waiters_max = 2000,
                                       .calls_max = CALLS,
                                       .version = "test",
                                       .profile = ""};
    self->memory = calloc(1, core_size(&config, NULL));
    assert_non_null(self->memory);
    self->core = core_init(self->memory, &config);
    self->boot_ms = 1000000;
    self->wall_ms = INT64_C(1700000000000);
    step(self, &(struct core_event){.kind = CORE_EVENT_START});
    pass(self, 0);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    free(self->memory);
    free(self);
    return 0;
}

// At most 64 a beat, and each of them in its turn: a thousand jobs are told again within sixteen beats.
static void due_runs_are_told_again_with_each_beat_each_in_its_turn(void **state)
{
    struct fixture *self = *state;
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(self->told[i], 1);
    pass(self, 1000);
    unsigned told = 0;
    for (size_t i = 0; i < JOBS; i++)
        told += self->told[i] - 1;
    assert_int_equal(told, TOLD_A_BEAT);
    pass(self, 15000);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(self->told[i] >= 2, true);
}

static void a_full_table_of_names_turns_the_newcomer_away(void **state)
{
    struct fixture *self = *state;
    char name[8][16];
    char *serves[8];
    size_t hellos = 0;
    Sb__Code code = SB__CODE__CODE_OK;
    assert_int_equal(hello(self, 7, 0, 8, NULL, 0), SB__CODE__CODE_OK);
    for (; code == SB__CODE__CODE_OK && hellos < JOBS; hellos++) {
        for (size_t i = 0; i < 8; i++) {
            (void)snprintf(name[i], sizeof name[i], "c%zu", hellos * 8 + i);
            serves[i] = name[i];
        }
        code = hello(self, 8, 0, 0, serves, 8);
        core_check(self->core);
    }
    assert_int_equal(code, SB__CODE__CODE_BUSY);
    // Nobody else is disturbed: who is known says Hello as ever.
    assert_int_equal(hello(self, 7, 0, 8, NULL, 0), SB__CODE__CODE_OK);
}

// One process took every run, and its next Hello knows none of them: more than one step can tell.
static void a_service_that_forgot_a_thousand_runs_loses_them_step_by_step(void **state)
{
    struct fixture *self = *state;
    for (size_t first = 0; first + A_SESSION <= JOBS; first += A_SESSION) {
        assert_int_equal(hello(self, 7, first, A_SESSION, NULL, 0), SB__CODE__CODE_OK);
        for (size_t i = first; i < first + A_SESSION; i++) {
            Sb__Acquire acquire = SB__ACQUIRE__INIT;
            Sb__Request request = SB__REQUEST__INIT;
            acquire.resource = (char *)(uintptr_t)RESOURCE.name;
            acquire.mode = SB__MODE__MODE_SHARED;
            acquire.job = self->names[i];
            acquire.run = self->runs[i];
            acquire.attempt = 1;
            acquire.claim = i + 1;
            acquire.poll_ms = 2000;
            request.body_case = SB__REQUEST__BODY_ACQUIRE;
            request.acquire = &acquire;
            (void)ask(self, &request);
        }
    }
    assert_int_equal(hello(self, 7, 0, 0, NULL, 0), SB__CODE__CODE_OK);
    pass(self, 0);
    assert_int_equal(self->lost, JOBS / A_SESSION * A_SESSION);
}

static void the_calls_of_a_service_that_left_are_all_answered_step_by_step(void **state)
{
    struct fixture *self = *state;
    char *serves[] = {self->names[0]};
    assert_int_equal(hello(self, 7, 0, 0, serves, 1), SB__CODE__CODE_OK);
    for (int i = 0; i < CALLS; i++) {
        Sb__Call call = SB__CALL__INIT;
        Sb__Request request = SB__REQUEST__INIT;
        call.service = self->names[0];
        call.method = (char *)(uintptr_t) "get";
        call.timeout_ms = 60000;
        request.body_case = SB__REQUEST__BODY_CALL;
        request.call = &call;
        (void)ask(self, &request);
    }
    assert_int_equal(self->answers, 0);
    Sb__Bye bye = SB__BYE__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_BYE;
    request.bye = &bye;
    (void)ask(self, &request);
    pass(self, 0);
    assert_int_equal(self->answers, CALLS);
}

// A thousand jobs leave the config at once; their places are free again.
static void a_reload_that_removes_nearly_all_jobs_is_carried_out_step_by_step(void **state)
{
    struct fixture *self = *state;
    struct core_config config = {
        .resources = &RESOURCE, .resource_count = 1, .jobs = self->jobs, .job_count = 1, .profile = ""};
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    event.reload.config = &config;
    step(self, &event);
    pass(self, 0);
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &snapshot;
    assert_int_equal(ask(self, &request)->state->n_jobs, 1);
    config.job_count = JOBS;
    event = (struct core_event){.kind = CORE_EVENT_RELOAD};
    event.reload.config = &config;
    step(self, &event);
    pass(self, 0);
    const Sb__State *whole = ask(self, &request)->state;
    assert_int_equal(whole->n_jobs, 200); // a page of them
    assert_true(whole->more);
}

static void a_reload_past_the_room_is_refused_and_changes_nothing(void **state)
{
    struct fixture *self = *state;
    struct core_job_config jobs[2] = {self->jobs[0], self->jobs[1]};
    const struct core_config config = {
        .resources = &RESOURCE, .resource_count = 1, .jobs = jobs, .job_count = 2, .profile = ""};
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    jobs[1].name = "one-more";
    event.reload.config = &config;
    event.reload.wish = (struct core_reload_wish){.peer = 1, .request = 9};
    step(self, &event);
    assert_int_equal(self->update.reply_count, 1);
    assert_int_equal(self->update.replies[0].reply->id, 9);
    assert_int_equal(self->update.replies[0].reply->code, SB__CODE__CODE_INVALID);
    assert_non_null(strstr(self->update.replies[0].reply->text, "room for 1000 jobs"));
}

static void who_asks_for_a_reload_is_answered_when_the_config_was_read(void **state)
{
    struct fixture *self = *state;
    Sb__Reload reload = SB__RELOAD__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    request.body_case = SB__REQUEST__BODY_RELOAD;
    request.reload = &reload;
    assert_null(ask(self, &request));
    assert_non_null(self->update.reload);
    event.reload.wish = *self->update.reload;
    event.reload.why = "syncbus.yaml:3:1: no such option";
    step(self, &event);
    assert_null(self->update.reload);
    assert_int_equal(self->update.replies[0].reply->id, self->id);
    assert_int_equal(self->update.replies[0].reply->code, SB__CODE__CODE_INVALID);
    assert_string_equal(self->update.replies[0].reply->text, event.reload.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(due_runs_are_told_again_with_each_beat_each_in_its_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_table_of_names_turns_the_newcomer_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_service_that_forgot_a_thousand_runs_loses_them_step_by_step, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_calls_of_a_service_that_left_are_all_answered_step_by_step,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reload_that_removes_nearly_all_jobs_is_carried_out_step_by_step,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reload_past_the_room_is_refused_and_changes_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_asks_for_a_reload_is_answered_when_the_config_was_read, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
