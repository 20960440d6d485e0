// Start from what the journal recovered, and the clean stop that leaves nothing to wait for (I12).
#include "broker/core/parts.h"

#include <string.h>

// ---------------------------------------------------------------- jobs and runs

static void recover_histogram(struct histogram *ret, ProtobufCBinaryData stored)
{
    if (stored.len == sizeof *ret)
        memcpy(ret, stored.data, sizeof *ret);
}

// Whether the run's present attempt had a turn; when, is not known any more.
static bool has_begun(const Sb__RunState *state)
{
    switch (state->stage) {
    case SB__STAGE__STAGE_QUEUED: return state->yields > 0;
    case SB__STAGE__STAGE_FETCHING:
    case SB__STAGE__STAGE_YIELDED:
    case SB__STAGE__STAGE_APPLYING: return true;
    default: return false;
    }
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
                        .seen_boot = self->boot_ms,
                        .began_boot = has_begun(state) ? self->boot_ms : 0};
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
    text_copy(job->last_note, sizeof job->last_note, last->result->note);
    job->last_result.note = job->last_note;
}

// What is kept of a job that left the config while the broker was down goes, but for its history.
static void forget(struct core *self, const struct core_record *record)
{
    if (update_has_room(self)) // else at the next start
        record_add(self, record->table, record->key, record->key_size, NULL);
}

static void recover_job(struct core *self, const struct core_record *record)
{
    const Sb__StoredJob *stored = (const Sb__StoredJob *)record->value;
    struct job *job = job_find(self, stored->job);
    if (job == NULL) {
        (void)slots_leave(self, stored->last_slot_ms);
        forget(self, record);
        return;
    }
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
    job->known_since_ms = stored->known_since_ms;
    job->lost = (struct lost_run){.number = stored->lost_run,
                                  .slot_ms = stored->lost_slot_ms,
                                  .due_ms = stored->lost_due_ms,
                                  .attempt = stored->lost_attempt,
                                  .cause = stored->lost_cause,
                                  .failing = stored->lost_failing};
    recover_last(self, job, stored->last);
}

static void recover_figures(struct core *self, const struct core_record *record)
{
    const Sb__StoredFigures *stored = (const Sb__StoredFigures *)record->value;
    char name[NAME_MAX_SIZE + 1] = "";
    memcpy(name, record->key, record->key_size < NAME_MAX_SIZE ? record->key_size : NAME_MAX_SIZE);
    struct job *job = job_find(self, name);
    if (job == NULL) {
        forget(self, record);
        return;
    }
    struct figures *figures = job_figures(self, job);
    recover_histogram(&figures->duration, stored->duration);
    recover_histogram(&figures->queued, stored->queued);
    recover_histogram(&figures->blocked_others, stored->blocked_others);
}

// The open run of a job that left the config while the broker was down: nobody will end it, so it ends now.
static void lose_run(struct core *self, const Sb__StoredRun *stored)
{
    if (!update_has_room(self))
        return; // at the next start
    Sb__StoredRun *ended = arena_take(self, sizeof *ended);
    Sb__RunState *run = arena_take(self, sizeof *run);
    Sb__Result *result = arena_take(self, sizeof *result);
    static const char why[] = "the job left the config";
    *ended = *stored;
    *run = *stored->run;
    sb__result__init(result);
    result->error = arena_text(self, why);
    ended->run = run;
    run->job = arena_text(self, stored->run->job);
    run->service = arena_text(self, stored->run->service);
    run->detail = arena_text(self, stored->run->detail);
    run->result = result;
    run->stage = SB__STAGE__STAGE_LOST;
    run->ended_ms = self->wall_ms;
    uint8_t key[CORE_KEY_MAX];
    const size_t size = key_number(key, run->run);
    record_add(self, CORE_TABLE_RUN, key, size, &ended->base);
    if (run->slot_ms != 0)
        ledger_write(self, run->job, run->slot_ms, 1, SB__STAGE__STAGE_LOST, run->run,
                     run->due_ms - run->slot_ms, why);
}

