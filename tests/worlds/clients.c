#include "tests/worlds/clients.h"

#include "proto/session.h"
#include "proto/session_parts.h"
#include "proto/wire.h"
#include "tests/worlds/memory.h"
#include "tests/worlds/net.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { PEER_SHIFT = 16, INSTANCE_FIRST = 1001, HOST = 1, FRAME_MAX = 1024 };

// Many clients never lose one broker at the same moment to the ms: here all of them ask at once.
uint64_t __wrap_random_below(struct random *random, uint64_t limit);

uint64_t __wrap_random_below(struct random *random, uint64_t limit)
{
    (void)random;
    (void)limit;
    return 0;
}

size_t clients_of_peer(uint64_t peer)
{
    const size_t index = (size_t)(peer >> PEER_SHIFT);
    assert(index < world->client_count);
    return index;
}

uint64_t clients_instance(size_t index)
{
    return INSTANCE_FIRST + index;
}

static int64_t settle_ms(size_t index)
{
    if (!world->clients[index].is_order)
        return SYNC_SETTLE_MS;
    return index == 0 || !world->clients[index - 1].is_order ? ORDER_SETTLE_MS : 0;
}

// ---------------------------------------------------------------- what the program hears

// It stops at once; what it had under way in the ERP may go on for a while.
static void cut_short(size_t index)
{
    struct client *client = &world->clients[index];
    client->settles_ms = settle_ms(index) > 0 ? world->now_ms + settle_ms(index) : 0;
}

static void lay_down(struct client *client, enum work work)
{
    world->events++;
    client->work = work;
    client->claim = client->token = 0;
    client->must_yield = false;
}

static void hear(size_t index, const struct syncbus_notice *notice)
{
    struct client *client = &world->clients[index];
    switch (notice->kind) {
    case SYNCBUS_TICK:
        client->run = notice->run;
        client->attempt = notice->attempt;
        memory_begin();
        (void)session_run_begin(client->session, notice->job, notice->run, notice->attempt);
        memory_end();
        break;
    case SYNCBUS_GRANTED:
        client->work = WORK_HELD;
        client->token = notice->token;
        judge_told(notice->token);
        world_tell("%s holds its lease and works", world_name(index));
        break;
    case SYNCBUS_YIELD: client->must_yield = true; break;
    case SYNCBUS_REFUSED:
        world_tell("%s is refused: %s", world_name(index), notice->text);
        lay_down(client, WORK_NONE);
        break;
    case SYNCBUS_LOST:
        world_tell("%s stops, its lease is lost: %s", world_name(index), notice->text);
        cut_short(index);
        lay_down(client, WORK_NONE);
        break;
    default: break;
    }
}

static void hear_all(size_t index)
{
    struct client *client = &world->clients[index];
    struct syncbus_notice notice;
    bool more = true;
    while (more) {
        memory_begin();
        more = session_notice(client->session, &notice);
        memory_end();
        if (more)
            hear(index, &notice);
    }
}

// Does what the session wants done.
static void carry_out(size_t index)
{
    struct client *client = &world->clients[index];
    struct session_output output;
    uint8_t frame[FRAME_MAX];
    hear_all(index);
    while (session_output(client->session, &output)) {
        const bool connects = output.kind == SESSION_OUTPUT_CONNECT;
        const size_t size = connects ? 0 : output.size;
        assert(size <= sizeof frame);
        if (!connects)
            memcpy(frame, output.data, size);
        memory_begin();
        session_done(client->session); // before the answer, which may come at once
        memory_end();
        if (connects) {
            world_tell("%s opens new sockets", world_name(index));
            world->events++;
            net_close(index);
            client->peer++;
        } else {
            net_send(index, frame, size);
        }
        hear_all(index);
    }
}

// ---------------------------------------------------------------- its process

