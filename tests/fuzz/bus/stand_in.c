#include "tests/fuzz/bus/stand_in.h"

#include "proto/syncbus.h"
#include "tests/sim/broker.h"
#include "tests/sim/check.h"
#include "tests/sim/net.h"
#include "tests/sim/trace.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim world = {.healed_us = INT64_MAX}; // its clients may be silent for as long as they like
static int64_t now_ms;
static const struct config *in_force;

struct sim *sim = &world;

void bus_world_begin(int64_t boot_ms, struct syncbus_client *const clients[BUS_CLIENTS])
{
    world.changes = 0;
    world.node_count = 1 + BUS_CLIENTS;
    for (uint32_t i = 0; i < world.node_count; i++) {
        struct node *node = &world.nodes[i];
        *node = (struct node){.index = i, .life = 1, .up = true, .instance = i + 1};
        (void)snprintf(node->name, sizeof node->name, i == 0 ? "broker" : "client-%u", i);
        node->client = i == 0 ? NULL : clients[i - 1];
    }
    world.broker = &world.nodes[0];
    now_ms = boot_ms;
}

void bus_world_time(int64_t boot_ms)
{
    assert(boot_ms >= now_ms);
    now_ms = boot_ms;
}

void bus_world_config(const struct config *config)
{
    in_force = config;
}

// ---------------------------------------------------------------- what the judges call

const struct config *broker_config(void)
{
    return in_force;
}

struct node *net_node(uint64_t peer)
{
    assert(peer >= 1);
    assert(peer <= BUS_CLIENTS);
    return &world.nodes[peer];
}

int64_t sim_now_us(void)
{
    return now_ms * SIM_MS_US;
}

int64_t node_boot_ms(const struct node *self)
{
    (void)self;
    return now_ms;
}

int64_t node_true_us(const struct node *self, int64_t boot_ms)
{
    (void)self;
    return boot_ms * SIM_MS_US;
}

int64_t syncbus_left_ms(const syncbus_client_t *self, uint64_t claim)
{
    return self->claim == claim && self->until_ms > now_ms ? self->until_ms - now_ms : 0;
}

void sim_trace(const char *format, ...)
{
    (void)format;
}

// Ends the process, which libFuzzer and the replay of the corpus see alike.
void check_broken(const char *invariant, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "%s is broken at %lld ms: ", invariant, (long long)now_ms);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    abort();
}
