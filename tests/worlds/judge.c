#include "tests/worlds/judge.h"

#include "tests/worlds/clients.h"
#include "tests/worlds/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SILENCE_MS = 2000 }; // a waiter is kept at least so long

static char verdict[256];

const char *judge_verdict(void)
{
    return verdict[0] != '\0' ? verdict : NULL;
}

// The first one counts.
static void SB_PRINTF(2, 3) broken(const char *invariant, const char *format, ...)
{
    if (verdict[0] != '\0')
        return;
    const int size = snprintf(verdict, sizeof verdict, "%s: ", invariant);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(verdict + size, sizeof verdict - (size_t)size, format, arguments);
    va_end(arguments);
}

static struct account *find_token(uint64_t token)
{
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        if (token != 0 && world->judge.accounts[i].token == token)
            return &world->judge.accounts[i];
    }
    return NULL;
}

static struct ask *find_ask(size_t client, uint64_t id)
{
    for (size_t i = 0; i < ASKS_MAX; i++) {
        struct ask *ask = &world->judge.asks[i];
        if (ask->claim != 0 && ask->client == client && ask->id == id)
            return ask;
    }
    return NULL;
}

static struct ask *find_claim(uint64_t claim)
{
    for (size_t i = 0; i < ASKS_MAX; i++) {
        if (world->judge.asks[i].claim == claim)
            return &world->judge.asks[i];
    }
    return NULL;
}

// When it has surely ended, if it was not given back. Over the broker's lives a settle time that is not
// longer than the delay is not kept.
static int64_t free_ms(const struct account *account)
{
    const bool kept = account->life == world->lives || account->settle_ms > GRANT_DELAY_MS;
    return account->end_ms + GRANT_DELAY_MS + (kept ? account->settle_ms : 0);
}

static bool is_over(const struct account *account)
{
    return account->released || world->now_ms >= free_ms(account);
}

static int64_t silence_ms(const struct ask *ask)
{
    return 2 * ask->poll_ms > SILENCE_MS ? 2 * ask->poll_ms : SILENCE_MS;
}

static bool is_waiting(const struct ask *ask)
{
    return ask->claim != 0 && ask->life == world->lives && world->now_ms < ask->asked_ms + silence_ms(ask);
}

// ---------------------------------------------------------------- grants

// Nobody who asked for the ERP before waits longer than the one who got it.
static void check_line(const struct ask *granted)
{
    const uint64_t ticket = granted->ticket != 0 ? granted->ticket : UINT64_MAX;
    for (size_t i = 0; i < ASKS_MAX; i++) {
        const struct ask *other = &world->judge.asks[i];
        if (other != granted && is_waiting(other) && other->exclusive && !other->unsure &&
            other->ticket != 0 && other->ticket < ticket)
            broken("I7", "%s was granted its lease before %s, which came first", world_name(granted->client),
                   world_name(other->client));
    }
}

static void check_grant(const struct ask *granted, uint64_t token)
{
    if (token <= world->judge.token_max)
        broken("I3", "%s was granted a token that is not greater than one before it",
               world_name(granted->client));
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        const struct account *other = &world->judge.accounts[i];
        if (other->token != 0 && !is_over(other))
            broken(granted->exclusive && !other->exclusive ? "I4" : "I2",
                   "%s was granted a lease %" PRId64 " ms before that of %s had surely ended",
                   world_name(granted->client), free_ms(other) - world->now_ms, world_name(other->client));
    }
    if (granted->exclusive)
        check_line(granted);
}

static struct account *vacant(void)
{
    size_t i = 0;
    while (i < ACCOUNTS_MAX && world->judge.accounts[i].token != 0)
        i++;
    assert(i < ACCOUNTS_MAX);
    return &world->judge.accounts[i];
}

static void on_granted(struct ask *ask, const Sb__Granted *granted, uint64_t update)
{
    struct account *account = find_token(granted->token);
    if (account == NULL) {
        check_grant(ask, granted->token);
        if (granted->token > world->judge.token_max)
            world->judge.token_max = granted->token;
        account = vacant();
        *account = (struct account){.token = granted->token,
                                    .claim = ask->claim,
                                    .client = ask->client,
                                    .exclusive = ask->exclusive,
                                    .settle_ms = ask->settle_ms};
    } else if (account->claim != ask->claim) {
        broken("I3", "one token was given to two claims");
    }
    const int64_t end_ms = world->now_ms + granted->ttl_ms;
    account->released = false; // nobody was told of it before, or its holder asks again
    account->update = update;
    account->life = world->lives;
    account->end_ms = end_ms > account->end_ms ? end_ms : account->end_ms;
    ask->claim = 0;
}

