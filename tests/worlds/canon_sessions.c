// What the sessions do; with all their parts at hand, as nobody but a test may have them.
#include "tests/worlds/canon.h"

#include "proto/session_parts.h"
#include "tests/worlds/world.h"

static void add_renews(enum canon_kind id, const struct session_wish *wish)
{
    uint64_t last = 0;
    for (size_t i = 0; i < SESSION_RENEWS_MAX; i++) {
        const struct session_renew *next = NULL;
        for (size_t k = 0; k < SESSION_RENEWS_MAX; k++) {
            const struct session_renew *renew = &wish->renews[k];
            if (renew->id > last && (next == NULL || renew->id < next->id))
                next = renew;
        }
        if (next == NULL)
            break;
        canon_add(id, next->id);
        canon_add_time(next->sent_ms, TTL_MS);
        last = next->id;
    }
}

static void add_wish(enum canon_kind id, const struct session_wish *wish)
{
    canon_add(CANON_PLAIN, (uint64_t)wish->state | (uint64_t)wish->told << 4 | (uint64_t)wish->yielded << 5 |
                               (uint64_t)wish->mode << 8 | (uint64_t)wish->attempt << 16 |
                               (uint64_t)wish->ttl_ms << 32);
    canon_add(CANON_CLAIM, wish->claim);
    canon_add(CANON_CLAIM, wish->wire_claim);
    canon_add(CANON_RUN, wish->run);
    canon_add(CANON_TICKET, wish->ticket);
    canon_add(CANON_TOKEN, wish->token);
    canon_add(CANON_PAUSE, wish->pause);
    canon_add(id, wish->asked_id);
    canon_add_time(wish->end_ms, 0);
    canon_add_time(wish->next_ms, 0);
    canon_add_time(wish->first_ms, TTL_MS);
    add_renews(id, wish);
}

static void add_session(size_t index, const struct session *session)
{
    const enum canon_kind id = CANON_ID + (enum canon_kind)index;
    canon_add(CANON_PLAIN, (uint64_t)session->state | (uint64_t)session->pings << 4 |
                               (uint64_t)session->from_start << 8 | (uint64_t)session->beat_ms << 16);
    canon_add(CANON_EPOCH, session->epoch);
    canon_add(CANON_EPOCH, session->event_epoch);
    canon_add(CANON_SESSION, session->number);
    canon_add(id, session->hello_id);
    canon_add_time(session->next_ms, 0);
    canon_add_time(session->beat_end_ms, 0);
    canon_add(CANON_PLAIN, session->run_count);
    for (size_t i = 0; i < session->wish_count; i++) {
        if (session->wishes[i].state != SESSION_WISH_FREE)
            add_wish(id, &session->wishes[i]);
    }
}

void canon_sessions(void)
{
    for (size_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].session != NULL)
            add_session(i, world->clients[i].session);
        canon_add(CANON_PLAIN, i);
    }
}
