// Steps that are full to the brim: what has no room in one comes with the next, and nothing is lost.
#include "tests/unit/core/desk.h"

enum { JOBS = 4200, LEASES = 1020, A_SESSION = 64, CALLS = 40000, SEQS_A_BEAT = 4096, PASSED_MS = 20000 };

struct brim {
    struct desk desk;
    struct core_resource_config resource;
    struct core_job_config jobs[JOBS];
    char names[JOBS][8];
    char *texts[JOBS];
    uint64_t runs[JOBS]; // as last ticked
};

static void hear(struct brim *self)
{
    for (size_t i = 0; i < self->desk.update.publication_count; i++) {
        const Sb__Event *event = self->desk.update.publications[i].event;
        if (event->body_case == SB__EVENT__BODY_TICK)
            self->runs[strtoul(event->tick->job + 1, NULL, 10)] = event->tick->run;
    }
}

static int set_up(void **state)
{
    struct brim *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->resource = DESK_RESOURCES[0];
    self->resource.capacity = LEASES;
    for (size_t i = 0; i < JOBS; i++) {
        (void)snprintf(self->names[i], sizeof self->names[i], "j%04zu", i);
        self->texts[i] = self->names[i];
        self->jobs[i] = DESK_CONFIGURED[0];
        self->jobs[i].name = self->names[i];
    }
    self->desk.config = (struct core_config){.resources = &self->resource,
                                             .resource_count = 1,
                                             .jobs = self->jobs,
                                             .job_count = JOBS,
                                             .jobs_max = JOBS,
                                             .resources_max = 1,
                                             .beat_ms = 1000,
                                             .session_ttl_ms = 15000,
                                             .sessions_max = 32,
                                             .waiters_max = 64,
                                             .calls_max = CALLS,
                                             .version = "test"};
    desk_start(&self->desk, NULL, 0);
    hear(self);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct brim *self = *state;
    free(self->desk.memory);
    free(self);
    return 0;
}

// Lets one deadline come, and hears which runs are due.
static void next(struct brim *self)
{
    struct desk *desk = &self->desk;
    const int64_t at = core_deadline(desk->core);
    if (at > desk->boot_ms) {
        desk->wall_ms += at - desk->boot_ms;
        desk->boot_ms = at;
    }
    desk_time(desk);
    hear(self);
}

static const Sb__Beat *next_beat(struct brim *self)
{
    for (;;) {
        next(self);
        for (size_t i = 0; i < self->desk.update.publication_count; i++) {
            const Sb__Event *event = self->desk.update.publications[i].event;
            if (event->body_case == SB__EVENT__BODY_BEAT)
                return event->beat;
        }
    }
}

static void a_beat_repeats_so_many_seqs_and_no_more(void **state)
{
    struct brim *self = *state;
    assert_int_equal(next_beat(self)->n_seqs, SEQS_A_BEAT);
}

static const Sb__Reply *acquire(struct brim *self, size_t job)
{
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = desk_text("erp");
    acquire.mode = SB__MODE__MODE_SHARED;
    acquire.job = self->texts[job];
    acquire.run = self->runs[job];
    acquire.attempt = 1;
    acquire.claim = job + 1;
    return DESK_ASK(&self->desk, acquire, ACQUIRE, &acquire);
}

static void call(struct desk *desk, uint32_t timeout_ms)
{
    Sb__Call message = SB__CALL__INIT;
    message.service = desk_text("stock");
    message.method = desk_text("get");
    message.timeout_ms = timeout_ms;
    (void)DESK_ASK(desk, call, CALL, &message);
}

