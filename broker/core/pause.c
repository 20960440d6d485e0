// A resource's phases. The first exclusive waiter starts a pause; syncs are asked to yield; the exclusive
// lease follows when no shared lease is left (I2, I4, I5); the pause ends when no exclusive one waits or is
// held (I6).
//
//            exclusive waits                no lease is left
//    NONE ───────────────────► DRAINING ─────────────────────► EXCLUSIVE
//     ▲                          │  ▲    released, another waits   │
//     └── timed out, withdrawn ──┘  └──────────────────────────────┤
//     ▲                                                            │
//     └──────────────── released, none waits · the streak ─────────┘
#include "broker/core/parts.h"

#include <stdio.h>
#include <string.h>

size_t leases_of(const struct core *self, uint32_t resource, Sb__Mode mode)
{
    size_t count = 0;
    for (size_t i = 0; i < self->lease_count; i++)
        count += self->leases[i].resource == resource && self->leases[i].mode == mode ? 1 : 0;
    return count;
}

bool lease_should_yield(const struct core *self, const struct lease *lease)
{
    if (lease->mode != SB__MODE__MODE_SHARED || lease->guarded ||
        self->resources[lease->resource].phase != PAUSE_DRAINING)
        return false;
    const struct job *job = &self->jobs[lease->job];
    const bool has_yielded_enough =
        job->current.number == lease->run && job->current.yields >= job->terms.max_yields;
    return job->terms.yields && !has_yielded_enough;
}

// The names of those who hold it, for people.
static const char *blocker_names(struct core *self, uint32_t index)
{
    char names[TEXT_MAX_SIZE + 1] = "";
    size_t used = 0;
    for (size_t i = 0; i < self->lease_count && used < sizeof names; i++) {
        const struct lease *lease = &self->leases[i];
        if (lease->resource != index)
            continue;
        assert(lease->job != JOB_NONE); // none of them is exclusive: another one waits for them
        const int size = snprintf(names + used, sizeof names - used, "%s%s (%s)", used > 0 ? ", " : "",
                                  self->jobs[lease->job].name, lease->holder);
        assert(size > 0);
        used += (size_t)size;
    }
    return arena_text(self, names);
}

void publish_phase(struct core *self, struct resource *resource, bool resume)
{
    Sb__Event *event = publish(self, resume ? &resource->resume_topic : &resource->pause_topic, false);
    event->body_case = SB__EVENT__BODY_RESOURCE;
    event->resource = view_resource(self, resource);
}

// A pause by its number and its times, in this phase.
static void pause_set(struct core *self, struct resource *resource, enum pause_phase phase)
{
    resource->phase = phase;
    resource->pause = ++self->pause_count_ever;
    resource->streak_since = self->boot_ms;
    resource->pause_since_ms = self->wall_ms;
}

// One that waits now waits for those who hold it now.
static void drain(struct core *self, struct resource *resource)
{
    resource->phase = PAUSE_DRAINING;
    resource->drain_since = self->boot_ms;
    resource->revoked_some = false;
    text_copy(resource->blocked_by, sizeof resource->blocked_by,
              blocker_names(self, (uint32_t)(resource - self->resources)));
}

static void pause_begin(struct core *self, struct resource *resource)
{
    assert(resource->phase == PAUSE_NONE);
    pause_set(self, resource, PAUSE_DRAINING);
    drain(self, resource);
    publish_phase(self, resource, false);
}

void pause_goes_on(struct core *self, struct resource *resource)
{
    if (resource->phase == PAUSE_EXCLUSIVE)
        return;
    pause_set(self, resource, PAUSE_EXCLUSIVE);
    resource->drain_since = self->boot_ms;
}

static void pause_end(struct core *self, struct resource *resource)
{
    assert(resource->phase != PAUSE_NONE);
    resource->phase = PAUSE_NONE;
    publish_phase(self, resource, true);
}

// Whether a sync that is staler than it should be waits for its turn behind exclusives without end.
static bool streak_is_over(struct core *self, uint32_t index)
{
    struct resource *resource = &self->resources[index];
    if (self->boot_ms - resource->streak_since < resource->config.max_exclusive_streak_ms)
        return false;
    resource->guard = true; // for the look at the queue under its rule
    resource->guard = queue_first(self, index, SB__MODE__MODE_SHARED) != SIZE_MAX;
    return resource->guard;
}

