// Start from what the journal recovered, and the clean stop that leaves nothing to wait for (I12).
#include "broker/core/state.h"

#include <string.h>

// ---------------------------------------------------------------- jobs and runs

static void recover_histogram(struct histogram *ret, ProtobufCBinaryData stored)
{
    if (stored.len == sizeof *ret)
        memcpy(ret, stored.data, sizeof *ret);
}

static void recover_run(struct core *self, struct run *ret, const Sb__RunState *state)
{
    *ret = (struct run){.number = state->run,
                        .slot_ms = state->slot_ms,
                        .cause = state->cause,
                        .stage = state->stage,
                        .attempt = state->attempt > 0 ? state->attempt : 1,
                        .yields = state->yields,
                        .due_ms = state->due_ms,
                        .ended_ms = state->ended_ms,
                        .queued_ms = state->queued_ms,
                        .seen_boot = self->boot_ms};
    // Its age in the queue goes on from when it was due, as far as the wall clock tells.
    const int64_t age = self->wall_ms > state->due_ms ? self->wall_ms - state->due_ms : 0;
    ret->due_boot = self->boot_ms - age;
    text_copy(ret->service, sizeof ret->service, state->service);
    text_copy(ret->detail, sizeof ret->detail, state->detail);
}

static void recover_last(struct core *self, struct job *job, const Sb__RunState *last)
{
    if (last == NULL)
        return;
    recover_run(self, &job->last, last);
    job->has_result = last->result != NULL && last->result->started_ms != 0;
    if (last->result == NULL)
        return;
    const Sb__Result fresh = SB__RESULT__INIT;
    job->last_result = *last->result;
    job->last_result.base = fresh.base;
    text_copy(job->last_error, sizeof job->last_error, last->result->error);
    text_copy(job->last.why, sizeof job->last.why, last->result->error);
    job->last_result.error = job->last_error;
}

static void recover_job(struct core *self, const Sb__StoredJob *stored)
{
    struct job *job = job_find(self, stored->job);
    if (job == NULL)
        return; // it is not configured any more; its history stays in the journal
    job->last_slot_ms = stored->last_slot_ms;
    job->last_success_ms = stored->last_success_ms;
    job->runs = stored->runs;
    job->failures = stored->failures;
    job->failing_in_a_row = stored->failing_in_a_row;
    job->overlaps = stored->overlaps;
    job->skipped = stored->skipped;
    job->coalesced = stored->coalesced;
    job->missed = stored->missed;
    job->seen = stored->seen;
    job->unchanged = stored->unchanged;
    job->mended = stored->mended;
    recover_histogram(&job->duration, stored->duration);
    recover_histogram(&job->queued, stored->queued);
    recover_histogram(&job->blocked_others, stored->blocked_others);
    recover_last(self, job, stored->last);
}

// Open runs: the lesser number of a job is under way, the greater one was asked for behind it.
static void recover_open_run(struct core *self, const Sb__StoredRun *stored)
{
    if (stored->run == NULL || stored->run->run == 0)
        return;
    struct job *job = job_find(self, stored->run->job);
    if (job == NULL)
        return;
    struct run run;
    recover_run(self, &run, stored->run);
    run.instance = stored->instance;
    if (stored->retry_ms != 0)
        run.retry_boot = stored->retry_ms > self->wall_ms ? self->boot_ms + (stored->retry_ms - self->wall_ms)
                                                          : self->boot_ms;
    if (job->current.number == 0) {
        job->current = run;
    } else if (run.number > job->current.number) {
        job->further = run;
    } else {
        job->further = job->current;
        job->current = run;
    }
}

// Places the job on its grid: after its last slot, or from now on.
static void place_on_grid(struct core *self, struct job *job)
{
    job->last_due_boot = self->boot_ms;
    job->is_new = job->last_slot_ms == 0;
    if (job->is_new) // its slots count from now on, and a later stop misses none
        job->last_slot_ms = slot_after(&job->config, self->wall_ms) - job->config.every_ms;
    job->next_slot_ms = slot_after(&job->config, job->last_slot_ms);
    job->is_starting = true;
}

// ---------------------------------------------------------------- leases and owners

static void recover_lease(struct core *self, const Sb__StoredLease *stored)
{
    const struct resource *resource = resource_find(self, stored->resource);
    const struct job *job = stored->job[0] != '\0' ? job_find(self, stored->job) : NULL;
    const bool shared = stored->mode == SB__MODE__MODE_SHARED;
    if (resource == NULL || (shared && job == NULL) || self->lease_count == self->lease_max)
        return;
    struct lease *lease = &self->leases[self->lease_count++];
    *lease = (struct lease){.token = stored->token,
                            .resource = (uint32_t)(resource - self->resources),
                            .mode = stored->mode,
                            .job = shared ? job_index(self, job) : JOB_NONE,
                            .run = stored->run,
                            .attempt = stored->attempt,
                            .claim = stored->claim,
                            .instance = stored->instance,
                            .granted_boot = self->boot_ms,
                            .end_boot = self->boot_ms + resource->config.lease_ttl_ms,
                            .settle_ms = stored->settle_ms,
                            .moved_boot = self->boot_ms,
                            .stored = true};
    text_copy(lease->holder, sizeof lease->holder, stored->holder);
    text_copy(lease->reason, sizeof lease->reason, stored->reason);
    struct resource *under = &self->resources[lease->resource];
    if (!shared && under->phase == PAUSE_NONE) {
        under->phase = PAUSE_EXCLUSIVE;
        under->pause = ++self->pause_count_ever;
        under->pause_since = under->drain_since = under->streak_since = self->boot_ms;
        under->pause_since_ms = self->wall_ms;
    }
}

