// Leases: asked for by claim, granted by pause.c, given back, ended.
#include "broker/core/parts.h"

#include <inttypes.h>
#include <string.h>

struct resource *resource_find(const struct core *self, const char *name)
{
    for (size_t i = 0; i < self->resource_count; i++) {
        if (strcmp(self->resources[i].name, name) == 0)
            return &self->resources[i];
    }
    return NULL;
}

struct lease *lease_find(const struct core *self, uint64_t token)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].token == token)
            return &self->leases[i];
    }
    return NULL;
}

struct lease *lease_by_claim(const struct core *self, uint64_t claim)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].claim == claim)
            return &self->leases[i];
    }
    return NULL;
}

struct waiter *waiter_by_claim(const struct core *self, uint64_t claim)
{
    for (size_t i = 0; i < self->waiter_count; i++) {
        if (self->waiters[i].claim == claim)
            return &self->waiters[i];
    }
    return NULL;
}

// BOOTTIME until which renewals are accepted: the delay stands between this and the next grant.
int64_t lease_renewable_boot(const struct lease *lease)
{
    return lease->end_boot + (lease->refused ? 0 : lease->delay_ms);
}

int64_t lease_free_boot(const struct lease *lease)
{
    return lease->end_boot + lease->delay_ms + lease->settle_ms;
}

void lease_store(struct core *self, struct lease *lease)
{
    Sb__StoredLease *stored = arena_take(self, sizeof *stored);
    sb__stored_lease__init(stored);
    stored->token = lease->token;
    stored->resource = self->resources[lease->resource].name;
    stored->mode = lease->mode;
    if (lease->job != JOB_NONE)
        stored->job = self->jobs[lease->job].name;
    stored->run = lease->run;
    stored->attempt = lease->attempt;
    stored->claim = lease->claim;
    stored->settle_ms = (uint32_t)lease->settle_ms;
    stored->instance = lease->instance;
    stored->process = lease->process;
    // Its holder may not have heard yet that its ttl is shorter now: what is left by the longer one counts.
    const int64_t left = lease->end_boot - self->boot_ms;
    stored->ttl_ms = (uint32_t)(left > lease->ttl_ms ? left : lease->ttl_ms);
    stored->delay_ms = (uint32_t)lease->delay_ms;
    stored->refused = lease->refused;
    stored->revoked = lease->revoked;
    stored->holder = arena_text(self, lease->holder);
    stored->reason = arena_text(self, lease->reason);
    uint8_t key[CORE_KEY_MAX];
    const size_t size = key_number(key, lease->token);
    record_add(self, CORE_TABLE_LEASE, key, size, &stored->base);
    lease->stored = true;
}

static void publish_lease(struct core *self, const struct lease *lease, Sb__LeaseChange change)
{
    struct resource *resource = &self->resources[lease->resource];
    Sb__Event *event = publish(self, &resource->lease_topic, false);
    Sb__LeaseState *state = arena_take(self, sizeof *state);
    sb__lease_state__init(state);
    state->resource = resource->name;
    state->token = lease->token;
    state->mode = lease->mode;
    state->holder = arena_text(self, lease->holder);
    state->reason = arena_text(self, lease->reason);
    state->change = change;
    state->waited_ms = lease->waited_ms;
    state->held_ms = self->boot_ms - lease->granted_boot;
    event->body_case = SB__EVENT__BODY_LEASE;
    event->lease = state;
}

// ---------------------------------------------------------------- granting