// ---------------------------------------------------------------- requests and what they are answered

static void on_acquire(size_t client, const Sb__Request *request)
{
    const Sb__Acquire *acquire = request->acquire;
    struct ask *ask = find_claim(acquire->claim);
    if (ask == NULL) {
        ask = find_claim(0);
        assert(ask != NULL);
        *ask = (struct ask){.claim = acquire->claim, .ticket = acquire->ticket, .unsure = true};
    }
    ask->unsure = ask->unsure || !is_waiting(ask);
    ask->client = client;
    ask->id = request->id;
    ask->exclusive = acquire->mode == SB__MODE__MODE_EXCLUSIVE;
    ask->life = world->lives;
    ask->asked_ms = world->now_ms;
    ask->poll_ms = acquire->poll_ms;
    ask->settle_ms = acquire->settle_ms;
}

// Another process of a client: the one before waits for nothing any more, and its leases end now, but for
// those that the new one names.
static void on_hello(size_t client, const Sb__Hello *hello)
{
    if (world->judge.process[client] == hello->process)
        return;
    world->judge.process[client] = hello->process;
    for (size_t i = 0; i < ASKS_MAX; i++) {
        if (world->judge.asks[i].client == client)
            world->judge.asks[i].claim = 0;
    }
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        struct account *account = &world->judge.accounts[i];
        bool named = false;
        for (size_t k = 0; k < hello->n_leases; k++)
            named = named || hello->leases[k]->token == account->token;
        if (account->token != 0 && account->client == client && !named && account->end_ms > world->now_ms)
            account->end_ms = world->now_ms;
    }
}

// It is given back in time, or by a holder who had done with it before its end, or was never told: `done`.
static void release(struct account *account, bool done)
{
    if (account != NULL &&
        (done || account->given_back || !account->told || world->now_ms <= account->end_ms + GRANT_DELAY_MS))
        account->released = true;
}

// While the broker recovers, a renewal that comes late brings back what had ended.
static void on_renewed(size_t client, const Sb__Renew *renew, const Sb__Renewed *renewed)
{
    struct account *account = find_token(renew->token);
    if (account == NULL) {
        account = vacant();
        *account = (struct account){.token = renew->token,
                                    .claim = renew->claim,
                                    .client = client,
                                    .exclusive = renew->mode == SB__MODE__MODE_EXCLUSIVE,
                                    .told = true,
                                    .settle_ms = renew->settle_ms};
    }
    const int64_t end_ms = world->now_ms + renewed->ttl_ms;
    account->life = world->lives;
    account->update = 0;
    account->end_ms = end_ms > account->end_ms ? end_ms : account->end_ms;
}

static void on_done(size_t client, const Sb__Request *request, const Sb__Reply *reply)
{
    switch (request->body_case) {
    case SB__REQUEST__BODY_HELLO: on_hello(client, request->hello); break;
    case SB__REQUEST__BODY_RENEW:
        if (reply->body_case == SB__REPLY__BODY_RENEWED)
            on_renewed(client, request->renew, reply->renewed);
        break;
    case SB__REQUEST__BODY_RELEASE: release(find_token(request->release->token), false); break;
    case SB__REQUEST__BODY_WITHDRAW:
        for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
            if (world->judge.accounts[i].claim == request->withdraw->claim)
                release(&world->judge.accounts[i], true);
        }
        break;
    default: break;
    }
}

static void on_reply(const struct core_event *event, const struct core_reply *reply, uint64_t number)
{
    const size_t client = clients_of_peer(reply->peer);
    struct ask *ask = find_ask(client, reply->reply->id);
    if (ask == NULL) {
        if (event->kind == CORE_EVENT_REQUEST && reply->peer == event->request.peer &&
            reply->reply->id == event->request.request->id && reply->reply->code == SB__CODE__CODE_OK)
            on_done(client, event->request.request, reply->reply);
    } else if (reply->reply->body_case == SB__REPLY__BODY_GRANTED) {
        on_granted(ask, reply->reply->granted, reply->durable ? number : 0);
    } else if (reply->reply->code == SB__CODE__CODE_OK &&
               reply->reply->body_case == SB__REPLY__BODY_WAITING) {
        ask->ticket = reply->reply->waiting->ticket;
        ask->unsure = false;
    } else {
        // Whoever does not ask just now may have been refused with it, and hears of that later.
        for (size_t i = 0; i < ASKS_MAX; i++)
            world->judge.asks[i].unsure = world->judge.asks[i].unsure || ask->exclusive;
        ask->claim = 0;
    }
}

