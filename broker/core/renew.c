// Renewals; and leases of an earlier epoch, which their holders' renewals take over while a resource
// recovers.
#include "broker/core/parts.h"

#include <inttypes.h>

// Hung though renewing: too long for an exclusive lease, no progress for a sync while an exclusive one waits,
// be it behind a pause or behind a turn of the streak's guard.
static bool is_hung(const struct core *self, const struct lease *lease)
{
    const struct resource *resource = &self->resources[lease->resource];
    if (lease->mode == SB__MODE__MODE_EXCLUSIVE)
        return self->boot_ms - lease->granted_boot >= resource->config.max_exclusive_ms;
    return queue_first(self, lease->resource, SB__MODE__MODE_EXCLUSIVE) != SIZE_MAX &&
           self->boot_ms - lease->moved_boot >= self->jobs[lease->job].terms.stall_ms;
}

void lease_refuse(struct core *self, struct lease *lease, bool revoked)
{
    lease->refused = true;
    lease->revoked = lease->revoked || revoked;
    lease_store(self, lease);
}

bool lease_refuses(struct core *self, struct lease *lease)
{
    if (!lease->refused && is_hung(self, lease))
        lease_refuse(self, lease, false);
    return lease->refused;
}

static void reply_renewed(struct core *self, uint64_t peer, const Sb__Request *request,
                          const struct lease *lease)
{
    const struct resource *resource = &self->resources[lease->resource];
    Sb__Renewed *renewed = arena_take(self, sizeof *renewed);
    sb__renewed__init(renewed);
    renewed->ttl_ms = (uint32_t)resource->ttl_ms;
    renewed->yield = lease_should_yield(self, lease);
    renewed->pause = renewed->yield ? resource->pause : 0;
    Sb__Reply *reply = reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_RENEWED;
    reply->renewed = renewed;
}

// A claim is dead if a greater token is, or was, claimed and either of the two is exclusive (†).
static bool is_dead_claim(struct core *self, uint32_t index, uint64_t token, Sb__Mode mode)
{
    struct resource *resource = &self->resources[index];
    const bool exclusive = mode == SB__MODE__MODE_EXCLUSIVE;
    if (token < (exclusive ? resource->claimed : resource->claimed_exclusive))
        return true;
    for (size_t i = 0; i < self->lease_count;) {
        const struct lease *other = &self->leases[i];
        if (other->resource != index || (!exclusive && other->mode != SB__MODE__MODE_EXCLUSIVE)) {
            i++;
        } else { // the other way round: that one is dead, and goes
            assert(other->token < token);
            lease_end(self, i, SB__LEASE_CHANGE__LEASE_CHANGE_EXPIRED);
            i = 0;
        }
    }
    resource->claimed = token > resource->claimed ? token : resource->claimed;
    if (exclusive)
        resource->claimed_exclusive = token;
    return false;
}

// The run of a lease that was taken over is its holder's, and fetches.
static void run_goes_on(struct core *self, const struct session *session, const struct lease *lease)
{
    struct job *job = lease->job != JOB_NONE ? &self->jobs[lease->job] : NULL;
    if (job == NULL || job->current.number != lease->run || job->current.attempt != lease->attempt ||
        job->current.retry_boot != 0)
        return;
    job->current.instance = session->instance;
    job->current.seen_boot = self->boot_ms;
    text_copy(job->current.service, sizeof job->current.service, session->name);
    if (job->current.stage != SB__STAGE__STAGE_FETCHING)
        run_stage(self, job, SB__STAGE__STAGE_FETCHING);
}

// Whether the session runs the job, and the run is not another's.
static bool is_its_own(const struct core *self, const struct session *session, const struct job *job,
                       uint64_t run)
{
    const uint64_t taker = job->current.number == run ? job->current.instance : 0;
    return session_has_job(self, session, job) && (taker == 0 || taker == session->instance);
}