static void reply_granted(struct core *self, uint64_t peer, uint64_t request, const struct lease *lease)
{
    Sb__Granted *granted = arena_take(self, sizeof *granted);
    sb__granted__init(granted);
    granted->token = lease->token;
    granted->ttl_ms = (uint32_t)self->resources[lease->resource].ttl_ms;
    granted->run = lease->run;
    granted->waited_ms = (uint32_t)lease->waited_ms;
    Sb__Reply *reply = reply_add(self, peer, request, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_GRANTED;
    reply->granted = granted;
    if (lease->stored) // what must be known after a crash is stored before its holder begins
        reply_durable(self);
}

void lease_grant(struct core *self, size_t index)
{
    assert(index < self->waiter_count);
    assert(self->lease_count < LEASES_MAX);
    assert(leases_of(self, self->waiters[index].resource, SB__MODE__MODE_EXCLUSIVE) == 0); // I2
    const struct waiter waiter = self->waiters[index];
    const struct resource *resource = &self->resources[waiter.resource];
    assert(waiter.pending);
    struct lease *lease = &self->leases[self->lease_count++];
    *lease = (struct lease){.token = number_next(&self->tokens),
                            .resource = waiter.resource,
                            .mode = waiter.mode,
                            .job = waiter.job,
                            .run = waiter.run,
                            .attempt = waiter.attempt,
                            .claim = waiter.claim,
                            .instance = waiter.instance,
                            .process = waiter.process,
                            .granted_boot = self->boot_ms,
                            .end_boot = self->boot_ms + resource->ttl_ms,
                            .ttl_ms = resource->ttl_ms,
                            .delay_ms = resource->config.grant_delay_ms,
                            .settle_ms = waiter.settle_ms,
                            .moved_boot = self->boot_ms,
                            .waited_ms = self->boot_ms - waiter.asked_boot,
                            .guarded = resource->guard};
    assert(lease->token != 0);
    text_copy(lease->holder, sizeof lease->holder, waiter.holder);
    text_copy(lease->reason, sizeof lease->reason, waiter.reason);
    waiter_remove(self, index);
    if (lease->mode == SB__MODE__MODE_EXCLUSIVE && lease->settle_ms > resource->config.grant_delay_ms)
        lease_store(self, lease);
    if (lease->job != JOB_NONE) {
        assert(self->jobs[lease->job].current.number == lease->run); // nobody waits for a run that ended
        run_stage(self, &self->jobs[lease->job], SB__STAGE__STAGE_FETCHING);
    }
    reply_granted(self, waiter.peer, waiter.request, lease);
    publish_lease(self, lease, SB__LEASE_CHANGE__LEASE_CHANGE_GRANTED);
}

// Keeps how long leases are held, for ETAs, and whom a pause waited for.
static void count_held(struct core *self, const struct lease *lease)
{
    struct resource *resource = &self->resources[lease->resource];
    const uint64_t held = (uint64_t)(self->boot_ms - lease->granted_boot);
    if (lease->mode == SB__MODE__MODE_EXCLUSIVE) {
        resource->exclusive_held_ms += held;
        resource->exclusive_count++;
    } else {
        struct job *job = &self->jobs[lease->job];
        job->held_ms += held;
        job->held_count++;
        if (resource->phase == PAUSE_DRAINING)
            histogram_add(&job_figures(self, job)->blocked_others, self->boot_ms - resource->drain_since);
        job_touch(self, job);
    }
}

// A lease that was not given back is told of until its holder, be it a job or a client by its name, gives one
// back. A job comes again with its next run; a client may have been the only one of its name, and of a
// resource that left the config it can give none back any more.
static void alert_end(struct core *self, const struct lease *lease, Sb__LeaseChange change)
{
    const char *resource = self->resources[lease->resource].name;
    const char *job = lease->job != JOB_NONE ? self->jobs[lease->job].name : NULL;
    const char *subject = job != NULL ? job : arena_print(self, "%s/%s", resource, lease->holder);
    if (change == SB__LEASE_CHANGE__LEASE_CHANGE_RELEASED)
        alert_clear(self, ALERT_LEASE_EXPIRED, subject);
    else if (change == SB__LEASE_CHANGE__LEASE_CHANGE_EXPIRED &&
             (job != NULL || !self->resources[lease->resource].removed))
        alert_raise_until(self, ALERT_LEASE_EXPIRED, subject,
                          arena_print(self, "%s%s%s did not give the lease %" PRIu64 " of %s back",
                                      lease->holder, job != NULL ? " with " : "", job != NULL ? job : "",
                                      lease->token, resource),
                          job != NULL ? 0 : self->wall_ms + EXPIRED_TOLD_MS);
}

void lease_end(struct core *self, size_t index, Sb__LeaseChange change)
{
    assert(index < self->lease_count);
    const struct lease gone = self->leases[index];
    struct resource *resource = &self->resources[gone.resource];
    count_held(self, &gone);
    self->leases[index] = self->leases[--self->lease_count];
    publish_lease(self, &gone, change);
    alert_end(self, &gone, change);
    if (gone.stored) {
        uint8_t key[CORE_KEY_MAX];
        const size_t size = key_number(key, gone.token);
        record_add(self, CORE_TABLE_LEASE, key, size, NULL);
    }
    if (gone.blocked)
        resource->refused_until = 0; // a blocker's lease ended: the next pause may start
    if (gone.guarded)
        resource->guard = false;
    resource_advance(self, gone.resource);
}

// ---------------------------------------------------------------- acquire

// Refuses what cannot be granted ever; true if it did.
static bool refuse_acquire(struct core *self, uint64_t peer, const struct session *session,
                           const Sb__Request *request)
{
    const Sb__Acquire *acquire = request->acquire;
    const struct job *job = job_find(self, acquire->job);
    const struct resource *resource = resource_find(self, acquire->resource);
    Sb__Code code = SB__CODE__CODE_OK;
    const char *text = NULL;
    if (resource == NULL || resource->removed) {
        code = SB__CODE__CODE_NOT_FOUND;
        text = arena_print(self, "no resource is called \"%s\"", acquire->resource);
    } else if (acquire->settle_ms > SETTLE_MAX_MS) {
        code = SB__CODE__CODE_INVALID;
        text = arena_print(self, "a lease settles within %d ms", SETTLE_MAX_MS);
    } else if (acquire->mode == SB__MODE__MODE_EXCLUSIVE && resource->order_holds > 0) {
        code = SB__CODE__CODE_ON_HOLD;
        text = hold_text(self, hold_of_resource(self, resource, true));
    } else if (acquire->claim == 0 ||
               (acquire->mode != SB__MODE__MODE_SHARED && acquire->mode != SB__MODE__MODE_EXCLUSIVE)) {
        code = SB__CODE__CODE_INVALID;
        text = "a wish needs a mode and a claim: a random number other than 0";
    } else if (acquire->mode == SB__MODE__MODE_SHARED &&
               (job == NULL ||
                &self->resources[run_is_open(job) ? job->terms.resource : job->config.resource] !=
                    resource)) {
        code = SB__CODE__CODE_NOT_FOUND;
        text = arena_print(self, "no job of %s is called \"%s\"", acquire->resource, acquire->job);
    } else if (acquire->mode == SB__MODE__MODE_SHARED &&
               (!run_is_open(job) || job->current.number != acquire->run ||
                job->current.attempt != acquire->attempt || job->current.retry_boot != 0)) {
        code = SB__CODE__CODE_CONFLICT;
        text = arena_print(self, "run %" PRIu64 " of %s, attempt %" PRIu32 ", is not open", acquire->run,
                           job->name, acquire->attempt);
    } else if (acquire->mode == SB__MODE__MODE_SHARED &&
               (!session_has_job(self, session, job) ||
                (job->current.instance != 0 ? job->current.instance != session->instance
                                            : !session_owns_job(self, session, job)))) {
        code = SB__CODE__CODE_CONFLICT;
        text = arena_print(self, "run %" PRIu64 " of %s is another service's", acquire->run, job->name);
    }
    if (code != SB__CODE__CODE_OK)
        (void)reply_add(self, peer, request->id, code, text);
    return code != SB__CODE__CODE_OK;
}

void lease_extend(struct core *self, struct lease *lease, const struct session *session)
{
    const bool is_longer = self->resources[lease->resource].ttl_ms > lease->ttl_ms;
    lease->ttl_ms = self->resources[lease->resource].ttl_ms;
    // Its holder counts with the longer time that it was told before until it hears of a shorter one.
    const int64_t end = self->boot_ms + lease->ttl_ms;
    lease->end_boot = end > lease->end_boot ? end : lease->end_boot;
    lease->process = session->process;
    if (lease->stored && is_longer) // a restart must wait for it
        lease_store(self, lease);
}

// The wish of a claim that already has its lease: the same lease (†), for a full ttl from now.
static void grant_again(struct core *self, uint64_t peer, const struct session *session,
                        const Sb__Request *request, struct lease *lease)
{
    if (self->boot_ms > lease_renewable_boot(lease) || lease_refuses(self, lease)) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_LEASE_LOST,
                        "this claim had a lease, which has ended");
        return;
    }
    lease_extend(self, lease, session);
    reply_granted(self, peer, request->id, lease);
}

