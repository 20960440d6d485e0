// Who waits for a turn, in which order, and what each is told.
//
// Exclusive: first come, first served (I7). Shared: by priority, which grows by one level for each `aging`,
// then by the time since DUE, then by ticket. Order is total: never an address, never a hash.
#include "broker/core/parts.h"

static int64_t level_of(const struct core *self, const struct waiter *waiter)
{
    const int64_t aging = self->resources[waiter->resource].config.aging_ms;
    const int64_t age = self->boot_ms - waiter->since_boot;
    return (int64_t)self->jobs[waiter->job].terms.priority + (aging > 0 && age > 0 ? age / aging : 0);
}

// Whether `a` goes before `b`; both wait in the same mode for the same resource.
static bool is_ahead(const struct core *self, const struct waiter *a, const struct waiter *b)
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
    return job->last_success_ms == 0 || self->wall_ms >= job_stale_ms(job);
}

// Whether a shared waiter may have a turn at all now: not on hold, not beside another lease of its job, and
// under the streak's guard only if it is stale.
static bool may_run(const struct core *self, const struct waiter *waiter)
{
    if (self->jobs[waiter->job].holds > 0 || self->resources[waiter->resource].holds > 0)
        return false;
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
        if (waiter->resource != resource || waiter->mode != mode ||
            waiter->verdict != SB__CODE__CODE_UNSPECIFIED)
            continue;
        if (mode == SB__MODE__MODE_SHARED && !may_run(self, waiter))
            continue;
        if (first == SIZE_MAX || is_ahead(self, waiter, &self->waiters[first]))
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

bool queue_goes_before(const struct core *self, const struct waiter *other, const struct waiter *waiter)
{
    if (other == waiter || other->resource != waiter->resource ||
        other->verdict != SB__CODE__CODE_UNSPECIFIED)
        return false;
    if (other->mode != waiter->mode)
        return other->mode == SB__MODE__MODE_EXCLUSIVE;
    return is_ahead(self, other, waiter);
}

uint32_t queue_position(const struct core *self, const struct waiter *waiter)
{
    uint32_t position = 1;
    for (size_t i = 0; i < self->waiter_count; i++)
        position += queue_goes_before(self, &self->waiters[i], waiter) ? 1 : 0;
    return position;
}

void waiter_remove(struct core *self, size_t index)
{
    assert(index < self->waiter_count);
    self->waiters[index] = self->waiters[--self->waiter_count];
}

void waiters_of_run_end(struct core *self, const struct job *job, const char *why)
{
    const size_t before = self->waiter_count;
    const uint32_t place = job_index(self, job);
    const uint32_t resource = job->terms.resource;
    for (size_t i = self->waiter_count; i-- > 0;) {
        const struct waiter *waiter = &self->waiters[i];
        if (waiter->job != place)
            continue;
        assert(waiter->run == job->current.number);
        if (waiter->pending)
            (void)reply_add(self, waiter->peer, waiter->request, SB__CODE__CODE_CONFLICT, why);
        waiter_remove(self, i);
    }
    if (self->waiter_count < before)
        resource_advance(self, resource);
}

void waiters_of_process_end(struct core *self, uint64_t instance, uint64_t process)
{
    const size_t before = self->waiter_count;
    for (size_t i = self->waiter_count; i-- > 0;) {
        if (self->waiters[i].instance == instance && self->waiters[i].process != process)
            waiter_remove(self, i);
    }
    for (uint32_t i = 0; i < self->resource_count && self->waiter_count < before; i++)
        resource_advance(self, i);
}

void waiter_answer_verdict(struct core *self, uint64_t peer, uint64_t request, const struct waiter *waiter)
{
    Sb__Reply *reply = reply_add(self, peer, request, waiter->verdict, waiter->reason);
    if (waiter->verdict != SB__CODE__CODE_PAUSE_TIMEOUT)
        return;
    Sb__Waiting *waiting = arena_take(self, sizeof *waiting);
    sb__waiting__init(waiting);
    waiting->eta_ms = -1;
    view_blockers(self, waiter->resource, &waiting->blockers, &waiting->n_blockers);
    reply->body_case = SB__REPLY__BODY_WAITING;
    reply->waiting = waiting;
}

// The wait of a waiter is over, and it is told so as soon as it can be.
static void judge(struct waiter *waiter, Sb__Code verdict, const char *text)
{
    waiter->verdict = verdict;
    waiter->until_boot = INT64_MAX;
    text_copy(waiter->reason, sizeof waiter->reason, text);
}

// The wait of a waiter is over with this reply: now, or when it asks again. True if it was removed.
static bool waiter_end(struct core *self, size_t index, Sb__Code verdict, const char *text)
{
    struct waiter *waiter = &self->waiters[index];
    judge(waiter, verdict, text);
    if (!waiter->pending)
        return false;
    waiter_answer_verdict(self, waiter->peer, waiter->request, waiter);
    waiter_remove(self, index);
    return true;
}

void exclusive_waiters_end(struct core *self, uint32_t resource, Sb__Code verdict, const char *text)
{
    size_t next;
    while (update_has_room(self) &&
           (next = queue_first(self, resource, SB__MODE__MODE_EXCLUSIVE)) != SIZE_MAX)
        (void)waiter_end(self, next, verdict, text);
    for (size_t i = 0; i < self->waiter_count;
         i++) { // those that have no room in this step: told in the next
        struct waiter *waiter = &self->waiters[i];
        if (waiter->resource != resource || waiter->mode != SB__MODE__MODE_EXCLUSIVE ||
            waiter->verdict != SB__CODE__CODE_UNSPECIFIED)
            continue;
        judge(waiter, verdict, text);
        waiter->answer_boot = self->boot_ms;
    }
}

int64_t waiter_silence_ms(const struct waiter *waiter)
{
    return 2 * waiter->poll_ms > WAITER_SILENCE_MS ? 2 * waiter->poll_ms : WAITER_SILENCE_MS;
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
    waiter->drop_boot = self->boot_ms + waiter_silence_ms(waiter);
}

// What time does to one waiter; true if it was removed.
static bool advance(struct core *self, size_t index)
{
    struct waiter *waiter = &self->waiters[index];
    const uint32_t resource = waiter->resource;
    if (self->boot_ms >= waiter->until_boot) {
        const bool gone = waiter_end(self, index, SB__CODE__CODE_TIMEOUT,
                                     "the lease was not granted within the time given");
        resource_advance(self, resource);
        return gone;
    }
    const bool is_asked = waiter->pending && self->boot_ms >= waiter->answer_boot;
    if (is_asked && waiter->verdict != SB__CODE__CODE_UNSPECIFIED) {
        waiter_answer_verdict(self, waiter->peer, waiter->request, waiter);
        waiter_remove(self, index);
        return true;
    }
    if (is_asked)
        waiter_answer_waiting(self, waiter);
    if (!waiter->pending && self->boot_ms >= waiter->drop_boot) { // I7: a dead waiter blocks nobody
        if (waiter->job != JOB_NONE)
            run_tell_again(self, &self->jobs[waiter->job]);
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