// Takes over a lease of an earlier epoch from its holder's renewal; NULL if it is not to be.
static struct lease *take_over(struct core *self, const struct session *session, const Sb__Renew *renew)
{
    struct resource *resource = resource_find(self, renew->resource);
    const bool shared = renew->mode == SB__MODE__MODE_SHARED;
    const struct job *job = shared ? job_find(self, renew->job) : NULL;
    if (resource == NULL || resource->recovering_until == 0 || renew->token == 0 ||
        renew->token >= self->tokens_first || renew->claim == 0 ||
        lease_by_claim(self, renew->claim) != NULL || (!shared && renew->mode != SB__MODE__MODE_EXCLUSIVE) ||
        renew->settle_ms > SETTLE_MAX_MS ||
        (shared && (job == NULL || &self->resources[job->terms.resource] != resource ||
                    !is_its_own(self, session, job, renew->run))) ||
        self->lease_count == LEASES_MAX)
        return NULL;
    const uint32_t index = (uint32_t)(resource - self->resources);
    if (is_dead_claim(self, index, renew->token, renew->mode))
        return NULL;
    const struct waiter *waiter = waiter_by_claim(self, renew->claim);
    if (waiter != NULL && waiter->pending)
        (void)reply_add(self, waiter->peer, waiter->request, SB__CODE__CODE_CONFLICT,
                        "this claim has a lease");
    if (waiter != NULL)
        waiter_remove(self, (size_t)(waiter - self->waiters));
    struct lease *lease = &self->leases[self->lease_count++];
    *lease = (struct lease){.token = renew->token,
                            .resource = index,
                            .mode = renew->mode,
                            .job = shared ? job_index(self, job) : JOB_NONE,
                            .run = renew->run,
                            .attempt = renew->attempt,
                            .claim = renew->claim,
                            .instance = session->instance,
                            .process = session->process,
                            .granted_boot = self->boot_ms,
                            .end_boot = self->boot_ms + resource->ttl_ms,
                            .ttl_ms = resource->ttl_ms,
                            .delay_ms = resource->config.grant_delay_ms,
                            .moved_boot = self->boot_ms,
                            .settle_ms = shared ? job->terms.settle_ms : renew->settle_ms};
    text_copy(lease->holder, sizeof lease->holder, session->name);
    text_copy(lease->reason, sizeof lease->reason, renew->reason);
    if (!shared)
        pause_goes_on(self, resource);
    if (!shared && lease->settle_ms > resource->config.grant_delay_ms)
        lease_store(self, lease);
    run_goes_on(self, session, lease);
    return lease;
}

void lease_renew(struct core *self, uint64_t peer, const struct session *session, const Sb__Request *request)
{
    const Sb__Renew *renew = request->renew;
    struct lease *lease = lease_find(self, renew->token);
    if (lease != NULL && lease->instance != session->instance) {
        lease_refuse_other(self, peer, request);
        return;
    }
    if (lease == NULL)
        lease = take_over(self, session, renew);
    else if (self->boot_ms > lease_renewable_boot(lease))
        lease = NULL;
    if (lease != NULL) {
        if (!lease->has_told)
            lease->done_before = renew->done;
        lease->has_told = true;
        if (renew->done != lease->done)
            lease->moved_boot = self->boot_ms;
        lease->done = renew->done;
        lease->total = renew->total;
    }
    if (lease == NULL || lease_refuses(self, lease)) {
        const char *why = lease == NULL    ? "it was not known any more"
                          : lease->revoked ? lease->reason
                                           : "it was held for too long without progress";
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_LEASE_LOST,
                        arena_print(self, "the lease %" PRIu64 " of %s has ended: %s", renew->token,
                                    renew->resource, why));
        return;
    }
    lease_extend(self, lease, session);
    if (lease->job != JOB_NONE && self->jobs[lease->job].current.number == lease->run) {
        self->jobs[lease->job].current.done = renew->done;
        self->jobs[lease->job].current.total = renew->total;
    }
    reply_renewed(self, peer, request, lease);
}
