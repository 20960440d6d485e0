// A run's life, from its tick to its outcome:
//
//   DUE ─► QUEUED ─► FETCHING ─► APPLYING ─► SUCCEEDED
//    │       ▲          │  ▲         │
//    │       └─ YIELDED ┘  └─────────┴─► FAILED ─► (once more, after retry_after) DUE
//    └─► MISSED (nobody took it by the next slot)      any that was taken ─► LOST ─► as FAILED
#include "broker/core/parts.h"

#include <inttypes.h>
#include <string.h>

bool run_is_open(const struct job *job)
{
    return job->current.number != 0;
}

bool run_is_at_work(const struct job *job)
{
    const Sb__Stage stage = job->current.stage;
    return job->current.number != 0 && job->current.retry_boot == 0 &&
           (stage == SB__STAGE__STAGE_FETCHING || stage == SB__STAGE__STAGE_APPLYING);
}

Sb__Stage run_outcome_so_far(const struct run *run)
{
    if (run->attempt > 1 || run->retry_boot != 0)
        return run->before;
    return run->began_boot != 0 ? SB__STAGE__STAGE_FAILED : SB__STAGE__STAGE_MISSED;
}

void run_store(struct core *self, struct job *job, const struct run *run)
{
    Sb__StoredRun *stored = arena_take(self, sizeof *stored);
    sb__stored_run__init(stored);
    stored->run = view_run(self, job, run);
    stored->instance = run->instance;
    stored->before = run->before;
    if (run->retry_boot != 0)
        stored->retry_ms = self->wall_ms + (run->retry_boot - self->boot_ms);
    uint8_t key[CORE_KEY_MAX];
    const size_t size = key_number(key, run->number);
    record_add(self, CORE_TABLE_RUN, key, size, &stored->base);
    if (job->current.number != 0 && job->current.stage == SB__STAGE__STAGE_DUE)
        list_append(&self->due, &job->due);
    else
        list_remove(&job->due);
    job_touch(self, job);
}

static void publish_run(struct core *self, struct job *job, const struct run *run)
{
    Sb__Event *event = publish(self, &job->run, true);
    event->body_case = SB__EVENT__BODY_RUN;
    event->run = view_run(self, job, run);
}

void run_publish_tick(struct core *self, struct job *job)
{
    const struct run *run = &job->current;
    Sb__Event *event = publish(self, &job->tick, true);
    Sb__Tick *tick = arena_take(self, sizeof *tick);
    sb__tick__init(tick);
    tick->job = job->name;
    tick->resource = self->resources[job->terms.resource].name;
    tick->slot_ms = run->slot_ms;
    tick->run = run->number;
    tick->priority = job->terms.priority;
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
    if (run->attempt == 1)
        job->terms = job->config;
    run->stage = SB__STAGE__STAGE_DUE;
    run->due_boot = self->boot_ms;
    run->retry_boot = run->quiet_boot = run->began_boot = 0;
    run->is_unknown = false;
    run->instance = 0;
    run->service[0] = '\0';
    run->queued_since = 0;
    run->done = run->total = 0;
    run->why[0] = '\0';
    job->paced_boot = self->boot_ms;
    run_store(self, job, run);
    publish_run(self, job, run);
    run_publish_tick(self, job);
}

void further_begin(struct core *self, struct job *job)
{
    assert(!run_is_open(job));
    job->current = job->further;
    job->further = (struct run){0};
    job->current.due_ms = self->wall_ms;
    make_due(self, job);
}

void run_begin(struct core *self, struct job *job, int64_t slot_ms, Sb__Cause cause, const char *detail)
{
    assert(!run_is_open(job));
    if (job->further.number != 0) { // what was asked for and still waits for more merges with this one
        job->further.slot_ms = slot_ms;
        further_begin(self, job);
        return;
    }
    const uint64_t number = number_next(&self->runs);
    assert(number != 0); // no job is looked at while there is none
    job->current = (struct run){
        .number = number, .slot_ms = slot_ms, .cause = cause, .attempt = 1, .due_ms = self->wall_ms};
    text_copy(job->current.detail, sizeof job->current.detail, detail);
    make_due(self, job);
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
    if (stage == SB__STAGE__STAGE_FETCHING && run->began_boot == 0)
        run->began_boot = self->boot_ms;
    run->stage = stage;
    run_store(self, job, run);
    publish_run(self, job, run);
}

void run_tell_again(struct core *self, struct job *job)
{
    if (job->current.stage == SB__STAGE__STAGE_QUEUED) // GCOVR_EXCL_BR_LINE: a grant takes the waiter away
        list_append(&self->due, &job->due);
}

static void forget_stale(struct core *self, struct job *job)
{
    if (!job->is_stale || self->wall_ms >= job_stale_ms(job))
        return;
    alert_clear(self, ALERT_STALE, job->name);
    job->is_stale = false;
}