// The guard has done its work when one of its turns ended, or when nobody is there to take one.
static void guard_advance(struct core *self, uint32_t index)
{
    struct resource *resource = &self->resources[index];
    if (resource->guard && leases_of(self, index, SB__MODE__MODE_SHARED) == 0 &&
        queue_first(self, index, SB__MODE__MODE_SHARED) == SIZE_MAX)
        resource->guard = false;
}

// Whether there is a token that is stored, and a place in the table.
static bool may_grant(const struct core *self)
{
    return self->tokens.next < self->tokens.end && self->lease_count < LEASES_MAX;
}

// Grants the first exclusive waiter its lease if it asks at this moment; its place is kept if it does not.
static bool grant_exclusive(struct core *self, uint32_t index)
{
    struct resource *resource = &self->resources[index];
    const size_t first = queue_first(self, index, SB__MODE__MODE_EXCLUSIVE);
    if (!self->waiters[first].pending || !may_grant(self))
        return false;
    resource->phase = PAUSE_EXCLUSIVE;
    (void)pause_count(self, resource, &self->waiters[first], SB__LEASE_CHANGE__LEASE_CHANGE_GRANTED);
    alert_clear(self, ALERT_PAUSE_TIMEOUT, resource->name);
    lease_grant(self, first);
    publish_phase(self, resource, false);
    return true;
}

static void grant_shared(struct core *self, uint32_t index)
{
    const struct resource *resource = &self->resources[index];
    while (!resource->removed && leases_of(self, index, SB__MODE__MODE_SHARED) < resource->config.capacity) {
        const size_t first = queue_first(self, index, SB__MODE__MODE_SHARED);
        if (first == SIZE_MAX || !self->waiters[first].pending || !may_grant(self))
            return;
        if (!update_has_room(self)) {
            self->is_behind = true; // the next step grants the others, at once
            return;
        }
        lease_grant(self, first);
    }
}

void resource_advance(struct core *self, uint32_t index)
{
    struct resource *resource = &self->resources[index];
    if (self->stopping || resource->recovering_until != 0)
        return;
    if (leases_of(self, index, SB__MODE__MODE_EXCLUSIVE) > 0) {
        assert(resource->phase == PAUSE_EXCLUSIVE);
        return;
    }
    guard_advance(self, index);
    const bool waits = queue_first(self, index, SB__MODE__MODE_EXCLUSIVE) != SIZE_MAX;
    if (resource->phase == PAUSE_EXCLUSIVE && waits && !streak_is_over(self, index)) {
        drain(self, resource); // the next one, with no resume between
    } else if (resource->phase == PAUSE_EXCLUSIVE || (resource->phase == PAUSE_DRAINING && !waits)) {
        pause_end(self, resource);
    }
    if (resource->phase == PAUSE_NONE && waits && !resource->guard &&
        self->boot_ms >= resource->refused_until)
        pause_begin(self, resource);
    if (resource->phase == PAUSE_DRAINING) {
        if (leases_of(self, index, SB__MODE__MODE_SHARED) == 0)
            (void)grant_exclusive(self, index);
        return; // I5: nothing shared while a pause lasts
    }
    grant_shared(self, index);
}

// When a draining pause fails: the smallest limit of those that still block; INT64_MAX with none.
int64_t pause_limit(const struct core *self, const struct resource *resource)
{
    const uint32_t index = (uint32_t)(resource - self->resources);
    int64_t smallest = INT64_MAX;
    for (size_t i = 0; i < self->lease_count; i++) {
        const struct lease *lease = &self->leases[i];
        if (lease->resource != index || (lease->revoked && resource->revoked_some)) // it ends by itself
            continue;
        if (self->jobs[lease->job].terms.pause_timeout_ms < smallest)
            smallest = self->jobs[lease->job].terms.pause_timeout_ms;
    }
    return smallest == INT64_MAX ? INT64_MAX : resource->drain_since + smallest;
}

