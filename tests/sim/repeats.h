// The judge of requests that come again (I8) and of triggers: a repeat has one effect and one reply; a
// trigger merges with a run that waits, and makes exactly one further run of a job that is under way.
#ifndef SYNCBUS_TESTS_SIM_REPEATS_H
#define SYNCBUS_TESTS_SIM_REPEATS_H

#include "broker/core/core.h"

// Forgets all: at the beginning of a world, and of a life of the broker (a repeat counts within an epoch).
void repeats_init(void);

// The broker's core has taken an event and decided.
void repeats_step(const struct core_event *event, const struct core_update *update);

#endif