// The alerts that the last run's outcome raises or clears.
static void alert_outcome(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result)
{
    if (outcome == SB__STAGE__STAGE_SUCCEEDED) {
        alert_clear(self, ALERT_FAILING, job->name);
        alert_clear(self, ALERT_REJECTS, job->name);
    }
    forget_stale(self, job);
    if (job->failing_in_a_row >= FAILING_RUNS)
        alert_raise(self, ALERT_FAILING, job->name,
                    arena_print(self, "%" PRIu32 " runs in a row failed, the last one: %s",
                                job->failing_in_a_row, job->last.why));
    if (result == NULL)
        return;
    if (result->over_rejects)
        alert_raise(self, ALERT_REJECTS, job->name, result->error);
    if (result->ok && result->guarded)
        alert_raise(self, ALERT_WITHHELD, job->name, withheld_text(self, result->withheld));
    else if (result->ok && !result->not_modified)
        alert_clear(self, ALERT_WITHHELD, job->name);
}

// Keeps what a good run measured, and how old the data are now.
static void count_success(struct core *self, struct job *job, const Sb__Result *result)
{
    // What waited to be reported is as old as it is.
    const bool says_when = result->ended_ms > 0 && result->ended_ms < self->wall_ms;
    const int64_t ended_ms = says_when ? result->ended_ms : self->wall_ms;
    const bool says_both = result->ended_ms >= result->started_ms && result->started_ms > 0;
    job->last_success_ms = ended_ms > job->last_success_ms ? ended_ms : job->last_success_ms;
    histogram_add(&job_figures(self, job)->duration, says_both ? result->ended_ms - result->started_ms : 0);
    job->seen += result->seen;
    job->unchanged += result->unchanged;
}

// Keeps the figures of a run that has ended.
static void count_outcome(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result)
{
    job->runs += outcome != SB__STAGE__STAGE_MISSED ? 1 : 0;
    if (outcome == SB__STAGE__STAGE_SUCCEEDED) {
        assert(result != NULL); // it said that it is good
        count_success(self, job, result);
        job->failing_in_a_row = job->lost.failing = 0;
    } else if (outcome == SB__STAGE__STAGE_MISSED) {
        job->missed++;
    } else {
        job->failures++;
        job->failing_in_a_row++;
        job->lost.failing = outcome == SB__STAGE__STAGE_LOST ? job->failing_in_a_row : job->lost.failing;
    }
    alert_outcome(self, job, outcome, result);
    if (outcome == SB__STAGE__STAGE_MISSED)
        return;
    histogram_add(&job_figures(self, job)->queued, (int64_t)job->last.queued_ms);
    figures_store(self, job);
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
    text_copy(job->last_note, sizeof job->last_note, result->note);
    job->last_result.note = job->last_note;
}

// What asks for another look while the run goes on ends with its attempt.
static void forget_hung(struct core *self, struct job *job)
{
    if (job->is_hung)
        alert_clear(self, ALERT_HUNG, job->name);
    job->is_hung = false;
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
    forget_hung(self, job);
    waiters_of_run_end(self, job, "this run has ended");
    job->last = *run;
    job->last.ended_ms = self->wall_ms;
    *run = (struct run){0};
    if (outcome == SB__STAGE__STAGE_LOST)
        job->lost = (struct lost_run){.number = job->last.number,
                                      .slot_ms = job->last.slot_ms,
                                      .due_ms = job->last.due_ms,
                                      .attempt = job->last.attempt,
                                      .cause = job->last.cause};
    keep_result(job, result);
    count_outcome(self, job, outcome, result);
    if (job->last.slot_ms != 0)
        ledger_write(self, job->name, job->last.slot_ms, 1, outcome, job->last.number,
                     job->last.due_ms - job->last.slot_ms, why);
    run_store(self, job, &job->last);
    publish_run(self, job, &job->last);
    if (job->further.number != 0 && job->further.quiet_boot <= self->boot_ms)
        further_begin(self, job);
    job_store(self, job);
}

bool run_waits_for_slot(const struct job *job)
{
    const struct run *run = &job->current;
    return run->number != 0 && run->slot_ms == 0 && run->stage == SB__STAGE__STAGE_DUE && run->attempt == 1;
}

bool run_end_untaken(struct core *self, struct job *job)
{
    const struct run *run = &job->current;
    const bool is_slots_own = run->slot_ms != 0 && run->attempt == 1 && !run->was_queued;
    if (run->number == 0 || run->stage != SB__STAGE__STAGE_DUE ||
        (!is_slots_own && self->boot_ms - run->due_boot < job->terms.every_ms))
        return false; // what became due a moment ago has a whole `every` to be taken
    alert_raise(self, ALERT_NO_SERVICE, job->name, "no service took its run by the next slot");
    run_end(self, job, run_outcome_so_far(run), NULL, "no service took it");
    return true;
}

