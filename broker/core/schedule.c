// Slots on a fixed grid: slot = k · every + offset from the Unix epoch. Each gets exactly one outcome (I1).
#include "broker/core/parts.h"

#include <string.h>

int64_t slot_after(const struct core_job_config *config, int64_t time_ms)
{
    const int64_t offset = config->offset_ms % config->every_ms;
    if (time_ms < offset)
        return offset;
    return offset + ((time_ms - offset) / config->every_ms + 1) * config->every_ms;
}

void ledger_write(struct core *self, const char *job, int64_t slot_ms, uint64_t slots, Sb__Stage outcome,
                  uint64_t run, int64_t late_ms, const char *why)
{
    Sb__LedgerEntry *entry = arena_take(self, sizeof *entry);
    sb__ledger_entry__init(entry);
    entry->job = arena_text(self, job);
    entry->slot_ms = slot_ms;
    entry->outcome = outcome;
    entry->run = run;
    entry->late_ms = late_ms;
    entry->why = arena_text(self, why);
    entry->slots = slots;
    Sb__StoredLedgerEntry *stored = arena_take(self, sizeof *stored);
    sb__stored_ledger_entry__init(stored);
    stored->entry = entry;
    uint8_t key[CORE_KEY_MAX];
    const size_t size = key_slot(key, job, slot_ms);
    record_add(self, CORE_TABLE_LEDGER, key, size, &stored->base);
}

void job_store(struct core *self, struct job *job)
{
    Sb__StoredJob *stored = arena_take(self, sizeof *stored);
    sb__stored_job__init(stored);
    stored->job = arena_text(self, job->name);
    stored->last_slot_ms = job->last_slot_ms;
    stored->last_success_ms = job->last_success_ms;
    if (job->last.number != 0)
        stored->last = view_run(self, job, &job->last);
    stored->runs = job->runs;
    stored->failures = job->failures;
    stored->failing_in_a_row = job->failing_in_a_row;
    stored->overlaps = job->overlaps;
    stored->skipped = job->skipped;
    stored->coalesced = job->coalesced;
    stored->missed = job->missed;
    stored->seen = job->seen;
    stored->unchanged = job->unchanged;
    stored->lost_run = job->lost.number;
    stored->lost_slot_ms = job->lost.slot_ms;
    stored->lost_due_ms = job->lost.due_ms;
    stored->lost_attempt = job->lost.attempt;
    stored->lost_cause = job->lost.cause;
    stored->lost_failing = job->lost.failing;
    stored->known_since_ms = job->known_since_ms;
    record_add(self, CORE_TABLE_JOB, job->name, strlen(job->name), &stored->base);
    schedule_settle(self, job);
    job_touch(self, job);
}

void figures_store(struct core *self, const struct job *job)
{
    Sb__StoredFigures *stored = arena_take(self, sizeof *stored);
    sb__stored_figures__init(stored);
    const struct figures *figures = job_figures(self, job);
    stored->duration = histogram_bytes(self, &figures->duration);
    stored->queued = histogram_bytes(self, &figures->queued);
    stored->blocked_others = histogram_bytes(self, &figures->blocked_others);
    record_add(self, CORE_TABLE_FIGURES, job->name, strlen(job->name), &stored->base);
}

// The slots from `first` on, `count` of them, pass without a run of their own.
static void pass_over(struct core *self, struct job *job, int64_t first, uint64_t count, Sb__Stage outcome,
                      const char *why)
{
    if (count == 0)
        return;
    ledger_write(self, job->name, first, count, outcome, 0, 0, why);
    job->skipped += outcome == SB__STAGE__STAGE_SKIPPED ? count : 0;
    job->coalesced += outcome == SB__STAGE__STAGE_COALESCED ? count : 0;
    job->missed += outcome == SB__STAGE__STAGE_MISSED ? count : 0;
}

