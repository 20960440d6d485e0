#include "tests/worlds/world.h"

#include "tests/worlds/broker.h"
#include "tests/worlds/clients.h"
#include "tests/worlds/memory.h"
#include "tests/worlds/net.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct world the_world;
struct world *const world = &the_world;

static char names[CLIENTS_MAX][32];

void world_tell(const char *format, ...)
{
    if (!world->telling)
        return;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    (void)printf("%9.3f s  %s\n", (double)(world->now_ms - BOOT_START_MS) / 1000, line);
}

const char *world_name(size_t client)
{
    return names[client];
}

// Lets everything that is on its way arrive.
static void settle_down(void)
{
    bool moved = true;
    while (moved) {
        moved = false;
        for (size_t i = 0; i < world->client_count; i++) {
            while (world->clients[i].sent != NULL || world->clients[i].coming != NULL) {
                if (world->clients[i].sent != NULL)
                    net_arrive_request(i, false);
                else
                    net_arrive_reply(i, false);
                moved = true;
            }
        }
    }
}

void world_init(const struct world_options *options)
{
    assert(options->syncs + options->orders <= CLIENTS_MAX);
    memset(world, 0, sizeof *world);
    broker_init(options->syncs);
    world->now_ms = BOOT_START_MS;
    world->client_count = options->syncs + options->orders;
    world->broker_crashes = options->crashes;
    world->client_crashes = options->kills;
    world->faults = options->faults;
    broker_start();
    for (size_t i = 0; i < world->client_count; i++) {
        const bool is_order = i >= options->syncs;
        world->clients[i].is_order = is_order;
        (void)snprintf(names[i], sizeof names[i], "%s-%zu", is_order ? "order" : "sync",
                       is_order ? i - options->syncs + 1 : i + 1);
        clients_start(i);
    }
    settle_down();
}

static int64_t loud_deadline(void)
{
    const int64_t broker = broker_deadline();
    const int64_t clients = clients_deadline(false);
    return broker < clients ? broker : clients;
}

int64_t world_deadline(void)
{
    const int64_t deadline = loud_deadline();
    return deadline > world->now_ms || deadline == INT64_MAX ? deadline : world->now_ms;
}

void world_pass(void)
{
    bool loud = false;
    while (!loud) {
        const int64_t next = loud_deadline();
        const int64_t quiet = clients_deadline(true);
        const int64_t then = next < quiet ? next : quiet;
        if (then == INT64_MAX)
            return;
        world->now_ms = then > world->now_ms ? then : world->now_ms;
        const uint64_t before = world->events;
        clients_time();
        broker_time();
        loud = next <= then || world->events != before;
    }
    world_tell("time has passed");
}