// Puts a new wish at the end of the line, or at the place that its ticket of an earlier epoch gives it.
static struct waiter *waiter_add(struct core *self, const struct session *session, const Sb__Acquire *acquire)
{
    uint64_t ticket = acquire->ticket;
    const bool returns = self->boot_ms - self->started_boot <= TICKETS_HONOURED_MS;
    if (ticket == 0 || !returns || ticket >= self->tickets_first) // this epoch's was lost with its place (I7)
        ticket = number_next(&self->tickets);
    if (self->waiter_count == self->config.waiters_max || ticket == 0)
        return NULL;
    const bool shared = acquire->mode == SB__MODE__MODE_SHARED;
    struct job *job = shared ? job_find(self, acquire->job) : NULL;
    struct waiter *waiter = &self->waiters[self->waiter_count++];
    *waiter =
        (struct waiter){.claim = acquire->claim,
                        .ticket = ticket,
                        .resource = (uint32_t)(resource_find(self, acquire->resource) - self->resources),
                        .mode = acquire->mode,
                        .job = shared ? job_index(self, job) : JOB_NONE,
                        .run = shared ? acquire->run : 0,
                        .attempt = acquire->attempt,
                        .process = session->process,
                        .since_boot = shared ? job->current.due_boot : self->boot_ms,
                        .asked_boot = self->boot_ms,
                        .until_boot = acquire->wait_ms > 0 ? self->boot_ms + acquire->wait_ms : INT64_MAX};
    text_copy(waiter->reason, sizeof waiter->reason, acquire->reason);
    if (shared) {
        job->current.instance = session->instance;
        job->current.seen_boot = self->boot_ms;
        text_copy(job->current.service, sizeof job->current.service, session->name);
        run_stage(self, job, SB__STAGE__STAGE_QUEUED);
        alert_clear(self, ALERT_NO_SERVICE, job->name);
    }
    return waiter;
}

