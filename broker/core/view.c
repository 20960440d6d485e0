// The state as messages: for replies, publications, beats and records. They live in the step's arena.
#include "broker/core/parts.h"

#include <string.h>

// ---------------------------------------------------------------- runs and leases

Sb__RunState *view_run(struct core *self, const struct job *job, const struct run *run)
{
    Sb__RunState *state = arena_take(self, sizeof *state);
    sb__run_state__init(state);
    state->run = run->number;
    state->job = (char *)job->name;
    state->slot_ms = run->slot_ms;
    state->cause = run->cause;
    state->stage = run->stage;
    state->service = arena_text(self, run->service);
    state->done = run->done;
    state->total = run->total;
    state->yields = run->yields;
    state->attempt = run->attempt;
    state->due_ms = run->due_ms;
    state->ended_ms = run->ended_ms;
    state->queued_ms = run->queued_ms;
    state->detail = arena_text(self, run->detail);
    if (run == &job->last && job->has_result) {
        state->result = arena_take(self, sizeof *state->result);
        *state->result = job->last_result;
        state->result->error = arena_text(self, job->last_error);
        state->result->note = arena_text(self, job->last_note);
    } else if (run->why[0] != '\0') {
        state->result = arena_take(self, sizeof *state->result);
        sb__result__init(state->result);
        state->result->error = arena_text(self, run->why);
    }
    return state;
}

static int64_t lease_eta(const struct core *self, const struct lease *lease)
{
    const int64_t held = self->boot_ms - lease->granted_boot;
    if (lease_should_yield(self, lease))
        return 0;
    if (lease->done > lease->done_before && lease->total >= lease->done) { // at the pace of this turn
        const double left =
            (double)held * (double)(lease->total - lease->done) / (double)(lease->done - lease->done_before);
        return left < ETA_MAX_MS ? (int64_t)left : -1;
    }
    const struct resource *resource = &self->resources[lease->resource];
    const struct job *job = lease->job != JOB_NONE ? &self->jobs[lease->job] : NULL;
    const uint64_t count = job != NULL ? job->held_count : resource->exclusive_count;
    const uint64_t sum = job != NULL ? job->held_ms : resource->exclusive_held_ms;
    if (count == 0)
        return -1;
    const int64_t left = (int64_t)(sum / count) - held;
    return left > 0 ? left : 0;
}

void view_blockers(struct core *self, uint32_t resource, Sb__Blocker ***ret, size_t *ret_count)
{
    Sb__Blocker **blockers = arena_take(self, BLOCKERS_TOLD * sizeof *blockers);
    size_t count = 0;
    for (size_t i = 0; i < self->lease_count && count < BLOCKERS_TOLD; i++) {
        const struct lease *lease = &self->leases[i];
        if (lease->resource != resource)
            continue;
        Sb__Blocker *blocker = arena_take(self, sizeof *blocker);
        sb__blocker__init(blocker);
        blocker->job = lease->job != JOB_NONE ? self->jobs[lease->job].name : (char *)protobuf_c_empty_string;
        blocker->holder = arena_text(self, lease->holder);
        blocker->run = lease->run;
        blocker->held_ms = self->boot_ms - lease->granted_boot;
        blocker->done = lease->done;
        blocker->total = lease->total;
        blocker->eta_ms = lease_eta(self, lease);
        blockers[count++] = blocker;
    }
    *ret = blockers;
    *ret_count = count;
}