// In the same step as the leases a waiter loses its place, a hold ends and a call has had its time.
static void leases_that_end_at_once_end_step_by_step_with_all_else_that_is_due(void **state)
{
    struct brim *self = *state;
    struct desk *desk = &self->desk;
    char *serves[] = {desk_text("stock")};
    (void)next_beat(self);
    for (size_t first = 0; first <= LEASES; first += A_SESSION) {
        (void)desk_hello(desk, first + 1, 1, self->texts + first, A_SESSION, serves, first == 0 ? 1 : 0);
        for (size_t i = first; i < first + A_SESSION && i <= LEASES; i++)
            assert_int_equal(acquire(self, i)->body_case,
                             i < LEASES ? SB__REPLY__BODY_GRANTED : SB__REPLY__BODY_WAITING);
    }
    (void)desk_hold(desk, self->names[LEASES + 1], "", desk->wall_ms + 5000, 1);
    call(desk, 5000);
    const uint64_t call_id = desk->id;
    desk->boot_ms += PASSED_MS;
    desk->wall_ms += PASSED_MS;
    size_t expired = 0, steps = 0;
    bool answered = false, hold_ended = false;
    while (core_deadline(desk->core) <= desk->boot_ms) {
        const int64_t before = desk->boot_ms;
        next(self);
        assert_int_equal(desk->boot_ms, before);
        for (size_t i = 0; i < desk->update.publication_count; i++) {
            const Sb__Event *event = desk->update.publications[i].event;
            expired += event->body_case == SB__EVENT__BODY_LEASE &&
                               event->lease->change == SB__LEASE_CHANGE__LEASE_CHANGE_EXPIRED
                           ? 1
                           : 0;
        }
        for (size_t i = 0; i < desk->update.record_count; i++)
            hold_ended = hold_ended || desk->update.records[i].table == CORE_TABLE_HOLD;
        answered = answered || desk_reply(desk, call_id) != NULL;
        steps++;
    }
    core_check(desk->core);
    assert_int_equal(expired, LEASES);
    assert_true(steps > 1);
    assert_true(answered);
    assert_true(hold_ended);
}

// The calls alone are more than one step answers; the Welcome of its next process finds its room all the
// same.
static void a_service_that_left_very_many_calls_behind_is_welcome_again(void **state)
{
    struct brim *self = *state;
    struct desk *desk = &self->desk;
    char *serves[] = {desk_text("stock")};
    (void)next_beat(self);
    (void)desk_hello(desk, 1, 1, NULL, 0, serves, 1);
    for (int i = 0; i < CALLS; i++)
        call(desk, 60000);
    const Sb__Reply *reply = desk_hello(desk, 1, 2, self->texts, A_SESSION, serves, 1);
    assert_int_equal(reply->welcome->state->n_jobs, A_SESSION);
    size_t answers = 0;
    do {
        next(self);
        for (size_t i = 0; i < desk->update.reply_count; i++)
            answers += desk->update.replies[i].reply->code == SB__CODE__CODE_NO_SERVICE ? 1 : 0;
    } while (core_deadline(desk->core) <= desk->boot_ms);
    assert_int_equal(answers, CALLS);
}

// Its session ends with a beat that has very many topics to repeat.
static void the_beat_with_which_a_service_of_very_many_calls_is_gone_has_its_room(void **state)
{
    struct brim *self = *state;
    struct desk *desk = &self->desk;
    char *serves[] = {desk_text("stock")};
    self->desk.config.session_ttl_ms = 1;
    desk_start(desk, NULL, 0);
    (void)desk_hello(desk, 1, 1, NULL, 0, serves, 1);
    for (int i = 0; i < CALLS; i++)
        call(desk, 60000);
    assert_int_equal(next_beat(self)->n_seqs, SEQS_A_BEAT);
    size_t answers = 0;
    for (bool first = true; first || core_deadline(desk->core) <= desk->boot_ms; first = false) {
        if (!first)
            next(self);
        for (size_t i = 0; i < desk->update.reply_count; i++)
            answers += desk->update.replies[i].reply->code == SB__CODE__CODE_NO_SERVICE ? 1 : 0;
    }
    assert_int_equal(answers, CALLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_beat_repeats_so_many_seqs_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leases_that_end_at_once_end_step_by_step_with_all_else_that_is_due,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_service_that_left_very_many_calls_behind_is_welcome_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_beat_with_which_a_service_of_very_many_calls_is_gone_has_its_room,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
