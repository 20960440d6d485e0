// Who waits for a turn, in which order, and what each is told.
//
// Exclusive: first come, first served (I7). Shared: by priority, which grows by one level for each `aging`,
// then by the time since DUE, then by ticket. Order is total: never an address, never a hash.
#include "broker/core/state.h"

static int64_t level_of(const struct core *self, const struct waiter *waiter)
{
    const int64_t aging = self->resources[waiter->resource].config.aging_ms;
    const int64_t age = self->boot_ms - waiter->since_boot;
    return (int64_t)self->jobs[waiter->job].config.priority + (aging > 0 && age > 0 ? age / aging : 0);
}

// Whether `a` goes before `b`; both wait in the same mode for the same resource.
static bool goes_before(const struct core *self, const struct waiter *a, const struct waiter *b)
{
    if (a->mode == SB__MODE__MODE_SHARED) {
        const int64_t levels = level_of(self, a) - level_of(self, b);
        if (levels != 0)
            return levels > 0;
        if (a->since_boot != b->since_boot)
            return a->since_boot < b->since_boot;
    }
    if (a->ticket != b->ticket)
        return a->ticket < b->ticket;
    return a->claim < b->claim;
}

static bool is_stale(const struct core *self, const struct job *job)
{
    return self->wall_ms - job->last_success_ms > job->config.fresh_within_ms;
}

// Whether a shared waiter may have a turn at all now: not beside another lease of its job, and under the
// streak's guard only if it is stale.
static bool may_run(const struct core *self, const struct waiter *waiter)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].job == waiter->job && self->leases[i].resource == waiter->resource)
            return false;
    }
    return !self->resources[waiter->resource].guard || is_stale(self, &self->jobs[waiter->job]);
}

size_t queue_first(const struct core *self, uint32_t resource, Sb__Mode mode)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < self->waiter_count; i++) {
        const struct waiter *waiter = &self->waiters[i];
        if (waiter->resource != resource || waiter->mode != mode || waiter->timed_out)
            continue;
        if (mode == SB__MODE__MODE_SHARED && !may_run(self, waiter))
            continue;
        if (first == SIZE_MAX || goes_before(self, waiter, &self->waiters[first]))
            first = i;
    }
    return first;
}

size_t queue_count(const struct core *self, uint32_t resource, Sb__Mode mode)
{
    size_t count = 0;
    for (size_t i = 0; i < self->waiter_count; i++)
        count += self->waiters[i].resource == resource && self->waiters[i].mode == mode ? 1 : 0;
    return count;
}

uint32_t queue_position(const struct core *self, const struct waiter *waiter)
{
    uint32_t position = 1;
    for (size_t i = 0; i < self->waiter_count; i++) {
        const struct waiter *other = &self->waiters[i];
        if (other == waiter || other->resource != waiter->resource)
            continue;
        // Every exclusive goes before every shared one.
        const bool before = other->mode == waiter->mode ? goes_before(self, other, waiter)
                                                        : other->mode == SB__MODE__MODE_EXCLUSIVE;
        position += before ? 1 : 0;
    }
    return position;
}

void waiter_remove(struct core *self, size_t index)
{
    assert(index < self->waiter_count);
    self->waiters[index] = self->waiters[--self->waiter_count];
}

void waiters_of_run_end(struct core *self, uint32_t job, uint64_t run)
{
    const size_t before = self->waiter_count;
    for (size_t i = self->waiter_count; i-- > 0;) {
        const struct waiter *waiter = &self->waiters[i];
        if (waiter->job != job || waiter->run != run)
            continue;
        if (waiter->pending)
            (void)reply_add(self, waiter->peer, waiter->request, SB__CODE__CODE_CONFLICT,
                            "this run has ended");
        waiter_remove(self, i);
    }
    if (self->waiter_count < before)
        resource_advance(self, self->jobs[job].config.resource);
}