// An abandoned ask of the same claim gets its answer before the new one takes its place.
static void take_ask(struct core *self, struct waiter *waiter, uint64_t peer, const struct session *session,
                     const Sb__Request *request)
{
    const Sb__Acquire *acquire = request->acquire;
    const int64_t quarter = self->resources[waiter->resource].ttl_ms / 4;
    if (waiter->pending)
        waiter_answer_waiting(self, waiter);
    waiter->pending = true;
    waiter->peer = peer;
    waiter->request = request->id;
    waiter->instance = session->instance;
    waiter->process = session->process;
    // A sync's own config says how long its cut export goes on; an order's request is its client's to know.
    waiter->settle_ms =
        waiter->job != JOB_NONE ? self->jobs[waiter->job].terms.settle_ms : acquire->settle_ms;
    waiter->poll_ms = acquire->poll_ms < quarter ? acquire->poll_ms : quarter;
    waiter->answer_boot = self->boot_ms + waiter->poll_ms;
    text_copy(waiter->holder, sizeof waiter->holder, session->name);
}

// Whether an ask with a known claim means what that claim was first asked for.
static bool is_same_wish(const struct core *self, const struct session *session, const Sb__Acquire *acquire,
                         uint64_t instance, uint32_t resource, Sb__Mode mode, uint64_t run)
{
    return instance == session->instance && strcmp(self->resources[resource].name, acquire->resource) == 0 &&
           mode == acquire->mode && (mode == SB__MODE__MODE_EXCLUSIVE || run == acquire->run);
}