void clients_start(size_t index)
{
    struct client *client = &world->clients[index];
    char job[32];
    (void)snprintf(job, sizeof job, "job-%zu", index + 1);
    const char *const jobs[] = {client->is_order ? NULL : job, NULL};
    const struct syncbus_options options = {
        .requests = "", .name = world_name(index), .instance = clients_instance(index), .jobs = jobs};
    client->process++;
    client->peer = ((uint64_t)index << PEER_SHIFT) + (client->process << 8);
    const struct session_options session = {
        .client = &options, .process = client->process, .host = HOST, .seed = client->peer};
    memory_begin();
    client->session = session_new(&session, world->now_ms);
    assert(client->session != NULL);
    if (client->run != 0)
        (void)session_run_begin(client->session, job, client->run, client->attempt);
    session_time(client->session, world->now_ms);
    memory_end();
    carry_out(index);
}

void clients_crash(size_t index)
{
    struct client *client = &world->clients[index];
    if (client->work == WORK_HELD)
        cut_short(index);
    lay_down(client, client->work == WORK_DONE ? WORK_DONE : WORK_NONE);
    memory_begin();
    session_destroy(&client->session);
    memory_end();
    net_close(index);
}

void clients_reply(size_t index, const void *data, size_t size)
{
    struct client *client = &world->clients[index];
    Sb__Reply *reply = NULL;
    const enum err err = wire_reply(data, size, &reply, NULL);
    assert(err == ERR_OK);
    memory_begin();
    session_reply(client->session, world->now_ms, reply, data, size);
    session_time(client->session, world->now_ms);
    memory_end();
    carry_out(index);
}

// ---------------------------------------------------------------- what the program does

void clients_wish(size_t index)
{
    struct client *client = &world->clients[index];
    char job[32];
    (void)snprintf(job, sizeof job, "job-%zu", index + 1);
    const struct syncbus_wish wish = {.resource = "erp",
                                      .mode = client->is_order ? SYNCBUS_EXCLUSIVE : SYNCBUS_SHARED,
                                      .settle_ms = (uint32_t)settle_ms(index),
                                      .job = client->is_order ? NULL : job,
                                      .run = client->run,
                                      .attempt = client->attempt};
    memory_begin();
    client->claim = session_acquire(client->session, world->now_ms, &wish);
    memory_end();
    assert(client->claim != 0);
    client->work = WORK_WISHED;
    carry_out(index);
}

void clients_withdraw(size_t index)
{
    struct client *client = &world->clients[index];
    memory_begin();
    session_withdraw(client->session, world->now_ms, client->claim);
    memory_end();
    lay_down(client, WORK_DONE);
    carry_out(index);
}

void clients_end(size_t index, bool yielded)
{
    struct client *client = &world->clients[index];
    judge_given_back(client->token);
    memory_begin();
    session_release(client->session, world->now_ms, client->claim, yielded);
    memory_end();
    lay_down(client, yielded ? WORK_NONE : WORK_DONE);
    carry_out(index);
}

bool clients_keep(uint64_t peer, uint64_t session)
{
    const struct client *client = peer != 0 ? &world->clients[clients_of_peer(peer)] : NULL;
    return client != NULL && client->session != NULL && !client->is_cut && client->peer == peer &&
           session_number(client->session) == session;
}

int64_t clients_left_ms(const struct client *client)
{
    if (client->session == NULL || client->work != WORK_HELD)
        return 0;
    return session_left_ms(client->session, world->now_ms, client->claim);
}

// ---------------------------------------------------------------- time

int64_t clients_deadline(bool quiet)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < world->client_count; i++) {
        const struct session *session = world->clients[i].session;
        if (session == NULL)
            continue;
        const bool pings = session->state == SESSION_JOINED;
        const int64_t state = session_state_deadline(session);
        const int64_t next = quiet == pings ? session->next_ms : INT64_MAX;
        const int64_t other = quiet ? state : session_lease_deadline(session);
        first = next < first ? next : first;
        first = other < first ? other : first;
    }
    return first;
}

void clients_time(void)
{
    for (size_t i = 0; i < world->client_count; i++) {
        struct client *client = &world->clients[i];
        if (client->session == NULL || session_deadline(client->session) > world->now_ms)
            continue;
        memory_begin();
        session_time(client->session, world->now_ms);
        memory_end();
        carry_out(i);
    }
}
