#include "tests/sim/world.h"

#include "tests/sim/broker.h"
#include "tests/sim/bus.h"
#include "tests/sim/chaos.h"
#include "tests/sim/erp.h"
#include "tests/sim/leases.h"
#include "tests/sim/ledger.h"
#include "tests/sim/net.h"
#include "tests/sim/people.h"
#include "tests/sim/sync_node.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { CONFIGS_MAX = 4096, HEALED_S = 30 * 60 };

static struct config *configs[CONFIGS_MAX]; // of the world, in the order in which they came
static size_t config_count;

void world_configure(struct config *config)
{
    assert(config_count < CONFIGS_MAX);
    configs[config_count++] = config;
    sim->changes += sim->config != NULL ? 1 : 0;
    sim->config = config;
    sync_node_configured();
}

static void populate(void)
{
    char name[SIM_NAME_MAX];
    (void)broker_add();
    (void)order_node_add();
    for (size_t i = 0; i < SETUP_JOBS_MAX; i++)
        (void)sync_node_add(setup_jobs[i]);
    const int64_t agents = sim_between(1, 3);
    for (int64_t i = 0; i < agents; i++) {
        (void)snprintf(name, sizeof name, "agent-%d", (int)i + 1);
        (void)people_agent_add(name);
    }
    (void)people_user_add("user-1");
    if (sim_chance(500000))
        (void)people_user_add("user-2");
    (void)people_operator_add("operator");
}

static void pass(int64_t until_us)
{
    while (!sim->failed && agenda_step(&sim->agenda, until_us))
        sim->events++;
}

// Nothing begins any more: what is under way arrives nowhere, and is freed.
static void finish(void)
{
    sim->over = true;
    sim->faults = 0;
    trace_begin(TRACE_NONE);
    for (size_t i = 0; i < sim->node_count; i++)
        node_kill(&sim->nodes[i]);
    while (agenda_step(&sim->agenda, INT64_MAX))
        continue;
}

static void check_end(void)
{
    leases_check_end();
    ledger_check(node_wall_ms(sim->broker));
    people_check_end();
    sync_node_check_end();
}

void world_run(const struct world_options *options, struct world_result *ret)
{
    static struct sim world;
    struct setup setup;
    memset(&world, 0, sizeof world);
    sim = &world;
    sim->seed = options->seed;
    sim->faults = options->faults;
    sim->healed_us = sim->faults != 0 ? INT64_MAX : 0;
    trace_begin(options->trace);
    random_init(&sim->random, options->seed);
    agenda_init(&sim->agenda);
    config_count = 0;
    net_init();
    leases_init();
    ledger_init();
    erp_begin();
    setup_draw(&setup);
    world_configure(setup_config(&setup));
    populate();
    chaos_begin(&setup);
    for (size_t i = 0; i < sim->node_count; i++)
        node_start(&sim->nodes[i]);
    pass(options->duration_us);
    if (!sim->failed) {
        chaos_heal();
        people_heal();
    }
    pass(options->duration_us + (int64_t)HEALED_S * SIM_SECOND_US);
    if (!sim->failed)
        check_end();
    if (sim->failed)
        trace_print();
    *ret = (struct world_result){.failed = sim->failed, .us = sim_now_us(), .events = sim->events};
    memcpy(ret->broken, sim->broken, sizeof ret->broken);
    finish();
    people_free();
    sync_node_free();
    erp_end();
    ledger_free();
    broker_free();
    net_free();
    agenda_free(&sim->agenda);
    for (size_t i = 0; i < config_count; i++)
        config_destroy(&configs[i]);
    sim = NULL;
}
