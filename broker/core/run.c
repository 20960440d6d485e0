// A run's life, from its tick to its outcome:
//
//   DUE ─► QUEUED ─► FETCHING ─► APPLYING ─► SUCCEEDED
//    │       ▲          │  ▲         │
//    │       └─ YIELDED ┘  └─────────┴─► FAILED ─► (once more, after retry_after) DUE
//    └─► MISSED (nobody took it by the next slot)      any that was taken ─► LOST ─► as FAILED
#include "broker/core/state.h"

#include <inttypes.h>
#include <string.h>

struct job *job_find(const struct core *self, const char *name)
{
    for (size_t i = 0; i < self->config.job_count; i++) {
        if (strcmp(self->jobs[i].name, name) == 0)
            return &self->jobs[i];
    }
    return NULL;
}

uint32_t job_index(const struct core *self, const struct job *job)
{
    return (uint32_t)(job - self->jobs);
}

bool run_is_open(const struct job *job)
{
    return job->current.number != 0;
}

void run_store(struct core *self, const struct job *job, const struct run *run)
{
    Sb__StoredRun *stored = arena_take(self, sizeof *stored);
    sb__stored_run__init(stored);
    stored->run = view_run(self, job, run);
    stored->instance = run->instance;
    if (run->retry_boot != 0)
        stored->retry_ms = self->wall_ms + (run->retry_boot - self->boot_ms);
    uint8_t key[CORE_KEY_MAX];
    const size_t size = key_number(key, run->number);
    record_add(self, CORE_TABLE_RUN, key, size, &stored->base);
}

static void publish_run(struct core *self, struct job *job, const struct run *run)
{
    Sb__Event *event = publish(self, &job->run, "run", job->name, true);
    event->body_case = SB__EVENT__BODY_RUN;
    event->run = view_run(self, job, run);
}

void run_publish_tick(struct core *self, struct job *job)
{
    const struct run *run = &job->current;
    Sb__Event *event = publish(self, &job->tick, "tick", job->name, true);
    Sb__Tick *tick = arena_take(self, sizeof *tick);
    sb__tick__init(tick);
    tick->job = job->name;
    tick->resource = self->resources[job->config.resource].name;
    tick->slot_ms = run->slot_ms;
    tick->run = run->number;
    tick->priority = job->config.priority;
    tick->cause = run->attempt > 1 ? SB__CAUSE__CAUSE_RETRY : run->cause;
    tick->detail = arena_text(self, run->detail);
    tick->attempt = run->attempt;
    event->body_case = SB__EVENT__BODY_TICK;
    event->tick = tick;
}

// The run in `current` is due from now on.
static void make_due(struct core *self, struct job *job)
{
    struct run *run = &job->current;
    run->stage = SB__STAGE__STAGE_DUE;
    run->due_boot = self->boot_ms;
    run->retry_boot = 0;
    run->instance = 0;
    run->service[0] = '\0';
    run->queued_since = 0;
    run->done = run->total = 0;
    run->why[0] = '\0';
    job->last_due_boot = self->boot_ms;
    run_store(self, job, run);
    publish_run(self, job, run);
    run_publish_tick(self, job);
}

bool run_begin(struct core *self, struct job *job, int64_t slot_ms, Sb__Cause cause, const char *detail)
{
    assert(!run_is_open(job));
    const uint64_t number = number_next(self, &self->runs);
    if (number == 0)
        return false;
    job->current = (struct run){
        .number = number, .slot_ms = slot_ms, .cause = cause, .attempt = 1, .due_ms = self->wall_ms};
    text_copy(job->current.detail, sizeof job->current.detail, detail);
    make_due(self, job);
    return true;
}

void run_stage(struct core *self, struct job *job, Sb__Stage stage)
{
    struct run *run = &job->current;
    assert(run_is_open(job));
    const bool waits = stage == SB__STAGE__STAGE_QUEUED;
    if (waits && run->queued_since == 0)
        run->queued_since = self->boot_ms;
    if (!waits && run->queued_since != 0) {
        run->queued_ms += (uint64_t)(self->boot_ms - run->queued_since);
        run->queued_since = 0;
    }
    run->stage = stage;
    run_store(self, job, run);
    publish_run(self, job, run);
}

// Keeps the figures of a run that has ended.
static void count_outcome(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result)
{
    job->runs += outcome != SB__STAGE__STAGE_MISSED ? 1 : 0;
    if (outcome == SB__STAGE__STAGE_SUCCEEDED) {
        job->last_success_ms = self->wall_ms;
        job->failing_in_a_row = 0;
    } else if (outcome == SB__STAGE__STAGE_MISSED) {
        job->missed++;
    } else {
        job->failures++;
        job->failing_in_a_row++;
    }
    if (result != NULL && outcome == SB__STAGE__STAGE_SUCCEEDED) {
        histogram_add(&job->duration, result->ended_ms - result->started_ms);
        job->seen += result->seen;
        job->unchanged += result->unchanged;
    }
    if (outcome != SB__STAGE__STAGE_MISSED)
        histogram_add(&job->queued, (int64_t)job->last.queued_ms);
}

