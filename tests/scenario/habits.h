// What clients do by themselves, each second: they ping, renew what they hold, work and order.
#ifndef SYNCBUS_TESTS_SCENARIO_HABITS_H
#define SYNCBUS_TESTS_SCENARIO_HABITS_H

#include "tests/scenario/world.h"

// Lets every client that lives do what this second brings.
void habits_act(struct world *world);

#endif
