// What clients do in a story.
#ifndef SYNCBUS_TESTS_SCENARIO_ACTS_H
#define SYNCBUS_TESTS_SCENARIO_ACTS_H

#include "tests/scenario/line.h"
#include "tests/scenario/world.h"

// Lets the client that the line begins with do what it says; ends the program if nobody knows how.
void act(struct world *world, const struct line *line);

#endif