void waiters_of_instance_end(struct core *self, uint64_t instance)
{
    for (size_t i = self->waiter_count; i-- > 0;) {
        if (self->waiters[i].instance == instance)
            waiter_remove(self, i);
    }
    for (uint32_t i = 0; i < self->config.resource_count; i++)
        resource_advance(self, i);
}

void waiter_answer_timed_out(struct core *self, uint64_t peer, uint64_t request, uint32_t resource,
                             const char *text)
{
    Sb__Waiting *waiting = arena_take(self, sizeof *waiting);
    sb__waiting__init(waiting);
    waiting->eta_ms = -1;
    view_blockers(self, resource, &waiting->blockers, &waiting->n_blockers);
    Sb__Reply *reply = reply_add(self, peer, request, SB__CODE__CODE_PAUSE_TIMEOUT, text);
    reply->body_case = SB__REPLY__BODY_WAITING;
    reply->waiting = waiting;
}

void waiters_time_out(struct core *self, uint32_t resource, const char *text)
{
    size_t next;
    while (update_has_room(self) &&
           (next = queue_first(self, resource, SB__MODE__MODE_EXCLUSIVE)) != SIZE_MAX) {
        struct waiter *waiter = &self->waiters[next];
        if (waiter->pending) {
            waiter_answer_timed_out(self, waiter->peer, waiter->request, resource, text);
            waiter_remove(self, next);
        } else {
            waiter->timed_out = true;
            text_copy(waiter->reason, sizeof waiter->reason, text);
        }
    }
}

void waiter_answer_waiting(struct core *self, struct waiter *waiter)
{
    assert(waiter->pending);
    Sb__Waiting *waiting = arena_take(self, sizeof *waiting);
    sb__waiting__init(waiting);
    waiting->ticket = waiter->ticket;
    waiting->position = queue_position(self, waiter);
    waiting->eta_ms = view_eta(self, waiter);
    view_blockers(self, waiter->resource, &waiting->blockers, &waiting->n_blockers);
    Sb__Reply *reply = reply_add(self, waiter->peer, waiter->request, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_WAITING;
    reply->waiting = waiting;
    waiter->pending = false;
    const int64_t silence = 2 * waiter->poll_ms > WAITER_SILENCE_MS ? 2 * waiter->poll_ms : WAITER_SILENCE_MS;
    waiter->drop_boot = self->boot_ms + silence;
}

// What time does to one waiter; true if it was removed.
static bool advance(struct core *self, size_t index)
{
    struct waiter *waiter = &self->waiters[index];
    const uint32_t resource = waiter->resource;
    if (self->boot_ms >= waiter->until_boot) {
        if (waiter->pending)
            (void)reply_add(self, waiter->peer, waiter->request, SB__CODE__CODE_TIMEOUT,
                            "the lease was not granted within the time given");
        waiter_remove(self, index);
        resource_advance(self, resource);
        return true;
    }
    if (waiter->pending && self->boot_ms >= waiter->answer_boot)
        waiter_answer_waiting(self, waiter);
    if (!waiter->pending && self->boot_ms >= waiter->drop_boot) { // I7: a dead waiter blocks nobody
        waiter_remove(self, index);
        resource_advance(self, resource);
        return true;
    }
    return false;
}

bool waiters_advance(struct core *self)
{
    for (size_t i = 0; i < self->waiter_count;) {
        if (!update_has_room(self))
            return false;
        const size_t before = self->waiter_count;
        if (!advance(self, i))
            i++;
        else if (self->waiter_count + 1 < before)
            i = 0; // more than this one went: begin again
    }
    return true;
}

int64_t waiters_deadline(const struct core *self)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < self->waiter_count; i++) {
        const struct waiter *waiter = &self->waiters[i];
        const int64_t next = waiter->pending ? waiter->answer_boot : waiter->drop_boot;
        const int64_t first = next < waiter->until_boot ? next : waiter->until_boot;
        if (first < deadline)
            deadline = first;
    }
    return deadline;
}
