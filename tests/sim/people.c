#include "tests/sim/people_parts.h"

#include "proto/base/buffer.h"
#include "proto/wire.h"
#include "services/order/order.h"
#include "tests/sim/bus.h"
#include "tests/sim/check.h"
#include "tests/sim/order_book.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000 };

static struct {
    struct node *order;                   // the order service's
    struct person *people[SIM_NODES_MAX]; // owned by their kinds
    size_t count;                         // of them
    bool heals;                           // nobody begins anything new
} world;

struct node *people_order_node(void)
{
    assert(world.order != NULL);
    return world.order;
}

bool people_heals(void)
{
    return world.heals;
}

// ---------------------------------------------------------------- the order service

static void start_order(struct node *self)
{
    struct service_life life = {.directory = {.lock = -1}};
    struct order *order = NULL;
    struct fault fault = {.err = ERR_OK};
    if (order_new(sim->config, &life, &order, &fault) != ERR_OK) {
        sim_trace("cannot start: %s", fault.text);
        self->dying = true;
        return;
    }
    self->handler = &order_handler;
    self->arg = order;
}

static void end_order(struct node *self)
{
    struct order *order = self->arg;
    order_destroy(&order);
}

struct node *order_node_add(void)
{
    assert(world.order == NULL);
    world.order = node_add("order");
    world.order->start = start_order;
    world.order->end = end_order;
    order_book_begin(world.order);
    return world.order;
}

// ---------------------------------------------------------------- a person's node

static void on_notice(void *arg, const struct syncbus_notice *notice)
{
    struct person *self = arg;
    self->kind->notice(self, notice);
}

static void on_time(void *arg, int64_t boot_ms, int64_t wall_ms)
{
    struct person *self = arg;
    (void)wall_ms;
    if (!self->stopping)
        self->kind->time(self, boot_ms);
}

static int64_t on_deadline(void *arg)
{
    const struct person *self = arg;
    return self->stopping ? INT64_MAX : self->kind->deadline(self);
}

static bool on_idle(void *arg)
{
    (void)arg;
    return true;
}

static void on_stop(void *arg)
{
    struct person *self = arg;
    self->stopping = true;
    self->kind->stop(self);
}

static bool on_stopped(void *arg)
{
    const struct person *self = arg;
    return self->stopping;
}

static const struct service_handler person_handler = {.notice = on_notice,
                                                      .time = on_time,
                                                      .deadline = on_deadline,
                                                      .idle = on_idle,
                                                      .stop = on_stop,
                                                      .stopped = on_stopped};

static void start_person(struct node *node)
{
    struct person *self = node->own;
    const struct config_broker *broker = &sim->config->broker;
    const struct syncbus_options options = {.requests = broker->requests,
                                            .events = sim_chance(500000) ? broker->events : NULL,
                                            .name = node->name,
                                            .version = SYNCBUS_VERSION,
                                            .instance = node->instance,
                                            .anonymous = self->anonymous};
    node->handler = &person_handler;
    node->arg = self;
    self->stopping = false;
    (void)bus_new(node, &options);
    self->kind->begin(self);
}

static void end_person(struct node *node)
{
    struct person *self = node->own;
    self->kind->end(self);
    bus_destroy(&node->client);
}

struct node *person_add(const char *name, struct person *self, const struct person_kind *kind)
{
    assert(world.count < SIM_NODES_MAX);
    world.people[world.count++] = self;
    self->kind = kind;
    self->node = node_add(name);
    self->node->own = self;
    self->node->start = start_person;
    self->node->end = end_person;
    return self->node;
}

// ---------------------------------------------------------------- words with the bus

uint64_t person_call(struct person *self, const char *method, const ProtobufCMessage *body,
                     uint32_t timeout_ms)
{
    uint8_t packed[1024];
    const size_t size = protobuf_c_message_get_packed_size(body);
    assert(size <= sizeof packed);
    (void)protobuf_c_message_pack(body, packed);
    return syncbus_call(self->node->client, "order", method, packed, size, timeout_ms);
}

uint64_t person_ask(struct person *self, const Sb__Request *request, uint32_t timeout_ms)
{
    uint8_t packed[1024];
    const size_t size = sb__request__get_packed_size(request);
    assert(size <= sizeof packed);
    (void)sb__request__pack(request, packed);
    return syncbus_ask(self->node->client, packed, size, timeout_ms);
}

Sb__Reply *person_reply(const struct syncbus_notice *notice)
{
    Sb__Reply *reply = NULL;
    if (notice->body_size == 0 || wire_reply(notice->body, notice->body_size, &reply, NULL) != ERR_OK)
        return NULL;
    return reply;
}

int64_t person_pause_ms(int64_t mean_ms)
{
    return sim_between(1, 2 * mean_ms);
}

int64_t person_mean_ms(int64_t least_an_hour, int64_t most_an_hour)
{
    int64_t doublings = 0;
    while (least_an_hour << (doublings + 1) <= most_an_hour)
        doublings++;
    const int64_t floor = least_an_hour << sim_between(0, doublings);
    const int64_t top = 2 * floor < most_an_hour ? 2 * floor : most_an_hour;
    return HOUR_MS / sim_between(floor, top);
}

// ---------------------------------------------------------------- the world

void people_heal(void)
{
    world.heals = true;
    for (size_t i = 0; i < world.count; i++)
        node_wake(world.people[i]->node);
}

void people_check_end(void)
{
    const size_t open = order_book_open_count(people_order_node());
    if (open > 0)
        check_broken("O2", "%zu orders in the book have not ended", open);
    for (size_t i = 0; i < world.count; i++)
        world.people[i]->kind->check_end(world.people[i]);
}

void people_free(void)
{
    for (size_t i = 0; i < world.count; i++)
        world.people[i]->kind->free(world.people[i]);
    if (world.order != NULL)
        order_book_end(world.order);
    memset(&world, 0, sizeof world);
}
