// The invariants, over the whole state; for tests, after each step.
#include "broker/core/parts.h"

static void check_resource(const struct core *self, uint32_t index)
{
    const struct resource *resource = &self->resources[index];
    const size_t exclusive = leases_of(self, index, SB__MODE__MODE_EXCLUSIVE);
    const size_t shared = leases_of(self, index, SB__MODE__MODE_SHARED);
    assert(exclusive <= 1);                // I2
    assert(exclusive == 0 || shared == 0); // I2
    assert(exclusive == 0 || resource->phase == PAUSE_EXCLUSIVE);
    // More than the capacity only when leases of an earlier epoch were taken over.
    size_t of_this_epoch = 0;
    for (size_t i = 0; i < self->lease_count; i++) {
        const struct lease *lease = &self->leases[i];
        if (lease->resource == index && lease->mode == SB__MODE__MODE_SHARED &&
            lease->token >= self->tokens_first)
            of_this_epoch++;
    }
    assert(of_this_epoch <= resource->capacity_max);
}

static void check_lease(const struct core *self, size_t index)
{
    const struct lease *lease = &self->leases[index];
    const struct resource *resource = &self->resources[lease->resource];
    assert(lease->token != 0);
    assert(lease->token < self->tokens.next); // I3
    // I5: no shared lease is younger than the pause.
    if (lease->mode == SB__MODE__MODE_SHARED && resource->phase == PAUSE_DRAINING &&
        lease->token >= self->tokens_first)
        assert(lease->granted_boot <= resource->drain_since);
    for (size_t i = 0; i < index; i++) {
        assert(self->leases[i].token != lease->token);
        assert(lease->claim == 0 || self->leases[i].claim != lease->claim);
    }
}

static void check_waiter(const struct core *self, size_t index)
{
    const struct waiter *waiter = &self->waiters[index];
    assert(waiter->claim != 0);
    assert(waiter->ticket != 0);
    assert(lease_by_claim(self, waiter->claim) == NULL);
    for (size_t i = 0; i < index; i++)
        assert(self->waiters[i].claim != waiter->claim);
}

static void check_job(const struct core *self, const struct job *job)
{
    const uint32_t place = job_index(self, job);
    // Nobody forgot to touch it. The wall clock may have been set since the last look.
    const int64_t ahead = self->wall_ms - self->boot_ms - self->wall_ahead_ms;
    if (self->stopping || ahead > 0 || ahead < 0)
        return;
    // A wall time that has passed is looked at next; what it was for may have changed with it.
    const bool is_due = heap_time(&self->job_wall, place) <= self->wall_ms;
    assert(is_due || heap_time(&self->job_wall, place) == job_wall_deadline(self, job));
    assert(is_due || heap_time(&self->job_boot, place) == job_boot_deadline(self, job));
    if (job->presence == JOB_ABSENT)
        return;
    assert(job_find(self, job->name) == job);
    assert(job->further.number == 0 || job->further.number > job->current.number);
    assert(job->current.number == 0 || job->current.attempt >= 1);
    assert(job->current.number == 0 || job->current.attempt <= ATTEMPTS);
    assert(job->current.number == 0 || job->current.number != job->last.number);
    assert(job->last_slot_ms == 0 || job->next_slot_ms > job->last_slot_ms); // I1: no slot twice
    assert(job->current.slot_ms <= job->last_slot_ms || job->current.slot_ms == 0);
}

void core_check(const struct core *self)
{
    for (uint32_t i = 0; i < self->resource_count; i++)
        check_resource(self, i);
    for (size_t i = 0; i < self->lease_count; i++)
        check_lease(self, i);
    for (size_t i = 0; i < self->waiter_count; i++)
        check_waiter(self, i);
    for (size_t i = 0; i < self->job_count; i++)
        check_job(self, &self->jobs[i]);
    size_t moved = 0;
    for (size_t i = 0; i < self->job_count; i++)
        moved += self->jobs[i].is_moved ? 1 : 0;
    assert(moved == self->jobs_moved);
    assert(moved == 0 || self->slots_told_ms != 0);
    assert(self->touched_count == 0);
    assert(self->owner_count <= self->owner_max);
    assert(self->alert_count <= self->alert_max);
    assert(self->tokens.next <= self->tokens.end + 1);
    assert(self->call_count <= self->config.calls_max);
}