// Slots that fall into the job's own run: skipped, or the last of them is queued behind it if none is yet.
static void overlap(struct core *self, struct job *job, int64_t first, uint64_t count)
{
    const int64_t last = first + (int64_t)(count - 1) * job->config.every_ms;
    const bool queues = job->config.queues_overlap && further_take_slot(self, job, last);
    job->overlaps += count;
    pass_over(self, job, first, queues ? count - 1 : count, SB__STAGE__STAGE_SKIPPED,
              "overlap: the run before is still under way");
}

// Whether the broker was not there, or its clock not right, at these slots' time.
static bool is_downtime(const struct core *self, int64_t first, uint64_t count)
{
    return count > 1 || first < self->started_ms;
}

// The job's slots up to now: `count` of them from `first` on. Hold comes before overlap, and that before
// downtime; else the last one gets the run.
static void take_slots(struct core *self, struct job *job, int64_t first, uint64_t count)
{
    const int64_t last = first + (int64_t)(count - 1) * job->config.every_ms;
    const struct hold *hold = hold_of_job(self, job);
    (void)run_end_untaken(self, job); // its slot has had its time
    const bool waits = run_waits_for_slot(job);
    if (hold != NULL) {
        pass_over(self, job, first, count, SB__STAGE__STAGE_SKIPPED,
                  arena_print(self, "hold: %s: %s", hold->by, hold->reason));
    } else if (waits) { // what was asked for, and nobody has taken yet, is this slot's run
        job->current.slot_ms = last;
        run_store(self, job, &job->current);
        pass_over(self, job, first, count - 1, SB__STAGE__STAGE_COALESCED, "down: one run stands for all");
    } else if (run_is_open(job)) {
        overlap(self, job, first, count);
    } else if (!job->config.catches_up && is_downtime(self, first, count)) {
        pass_over(self, job, first, count, SB__STAGE__STAGE_MISSED, "down: nobody was there to run it");
    } else {
        const Sb__Cause cause = count > 1 ? SB__CAUSE__CAUSE_CATCH_UP : SB__CAUSE__CAUSE_SCHEDULE;
        run_begin(self, job, last, cause, "");
        pass_over(self, job, first, count - 1, SB__STAGE__STAGE_COALESCED, "down: one run stands for all");
    }
    job->last_slot_ms = last;
    job->next_slot_ms = last + job->config.every_ms;
    job_store(self, job);
}

// The wall clock stands before the last slot by more than `every`: the job runs at its pace, without slots.
static bool stands_back(const struct core *self, const struct job *job)
{
    return self->wall_ms < job->last_slot_ms - job->config.every_ms;
}

int64_t schedule_slot_deadline(const struct core *self, const struct job *job)
{
    return stands_back(self, job) ? job->last_slot_ms - job->config.every_ms : job->next_slot_ms;
}

int64_t schedule_boot_deadline(const struct core *self, const struct job *job)
{
    if (job->presence != JOB_CONFIGURED)
        return INT64_MAX;
    if (job->is_starting || job->is_moved)
        return INT64_MIN;
    return stands_back(self, job) ? job->paced_boot + job->config.every_ms : INT64_MAX;
}

// At its pace while the clock stands back, unless it runs already or is on hold.
static void advance_paced(struct core *self, struct job *job)
{
    if (self->boot_ms < job->paced_boot + job->config.every_ms)
        return;
    job->paced_boot = self->boot_ms;
    alert_raise(self, ALERT_CLOCK, job->name,
                "the clock stands before the last slot: it runs each `every`, without slots");
    if (!run_is_open(job) && hold_of_job(self, job) == NULL)
        run_begin(self, job, 0, SB__CAUSE__CAUSE_SCHEDULE, "the clock stands before the last slot");
}

