// Breadth first through all worlds that choices lead to, each distinct one once. A broken invariant is shown
// by the shortest story that leads to it.
#ifndef SYNCBUS_TESTS_WORLDS_SEARCH_H
#define SYNCBUS_TESTS_WORLDS_SEARCH_H

#include "tests/worlds/world.h"

// Searches to that depth, at most SEARCH_DEPTH_MAX, and says how many worlds there are; false: an invariant
// is broken.
bool search_run(const struct world_options *options, uint32_t depth);

enum { SEARCH_DEPTH_MAX = 60 };

#endif