// A pause could not complete in time: whom it waited for is counted, told and raised.
static const char *pause_time_out(struct core *self, uint32_t index)
{
    struct resource *resource = &self->resources[index];
    const char *text =
        arena_print(self, "%s was not given back in time by %s", resource->name, blocker_names(self, index));
    for (size_t i = 0; i < self->lease_count; i++) {
        struct lease *lease = &self->leases[i];
        if (lease->resource != index)
            continue;
        lease->blocked = true;
        const struct job *job = &self->jobs[lease->job];
        histogram_add(&job_figures(self, job)->blocked_others, self->boot_ms - resource->drain_since);
        figures_store(self, job);
    }
    const size_t first = queue_first(self, index, SB__MODE__MODE_EXCLUSIVE);
    const struct pause *pause =
        pause_count(self, resource, &self->waiters[first], SB__LEASE_CHANGE__LEASE_CHANGE_PAUSE_TIMED_OUT);
    alert_raise(self, ALERT_PAUSE_TIMEOUT, resource->name, text);
    Sb__Event *event = publish(self, &resource->lease_topic, false);
    event->body_case = SB__EVENT__BODY_LEASE;
    event->lease = pause_view(self, pause);
    event->lease->reason = (char *)text;
    return text;
}

// `refuse`: every waiting exclusive is told who blocked it, and the others resume.
static void pause_refuse(struct core *self, uint32_t index)
{
    struct resource *resource = &self->resources[index];
    const char *text = pause_time_out(self, index);
    exclusive_waiters_end(self, index, SB__CODE__CODE_PAUSE_TIMEOUT, text);
    resource->refused_until = self->boot_ms + REFUSE_BACKOFF_MS;
    pause_end(self, resource);
    resource_advance(self, index);
}

// `revoke`: the blockers are not renewed any more, and the grant follows when their leases have surely ended.
static void pause_revoke(struct core *self, uint32_t index)
{
    (void)pause_time_out(self, index);
    for (size_t i = 0; i < self->lease_count; i++) {
        struct lease *lease = &self->leases[i];
        if (lease->resource != index)
            continue;
        text_copy(lease->reason, sizeof lease->reason, "revoked: an order waited for it too long");
        lease_refuse(self, lease, true);
    }
    self->resources[index].revoked_some = true;
}

// No lease of an earlier epoch can live any more once no resource recovers and none of theirs is left.
static void forget_earlier_epochs(struct core *self)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].token < self->tokens_first)
            return;
    }
    for (uint32_t i = 0; i < self->resource_count; i++) {
        if (self->resources[i].recovering_until != 0)
            return;
    }
    self->ttl_before_ms = 0;
}

void pauses_advance(struct core *self)
{
    if (self->stopping) // phases stand still: the waiter for whom a pause began may have gone
        return;
    for (uint32_t i = 0; i < self->resource_count; i++) {
        if (!update_has_room(self)) {
            self->is_behind = true;
            return;
        }
        struct resource *resource = &self->resources[i];
        if (resource->recovering_until != 0 && self->boot_ms >= resource->recovering_until) {
            resource->recovering_until = 0;
            if (resource->phase == PAUSE_NONE)
                publish_phase(self, resource, true);
            resource_advance(self, i);
        }
        if (resource->phase == PAUSE_DRAINING && self->boot_ms >= pause_limit(self, resource)) {
            if (resource->config.revokes)
                pause_revoke(self, i);
            else
                pause_refuse(self, i);
        }
        if (resource->refused_until != 0 && self->boot_ms >= resource->refused_until) {
            resource->refused_until = 0;
            resource_advance(self, i);
        }
    }
    if (self->ttl_before_ms != 0)
        forget_earlier_epochs(self);
}

int64_t pauses_deadline(const struct core *self)
{
    int64_t deadline = INT64_MAX;
    for (uint32_t i = 0; !self->stopping && i < self->resource_count; i++) {
        const struct resource *resource = &self->resources[i];
        const int64_t times[] = {resource->recovering_until, resource->refused_until,
                                 resource->phase == PAUSE_DRAINING ? pause_limit(self, resource) : 0};
        for (size_t k = 0; k < 3; k++) {
            if (times[k] != 0 && times[k] < deadline)
                deadline = times[k];
        }
    }
    return deadline;
}
