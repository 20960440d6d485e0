#include "tests/worlds/canon.h"

#include "tests/worlds/net.h"

#include <assert.h>
#include <stdlib.h>

enum { ITEMS_MAX = 4096, VALUES_MAX = 128, NEVER = 1 << 30, FAR_MS = 1 << 24 };

static_assert((int)CANON_KINDS - (int)CANON_ID >= (int)CLIENTS_MAX, "each client numbers its own requests");

static struct {
    uint8_t kinds[ITEMS_MAX];
    uint64_t values[ITEMS_MAX];
    size_t count;
    uint64_t known[CANON_KINDS][VALUES_MAX]; // of each kind, all different; by order but for claims
    size_t known_count[CANON_KINDS];
} canon;

void canon_add(enum canon_kind kind, uint64_t value)
{
    assert(canon.count < ITEMS_MAX);
    canon.kinds[canon.count] = (uint8_t)kind;
    canon.values[canon.count++] = value;
    if (kind == CANON_PLAIN || value == 0)
        return;
    uint64_t *known = canon.known[kind];
    size_t place = canon.known_count[kind];
    for (size_t i = 0; i < canon.known_count[kind]; i++) {
        if (known[i] == value)
            return;
    }
    assert(place < VALUES_MAX);
    canon.known_count[kind]++;
    for (; kind != CANON_CLAIM && place > 0 && known[place - 1] > value; place--)
        known[place] = known[place - 1];
    known[place] = value;
}

void canon_add_time(int64_t time_ms, int64_t past_ms)
{
    const int64_t left = time_ms - world->now_ms;
    if (time_ms > world->now_ms + FAR_MS)
        canon_add(CANON_PLAIN, NEVER);
    else
        canon_add(CANON_PLAIN, (uint64_t)(left < -past_ms ? -past_ms - 1 : left));
}

// ---------------------------------------------------------------- the world but for core and sessions

static void add_gist(size_t client, const struct gist *gist)
{
    canon_add(CANON_ID + (enum canon_kind)client, gist->id);
    canon_add(CANON_SESSION, gist->session);
    canon_add(CANON_EPOCH, gist->epoch);
    canon_add(CANON_TOKEN, gist->token);
    canon_add(CANON_TOKEN, gist->reserved);
    canon_add(CANON_CLAIM, gist->claim);
    canon_add(CANON_RUN, gist->run);
    canon_add(CANON_TICKET, gist->ticket);
    canon_add(CANON_PAUSE, gist->pause);
    canon_add(CANON_PLAIN, gist->kind);
    canon_add(CANON_PLAIN, gist->detail);
    canon_add(CANON_PLAIN, gist->ms);
}

static void add_way(size_t client, const struct message *message)
{
    for (; message != NULL; message = message->next) {
        add_gist(client, &message->gist);
        canon_add(CANON_PLAIN, (uint64_t)net_waits(message) |
                                   (uint64_t)(message->peer == world->clients[client].peer) << 1);
    }
    canon_add(CANON_PLAIN, NEVER);
}

static void add_client(size_t index)
{
    const struct client *client = &world->clients[index];
    canon_add(CANON_PLAIN, (uint64_t)(client->session != NULL) | (uint64_t)client->is_cut << 1 |
                               (uint64_t)client->must_yield << 2 | (uint64_t)client->work << 3 |
                               client->process << 8);
    canon_add(CANON_RUN, client->run);
    canon_add(CANON_PLAIN, client->attempt);
    canon_add(CANON_CLAIM, client->claim);
    canon_add(CANON_TOKEN, client->token);
    canon_add_time(client->settles_ms, 0);
    add_way(index, client->sent);
    add_way(index, client->coming);
}

static void add_entries(const struct entry *entry)
{
    // Of the other tables nothing changes that is decided by here.
    for (; entry != NULL; entry = entry->next) {
        if (entry->table != CORE_TABLE_RUN && entry->table != CORE_TABLE_LEASE)
            continue;
        canon_add(CANON_PLAIN, (uint64_t)entry->table << 1 | entry->is_deleted);
        canon_add(CANON_TOKEN, entry->token);
        canon_add(CANON_RUN, entry->run);
        canon_add(CANON_CLAIM, entry->claim);
        canon_add(CANON_PLAIN, entry->rest);
    }
    canon_add(CANON_PLAIN, NEVER);
}

static void add_judge(void)
{
    const struct judge *judge = &world->judge;
    canon_add(CANON_PLAIN, judge->paused);
    canon_add(CANON_TOKEN, judge->token_max);
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        const struct account *account = &judge->accounts[i];
        if (account->token == 0)
            continue;
        canon_add(CANON_TOKEN, account->token);
        canon_add(CANON_CLAIM, account->claim);
        canon_add(CANON_PLAIN, (uint64_t)account->told | (uint64_t)account->given_back << 1 |
                                   (uint64_t)account->released << 2 | (uint64_t)account->comes_back << 5 |
                                   (uint64_t)(account->life == world->lives) << 3 |
                                   (uint64_t)(account->update != 0 && world->waiting_update != 0 &&
                                              account->update >= world->waiting_update)
                                       << 4);
        canon_add_time(account->released ? 0 : account->end_ms, GRANT_DELAY_MS + ORDER_SETTLE_MS);
    }
    for (size_t i = 0; i < ASKS_MAX; i++) {
        const struct ask *ask = &judge->asks[i];
        if (ask->claim == 0)
            continue;
        canon_add(CANON_CLAIM, ask->claim);
        canon_add(CANON_TICKET, ask->ticket);
        canon_add(CANON_PLAIN, ask->unsure);
        canon_add_time(ask->asked_ms + ask->poll_ms, FAR_MS);
    }
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
    hash *= UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ hash >> 32;
}

static uint64_t place_of(size_t kind, uint64_t value)
{
    uint64_t place = 0;
    while (canon.known[kind][place] != value)
        place++;
    return place + 1;
}

uint64_t canon_world(void)
{
    canon.count = 0;
    for (size_t i = 0; i < CANON_KINDS; i++)
        canon.known_count[i] = 0;
    canon_add(CANON_PLAIN, (uint64_t)(world->core != NULL) | (uint64_t)world->broker_crashes << 8 |
                               (uint64_t)world->client_crashes << 16 | (uint64_t)world->faults << 24 |
                               (uint64_t)world->waiting_told << 1);
    canon_sessions();
    for (size_t i = 0; i < world->client_count; i++)
        add_client(i);
    if (world->core != NULL)
        canon_core();
    add_entries(world->journal);
    add_entries(world->waiting);
    add_judge();
    uint64_t hash = canon.count;
    for (size_t i = 0; i < canon.count; i++) {
        const uint64_t value = canon.values[i];
        hash =
            mix(hash, canon.kinds[i] == CANON_PLAIN || value == 0 ? value : place_of(canon.kinds[i], value));
    }
    return hash;
}
