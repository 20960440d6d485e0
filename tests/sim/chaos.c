#include "tests/sim/chaos.h"

#include "services/service.h"
#include "tests/sim/broker.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { CUT_MAX_S = 120, FREEZE_MAX_S = 60, DOWN_MAX_MS = 20000, JUMP_MAX_S = 2 * 3600, SILENT_PPM = 300000 };

static struct {
    struct setup *setup; // the world's
    int64_t pause_us;    // the mean time between two blows
} chaos;

static struct node *any_node(void)
{
    // The broker is every third.
    return sim_chance(333333) ? sim->broker : &sim->nodes[random_below(&sim->random, sim->node_count)];
}

static void cut(struct node *node)
{
    const int64_t until_us = sim_now_us() + sim_between(1, CUT_MAX_S * 10) * SIM_SECOND_US / 10;
    const int64_t ways = sim_between(1, 3);
    if ((ways & 1) != 0)
        node->link.mute_until_us = until_us;
    if ((ways & 2) != 0)
        node->link.deaf_until_us = until_us;
    sim_trace("%s is cut off until %.3f s: %s%s", node->name, (double)until_us / SIM_SECOND_US,
              (ways & 1) != 0 ? "mute " : "", (ways & 2) != 0 ? "deaf" : "");
}

static void jump(struct node *node)
{
    const int64_t by_ms = sim_between(-JUMP_MAX_S, JUMP_MAX_S) * 1000;
    node->wall_ahead_ms = sim_chance(300000) ? 0 : node->wall_ahead_ms + by_ms;
    sim_trace("the wall clock of %s is set %.0f s ahead", node->name, (double)node->wall_ahead_ms / 1000);
    node_wake(node);
}

static void change_config(void)
{
    setup_change(chaos.setup);
    world_configure(setup_config(chaos.setup));
    sim_trace("the config has changed");
    broker_reload();
}

static void strike(void)
{
    struct node *node = any_node();
    static const enum sim_fault kinds[] = {SIM_FAULT_CRASH,     SIM_FAULT_CRASH,     SIM_FAULT_FREEZE,
                                           SIM_FAULT_PARTITION, SIM_FAULT_PARTITION, SIM_FAULT_RELOAD,
                                           SIM_FAULT_JUMP};
    const enum sim_fault kind = kinds[random_below(&sim->random, sizeof kinds / sizeof *kinds)];
    const bool gently = sim_chance(250000);
    if ((sim->faults & kind) == 0)
        return;
    switch (kind) {
    case SIM_FAULT_CRASH:
        if (gently)
            node_stop(node);
        else
            node_kill(node);
        break;
    case SIM_FAULT_FREEZE: node_freeze(node, sim_between(1, FREEZE_MAX_S * 10) * SIM_SECOND_US / 10); break;
    case SIM_FAULT_PARTITION: cut(node); break;
    case SIM_FAULT_RELOAD: change_config(); break;
    default: jump(sim_chance(500000) ? sim->broker : node); break;
    }
}

static void strike_again(void *arg, uint64_t number)
{
    (void)arg;
    (void)number;
    if (sim->faults == 0)
        return;
    strike();
    sim_after(sim_between(chaos.pause_us / 10, 2 * chaos.pause_us), strike_again, NULL, 0);
}

static void draw_node(struct node *node)
{
    node->link.delay_us = sim_between(50, 10000);
    node->link.loss_ppm = sim_chance(500000) ? 0 : (uint32_t)sim_between(0, 100000);
    node->link.duplicate_ppm = (uint32_t)sim_between(0, 50000);
    node->link.publication_loss_ppm = sim_chance(200000) ? 1000000 : (uint32_t)sim_between(0, 300000);
    if ((sim->faults & SIM_FAULT_DRIFT) != 0)
        node->rate_ppm = sim_between(-10000, 10000);
}

void chaos_begin(struct setup *setup)
{
    chaos.setup = setup;
    chaos.pause_us = sim_between(5, 300) * SIM_SECOND_US;
    for (size_t i = 0; i < sim->node_count; i++)
        draw_node(&sim->nodes[i]);
    sim_after(chaos.pause_us, strike_again, NULL, 0);
}

void chaos_heal(void)
{
    sim->silent = sim_chance(SILENT_PPM);
    sim_trace("all faults end%s", sim->silent ? ", but for publications: none arrives" : "");
    sim->faults = 0;
    sim->healed_us = sim_now_us();
    for (size_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i].link.mute_until_us = 0;
        sim->nodes[i].link.deaf_until_us = 0;
    }
}

static void start_again(void *arg, uint64_t life)
{
    struct node *node = arg;
    if (!sim->over && !node->up && node->life == life)
        node_start(node);
}

void chaos_ended(struct node *node)
{
    if (!sim->over)
        sim_after(sim_between(50, sim->faults != 0 ? DOWN_MAX_MS : 1000) * SIM_MS_US, start_again, node,
                  node->life);
}