// The longest of those that hold it now, and the mean of those that go before; -1 if that is not known.
int64_t view_eta(const struct core *self, const struct waiter *waiter)
{
    const struct resource *resource = &self->resources[waiter->resource];
    int64_t eta = resource->recovering_until != 0 ? resource->recovering_until - self->boot_ms : 0;
    const struct hold *hold = waiter->job != JOB_NONE ? hold_of_job(self, &self->jobs[waiter->job]) : NULL;
    if (hold != NULL && hold->until_ms == 0)
        return -1;
    if (hold != NULL && hold->until_ms - self->wall_ms > eta)
        eta = hold->until_ms - self->wall_ms;
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].resource != waiter->resource)
            continue;
        const int64_t left = lease_eta(self, &self->leases[i]);
        if (left < 0)
            return -1;
        if (left > eta)
            eta = left;
    }
    for (size_t i = 0; i < self->waiter_count; i++) {
        const struct waiter *other = &self->waiters[i];
        if (!queue_goes_before(self, other, waiter))
            continue;
        const struct job *job = other->job != JOB_NONE ? &self->jobs[other->job] : NULL;
        const uint64_t count = job != NULL ? job->held_count : resource->exclusive_count;
        if (count == 0)
            return -1;
        eta += (int64_t)((job != NULL ? job->held_ms : resource->exclusive_held_ms) / count);
    }
    return eta;
}

// ---------------------------------------------------------------- resources

bool resource_is_open(const struct core *self, const struct resource *resource)
{
    (void)self;
    return resource->phase == PAUSE_NONE && resource->recovering_until == 0 && resource->holds == 0;
}

static Sb__Phase phase_of(const struct resource *resource)
{
    if (resource->recovering_until != 0)
        return SB__PHASE__PHASE_RECOVERING;
    switch (resource->phase) {
    case PAUSE_DRAINING: return SB__PHASE__PHASE_DRAINING;
    case PAUSE_EXCLUSIVE: return SB__PHASE__PHASE_EXCLUSIVE;
    default: return resource->holds > 0 ? SB__PHASE__PHASE_ON_HOLD : SB__PHASE__PHASE_OPEN;
    }
}

Sb__ResourceState *view_resource(struct core *self, const struct resource *resource)
{
    const uint32_t index = (uint32_t)(resource - self->resources);
    Sb__ResourceState *state = arena_take(self, sizeof *state);
    sb__resource_state__init(state);
    state->resource = (char *)resource->name;
    state->phase = phase_of(resource);
    state->pause = resource->phase != PAUSE_NONE ? resource->pause : 0;
    state->since_ms = resource->phase != PAUSE_NONE ? resource->pause_since_ms : 0;
    state->shared = (uint32_t)leases_of(self, index, SB__MODE__MODE_SHARED);
    state->waiting_exclusive = (uint32_t)queue_count(self, index, SB__MODE__MODE_EXCLUSIVE);
    state->waiting_shared = (uint32_t)queue_count(self, index, SB__MODE__MODE_SHARED);
    for (size_t i = 0; i < self->lease_count; i++) {
        const struct lease *lease = &self->leases[i];
        if (lease->resource != index || lease->mode != SB__MODE__MODE_EXCLUSIVE)
            continue;
        state->token = lease->token;
        state->holder = arena_text(self, lease->holder);
        state->reason = arena_text(self, lease->reason);
        state->deadline_ms = self->wall_ms + (lease->end_boot - self->boot_ms);
    }
    if (resource->phase == PAUSE_DRAINING) {
        const size_t first = queue_first(self, index, SB__MODE__MODE_EXCLUSIVE);
        const int64_t limit = pause_limit(self, resource);
        view_blockers(self, index, &state->blockers, &state->n_blockers);
        if (first != SIZE_MAX) {
            state->holder = arena_text(self, self->waiters[first].holder);
            state->reason = arena_text(self, self->waiters[first].reason);
        }
        if (limit != INT64_MAX)
            state->deadline_ms = self->wall_ms + (limit - self->boot_ms);
    }
    if (state->phase == SB__PHASE__PHASE_ON_HOLD) {
        const struct hold *hold = hold_of_resource(self, resource, false);
        state->holder = arena_text(self, hold->by);
        state->reason = arena_text(self, hold->reason);
        state->since_ms = hold->since_ms;
        state->deadline_ms = hold->until_ms;
    }
    if (resource->recovering_until != 0)
        state->deadline_ms = self->wall_ms + (resource->recovering_until - self->boot_ms);
    return state;
}