void lease_acquire(struct core *self, uint64_t peer, const struct session *session,
                   const Sb__Request *request)
{
    const Sb__Acquire *acquire = request->acquire;
    struct lease *lease = acquire->claim != 0 ? lease_by_claim(self, acquire->claim) : NULL;
    struct waiter *waiter = acquire->claim != 0 ? waiter_by_claim(self, acquire->claim) : NULL;
    if ((lease != NULL &&
         !is_same_wish(self, session, acquire, lease->instance, lease->resource, lease->mode, lease->run)) ||
        (waiter != NULL && !is_same_wish(self, session, acquire, waiter->instance, waiter->resource,
                                         waiter->mode, waiter->run))) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_CONFLICT,
                        "this claim stands for another wish; each wish takes a random claim of its own");
        return;
    }
    if (lease != NULL) {
        grant_again(self, peer, session, request, lease);
        return;
    }
    if (refuse_acquire(self, peer, session, request))
        return;
    if (waiter != NULL && waiter->verdict != SB__CODE__CODE_UNSPECIFIED) {
        if (waiter->pending) // each request gets its reply
            waiter_answer_verdict(self, waiter->peer, waiter->request, waiter);
        waiter_answer_verdict(self, peer, request->id, waiter);
        waiter_remove(self, (size_t)(waiter - self->waiters));
        return;
    }
    if (waiter == NULL) {
        if (acquire->mode ==
            SB__MODE__MODE_SHARED) // a run waits once: a new wish takes the place of an older one
            waiters_of_run_end(self, job_find(self, acquire->job), "this run has another wish");
        waiter = waiter_add(self, session, acquire);
    }
    if (waiter == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_BUSY,
                        "too many wait already; ask again later");
        return;
    }
    take_ask(self, waiter, peer, session, request);
    resource_advance(self, waiter->resource);
    waiter = waiter_by_claim(self, acquire->claim);
    if (waiter != NULL && acquire->poll_ms == 0)
        waiter_answer_waiting(self, waiter);
}

// ---------------------------------------------------------------- give back

void lease_refuse_other(struct core *self, uint64_t peer, const Sb__Request *request)
{
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_CONFLICT, "this lease is another client's");
}

// What a given-back turn means for its run.
static void run_follows_release(struct core *self, const struct lease *lease, bool yielded)
{
    if (lease->job == JOB_NONE)
        return;
    struct job *job = &self->jobs[lease->job];
    if (job->current.number != lease->run || job->current.stage != SB__STAGE__STAGE_FETCHING)
        return;
    job->current.yields += yielded ? 1 : 0;
    run_stage(self, job, yielded ? SB__STAGE__STAGE_YIELDED : SB__STAGE__STAGE_APPLYING);
}

static void give_back(struct core *self, struct lease *lease, bool yielded)
{
    run_follows_release(self, lease, yielded);
    lease_end(self, (size_t)(lease - self->leases), SB__LEASE_CHANGE__LEASE_CHANGE_RELEASED);
}