void run_attempt_failed(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result,
                        const char *why)
{
    struct run *run = &job->current;
    if (run->attempt >= ATTEMPTS) {
        run_end(self, job, outcome, result, why);
        return;
    }
    text_copy(run->why, sizeof run->why, why);
    forget_hung(self, job);
    waiters_of_run_end(self, job, "this run has ended");
    run->before = outcome;
    run->retry_boot = self->boot_ms + job->terms.retry_after_ms;
    run_stage(self, job, outcome);
}

// The time by which a run whose service is gone counts as lost; INT64_MAX while it is there or not taken.
static int64_t lost_boot(const struct core *self, const struct run *run)
{
    if (run->number == 0 || run->instance == 0 || run->retry_boot != 0)
        return INT64_MAX;
    if (run->is_unknown)
        return 0;
    if (session_of_instance(self, run->instance) != NULL)
        return INT64_MAX;
    return run->seen_boot + self->config.session_ttl_ms;
}

// When the run under way counts as hung; INT64_MAX if it does already or has not begun.
static int64_t hung_boot(const struct job *job)
{
    const struct run *run = &job->current;
    if (run->number == 0 || run->began_boot == 0 || run->retry_boot != 0 || job->is_hung ||
        job->terms.max_duration_ms == 0)
        return INT64_MAX;
    return run->began_boot + job->terms.max_duration_ms;
}

static int64_t retry_boot(const struct run *run)
{
    return run->number != 0 && run->retry_boot != 0 ? run->retry_boot : INT64_MAX;
}

// When what was asked for becomes due; INT64_MAX while a run is under way or nothing was.
static int64_t further_boot(const struct job *job)
{
    return job->further.number != 0 && !run_is_open(job) ? job->further.quiet_boot : INT64_MAX;
}

int64_t run_boot_deadline(const struct core *self, const struct job *job)
{
    const int64_t times[] = {retry_boot(&job->current), lost_boot(self, &job->current), hung_boot(job),
                             further_boot(job)};
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        first = times[i] < first ? times[i] : first;
    return first;
}

void run_advance(struct core *self, struct job *job)
{
    if (self->boot_ms >= retry_boot(&job->current)) {
        job->current.attempt++;
        make_due(self, job);
    }
    if (self->boot_ms >= lost_boot(self, &job->current))
        run_attempt_failed(self, job, SB__STAGE__STAGE_LOST, NULL,
                           job->current.is_unknown ? "its service does not know it any more"
                                                   : "its service is gone");
    if (self->boot_ms >= hung_boot(job)) {
        job->is_hung = true;
        alert_raise(self, ALERT_HUNG, job->name, "its run takes longer than max_duration");
        job_touch(self, job);
    }
    if (self->boot_ms >= further_boot(job))
        further_begin(self, job);
}

// The failures in a row that end with a run that was good after all are none; those that came since stand,
// and so does what the last run's own outcome says.
static void mend_alerts(struct core *self, struct job *job, const struct lost_run *lost,
                        const Sb__Result *result)
{
    job->failing_in_a_row -= lost->failing;
    if (job->last.number == lost->number)
        alert_outcome(self, job, SB__STAGE__STAGE_SUCCEEDED, result);
    forget_stale(self, job);
    if (job->failing_in_a_row < FAILING_RUNS)
        alert_clear(self, ALERT_FAILING, job->name);
}

// A run that counted as LOST was done after all: its outcome is mended, once. It was counted, and how long it
// waited for its turns.
static void mend(struct core *self, struct job *job, const Sb__Result *result)
{
    const struct lost_run lost = job->lost;
    const bool is_last = job->last.number == lost.number;
    struct run mended = {.number = lost.number,
                         .slot_ms = lost.slot_ms,
                         .due_ms = lost.due_ms,
                         .attempt = lost.attempt,
                         .cause = lost.cause,
                         .stage = SB__STAGE__STAGE_SUCCEEDED,
                         .ended_ms = self->wall_ms};
    job->lost = (struct lost_run){0};
    job->failures--;
    if (is_last) {
        job->last.stage = SB__STAGE__STAGE_SUCCEEDED;
        keep_result(job, result);
    }
    count_success(self, job, result);
    mend_alerts(self, job, &lost, result);
    figures_store(self, job);
    if (lost.slot_ms != 0)
        ledger_write(self, job->name, lost.slot_ms, 1, SB__STAGE__STAGE_SUCCEEDED, lost.number,
                     lost.due_ms - lost.slot_ms, "reported late");
    run_store(self, job, is_last ? &job->last : &mended);
    publish_run(self, job, is_last ? &job->last : &mended);
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
    if (job->lost.number == report->run && report->run != 0 && result->ok)
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