static void recover_owner(struct core *self, const Sb__StoredOwner *stored)
{
    if (self->owner_count == self->owner_max)
        return;
    struct owner *owner = &self->owners[self->owner_count++];
    text_copy(owner->name, sizeof owner->name, stored->name);
    text_copy(owner->holder, sizeof owner->holder, stored->holder);
    owner->instance = stored->instance;
}

// ---------------------------------------------------------------- numbers

// How long a sync that was cut can go on in the ERP: leases of syncs are not in the journal.
static int64_t longest_settle(const struct core *self, uint32_t resource)
{
    int64_t longest = 0;
    for (size_t i = 0; i < self->config.job_count; i++) {
        const struct core_job_config *config = &self->jobs[i].config;
        if (config->resource == resource && config->settle_ms > longest)
            longest = config->settle_ms;
    }
    return longest;
}

static void recover_meta(struct core *self, const Sb__StoredMeta *meta)
{
    // A new journal begins past whatever an earlier one can have given out.
    const uint64_t fresh = (uint64_t)(self->wall_ms / 1000) << 20;
    const uint64_t ends[] = {meta != NULL ? meta->tokens_end : fresh, meta != NULL ? meta->runs_end : fresh,
                             meta != NULL ? meta->tickets_end : fresh};
    struct numbers *const all[] = {&self->tokens, &self->runs, &self->tickets};
    for (size_t i = 0; i < 3; i++)
        *all[i] = (struct numbers){
            .next = ends[i] + 1, .end = ends[i] + NUMBER_BLOCK, .reserved = ends[i] + NUMBER_BLOCK};
    self->tokens_first = self->tokens.next;
    self->tickets_first = self->tickets.next;
    self->epoch = meta != NULL ? meta->epoch + 1 : (uint64_t)(self->wall_ms / 1000);
    // Numbers that only one epoch knows are told apart from another's all the same.
    self->pause_count_ever = self->call_count_ever = self->epoch << 20;
    if (meta == NULL || meta->clean)
        return;
    // Leases of the life before may still be held: nothing is granted until the longest has ended.
    for (size_t i = 0; i < self->config.resource_count; i++) {
        struct resource *resource = &self->resources[i];
        const int64_t life = resource->config.lease_ttl_ms + resource->config.grant_delay_ms;
        resource->recovering_until = self->boot_ms + longest_settle(self, (uint32_t)i) +
                                     (life > meta->ttl_max_ms ? life : meta->ttl_max_ms);
    }
    self->ttl_before_ms = meta->ttl_max_ms;
}

static const ProtobufCMessage *find_meta(const struct core_event *event)
{
    for (size_t i = 0; i < event->start.count; i++) {
        if (event->start.records[i].table == CORE_TABLE_META)
            return event->start.records[i].value;
    }
    return NULL;
}

void recover_start(struct core *self, const struct core_event *event)
{
    assert(!self->started);
    self->started = true;
    self->started_ms = self->wall_ms;
    self->next_beat = self->boot_ms + self->config.beat_ms;
    recover_meta(self, (const Sb__StoredMeta *)find_meta(event));
    for (size_t i = 0; i < event->start.count; i++) {
        const ProtobufCMessage *value = event->start.records[i].value;
        switch (event->start.records[i].table) {
        case CORE_TABLE_JOB: recover_job(self, (const Sb__StoredJob *)value); break;
        case CORE_TABLE_RUN: recover_open_run(self, (const Sb__StoredRun *)value); break;
        case CORE_TABLE_OWNER: recover_owner(self, (const Sb__StoredOwner *)value); break;
        case CORE_TABLE_LEASE: recover_lease(self, (const Sb__StoredLease *)value); break;
        default: break;
        }
    }
    meta_store(self, false);
    for (size_t i = 0; i < self->config.job_count; i++)
        place_on_grid(self, &self->jobs[i]);
    self->is_behind = !schedule_begin(self);
}

void recover_stop(struct core *self)
{
    if (self->stopping)
        return;
    self->stopping = true;
    for (size_t i = 0; i < self->lease_count; i++)
        lease_store(self, &self->leases[i]);
    bool recovering = false; // then leases may be held that the journal does not know
    for (size_t i = 0; i < self->config.resource_count; i++)
        recovering = recovering || self->resources[i].recovering_until != 0;
    meta_store(self, !recovering);
    self->stop_update = self->update_number;
    self->next_beat = self->boot_ms; // says that it stops
}