// ---------------------------------------------------------------- jobs and services

Sb__Quantiles *view_quantiles(struct core *self, const struct histogram *histogram)
{
    Sb__Quantiles *quantiles = arena_take(self, sizeof *quantiles);
    sb__quantiles__init(quantiles);
    quantiles->count = histogram->count;
    quantiles->avg_ms = histogram_average(histogram);
    quantiles->p50_ms = histogram_quantile(histogram, 500);
    quantiles->p95_ms = histogram_quantile(histogram, 950);
    quantiles->p99_ms = histogram_quantile(histogram, 990);
    quantiles->max_ms = histogram->max;
    return quantiles;
}

// The token of the lease that the run holds; 0 if it holds none.
static uint64_t token_of(const struct core *self, const struct run *run)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].job != JOB_NONE && self->leases[i].run == run->number)
            return self->leases[i].token;
    }
    return 0;
}

static Sb__JobState *view_job(struct core *self, const struct job *job)
{
    Sb__JobState *state = arena_take(self, sizeof *state);
    sb__job_state__init(state);
    state->job = (char *)job->name;
    state->resource = self->resources[job->config.resource].name;
    state->every_ms = (uint64_t)job->config.every_ms;
    state->offset_ms = (uint64_t)job->config.offset_ms;
    state->priority = job->config.priority;
    state->next_ms = job->next_slot_ms;
    if (run_is_open(job)) {
        state->current = view_run(self, job, &job->current);
        state->current->token = token_of(self, &job->current);
    }
    if (job->last.number != 0)
        state->last = view_run(self, job, &job->last);
    state->last_success_ms = job->last_success_ms;
    state->fresh_within_ms = (uint64_t)job->config.fresh_within_ms;
    state->runs = job->runs;
    state->failures = job->failures;
    state->failing_in_a_row = job->failing_in_a_row;
    state->overlaps = job->overlaps;
    state->skipped = job->skipped;
    state->coalesced = job->coalesced;
    state->missed = job->missed;
    const struct figures *figures = job_figures(self, job);
    state->duration = view_quantiles(self, &figures->duration);
    state->queued = view_quantiles(self, &figures->queued);
    state->blocked_others = view_quantiles(self, &figures->blocked_others);
    state->unchanged_share = job->seen > 0 ? (double)job->unchanged / (double)job->seen : 0;
    return state;
}

static Sb__ServiceState *view_service(struct core *self, const struct session *session)
{
    Sb__ServiceState *state = arena_take(self, sizeof *state);
    sb__service_state__init(state);
    state->name = arena_text(self, session->name);
    state->instance = session->instance;
    state->seen_ms = session->seen_ms;
    state->version = arena_text(self, session->version);
    state->jobs = arena_take(self, (session->job_count + 1) * sizeof(char *));
    for (size_t i = 0; i < session->job_count; i++)
        state->jobs[state->n_jobs++] = self->jobs[session->jobs[i]].name;
    state->serves = arena_take(self, (session->serve_count + 1) * sizeof(char *));
    for (size_t i = 0; i < session->serve_count; i++)
        state->serves[state->n_serves++] = arena_text(self, session->serves[i]);
    return state;
}

// ---------------------------------------------------------------- seqs

struct seqs {
    Sb__State__SeqsEntry **entries; // room for every topic
    size_t count;
};

static void add_seq(struct core *self, struct seqs *seqs, const struct topic *topic)
{
    if (topic->seq == 0)
        return;
    Sb__State__SeqsEntry *entry = arena_take(self, sizeof *entry);
    sb__state__seqs_entry__init(entry);
    entry->key = (char *)(uintptr_t)topic_text(self, topic);
    entry->value = topic->seq;
    seqs->entries[seqs->count++] = entry;
}

// ---------------------------------------------------------------- State

