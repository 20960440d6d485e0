// What the core holds; with all its parts at hand, as nobody but a test may have them.
#include "tests/worlds/canon.h"

#include "broker/core/parts.h"
#include "tests/worlds/clients.h"

enum { SEEN_MS = SESSION_TTL_MS };

static void add_resource(const struct resource *resource)
{
    canon_add(CANON_PLAIN, (uint64_t)resource->phase | (uint64_t)resource->guard << 4 |
                               (uint64_t)resource->revoked_some << 5);
    canon_add_time(resource->recovering_until, 0);
    if (resource->phase == PAUSE_DRAINING)
        canon_add_time(resource->drain_since, PAUSE_TIMEOUT_MS);
    if (resource->phase != PAUSE_NONE)
        canon_add(CANON_PAUSE, resource->pause);
    canon_add_time(resource->refused_until, 0);
    if (resource->recovering_until != 0) {
        canon_add(CANON_TOKEN, resource->claimed);
        canon_add(CANON_TOKEN, resource->claimed_exclusive);
    }
}

static void add_lease(const struct core *core, const struct lease *lease)
{
    canon_add(CANON_TOKEN, lease->token);
    canon_add(CANON_CLAIM, lease->claim);
    canon_add(CANON_RUN, lease->run);
    canon_add(CANON_PLAIN, (uint64_t)lease->mode | (uint64_t)lease->refused << 4 |
                               (uint64_t)lease->revoked << 5 | (uint64_t)lease->blocked << 6 |
                               (uint64_t)lease->guarded << 7 | (uint64_t)lease->stored << 8 |
                               (lease->process & 0xff) << 16 | (uint64_t)lease->attempt << 24 |
                               lease->instance << 32);
    canon_add_time(lease->end_boot, GRANT_DELAY_MS + ORDER_SETTLE_MS);
    canon_add(CANON_PLAIN, (uint64_t)lease->settle_ms);
    // Whether it is as old as the pause (I5).
    canon_add(CANON_PLAIN, lease->granted_boot <= core->resources[0].drain_since);
}

static void add_waiter(const struct waiter *waiter)
{
    const struct client *client = &world->clients[clients_of_peer(waiter->peer)];
    canon_add(CANON_TICKET, waiter->ticket);
    canon_add(CANON_CLAIM, waiter->claim);
    canon_add(CANON_RUN, waiter->run);
    canon_add(CANON_PLAIN,
              (uint64_t)waiter->mode | (uint64_t)waiter->pending << 4 | (uint64_t)waiter->verdict << 5 |
                  (uint64_t)(waiter->peer == client->peer) << 12 | (waiter->process & 0xff) << 16 |
                  (uint64_t)waiter->attempt << 24 | waiter->instance << 32);
    canon_add(CANON_DUE, waiter->mode == SB__MODE__MODE_SHARED ? (uint64_t)waiter->since_boot : 0);
    canon_add(CANON_PLAIN, (uint64_t)waiter->poll_ms);
    canon_add_time(waiter->pending ? waiter->answer_boot : waiter->drop_boot, 0);
    canon_add(CANON_ID + (enum canon_kind)clients_of_peer(waiter->peer),
              waiter->pending ? waiter->request : 0);
}

static void add_job(const struct job *job)
{
    const struct run *run = &job->current;
    canon_add(CANON_RUN, run->number);
    canon_add(CANON_RUN, job->lost.number);
    canon_add(CANON_PLAIN, (uint64_t)run->stage | (uint64_t)run->attempt << 8 | (uint64_t)run->yields << 16 |
                               (uint64_t)run->is_unknown << 24 | run->instance << 32);
    canon_add_time(run->retry_boot, 0);
    canon_add_time(run->seen_boot, SEEN_MS);
    canon_add(CANON_DUE, (uint64_t)run->due_boot);
}

static void add_session(const struct session *session)
{
    canon_add(CANON_SESSION, session->number);
    if (session->number == 0)
        return;
    const uint64_t peer = session->peer;
    canon_add(CANON_PLAIN, (uint64_t)(peer != 0 && world->clients[clients_of_peer(peer)].peer == peer) |
                               session->process << 8);
    canon_add_time(session->seen_boot, SEEN_MS);
}

// Leases and waiters in the order of their numbers: where they lie in their tables makes no difference.
static void add_leases(const struct core *core)
{
    uint64_t last = 0;
    for (size_t i = 0; i < core->lease_count; i++) {
        const struct lease *next = NULL;
        for (size_t k = 0; k < core->lease_count; k++) {
            const struct lease *lease = &core->leases[k];
            if (lease->token > last && (next == NULL || lease->token < next->token))
                next = lease;
        }
        add_lease(core, next);
        last = next->token;
    }
}

static void add_waiters(const struct core *core)
{
    uint64_t last = 0;
    for (size_t i = 0; i < core->waiter_count; i++) {
        const struct waiter *next = NULL;
        for (size_t k = 0; k < core->waiter_count; k++) {
            const struct waiter *waiter = &core->waiters[k];
            if (waiter->ticket > last && (next == NULL || waiter->ticket < next->ticket))
                next = waiter;
        }
        if (next == NULL)
            return; // two of one ticket
        add_waiter(next);
        last = next->ticket;
    }
}

void canon_core(void)
{
    const struct core *core = world->core;
    canon_add(CANON_EPOCH, core->epoch);
    canon_add(CANON_TOKEN, core->tokens_first);
    canon_add(CANON_TICKET, core->tickets_first);
    canon_add_time(core->next_beat, 0);
    add_resource(&core->resources[0]);
    for (size_t i = 0; i < core->job_count; i++)
        add_job(&core->jobs[i]);
    for (size_t i = 0; i < world->client_count; i++) {
        const struct session *session = session_of_instance(core, clients_instance(i));
        canon_add(CANON_PLAIN, session != NULL);
        if (session != NULL)
            add_session(session);
    }
    canon_add(CANON_PLAIN, core->lease_count);
    add_leases(core);
    canon_add(CANON_PLAIN, core->waiter_count);
    add_waiters(core);
}
