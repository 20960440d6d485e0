#include "tests/worlds/net.h"

#include "proto/wire.h"
#include "tests/worlds/broker.h"
#include "tests/worlds/clients.h"
#include "tests/worlds/memory.h"

#include <assert.h>
#include <string.h>

// ---------------------------------------------------------------- what messages say

static void note_renew(struct gist *ret, const Sb__Renew *renew)
{
    ret->token = renew->token;
    ret->claim = renew->claim;
    ret->run = renew->run;
    ret->detail = renew->attempt;
}

static void note_hello(struct gist *ret, const Sb__Hello *hello)
{
    assert(hello->n_leases <= 1);
    assert(hello->n_runs <= 1);
    ret->detail = hello->process;
    ret->reserved = hello->n_leases > 0 ? hello->leases[0]->token : 0;
    ret->run = hello->n_runs > 0 ? hello->runs[0]->run : 0;
    ret->epoch = hello->last_epoch;
}

static struct gist request_gist(const Sb__Request *request)
{
    struct gist gist = {.id = request->id, .session = request->session, .kind = request->body_case};
    switch (request->body_case) {
    case SB__REQUEST__BODY_HELLO:
        gist.word = "Hello";
        note_hello(&gist, request->hello);
        break;
    case SB__REQUEST__BODY_ACQUIRE:
        gist.word = "Acquire";
        gist.claim = request->acquire->claim;
        gist.run = request->acquire->run;
        gist.ticket = request->acquire->ticket;
        gist.detail = request->acquire->attempt;
        gist.ms = request->acquire->poll_ms;
        break;
    case SB__REQUEST__BODY_RENEW:
        gist.word = "Renew";
        note_renew(&gist, request->renew);
        break;
    case SB__REQUEST__BODY_RELEASE:
        gist.word = "Release";
        gist.token = request->release->token;
        gist.detail = request->release->yielded ? 1 : 0;
        break;
    case SB__REQUEST__BODY_WITHDRAW:
        gist.word = "Withdraw";
        gist.claim = request->withdraw->claim;
        break;
    default: gist.word = "question"; break;
    }
    return gist;
}

static struct gist reply_gist(const Sb__Reply *reply)
{
    struct gist gist = {.word = "OK",
                        .id = reply->id,
                        .epoch = reply->epoch,
                        .kind = (uint64_t)reply->body_case << 8 | (uint64_t)reply->code};
    switch (reply->body_case) {
    case SB__REPLY__BODY_WELCOME:
        gist.word = "Welcome";
        gist.session = reply->welcome->session;
        for (size_t i = 0; i < reply->welcome->state->n_jobs; i++) {
            const Sb__RunState *run = reply->welcome->state->jobs[i]->current;
            if (run != NULL && run->stage == SB__STAGE__STAGE_DUE) {
                gist.run = run->run;
                gist.detail = run->attempt;
            }
        }
        break;
    case SB__REPLY__BODY_GRANTED:
        gist.word = "Granted";
        gist.token = reply->granted->token;
        break;
    case SB__REPLY__BODY_WAITING:
        gist.word = reply->code == SB__CODE__CODE_OK ? "Waiting" : "refusal";
        gist.ticket = reply->waiting->ticket;
        break;
    case SB__REPLY__BODY_RENEWED:
        gist.word = reply->renewed->yield ? "Renewed, yield" : "Renewed";
        gist.pause = reply->renewed->pause;
        gist.detail = reply->renewed->yield ? 1 : 0;
        break;
    default:
        if (reply->code != SB__CODE__CODE_OK)
            gist.word = reply->code == SB__CODE__CODE_NO_SESSION ? "no session" : "refusal";
        break;
    }
    return gist;
}

// ---------------------------------------------------------------- on the way

static void append(struct message **way, struct message *message)
{
    while (*way != NULL)
        way = &(*way)->next;
    *way = message;
}