static Sb__State *view_state(struct core *self)
{
    Sb__State *state = arena_take(self, sizeof *state);
    sb__state__init(state);
    state->time_ms = self->wall_ms;
    state->started_ms = self->started_ms;
    state->version = self->version;
    state->profile = self->profile;
    state->resources = arena_take(self, self->resource_count * sizeof(void *));
    for (size_t i = 0; i < self->resource_count; i++) {
        if (!self->resources[i].removed)
            state->resources[state->n_resources++] = view_resource(self, &self->resources[i]);
    }
    return state;
}

// Adds the last seqs of all topics but those of jobs that the state does not show.
static void add_seqs(struct core *self, Sb__State *state)
{
    enum { ORDER_TOPICS = SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON };
    const size_t max = 3 * self->resource_count + 3 * state->n_jobs + ORDER_TOPICS + ALERT_KIND_COUNT;
    struct seqs seqs = {.entries = arena_take(self, max * sizeof(void *))};
    for (size_t i = 0; i < self->resource_count; i++) {
        const struct resource *resource = &self->resources[i];
        add_seq(self, &seqs, &resource->pause_topic);
        add_seq(self, &seqs, &resource->resume_topic);
        add_seq(self, &seqs, &resource->lease_topic);
    }
    for (size_t i = 0; i < state->n_jobs; i++) {
        const struct job *job = job_find(self, state->jobs[i]->job);
        add_seq(self, &seqs, &job->tick);
        add_seq(self, &seqs, &job->run);
        add_seq(self, &seqs, &job->change);
    }
    for (int i = SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED; i <= ORDER_TOPICS; i++)
        add_seq(self, &seqs, &self->order_topics[i]);
    for (int i = 0; i < ALERT_KIND_COUNT; i++)
        add_seq(self, &seqs, &self->alert_topics[i]);
    state->seqs = seqs.entries;
    state->n_seqs = seqs.count;
}

Sb__State *view_welcome(struct core *self, const struct session *session)
{
    Sb__State *state = view_state(self);
    state->jobs = arena_take(self, (session->job_count + 1) * sizeof(void *));
    for (size_t i = 0; i < session->job_count; i++)
        state->jobs[state->n_jobs++] = view_job(self, &self->jobs[session->jobs[i]]);
    add_seqs(self, state);
    return state;
}

// The place from which a page goes on that follows a job, be it one that left the config since the page
// before: its name stands there until another job takes the place. Past job_count: it is not known any more.
static size_t place_after(const struct core *self, const char *name)
{
    const struct job *job = job_find(self, name);
    size_t place = job != NULL ? job_index(self, job) : 0;
    while (job == NULL && place < self->job_count &&
           (self->jobs[place].presence != JOB_ABSENT || strcmp(self->jobs[place].name, name) != 0))
        place++;
    return place + 1;
}

// All jobs, in the order of their places, from `first` on; or one.
static void add_jobs(struct core *self, Sb__State *state, const Sb__Snapshot *snapshot, size_t first)
{
    const size_t limit =
        snapshot->limit > 0 && snapshot->limit < SNAPSHOT_JOBS ? snapshot->limit : SNAPSHOT_JOBS;
    state->jobs = arena_take(self, limit * sizeof(void *));
    for (size_t i = first; i < self->job_count; i++) {
        if (self->jobs[i].presence == JOB_ABSENT ||
            (snapshot->job[0] != '\0' && strcmp(snapshot->job, self->jobs[i].name) != 0))
            continue;
        if (state->n_jobs == limit) {
            state->more = true;
            return;
        }
        state->jobs[state->n_jobs++] = view_job(self, &self->jobs[i]);
    }
}

static void add_services(struct core *self, Sb__State *state)
{
    state->services = arena_take(self, SNAPSHOT_SERVICES * sizeof(void *));
    for (size_t i = 0; i < self->present_count && state->n_services < SNAPSHOT_SERVICES; i++)
        state->services[state->n_services++] = view_service(self, &self->sessions[self->present[i]]);
}

