#include "tests/sim/leases.h"

#include "tests/sim/broker.h"
#include "tests/sim/bus.h"
#include "tests/sim/check.h"
#include "tests/sim/net.h"
#include "tests/sim/wishes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    LEASES_MAX = 256,
    HELD_MAX = 64,
    PAUSE_MAX_MS = 15 * 60 * 1000,
    KEPT_MS = 300 * 1000, // leases are remembered so long after their end
};

// A lease, as the broker has said.
struct lease {
    uint64_t token;    // 0: the place is free
    uint64_t claim;    // for which
    bool exclusive;    // its mode
    uint32_t resource; // index
    struct node *node; // that asked
    uint64_t instance; // of that
    uint64_t life;     // of the broker that renewed it last
    uint64_t update;   // that must be durable before its grant is told; 0: none
    int64_t end_ms;    // of the broker's clock, at which it takes it for ended
    int64_t delay_ms;  // that the broker adds to it
    int64_t settle_ms; // and the holder wants added
    bool told;         // its holder knows of it, and may work
    bool given_back;   // its holder has done with it, and says so
    int64_t lost_us;   // true time at which its holder took it for over; 0: it does not
    bool released;     // that has reached the broker
    bool in_time;      // before its end: nothing is waited for any more
    bool revoked;      // its renewals are refused
};

// A lease in somebody's hands.
struct held {
    struct node *node; // NULL: the place is free
    uint64_t claim;
    uint64_t token;
};

static struct {
    struct lease leases[LEASES_MAX];
    struct held held[HELD_MAX];
    bool paused[WISHES_RESOURCES_MAX];
    int64_t paused_us[WISHES_RESOURCES_MAX]; // since
    uint64_t token_max;                      // the greatest ever granted
    uint64_t process[SIM_NODES_MAX];         // of each node, as its last Hello said
} all;

void leases_init(void)
{
    memset(&all, 0, sizeof all);
    wishes_init();
}

static const struct config_resource *config_of(uint32_t resource)
{
    return config_resource(broker_config(), wishes_resource_name(resource), NULL);
}

static struct lease *find_token(uint64_t token)
{
    for (size_t i = 0; i < LEASES_MAX; i++) {
        if (token != 0 && all.leases[i].token == token)
            return &all.leases[i];
    }
    return NULL;
}

// When a lease has surely ended, if it was not given back. A settle time that is not longer than the delay is
// not kept over the broker's lives: the delay stands for it.
static int64_t free_ms(const struct lease *lease)
{
    const bool kept = lease->life == sim->broker->life || lease->settle_ms > lease->delay_ms;
    return lease->end_ms + lease->delay_ms + (kept ? lease->settle_ms : 0);
}

static int64_t now_ms(void)
{
    return node_boot_ms(sim->broker);
}

