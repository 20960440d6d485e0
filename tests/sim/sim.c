#include "tests/sim/sim.h"

#include "services/service.h"
#include "tests/sim/bus.h"
#include "tests/sim/chaos.h"
#include "tests/sim/erp.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim *sim;

// A round time, some decades after the epoch.
static const int64_t WALL_START_MS = INT64_C(472222) * 3600000;

int64_t sim_now_us(void)
{
    return sim->agenda.now_us;
}

int64_t sim_wall_ms(void)
{
    return WALL_START_MS + sim_now_us() / SIM_MS_US;
}

static int64_t boot_us_at(const struct node *self, int64_t true_us)
{
    return self->boot_zero_us + true_us + true_us / 1000000 * self->rate_ppm +
           true_us % 1000000 * self->rate_ppm / 1000000;
}

int64_t node_boot_ms(const struct node *self)
{
    return boot_us_at(self, sim_now_us()) / SIM_MS_US;
}

int64_t node_wall_ms(const struct node *self)
{
    return WALL_START_MS + self->wall_ahead_ms +
           (boot_us_at(self, sim_now_us()) - self->boot_zero_us) / SIM_MS_US;
}

int64_t node_true_us(const struct node *self, int64_t boot_ms)
{
    const int64_t boot_us = boot_ms * SIM_MS_US;
    const int64_t since_us = boot_us - self->boot_zero_us;
    int64_t true_us = since_us - since_us / 1000000 * self->rate_ppm;
    // The rate is small: a few steps of what is still missing are enough.
    for (int i = 0; i < 4; i++)
        true_us += boot_us - boot_us_at(self, true_us);
    while (boot_us_at(self, true_us) < boot_us)
        true_us++;
    return true_us;
}

// ---------------------------------------------------------------- chance

int64_t sim_between(int64_t least, int64_t most)
{
    return least + (int64_t)random_below(&sim->random, (uint64_t)(most - least) + 1);
}

bool sim_chance(uint32_t ppm)
{
    return random_below(&sim->random, 1000000) < ppm;
}

bool sim_fault(enum sim_fault fault, uint32_t ppm)
{
    return (sim->faults & fault) != 0 && sim_chance(ppm);
}

void sim_after(int64_t us, agenda_fn *fn, void *arg, uint64_t number)
{
    agenda_put(&sim->agenda, sim_now_us() + us, fn, arg, number);
}

// ---------------------------------------------------------------- nodes

struct node *node_add(const char *name)
{
    assert(sim->node_count < SIM_NODES_MAX);
    struct node *self = &sim->nodes[sim->node_count];
    self->index = (uint32_t)sim->node_count++;
    (void)snprintf(self->name, sizeof self->name, "%s", name);
    self->instance = random_next(&sim->random);
    self->boot_zero_us = sim_between(1, 1000) * SIM_SECOND_US;
    self->wake_us = INT64_MAX;
    return self;
}

bool node_is_frozen(const struct node *self)
{
    return sim_now_us() < self->frozen_until_us;
}

bool node_lives(const struct node *self, uint64_t life)
{
    return self->up && !self->dying && self->life == life;
}

bool node_falls(struct node *self, uint32_t ppm)
{
    if (!self->dying && sim_fault(SIM_FAULT_CRASH, ppm)) {
        sim_trace("is killed in the midst of it");
        self->dying = true;
    }
    return self->dying;
}

static void wake_at(void *arg, uint64_t number)
{
    struct node *self = arg;
    if (number == self->wake_number)
        node_wake(self);
}

static void end_life(struct node *self)
{
    sim->current = self;
    self->up = false;
    self->wake_number++;
    self->end(self);
    self->handler = NULL;
    self->arg = NULL;
    sim->current = NULL;
    chaos_ended(self);
}