// What lies on the jobs that the state shows, the oldest first.
static void add_holds(struct core *self, Sb__State *state, const char *job)
{
    state->holds = arena_take(self, HOLDS_MAX * sizeof(void *));
    for (size_t i = 0; i < self->hold_count; i++) {
        Sb__Hold *hold = view_hold(self, &self->holds[i]);
        if (job[0] != '\0' && hold->resource[0] == '\0' && strcmp(hold->job, job) != 0)
            continue;
        size_t at = state->n_holds++;
        for (; at > 0; at--) {
            const Sb__Hold *before = state->holds[at - 1];
            if (before->since_ms < hold->since_ms ||
                (before->since_ms == hold->since_ms && before->hold < hold->hold))
                break;
            state->holds[at] = state->holds[at - 1];
        }
        state->holds[at] = hold;
    }
}

static bool is_before(const struct alert *a, const struct alert *b)
{
    if (a->kind != b->kind && (a->kind == ALERT_FULL || b->kind == ALERT_FULL))
        return a->kind == ALERT_FULL; // never among those that are left out
    return a->since_ms != b->since_ms ? a->since_ms < b->since_ms : strcmp(a->id, b->id) < 0;
}

// Puts the alert where it belongs among the `count` oldest ones; gives how many these are then.
static size_t keep_oldest(const struct alert **oldest, size_t count, const struct alert *alert)
{
    if (count == SNAPSHOT_ALERTS && is_before(oldest[count - 1], alert))
        return count;
    size_t at = count < SNAPSHOT_ALERTS ? count : count - 1; // the youngest makes room
    for (; at > 0 && is_before(alert, oldest[at - 1]); at--)
        oldest[at] = oldest[at - 1];
    oldest[at] = alert;
    return count < SNAPSHOT_ALERTS ? count + 1 : count;
}

// What is wrong, the oldest first: as many as are told at once, and how many more there are.
static void add_alerts(struct core *self, Sb__State *state, const char *job)
{
    const struct alert **oldest = arena_take(self, SNAPSHOT_ALERTS * sizeof *oldest);
    size_t count = 0;
    for (size_t i = 0; i < self->alert_count; i++) {
        const struct alert *alert = &self->alerts[i];
        if (job[0] != '\0' && strcmp(alert_subject(alert), job) != 0)
            continue;
        count = keep_oldest(oldest, count, alert);
        state->more_alerts++;
    }
    state->more_alerts -= count;
    state->alerts = arena_take(self, SNAPSHOT_ALERTS * sizeof(void *));
    for (; state->n_alerts < count; state->n_alerts++)
        state->alerts[state->n_alerts] = view_alert(self, oldest[state->n_alerts]);
}

void view_snapshot(struct core *self, uint64_t peer, const Sb__Request *request)
{
    const Sb__Snapshot *snapshot = request->snapshot;
    const size_t first = snapshot->after[0] != '\0' ? place_after(self, snapshot->after) : 0;
    const bool is_lost = first > self->job_count; // to begin anew by itself could go on without end
    if (is_lost || (snapshot->job[0] != '\0' && job_find(self, snapshot->job) == NULL)) {
        (void)reply_add(
            self, peer, request->id, SB__CODE__CODE_NOT_FOUND,
            arena_print(self, "no job is called \"%s\"", is_lost ? snapshot->after : snapshot->job));
        return;
    }
    Sb__State *state = view_state(self);
    add_jobs(self, state, snapshot, first);
    if (snapshot->job[0] == '\0')
        add_services(self, state);
    if (snapshot->after[0] == '\0') {
        add_holds(self, state, snapshot->job);
        add_alerts(self, state, snapshot->job);
    }
    add_seqs(self, state);
    Sb__Reply *reply = reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_STATE;
    reply->state = state;
}