// What is published tells in which order pauses and turns came within a step.
static void on_publications(const struct core_update *update)
{
    for (size_t i = 0; i < update->publication_count; i++) {
        const char *topic = update->publications[i].topic;
        const Sb__Event *event = update->publications[i].event;
        if (strcmp(topic, "pause.erp") == 0)
            world->judge.paused = true;
        else if (strcmp(topic, "resume.erp") == 0)
            world->judge.paused = false;
        else if (event->body_case == SB__EVENT__BODY_LEASE && world->judge.paused &&
                 event->lease->change == SB__LEASE_CHANGE__LEASE_CHANGE_GRANTED &&
                 event->lease->mode == SB__MODE__MODE_SHARED)
            broken("I5", "%s was granted its turn in a pause", event->lease->holder);
    }
}

void judge_step(const struct core_event *event, const struct core_update *update, uint64_t number)
{
    if (event->kind == CORE_EVENT_REQUEST) {
        const Sb__Request *request = event->request.request;
        if (request->body_case == SB__REQUEST__BODY_ACQUIRE)
            on_acquire(clients_of_peer(event->request.peer), request);
        struct ask *withdrawn =
            request->body_case == SB__REQUEST__BODY_WITHDRAW ? find_claim(request->withdraw->claim) : NULL;
        if (withdrawn != NULL)
            withdrawn->claim = 0;
    }
    for (size_t i = 0; i < update->reply_count; i++)
        on_reply(event, &update->replies[i], number);
    on_publications(update);
}

void judge_broker_started(void)
{
    world->judge.paused = false;
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        struct account *account = &world->judge.accounts[i];
        if (!account->comes_back)
            continue;
        account->comes_back = false;
        account->end_ms = world->now_ms + TTL_MS;
        account->life = world->lives;
    }
}

void judge_broker_stopped(void)
{
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        struct account *account = &world->judge.accounts[i];
        account->comes_back = account->token != 0 && !is_over(account);
    }
}

void judge_broker_crashed(uint64_t lost)
{
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        struct account *account = &world->judge.accounts[i];
        if (lost != 0 && account->life == world->lives && account->update >= lost)
            account->released = true;
        if (account->token != 0 && account->exclusive && account->settle_ms > GRANT_DELAY_MS &&
            !is_over(account))
            account->comes_back = true;
    }
}

// ---------------------------------------------------------------- what the holders believe

void judge_told(uint64_t token)
{
    struct account *account = find_token(token);
    if (account != NULL)
        account->told = true;
    else
        broken("I2", "a lease was told of that nobody granted");
}

void judge_given_back(uint64_t token)
{
    struct account *account = find_token(token);
    if (account != NULL)
        account->given_back = true;
}

static bool is_at_work(const struct client *client)
{
    return clients_left_ms(client) > 0 || world->now_ms < client->settles_ms;
}

void judge_look(void)
{
    for (size_t i = 0; i < world->client_count; i++) {
        const struct client *client = &world->clients[i];
        const int64_t left = clients_left_ms(client);
        const struct account *account = find_token(client->token);
        if (left > 0 && (account == NULL || world->now_ms + left >= account->end_ms))
            broken("I9", "%s believes in its lease for longer than the broker", world_name(i));
        if (!is_at_work(client))
            continue;
        for (size_t k = 0; k < i; k++) {
            if (is_at_work(&world->clients[k]))
                broken("I2", "%s and %s are at work in the ERP at once", world_name(k), world_name(i));
        }
    }
}

static bool is_held(uint64_t token)
{
    for (size_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].token == token)
            return true;
    }
    return false;
}

void judge_forget(void)
{
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        struct account *account = &world->judge.accounts[i];
        if (account->token != 0 && !account->comes_back && !is_held(account->token) &&
            world->now_ms >= free_ms(account))
            *account = (struct account){0};
    }
    for (size_t i = 0; i < ASKS_MAX; i++) {
        struct ask *ask = &world->judge.asks[i];
        if (ask->claim == 0 || !is_waiting(ask))
            *ask = (struct ask){0};
    }
    for (size_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].settles_ms <= world->now_ms)
            world->clients[i].settles_ms = 0;
    }
}