// Looks when the next turn is due, and whether this life is over.
static void settle(struct node *self)
{
    if (self->dying) {
        end_life(self);
        return;
    }
    if (self->handler->stopped(self->arg)) {
        sim_trace("ends by itself");
        end_life(self);
        return;
    }
    int64_t deadline_ms = self->handler->deadline(self->arg);
    if (self->client != NULL) {
        const int64_t client_ms = syncbus_deadline_ms(self->client);
        deadline_ms = client_ms < deadline_ms ? client_ms : deadline_ms;
    }
    if (deadline_ms == INT64_MAX) {
        self->wake_us = INT64_MAX;
        return;
    }
    int64_t due_us = node_true_us(self, deadline_ms);
    due_us = due_us > sim_now_us() ? due_us : sim_now_us() + 1;
    if (due_us != self->wake_us) {
        self->wake_us = due_us;
        agenda_put(&sim->agenda, due_us, wake_at, self, ++self->wake_number);
    }
}

// One turn of a service's loop: all notices, then the time.
static void turn(struct node *self)
{
    struct syncbus_notice notice;
    while (!self->dying && self->client != NULL && syncbus_next(self->client, &notice) == 1)
        self->handler->notice(self->arg, &notice);
    if (!self->dying)
        self->handler->time(self->arg, node_boot_ms(self), node_wall_ms(self));
}

void node_wake(struct node *self)
{
    assert(sim->current == NULL);
    if (!self->up)
        return;
    if (node_is_frozen(self)) {
        agenda_put(&sim->agenda, self->frozen_until_us, wake_at, self, ++self->wake_number);
        self->wake_us = self->frozen_until_us;
        return;
    }
    if (self->wake_us <= sim_now_us()) {
        self->wake_us = INT64_MAX;
        self->wake_number++;
    }
    sim->current = self;
    turn(self);
    if (self->client != NULL && !self->dying)
        bus_check(self);
    settle(self);
    sim->current = NULL;
}

void node_start(struct node *self)
{
    assert(!self->up);
    self->up = true;
    self->dying = false;
    self->life++;
    self->frozen_until_us = 0;
    self->wake_us = INT64_MAX;
    sim->current = self;
    sim_trace("starts: life %" PRIu64, self->life);
    self->start(self);
    sim->current = NULL;
    if (self->dying) {
        end_life(self);
    } else if (self->handler == NULL) { // there is nothing for it to do now
        self->up = false;
        chaos_ended(self);
    } else {
        node_wake(self);
    }
}

void node_kill(struct node *self)
{
    if (!self->up)
        return;
    sim->current = self;
    sim_trace("is killed");
    sim->current = NULL;
    self->dying = true;
    end_life(self);
}

void node_stop(struct node *self)
{
    if (!self->up || node_is_frozen(self))
        return;
    sim->current = self;
    sim_trace("is asked to stop");
    self->handler->stop(self->arg);
    sim->current = NULL;
    node_wake(self);
}

void node_freeze(struct node *self, int64_t us)
{
    if (!self->up)
        return;
    sim->current = self;
    sim_trace("freezes for %.3f s", (double)us / SIM_SECOND_US);
    sim->current = NULL;
    self->frozen_until_us = sim_now_us() + us;
    erp_node_frozen(self);
    node_wake(self);
}

// ---------------------------------------------------------------- transfers

// A transfer that ended while its process was frozen, or just now.
struct ended_transfer {
    struct node *node; // whose it is
    uint64_t life;     // in which it began
    void *easy;        // which one
    int result;        // as libcurl says it
};

static void tell_transfer(void *arg, uint64_t number)
{
    struct ended_transfer *self = arg;
    struct node *node = self->node;
    (void)number;
    if (node_lives(node, self->life) && node_is_frozen(node)) {
        agenda_put(&sim->agenda, node->frozen_until_us, tell_transfer, self, 0);
        return;
    }
    if (node_lives(node, self->life)) {
        sim->current = node;
        node->handler->transfer(node->arg, self->easy, (CURLcode)self->result);
        sim->current = NULL;
        node_wake(node);
    }
    free(self);
}

struct node *node_of_transfers(void *multi)
{
    return multi;
}

void node_transfer_ended(struct node *self, uint64_t life, void *easy, int result)
{
    struct ended_transfer *ended = malloc(sizeof *ended);
    assert(ended != NULL);
    *ended = (struct ended_transfer){.node = self, .life = life, .easy = easy, .result = result};
    sim_after(0, tell_transfer, ended, 0);
}
