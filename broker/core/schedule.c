// Slots on a fixed grid: slot = k · every + offset from the Unix epoch. Each gets exactly one outcome (I1).
#include "broker/core/state.h"

#include <string.h>

int64_t slot_after(const struct core_job_config *config, int64_t time_ms)
{
    const int64_t offset = config->offset_ms % config->every_ms;
    if (time_ms < offset)
        return offset;
    return offset + ((time_ms - offset) / config->every_ms + 1) * config->every_ms;
}

void ledger_write(struct core *self, const struct job *job, int64_t slot_ms, uint64_t slots,
                  Sb__Stage outcome, uint64_t run, int64_t late_ms, const char *why)
{
    Sb__LedgerEntry *entry = arena_take(self, sizeof *entry);
    sb__ledger_entry__init(entry);
    entry->job = arena_text(self, job->name);
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
    const size_t size = key_slot(key, job->name, slot_ms);
    record_add(self, CORE_TABLE_LEDGER, key, size, &stored->base);
}

void job_store(struct core *self, const struct job *job)
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
    stored->mended = job->mended;
    stored->duration.len = stored->queued.len = sizeof(struct histogram);
    stored->duration.data =
        memcpy(arena_take(self, sizeof(struct histogram)), &job->duration, sizeof(struct histogram));
    stored->queued.data =
        memcpy(arena_take(self, sizeof(struct histogram)), &job->queued, sizeof(struct histogram));
    stored->blocked_others.len = sizeof(struct histogram);
    stored->blocked_others.data =
        memcpy(arena_take(self, sizeof(struct histogram)), &job->blocked_others, sizeof(struct histogram));
    record_add(self, CORE_TABLE_JOB, job->name, strlen(job->name), &stored->base);
}

// The slots from `first` on, `count` of them, pass without a run of their own.
static void pass_over(struct core *self, struct job *job, int64_t first, uint64_t count, Sb__Stage outcome,
                      const char *why)
{
    if (count == 0)
        return;
    ledger_write(self, job, first, count, outcome, 0, 0, why);
    if (outcome == SB__STAGE__STAGE_SKIPPED) {
        job->skipped += count;
        job->overlaps += count;
    } else {
        job->coalesced += count;
    }
}

// The job's slots up to now: `count` of them from `first` on. The last one gets the run, unless another is
// under way (overlap comes before downtime).
static void take_slots(struct core *self, struct job *job, int64_t first, uint64_t count)
{
    const int64_t last = first + (int64_t)(count - 1) * job->config.every_ms;
    // Nobody took the last run until now: its slot has had its time.
    if (job->current.number != 0 && job->current.stage == SB__STAGE__STAGE_DUE &&
        job->current.retry_boot == 0)
        run_end(self, job, SB__STAGE__STAGE_MISSED, NULL, "no service took it");
    if (run_is_open(job)) {
        pass_over(self, job, first, count, SB__STAGE__STAGE_SKIPPED,
                  "overlap: the run before is still under way");
    } else {
        const Sb__Cause cause = count > 1 ? SB__CAUSE__CAUSE_CATCH_UP : SB__CAUSE__CAUSE_SCHEDULE;
        if (!run_begin(self, job, last, cause, ""))
            return; // no number is stored yet: the slots are taken a moment later
        pass_over(self, job, first, count - 1, SB__STAGE__STAGE_COALESCED, "down: one run stands for all");
    }
    job->last_slot_ms = last;
    job->next_slot_ms = last + job->config.every_ms;
    job_store(self, job);
}

// The wall clock stands before the last slot by more than `every`: the job runs at its pace, without slots.
static bool stands_back(const struct core *self, const struct job *job)
{
    return job->last_slot_ms != 0 && self->wall_ms < job->last_slot_ms - job->config.every_ms;
}

static void advance_job(struct core *self, struct job *job)
{
    if (stands_back(self, job)) {
        if (!run_is_open(job) && self->boot_ms >= job->last_due_boot + job->config.every_ms)
            (void)run_begin(self, job, 0, SB__CAUSE__CAUSE_SCHEDULE, "the clock stands before the last slot");
        return;
    }
    if (self->wall_ms < job->next_slot_ms)
        return;
    const uint64_t count = (uint64_t)((self->wall_ms - job->next_slot_ms) / job->config.every_ms) + 1;
    take_slots(self, job, job->next_slot_ms, count);
}

// What a job's start asks for: that the journal knows its place, and a run at once if it never succeeded.
static void start_job(struct core *self, struct job *job)
{
    if (job->is_new)
        job_store(self, job);
    job->is_new = false;
    const bool due = job->last_success_ms == 0 && !run_is_open(job) && job->next_slot_ms > self->wall_ms;
    if (due && !run_begin(self, job, 0, SB__CAUSE__CAUSE_CATCH_UP, "it has never succeeded"))
        return; // no number is stored yet
    job->is_starting = false;
}

bool schedule_begin(struct core *self)
{
    for (size_t i = 0; i < self->config.job_count && !self->stopping; i++) {
        if (!update_has_room(self))
            return false;
        if (self->jobs[i].is_starting)
            start_job(self, &self->jobs[i]);
    }
    return true;
}

bool schedule_advance(struct core *self)
{
    if (!schedule_begin(self))
        return false;
    for (size_t i = 0; i < self->config.job_count && !self->stopping; i++) {
        if (!update_has_room(self))
            return false;
        advance_job(self, &self->jobs[i]);
    }
    return true;
}

int64_t schedule_deadline(const struct core *self)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < self->config.job_count && !self->stopping; i++) {
        const struct job *job = &self->jobs[i];
        const int64_t at = stands_back(self, job) ? job->last_due_boot + job->config.every_ms
                                                  : self->boot_ms + (job->next_slot_ms - self->wall_ms);
        const bool waits = stands_back(self, job) && run_is_open(job);
        if (!waits && at < deadline)
            deadline = at;
    }
    return deadline;
}