void lease_release(struct core *self, uint64_t peer, const struct session *session,
                   const Sb__Request *request)
{
    struct lease *lease = lease_find(self, request->release->token);
    if (lease != NULL && lease->instance != session->instance) {
        lease_refuse_other(self, peer, request);
        return;
    }
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL); // one that is not known was given back
    // One that had ended before is not given back by this: its delay and settle time stand (I4).
    if (lease != NULL && self->boot_ms <= lease_renewable_boot(lease))
        give_back(self, lease, request->release->yielded);
}

void lease_withdraw(struct core *self, uint64_t peer, const struct session *session,
                    const Sb__Request *request)
{
    const uint64_t claim = request->withdraw->claim;
    struct waiter *waiter = claim != 0 ? waiter_by_claim(self, claim) : NULL;
    struct lease *lease = claim != 0 ? lease_by_claim(self, claim) : NULL;
    if ((waiter != NULL && waiter->instance != session->instance) ||
        (lease != NULL && lease->instance != session->instance)) {
        lease_refuse_other(self, peer, request);
        return;
    }
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    if (waiter != NULL) {
        const uint32_t resource = waiter->resource;
        if (waiter->pending) // each request gets its reply
            (void)reply_add(self, waiter->peer, waiter->request, SB__CODE__CODE_CONFLICT, "withdrawn");
        waiter_remove(self, (size_t)(waiter - self->waiters));
        resource_advance(self, resource);
    } else if (lease != NULL && self->boot_ms <= lease_renewable_boot(lease)) {
        give_back(self, lease, false);
    }
}

void lease_revoke(struct core *self, uint64_t peer, const Sb__Request *request)
{
    const Sb__Revoke *revoke = request->revoke;
    struct lease *lease = lease_find(self, revoke->token);
    if (lease == NULL || (revoke->resource[0] != '\0' &&
                          strcmp(revoke->resource, self->resources[lease->resource].name) != 0)) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_NOT_FOUND,
                        arena_print(self, "no lease has the token %" PRIu64, revoke->token));
        return;
    }
    text_copy(lease->reason, sizeof lease->reason,
              arena_print(self, "revoked by %s: %s", revoke->by, revoke->reason));
    lease_refuse(self, lease, true);
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    reply_durable(self);
}

bool leases_of_instance(const struct core *self, uint64_t instance)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].instance == instance)
            return true;
    }
    return false;
}

void leases_of_process_end(struct core *self, const Sb__Hello *hello)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        struct lease *lease = &self->leases[i];
        bool reserved = lease->instance != hello->instance || lease->process == hello->process;
        for (size_t k = 0; k < hello->n_leases && !reserved; k++)
            reserved = hello->leases[k]->token == lease->token;
        if (!reserved && lease->end_boot > self->boot_ms) {
            lease->end_boot = self->boot_ms; // grant_delay and settle follow
            lease->refused = true;
        }
    }
}

// ---------------------------------------------------------------- time

bool leases_advance(struct core *self)
{
    for (size_t i = 0; i < self->lease_count;) {
        const struct lease *lease = &self->leases[i];
        if (!update_has_room(self))
            return false;
        if (self->boot_ms < lease_free_boot(lease)) {
            i++;
            continue;
        }
        const struct job *job = lease->job != JOB_NONE ? &self->jobs[lease->job] : NULL;
        if (job != NULL && job->current.number == lease->run &&
            job->current.stage == SB__STAGE__STAGE_FETCHING)
            run_stage(self, &self->jobs[lease->job], SB__STAGE__STAGE_YIELDED); // it may ask for another turn
        lease_end(self, i,
                  lease->revoked ? SB__LEASE_CHANGE__LEASE_CHANGE_REVOKED
                                 : SB__LEASE_CHANGE__LEASE_CHANGE_EXPIRED);
        i = 0;
    }
    return true;
}

int64_t leases_deadline(const struct core *self)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < self->lease_count; i++) {
        const int64_t free = lease_free_boot(&self->leases[i]);
        if (free < deadline)
            deadline = free;
    }
    return deadline;
}