// Open runs: the lesser number of a job is under way, the greater one was asked for behind it.
static void recover_open_run(struct core *self, const Sb__StoredRun *stored)
{
    if (stored->run == NULL || stored->run->run == 0)
        return;
    struct job *job = job_find(self, stored->run->job);
    if (job == NULL) {
        lose_run(self, stored);
        return;
    }
    struct run run;
    recover_run(self, &run, stored->run);
    run.instance = stored->instance;
    run.before = stored->before;
    if (stored->retry_ms != 0) { // by the wall clock, but no longer than it would have been
        const int64_t left = stored->retry_ms - self->wall_ms;
        const int64_t longest = job->config.retry_after_ms;
        run.retry_boot = self->boot_ms + (left < 0 ? 0 : left < longest ? left : longest);
    }
    job->terms = job->config;
    if (job->current.number == 0) {
        job->current = run;
    } else if (run.number > job->current.number) {
        job->further = run;
    } else {
        job->further = job->current;
        job->current = run;
    }
}

// ---------------------------------------------------------------- leases and owners

static void forget_lease(struct core *self, const Sb__StoredLease *stored)
{
    uint8_t key[CORE_KEY_MAX];
    const size_t size = key_number(key, stored->token);
    record_add(self, CORE_TABLE_LEASE, key, size, NULL);
}

// A lease that cannot be kept is waited for instead, by a later life too if this one ends before. Its record
// goes: it would come back to life with its job.
static void wait_out(struct core *self, struct resource *resource, const Sb__StoredLease *stored)
{
    const int64_t life = (int64_t)stored->ttl_ms + stored->delay_ms + stored->settle_ms;
    const int64_t until = self->boot_ms + life;
    resource->recovering_until = until > resource->recovering_until ? until : resource->recovering_until;
    self->ttl_before_ms = life > self->ttl_before_ms ? life : self->ttl_before_ms;
    forget_lease(self, stored);
}

static void recover_lease(struct core *self, const Sb__StoredLease *stored)
{
    struct resource *resource = resource_find(self, stored->resource);
    const struct job *job = stored->job[0] != '\0' ? job_find(self, stored->job) : NULL;
    const bool shared = stored->mode == SB__MODE__MODE_SHARED;
    if (resource == NULL) { // nobody is in its way, and it is in nobody's
        forget_lease(self, stored);
        return;
    }
    // Its holder counts with the ttl that it was told, whatever is configured today.
    const int64_t ttl = stored->ttl_ms;
    const int64_t delay = stored->delay_ms;
    if ((shared && job == NULL) || self->lease_count == LEASES_MAX ||
        lease_by_claim(self, stored->claim) != NULL) {
        wait_out(self, resource, stored);
        return;
    }
    resource->claimed = stored->token > resource->claimed ? stored->token : resource->claimed;
    if (!shared)
        resource->claimed_exclusive = stored->token;
    struct lease *lease = &self->leases[self->lease_count++];
    *lease = (struct lease){.token = stored->token,
                            .resource = (uint32_t)(resource - self->resources),
                            .mode = stored->mode,
                            .job = shared ? job_index(self, job) : JOB_NONE,
                            .run = stored->run,
                            .attempt = stored->attempt,
                            .claim = stored->claim,
                            .instance = stored->instance,
                            .process = stored->process,
                            .granted_boot = self->boot_ms,
                            .end_boot = self->boot_ms + ttl,
                            .ttl_ms = ttl,
                            .delay_ms = delay,
                            .settle_ms = stored->settle_ms,
                            .moved_boot = self->boot_ms,
                            .refused = stored->refused,
                            .revoked = stored->revoked,
                            .stored = true};
    text_copy(lease->holder, sizeof lease->holder, stored->holder);
    text_copy(lease->reason, sizeof lease->reason, stored->reason);
    if (!shared)
        pause_goes_on(self, resource);
}

static void recover_resource(struct core *self, const Sb__StoredResource *stored)
{
    struct resource *resource = resource_find(self, stored->resource);
    if (resource == NULL)
        return;
    recover_histogram(&resource->wait, stored->wait);
    resource->timed_out = stored->timed_out;
}