// What a job's start asks for, when the slots before it have their outcomes: that the journal knows its
// place, and a run at once if it never succeeded.
static void start_job(struct core *self, struct job *job)
{
    if (job->last_success_ms == 0 && !run_is_open(job) && hold_of_job(self, job) == NULL)
        run_begin(self, job, 0, SB__CAUSE__CAUSE_CATCH_UP, "it has never succeeded");
    if (job->is_new)
        job_store(self, job);
    job->is_new = job->is_starting = false;
    job_touch(self, job);
}

bool slots_leave(struct core *self, int64_t last_slot_ms)
{
    if (last_slot_ms <= self->slots_gone_ms)
        return false;
    self->slots_gone_ms = last_slot_ms;
    return true;
}

// From when on slots can be given to a job that comes. Where the clock stands before slots of one that was
// removed, they are told already: the new one may be the same job (I1). But a clock that had run ahead by
// more than that was wrong.
static int64_t first_free_ms(const struct core *self)
{
    const bool stands_back = self->slots_gone_ms > self->wall_ms;
    const bool was_wrong = self->slots_gone_ms - self->wall_ms > CLOCK_AHEAD_MAX_MS;
    return stands_back && !was_wrong ? self->slots_gone_ms : self->wall_ms;
}

// Its place is stored when there is room for that; until then META says how far its slots are told.
static void set_moved(struct core *self, struct job *job)
{
    self->jobs_moved += job->is_moved ? 0 : 1;
    job->is_moved = true;
    job_touch(self, job);
}

void schedule_settle(struct core *self, struct job *job)
{
    self->jobs_moved -= job->is_moved ? 1 : 0;
    job->is_moved = false;
}

void schedule_place(struct core *self, struct job *job)
{
    job->paced_boot = self->boot_ms;
    job->is_new = job->last_slot_ms == 0;
    if (!job->is_new && job->last_slot_ms < self->slots_told_ms) { // a reload moved it, and was cut off then
        job->last_slot_ms = self->slots_told_ms;
        set_moved(self, job);
    }
    job->known_since_ms = job->known_since_ms != 0 ? job->known_since_ms : self->wall_ms;
    // Its slots count from now on, and a later stop misses none.
    if (job->is_new)
        job->last_slot_ms = first_free_ms(self);
    job->next_slot_ms = slot_after(&job->config, job->last_slot_ms);
    job->is_starting = true;
    job_touch(self, job);
}

void schedule_replace(struct core *self, struct job *job)
{
    const int64_t from = self->wall_ms > job->last_slot_ms ? self->wall_ms : job->last_slot_ms;
    job->next_slot_ms = slot_after(&job->config, from);
    job->last_slot_ms = from; // a restart counts from here, too, whatever grid it brings
    if (update_has_room(self))
        job_store(self, job);
    else
        set_moved(self, job);
}

bool schedule_begin(struct core *self)
{
    for (size_t i = 0; i < self->job_count; i++) {
        if (!update_has_room(self))
            return false;
        if (self->jobs[i].next_slot_ms > self->wall_ms)
            start_job(self, &self->jobs[i]);
    }
    return true;
}

void schedule_advance(struct core *self, struct job *job)
{
    if (job->presence != JOB_CONFIGURED)
        return;
    if (stands_back(self, job)) {
        advance_paced(self, job);
    } else if (self->wall_ms >= job->next_slot_ms) {
        alert_clear(self, ALERT_CLOCK, job->name);
        const uint64_t count = (uint64_t)((self->wall_ms - job->next_slot_ms) / job->config.every_ms) + 1;
        take_slots(self, job, job->next_slot_ms, count);
    }
    if (job->is_moved)
        job_store(self, job);
    if (job->is_starting)
        start_job(self, job);
    if (!job->is_stale && self->wall_ms >= job_stale_ms(job)) {
        job->is_stale = true;
        alert_raise(self, ALERT_STALE, job->name,
                    job->last_success_ms == 0 ? "it has never succeeded"
                                              : "its data are older than they should be");
        job_touch(self, job);
    }
}