static void keep_result(struct job *job, const Sb__Result *result)
{
    job->has_result = result != NULL;
    if (result == NULL)
        return;
    const Sb__Result fresh = SB__RESULT__INIT;
    job->last_result = *result;
    job->last_result.base = fresh.base; // unknown fields belong to the request
    text_copy(job->last_error, sizeof job->last_error, result->error);
    job->last_result.error = job->last_error;
}

// What was asked for while the run was under way becomes due.
static void begin_further(struct core *self, struct job *job)
{
    if (job->further.number == 0)
        return;
    job->current = job->further;
    job->further = (struct run){0};
    job->current.due_ms = self->wall_ms;
    make_due(self, job);
}

void run_end(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result, const char *why)
{
    assert(run_is_open(job));
    struct run *run = &job->current;
    if (run->queued_since != 0)
        run->queued_ms += (uint64_t)(self->boot_ms - run->queued_since);
    run->queued_since = run->retry_boot = 0;
    run->stage = outcome;
    text_copy(run->why, sizeof run->why, why);
    waiters_of_run_end(self, job_index(self, job), run->number);
    job->last = *run;
    job->last.ended_ms = self->wall_ms;
    *run = (struct run){0};
    job->mended = false;
    keep_result(job, result);
    count_outcome(self, job, outcome, result);
    if (job->last.slot_ms != 0)
        ledger_write(self, job, job->last.slot_ms, 1, outcome, job->last.number,
                     job->last.due_ms - job->last.slot_ms, why);
    run_store(self, job, &job->last);
    publish_run(self, job, &job->last);
    begin_further(self, job);
    job_store(self, job);
}

void run_attempt_failed(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result,
                        const char *why)
{
    struct run *run = &job->current;
    if (run->attempt >= ATTEMPTS || self->stopping) {
        run_end(self, job, outcome, result, why);
        return;
    }
    text_copy(run->why, sizeof run->why, why);
    waiters_of_run_end(self, job_index(self, job), run->number);
    run->retry_boot = self->boot_ms + job->config.retry_after_ms;
    run_stage(self, job, outcome);
}

// The time by which a run whose service is gone counts as lost; INT64_MAX while it is there or not taken.
static int64_t lost_boot(const struct core *self, const struct run *run)
{
    if (run->number == 0 || run->instance == 0 || run->retry_boot != 0 ||
        session_of_instance(self, run->instance) != NULL)
        return INT64_MAX;
    return run->seen_boot + self->config.session_ttl_ms;
}

bool runs_advance(struct core *self)
{
    for (size_t i = 0; i < self->config.job_count; i++) {
        struct job *job = &self->jobs[i];
        struct run *run = &job->current;
        if (!update_has_room(self))
            return false;
        const struct session *session = run->instance != 0 ? session_of_instance(self, run->instance) : NULL;
        if (session != NULL)
            run->seen_boot = session->seen_boot;
        if (run->number != 0 && run->retry_boot != 0 && self->boot_ms >= run->retry_boot) {
            run->attempt++;
            make_due(self, job);
        } else if (self->boot_ms >= lost_boot(self, run)) {
            run_attempt_failed(self, job, SB__STAGE__STAGE_LOST, NULL, "its service is gone");
        }
    }
    return true;
}

int64_t runs_deadline(const struct core *self)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < self->config.job_count; i++) {
        const struct run *run = &self->jobs[i].current;
        const int64_t retry = run->number != 0 && run->retry_boot != 0 ? run->retry_boot : INT64_MAX;
        const int64_t lost = lost_boot(self, run);
        const int64_t first = retry < lost ? retry : lost;
        if (first < deadline)
            deadline = first;
    }
    return deadline;
}

// A run that counted as LOST was done after all: its outcome is mended, once.
static void mend(struct core *self, struct job *job, const Sb__Result *result)
{
    job->mended = true;
    job->failures--;
    job->failing_in_a_row -= job->failing_in_a_row > 0 ? 1 : 0;
    job->runs--; // counted anew
    job->last.stage = SB__STAGE__STAGE_SUCCEEDED;
    keep_result(job, result);
    count_outcome(self, job, SB__STAGE__STAGE_SUCCEEDED, result);
    if (job->last.slot_ms != 0)
        ledger_write(self, job, job->last.slot_ms, 1, SB__STAGE__STAGE_SUCCEEDED, job->last.number,
                     job->last.due_ms - job->last.slot_ms, "reported late");
    run_store(self, job, &job->last);
    publish_run(self, job, &job->last);
    job_store(self, job);
}

