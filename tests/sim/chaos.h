// What goes wrong: who is killed, frozen or cut off, whose clock jumps, when the config changes. And who
// starts again what has ended, as a service manager does.
#ifndef SYNCBUS_TESTS_SIM_CHAOS_H
#define SYNCBUS_TESTS_SIM_CHAOS_H

#include "tests/sim/setup.h"
#include "tests/sim/sim.h"

// Draws how bad the links and clocks are, and begins. `setup` is what the world's config came from, and is
// changed.
void chaos_begin(struct setup *setup);

// All faults end: what is cut is joined, what is down is started.
void chaos_heal(void);

// A node's life has ended: it is started again before long.
void chaos_ended(struct node *node);

#endif