static int64_t larger(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

static bool is_over(const struct lease *lease)
{
    return lease->released || now_ms() >= free_ms(lease);
}

uint64_t leases_idle_wish(int64_t boot_ms)
{
    for (size_t i = 0; i < LEASES_MAX; i++) {
        const struct lease *lease = &all.leases[i];
        if (lease->token != 0 && !(lease->released && lease->in_time) && boot_ms < free_ms(lease))
            return 0;
    }
    return wishes_first(boot_ms);
}

// ---------------------------------------------------------------- grants

static struct lease *vacant_lease(void)
{
    struct lease *oldest = &all.leases[0];
    for (size_t i = 0; i < LEASES_MAX; i++) {
        struct lease *lease = &all.leases[i];
        if (lease->token == 0 || (lease->released && lease->end_ms + KEPT_MS < now_ms()))
            return lease;
        oldest = lease->end_ms < oldest->end_ms ? lease : oldest;
    }
    assert(is_over(oldest));
    return oldest;
}

static void check_others(const struct wish *granted, uint64_t token)
{
    const struct config_resource *config = config_of(granted->resource);
    uint32_t shared = 0;
    for (size_t i = 0; i < LEASES_MAX; i++) {
        const struct lease *other = &all.leases[i];
        if (other->token == 0 || other->token == token || other->resource != granted->resource ||
            is_over(other))
            continue;
        if (granted->exclusive || other->exclusive)
            check_broken(granted->exclusive && !other->exclusive ? "I4" : "I2",
                         "%s lease %" PRIu64 " was granted %" PRId64 " ms before %s lease %" PRIu64
                         " of %s had surely ended",
                         granted->exclusive ? "exclusive" : "shared", token, free_ms(other) - now_ms(),
                         other->exclusive ? "exclusive" : "shared", other->token, other->node->name);
        shared++;
    }
    if (!granted->exclusive && config != NULL && shared >= config->capacity)
        check_broken("I2", "shared lease %" PRIu64 " was granted beside %" PRIu32 " others", token, shared);
    if (!granted->exclusive && all.paused[granted->resource])
        check_broken("I5", "shared lease %" PRIu64 " was granted in a pause", token);
}

static void on_granted(const struct core_event *event, struct wish *wish, const Sb__Granted *granted,
                       uint64_t update)
{
    const struct config_resource *config = config_of(wish->resource);
    const int64_t end_ms = event->boot_ms + granted->ttl_ms;
    struct lease *lease = find_token(granted->token);
    if (lease == NULL) {
        if (granted->token <= all.token_max)
            check_broken("I3", "token %" PRIu64 " was granted after %" PRIu64, granted->token, all.token_max);
        all.token_max = granted->token;
        check_others(wish, granted->token);
        wishes_check_line(wish, event->boot_ms);
        lease = vacant_lease();
        *lease = (struct lease){.token = granted->token,
                                .claim = wish->claim,
                                .exclusive = wish->exclusive,
                                .resource = wish->resource,
                                .node = wish->node,
                                .instance = wish->node->instance,
                                .delay_ms = config != NULL ? config->grant_delay_ms : 0,
                                .settle_ms = wish->settle_ms};
    } else if (lease->claim != wish->claim) {
        check_broken("I3", "token %" PRIu64 " was given to two claims", granted->token);
    }
    lease->released = lease->in_time = false; // nobody was told of it before, or its holder asks again
    lease->update = update;
    lease->life = sim->broker->life;
    lease->end_ms = larger(lease->end_ms, end_ms);
    wish->claim = 0;
}

// ---------------------------------------------------------------- requests and what they are answered

static void on_renewed(const struct core_event *event, const Sb__Renewed *renewed)
{
    const Sb__Renew *renew = event->request.request->renew;
    struct lease *lease = find_token(renew->token);
    if (lease == NULL)
        return; // remembered no longer
    if (lease->revoked)
        check_broken("I4", "lease %" PRIu64 " was renewed after it was revoked", lease->token);
    // A renewal that comes after what gave the lease back, while the broker recovers, brings it to life
    // again: nobody works under it, and it ends by itself.
    lease->released = lease->in_time = false;
    // One that is taken over has the delay of the config by then.
    const struct config_resource *config = config_of(lease->resource);
    if (lease->life != sim->broker->life && config != NULL && config->grant_delay_ms < lease->delay_ms)
        lease->delay_ms = config->grant_delay_ms;
    lease->life = sim->broker->life;
    lease->update = 0;
    lease->end_ms = larger(lease->end_ms, event->boot_ms + renewed->ttl_ms);
}

// Another process of an instance: the one before waits for nothing any more, and its leases end now, but for
// those that the new one names.
static void on_hello(const Sb__Hello *hello, struct node *node)
{
    if (all.process[node->index] == hello->process)
        return;
    all.process[node->index] = hello->process;
    wishes_forget(node);
    for (size_t i = 0; i < LEASES_MAX; i++) {
        struct lease *lease = &all.leases[i];
        bool named = false;
        if (lease->token == 0 || lease->instance != hello->instance)
            continue;
        for (size_t j = 0; j < hello->n_leases; j++)
            named = named || hello->leases[j]->token == lease->token;
        if (!named && lease->end_ms > now_ms())
            lease->end_ms = now_ms();
    }
}

// It is given back in time, or by a holder who had done with it before its end: `done`.
static void release(struct lease *self, bool done)
{
    if (!done && now_ms() > self->end_ms + self->delay_ms)
        return;
    self->released = true;
    self->in_time = now_ms() <= self->end_ms;
}

// A claim may have got a second lease, by an ask that came only after the first one was given back.
static void release_claim(uint64_t claim)
{
    for (size_t i = 0; i < LEASES_MAX; i++) {
        if (all.leases[i].claim == claim && all.leases[i].token != 0)
            release(&all.leases[i], true);
    }
}

// A holder that lost its lease gives it back once its work has surely settled, by a clock that may be 1 %
// off.
static bool has_settled(const struct lease *lease)
{
    return lease->lost_us != 0 && sim_now_us() >= lease->lost_us + lease->settle_ms * SIM_MS_US / 100 * 98;
}

// A request that was granted at once, whatever its kind.
static void on_done(const struct core_event *event, struct node *node, const Sb__Reply *reply)
{
    const Sb__Request *request = event->request.request;
    struct lease *lease = NULL;
    switch (request->body_case) {
    case SB__REQUEST__BODY_HELLO: on_hello(request->hello, node); break;
    case SB__REQUEST__BODY_RENEW:
        if (reply->body_case == SB__REPLY__BODY_RENEWED)
            on_renewed(event, reply->renewed);
        break;
    case SB__REQUEST__BODY_RELEASE:
        lease = find_token(request->release->token);
        if (lease != NULL)
            release(lease, lease->given_back || !lease->told || has_settled(lease));
        break;
    case SB__REQUEST__BODY_WITHDRAW: release_claim(request->withdraw->claim); break;
    case SB__REQUEST__BODY_REVOKE:
        lease = find_token(request->revoke->token);
        if (lease != NULL)
            lease->revoked = true;
        break;
    default: break;
    }
}

static void trace_answer(const struct wish *wish, const Sb__Reply *reply)
{
    if (reply->body_case == SB__REPLY__BODY_GRANTED)
        sim_trace("grants %s claim %" PRIx64 " as lease %" PRIu64, wish->node->name, wish->claim,
                  reply->granted->token);
    else if (reply->body_case == SB__REPLY__BODY_WAITING)
        sim_trace("lets %s wait for claim %" PRIx64 ", ticket %" PRIu64, wish->node->name, wish->claim,
                  reply->waiting->ticket);
    else
        sim_trace("refuses %s claim %" PRIx64 ": %s", wish->node->name, wish->claim, reply->text);
}

static void on_reply(const struct core_event *event, struct node *node, const struct core_reply *reply,
                     uint64_t number)
{
    struct wish *wish = wishes_of_request(reply->peer, reply->reply->id);
    if (wish != NULL) {
        trace_answer(wish, reply->reply);
        if (reply->reply->body_case == SB__REPLY__BODY_GRANTED)
            on_granted(event, wish, reply->reply->granted, reply->durable ? number : 0);
        else if (reply->reply->body_case == SB__REPLY__BODY_WAITING)
            wishes_told(wish, reply->reply->waiting);
        else
            wishes_refused(wish);
        return;
    }
    if (event->kind == CORE_EVENT_REQUEST && reply->peer == event->request.peer &&
        reply->reply->id == event->request.request->id && reply->reply->code == SB__CODE__CODE_OK)
        on_done(event, node, reply->reply);
}

static void on_publication(const char *topic, bool pauses)
{
    static const char *const prefixes[] = {"resume.", "pause."};
    const char *const prefix = prefixes[pauses];
    if (strncmp(topic, prefix, strlen(prefix)) != 0)
        return;
    const uint32_t resource = wishes_resource(topic + strlen(prefix));
    if (pauses && !all.paused[resource])
        all.paused_us[resource] = sim_now_us();
    all.paused[resource] = pauses;
}

void leases_broker_started(void)
{
    memset(all.paused, 0, sizeof all.paused);
    wishes_broker_started(now_ms());
}

void leases_broker_ended(uint64_t durable)
{
    for (size_t i = 0; i < LEASES_MAX; i++) {
        struct lease *lease = &all.leases[i];
        if (lease->life == sim->broker->life && lease->update > durable)
            lease->released = true;
    }
}

// Who has no session is not heard: what it asked for before still waits.
static bool is_stranger(const struct core_update *update)
{
    return update->reply_count > 0 && update->replies[0].reply->code == SB__CODE__CODE_NO_SESSION;
}

void leases_step(const struct core_event *event, const struct core_update *update, uint64_t number)
{
    struct node *node = NULL;
    if (event->kind == CORE_EVENT_REQUEST) {
        node = net_node(event->request.peer);
        if (event->request.request->body_case == SB__REQUEST__BODY_ACQUIRE && !is_stranger(update))
            wishes_asked(event, node);
        else if (event->request.request->body_case == SB__REQUEST__BODY_WITHDRAW)
            wishes_withdrawn(event->request.request->withdraw->claim);
    }
    // What a step grants counts as after the pauses that it ends and before those that it begins.
    for (size_t i = 0; i < update->publication_count; i++)
        on_publication(update->publications[i].topic, false);
    for (int grants = 0; grants <= 1; grants++) { // what ends goes before what is granted then
        for (size_t i = 0; i < update->reply_count; i++) {
            if ((update->replies[i].reply->body_case == SB__REPLY__BODY_GRANTED) == (grants == 1))
                on_reply(event, node, &update->replies[i], number);
        }
    }
    for (size_t i = 0; i < update->publication_count; i++) {
        on_publication(update->publications[i].topic, true);
        on_publication(update->publications[i].topic, false);
    }
}

// ---------------------------------------------------------------- what the holders believe

void leases_held(struct node *node, uint64_t claim, uint64_t token)
{
    size_t i = 0;
    while (i < HELD_MAX && all.held[i].node != NULL)
        i++;
    assert(i < HELD_MAX);
    all.held[i] = (struct held){.node = node, .claim = claim, .token = token};
    struct lease *lease = find_token(token);
    assert(lease != NULL);
    lease->told = true;
}

void leases_forget(struct node *node)
{
    for (size_t i = 0; i < HELD_MAX; i++) {
        if (all.held[i].node == node)
            all.held[i].node = NULL;
    }
}

static int64_t left_ms(const struct held *held)
{
    return held->node != NULL ? syncbus_left_ms(held->node->client, held->claim) : 0;
}

static struct held *find_held(const struct node *node, uint64_t claim)
{
    for (size_t i = 0; i < HELD_MAX; i++) {
        if (all.held[i].node == node && all.held[i].claim == claim)
            return &all.held[i];
    }
    return NULL;
}

void leases_lost(const struct node *node, uint64_t claim)
{
    struct held *held = find_held(node, claim);
    struct lease *lease = held != NULL ? find_token(held->token) : NULL;
    if (lease != NULL)
        lease->lost_us = sim_now_us();
    if (held != NULL)
        held->node = NULL;
}

void leases_given_back(const struct node *node, uint64_t claim)
{
    struct held *held = find_held(node, claim);
    struct lease *lease = held != NULL ? find_token(held->token) : NULL;
    if (lease != NULL)
        lease->given_back = true;
    leases_lost(node, claim);
}

bool leases_in_hand(const struct node *node)
{
    for (size_t i = 0; i < HELD_MAX; i++) {
        if (all.held[i].node == node)
            return true;
    }
    return false;
}

static void check_held(const struct held *held, int64_t left)
{
    const struct node *node = held->node;
    const struct lease *lease = find_token(held->token);
    assert(lease != NULL);
    const int64_t end_us = node_true_us(node, node_boot_ms(node) + left);
    const int64_t broker_us = node_true_us(sim->broker, lease->end_ms);
    if (end_us >= broker_us)
        check_broken("I9", "%s believes in lease %" PRIu64 " for %.3f s longer than the broker", node->name,
                     held->token, (double)(end_us - broker_us) / SIM_SECOND_US);
    for (size_t i = 0; i < HELD_MAX; i++) {
        const struct held *other = &all.held[i];
        if (other == held || left_ms(other) <= 0)
            continue;
        const struct lease *theirs = find_token(other->token);
        if (theirs->resource == lease->resource && (theirs->exclusive || lease->exclusive))
            check_broken("I2",
                         "%s holds lease %" PRIu64 " and %s holds lease %" PRIu64 ", and one is exclusive",
                         node->name, held->token, other->node->name, other->token);
    }
}

void leases_check(const struct node *node)
{
    for (size_t i = 0; i < HELD_MAX; i++) {
        struct held *held = &all.held[i];
        if (held->node != node)
            continue;
        const int64_t left = left_ms(held);
        if (left > 0)
            check_held(held, left);
    }
}

void leases_check_end(void)
{
    for (size_t i = 0; i < WISHES_RESOURCES_MAX; i++) {
        if (all.paused[i] && sim_now_us() - all.paused_us[i] > (int64_t)PAUSE_MAX_MS * SIM_MS_US)
            check_broken("I6", "a pause of %s goes on since %.0f s", wishes_resource_name((uint32_t)i),
                         (double)(sim_now_us() - all.paused_us[i]) / SIM_SECOND_US);
    }
}
