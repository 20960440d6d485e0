// One world from its beginning to its end.
#ifndef SYNCBUS_TESTS_SIM_WORLD_H
#define SYNCBUS_TESTS_SIM_WORLD_H

#include "tests/sim/sim.h"

// How a world is to be.
struct world_options {
    uint64_t seed;         // of all that chance decides
    unsigned faults;       // that may happen
    int64_t duration_us;   // with faults; then all heals, and as much again as waiters need
    enum trace_mode trace; // what is written of it
};

// What became of it.
struct world_result {
    bool failed;     // an invariant is broken: the line was written
    char broken[16]; // which
    int64_t us;      // simulated, in all
    uint64_t events; // that happened
};

// Makes it, lets it go on to its end and frees it.
void world_run(const struct world_options *options, struct world_result *ret);

// The config is another one from now on; taken over. The ones before live on as long as the world.
void world_configure(struct config *config);

#endif