static void take_report(struct core *self, struct job *job, const Sb__Report *report)
{
    const struct run *run = &job->current;
    const Sb__Result *result = report->result;
    if (run->number == report->run) {
        const bool waits_for_retry = run->retry_boot != 0;
        const bool newer = !waits_for_retry && report->attempt < run->attempt;
        // The attempt that was given up for lost was good after all, and the next one has not begun to fetch.
        const bool in_time =
            newer && (run->stage == SB__STAGE__STAGE_DUE || run->stage == SB__STAGE__STAGE_QUEUED);
        if (result->ok && (!newer || in_time))
            run_end(self, job, SB__STAGE__STAGE_SUCCEEDED, result, "");
        else if (!waits_for_retry && !newer)
            run_attempt_failed(self, job, SB__STAGE__STAGE_FAILED, result, result->error);
        return;
    }
    if (job->last.number == report->run && job->last.stage == SB__STAGE__STAGE_LOST && !job->mended &&
        result->ok)
        mend(self, job, result);
}

void run_report(struct core *self, uint64_t peer, const struct session *session, const Sb__Request *request)
{
    const Sb__Report *report = request->report;
    struct job *job = job_find(self, report->job);
    if (job == NULL || report->result == NULL) {
        (void)reply_add(self, peer, request->id,
                        job == NULL ? SB__CODE__CODE_NOT_FOUND : SB__CODE__CODE_INVALID,
                        job == NULL ? arena_print(self, "no job is called \"%s\"", report->job)
                                    : "a report says its result");
        return;
    }
    if (!session_has_job(self, session, job)) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_CONFLICT,
                        arena_print(self, "job %s is not one that this session said it runs", job->name));
        return;
    }
    take_report(self, job, report);
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    reply_durable(self);
}

static void reply_triggered(struct core *self, uint64_t peer, uint64_t request, uint64_t run, bool merged)
{
    Sb__Triggered *triggered = arena_take(self, sizeof *triggered);
    sb__triggered__init(triggered);
    triggered->run = run;
    triggered->merged = merged;
    Sb__Reply *reply = reply_add(self, peer, request, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_TRIGGERED;
    reply->triggered = triggered;
    reply_durable(self); // recorded before it is acknowledged
}

// The run with which one that is asked for now merges: due or queued and nothing fetched yet, or the further
// one.
static const struct run *merging_run(const struct job *job)
{
    const struct run *run = &job->current;
    const bool waits = run->stage == SB__STAGE__STAGE_DUE || run->stage == SB__STAGE__STAGE_QUEUED;
    if (run->number != 0 && run->retry_boot == 0 && run->yields == 0 && waits)
        return run;
    return job->further.number != 0 ? &job->further : NULL;
}

// Makes the run that was asked for: due at once, or behind the one under way. Its number, or 0 while none is
// stored.
static uint64_t run_add(struct core *self, struct job *job, const char *detail)
{
    if (!run_is_open(job))
        return run_begin(self, job, 0, SB__CAUSE__CAUSE_MANUAL, detail) ? job->current.number : 0;
    const uint64_t number = number_next(self, &self->runs);
    if (number == 0)
        return 0;
    job->further = (struct run){.number = number,
                                .cause = SB__CAUSE__CAUSE_MANUAL,
                                .attempt = 1,
                                .due_ms = self->wall_ms,
                                .stage = SB__STAGE__STAGE_DUE};
    text_copy(job->further.detail, sizeof job->further.detail, detail);
    run_store(self, job, &job->further);
    return number;
}

void run_trigger(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request)
{
    const Sb__Trigger *trigger = request->trigger;
    struct job *job = job_find(self, trigger->job);
    if (job == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_NOT_FOUND,
                        arena_print(self, "no job is called \"%s\"", trigger->job));
        return;
    }
    if (trigger->cause != SB__CAUSE__CAUSE_MANUAL && trigger->cause != SB__CAUSE__CAUSE_UNSPECIFIED) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_INVALID,
                        "this cause is not supported by this version");
        return;
    }
    for (size_t i = 0; session != NULL && i < SESSION_REPLIES; i++) {
        const struct kept_reply *kept = &session->kept[i];
        if (kept->request == request->id && kept->run != 0) { // I8
            reply_triggered(self, peer, request->id, kept->run, kept->merged);
            return;
        }
    }
    const struct run *merged = merging_run(job);
    const uint64_t number = merged != NULL ? merged->number : run_add(self, job, trigger->detail);
    if (number == 0) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_BUSY,
                        "no run can be numbered yet; ask again");
        return;
    }
    if (session != NULL)
        session->kept[session->kept_next++ % SESSION_REPLIES] = (struct kept_reply){
            .request = request->id, .code = SB__CODE__CODE_OK, .run = number, .merged = merged != NULL};
    reply_triggered(self, peer, request->id, number, merged != NULL);
}