static void recover_owner(struct core *self, const Sb__StoredOwner *stored)
{
    if (self->owner_count == self->owner_max || owner_find(self, stored->name) != NULL)
        return;
    struct owner *owner = owner_add(self, stored->name);
    text_copy(owner->holder, sizeof owner->holder, stored->holder);
    owner->instance = stored->instance;
}

// ---------------------------------------------------------------- numbers

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
    life_keep(self);
    if (meta == NULL)
        return;
    self->ttl_before_ms = meta->ttl_max_ms;
    self->slots_gone_ms = meta->slots_gone_ms;
    self->slots_told_ms = meta->slots_told_ms;
    if (meta->clean)
        return;
    // Leases of the life before may still be held: nothing is granted until the longest has ended.
    for (size_t i = 0; i < self->resource_count; i++) {
        struct resource *resource = &self->resources[i];
        const int64_t life = resource_life_ms(self, resource);
        resource->recovering_until = self->boot_ms + (life > meta->ttl_max_ms ? life : meta->ttl_max_ms);
    }
}

static void recover_hold(struct core *self, const Sb__StoredHold *stored)
{
    if (stored->hold != NULL)
        hold_recover(self, stored->hold);
}

static void recover_alert(struct core *self, const Sb__StoredAlert *stored)
{
    if (stored->alert != NULL)
        alert_recover(self, stored);
}

static const ProtobufCMessage *find_meta(const struct core_event *event)
{
    for (size_t i = 0; i < event->start.count; i++) {
        if (event->start.records[i].table == CORE_TABLE_META)
            return event->start.records[i].value;
    }
    return NULL;
}

// Takes what the journal has of leases and holds; all that has no place any more is deleted at once, and has
// room for that, as they come before what can wait for the next start.
static void recover_stops(struct core *self, const struct core_event *event)
{
    for (size_t i = 0; i < event->start.count; i++) {
        const ProtobufCMessage *value = event->start.records[i].value;
        if (event->start.records[i].table == CORE_TABLE_LEASE)
            recover_lease(self, (const Sb__StoredLease *)value);
        else if (event->start.records[i].table == CORE_TABLE_HOLD)
            recover_hold(self, (const Sb__StoredHold *)value);
    }
}

void recover_start(struct core *self, const struct core_event *event)
{
    assert(!self->started);
    self->started = true;
    self->started_ms = self->wall_ms;
    self->started_boot = self->boot_ms;
    self->wall_ahead_ms = self->wall_ms - self->boot_ms;
    random_init(&self->random, event->start.entropy);
    self->next_beat = self->boot_ms + self->config.beat_ms;
    recover_meta(self, (const Sb__StoredMeta *)find_meta(event));
    recover_stops(self, event);
    for (size_t i = 0; i < event->start.count; i++) {
        const ProtobufCMessage *value = event->start.records[i].value;
        switch (event->start.records[i].table) {
        case CORE_TABLE_JOB: recover_job(self, &event->start.records[i]); break;
        case CORE_TABLE_RUN: recover_open_run(self, (const Sb__StoredRun *)value); break;
        case CORE_TABLE_OWNER: recover_owner(self, (const Sb__StoredOwner *)value); break;
        case CORE_TABLE_ALERT: recover_alert(self, (const Sb__StoredAlert *)value); break;
        case CORE_TABLE_RESOURCE: recover_resource(self, (const Sb__StoredResource *)value); break;
        case CORE_TABLE_FIGURES: recover_figures(self, &event->start.records[i]); break;
        default: break;
        }
    }
    meta_store(self, false);
    for (size_t i = 0; i < self->job_count; i++)
        schedule_place(self, &self->jobs[i]);
    self->is_behind = !schedule_begin(self);
}

void recover_stop(struct core *self)
{
    if (self->stopping)
        return;
    self->stopping = true;
    for (size_t i = 0; i < self->lease_count; i++)
        lease_store(self, &self->leases[i]);
    pauses_store(self);
    bool recovering = false; // then leases may be held that the journal does not know
    for (size_t i = 0; i < self->resource_count; i++)
        recovering = recovering || self->resources[i].recovering_until != 0;
    meta_store(self, !recovering);
    self->stop_update = self->update_number;
    self->next_beat = self->boot_ms; // says that it stops
}
