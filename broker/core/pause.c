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
#include "broker/core/state.h"

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
        self->resources[lease->resource].phase != PAUSE_DRAINING || lease->job == JOB_NONE)
        return false;
    const struct job *job = &self->jobs[lease->job];
    const bool has_yielded_enough =
        job->current.number == lease->run && job->current.yields >= job->config.max_yields;
    return job->config.yields && !has_yielded_enough;
}

static void publish_phase(struct core *self, struct resource *resource, bool resume)
{
    Sb__Event *event = publish(self, resume ? &resource->resume_topic : &resource->pause_topic,
                               resume ? "resume" : "pause", resource->name, false);
    event->body_case = SB__EVENT__BODY_RESOURCE;
    event->resource = view_resource(self, resource);
}

static void pause_begin(struct core *self, struct resource *resource)
{
    assert(resource->phase == PAUSE_NONE);
    resource->phase = PAUSE_DRAINING;
    resource->pause = ++self->pause_count_ever;
    resource->pause_since = resource->drain_since = resource->streak_since = self->boot_ms;
    resource->pause_since_ms = self->wall_ms;
    publish_phase(self, resource, false);
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
    return self->tokens.next < self->tokens.end && self->lease_count < self->lease_max;
}

// Grants the first exclusive waiter its lease if it asks at this moment; its place is kept if it does not.
static bool grant_exclusive(struct core *self, uint32_t index)
{
    struct resource *resource = &self->resources[index];
    const size_t first = queue_first(self, index, SB__MODE__MODE_EXCLUSIVE);
    if (!self->waiters[first].pending || !may_grant(self))
        return false;
    resource->phase = PAUSE_EXCLUSIVE;
    lease_grant(self, first);
    publish_phase(self, resource, false);
    return true;
}

static void grant_shared(struct core *self, uint32_t index)
{
    const struct resource *resource = &self->resources[index];
    while (leases_of(self, index, SB__MODE__MODE_SHARED) < resource->config.capacity) {
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
        resource->phase = resource->phase == PAUSE_NONE ? PAUSE_EXCLUSIVE : resource->phase; // taken over
        return;
    }
    guard_advance(self, index);
    const bool waits = queue_first(self, index, SB__MODE__MODE_EXCLUSIVE) != SIZE_MAX;
    if (resource->phase == PAUSE_EXCLUSIVE && waits && !streak_is_over(self, index)) {
        resource->phase = PAUSE_DRAINING; // the next one, with no resume between
        resource->drain_since = self->boot_ms;
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
        if (lease->resource != index || lease->job == JOB_NONE)
            continue;
        if (self->jobs[lease->job].config.pause_timeout_ms < smallest)
            smallest = self->jobs[lease->job].config.pause_timeout_ms;
    }
    return smallest == INT64_MAX ? INT64_MAX : resource->drain_since + smallest;
}

// The blockers' names, for the line that a refused waiter gets.
static const char *blocker_names(struct core *self, uint32_t index)
{
    char names[TEXT_MAX_SIZE + 1] = "";
    size_t used = 0;
    for (size_t i = 0; i < self->lease_count && used < sizeof names; i++) {
        const struct lease *lease = &self->leases[i];
        if (lease->resource != index)
            continue;
        const char *job = lease->job != JOB_NONE ? self->jobs[lease->job].name : "";
        const int size = snprintf(names + used, sizeof names - used, "%s%s%s%s%s", used > 0 ? ", " : "", job,
                                  job[0] != '\0' ? " (" : "", lease->holder, job[0] != '\0' ? ")" : "");
        used += size > 0 ? (size_t)size : 0;
    }
    return arena_text(self, names);
}

// The pause failed: every waiting exclusive is told who blocked it, and the others resume.
static void pause_refuse(struct core *self, uint32_t index)
{
    struct resource *resource = &self->resources[index];
    const char *text =
        arena_print(self, "%s was not given back in time by %s", resource->name, blocker_names(self, index));
    waiters_time_out(self, index, text);
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].resource == index && self->leases[i].job != JOB_NONE)
            histogram_add(&self->jobs[self->leases[i].job].blocked_others,
                          self->boot_ms - resource->drain_since);
    }
    resource->refused_until = self->boot_ms + REFUSE_BACKOFF_MS;
    Sb__Event *event = publish(self, &resource->lease_topic, "lease", resource->name, false);
    Sb__LeaseState *state = arena_take(self, sizeof *state);
    sb__lease_state__init(state);
    state->resource = resource->name;
    state->mode = SB__MODE__MODE_EXCLUSIVE;
    state->change = SB__LEASE_CHANGE__LEASE_CHANGE_PAUSE_TIMED_OUT;
    state->reason = (char *)text;
    state->waited_ms = self->boot_ms - resource->drain_since;
    event->body_case = SB__EVENT__BODY_LEASE;
    event->lease = state;
    pause_end(self, resource);
    resource_advance(self, index);
}

// No lease of an earlier epoch can live any more once no resource recovers.
static void forget_earlier_epochs(struct core *self)
{
    for (uint32_t i = 0; i < self->config.resource_count; i++) {
        if (self->resources[i].recovering_until != 0)
            return;
    }
    self->ttl_before_ms = 0;
}

void pauses_advance(struct core *self)
{
    for (uint32_t i = 0; i < self->config.resource_count; i++) {
        if (!update_has_room(self)) {
            self->is_behind = true;
            return;
        }
        struct resource *resource = &self->resources[i];
        if (resource->recovering_until != 0 && self->boot_ms >= resource->recovering_until) {
            resource->recovering_until = 0;
            forget_earlier_epochs(self);
            if (resource->phase == PAUSE_NONE)
                publish_phase(self, resource, true);
            resource_advance(self, i);
        }
        if (resource->phase == PAUSE_DRAINING && self->boot_ms >= pause_limit(self, resource))
            pause_refuse(self, i);
        if (resource->refused_until != 0 && self->boot_ms >= resource->refused_until) {
            resource->refused_until = 0;
            resource_advance(self, i);
        }
    }
}

int64_t pauses_deadline(const struct core *self)
{
    int64_t deadline = INT64_MAX;
    for (uint32_t i = 0; i < self->config.resource_count; i++) {
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