static struct message *message_new(struct gist gist, uint64_t peer, size_t size)
{
    struct message *message = memory_take(sizeof *message + size);
    message->gist = gist;
    message->peer = peer;
    message->size = size;
    return message;
}

static bool is_quiet(const Sb__Request *request)
{
    return request->body_case == SB__REQUEST__BODY_PING || request->body_case == SB__REQUEST__BODY_SNAPSHOT;
}

// Asks and answers in one moment; the answer is the last of what comes.
static void exchange(size_t index, const Sb__Request *request)
{
    struct client *client = &world->clients[index];
    if (world->core == NULL || client->is_cut)
        return;
    broker_request(client->peer, request);
    struct message **last = &client->coming;
    while (*last != NULL && (*last)->next != NULL)
        last = &(*last)->next;
    assert(*last != NULL);
    assert((*last)->gist.id == request->id);
    struct message *answer = *last;
    *last = NULL;
    clients_reply(index, answer->data, answer->size);
    memory_give(answer);
}

void net_send(size_t index, const void *data, size_t size)
{
    struct client *client = &world->clients[index];
    Sb__Request *request = NULL;
    const enum err err = wire_request(data, size, &request, NULL);
    assert(err == ERR_OK);
    if (is_quiet(request)) {
        exchange(index, request);
    } else {
        struct message *message = message_new(request_gist(request), client->peer, size);
        memcpy(message->data, data, size);
        append(&client->sent, message);
        world->events++;
        world_tell("%s sends a %s", world_name(index), message->gist.word);
    }
    sb__request__free_unpacked(request, NULL);
}

bool net_reply(uint64_t peer, const Sb__Reply *reply, uint64_t update)
{
    const size_t index = clients_of_peer(peer);
    struct client *client = &world->clients[index];
    if (client->session == NULL || client->peer != peer)
        return false;
    struct message *message = message_new(reply_gist(reply), peer, sb__reply__get_packed_size(reply));
    (void)sb__reply__pack(reply, message->data);
    message->update = update;
    append(&client->coming, message);
    if (reply->body_case != SB__REPLY__BODY_STATE && reply->body_case != SB__REPLY__BODY__NOT_SET)
        world_tell("the broker answers %s: %s", world_name(index), message->gist.word);
    return true;
}

void net_arrive_request(size_t index, bool again)
{
    struct client *client = &world->clients[index];
    struct message *message = client->sent;
    Sb__Request *request = NULL;
    const enum err err = wire_request(message->data, message->size, &request, NULL);
    assert(err == ERR_OK);
    const uint64_t peer = message->peer;
    if (!again)
        net_lose(&client->sent);
    broker_request(peer, request);
    sb__request__free_unpacked(request, NULL);
}

void net_arrive_reply(size_t index, bool again)
{
    struct client *client = &world->clients[index];
    struct message *message = client->coming;
    if (net_waits(message))
        world->waiting_told = true; // so it was committed before
    if (again) {
        clients_reply(index, message->data, message->size);
        return;
    }
    client->coming = message->next;
    clients_reply(index, message->data, message->size);
    memory_give(message);
}

void net_lose(struct message **way)
{
    struct message *first = *way;
    assert(first != NULL);
    *way = first->next;
    memory_give(first);
}

void net_close(size_t index)
{
    struct client *client = &world->clients[index];
    while (client->sent != NULL && world->core == NULL)
        net_lose(&client->sent);
    while (client->coming != NULL)
        net_lose(&client->coming);
}

bool net_waits(const struct message *message)
{
    return message->update != 0 && world->waiting_update != 0 && message->update >= world->waiting_update;
}

void net_broker_gone(bool early)
{
    for (size_t i = 0; i < world->client_count; i++) {
        struct message **way = &world->clients[i].coming;
        while (*way != NULL) {
            if (early && net_waits(*way)) {
                net_lose(way);
            } else {
                (*way)->update = 0; // it has left
                way = &(*way)->next;
            }
        }
    }
}
