// The invariants, as they can be seen from outside: what the world does tells them what happened, and they
// end the run with their name when it should not have.
#ifndef SYNCBUS_TESTS_SIM_CHECK_H
#define SYNCBUS_TESTS_SIM_CHECK_H

#include "tests/sim/sim.h"

// An invariant is broken: writes its name ("I2"), the seed, the time and the reason; the world stops then.
// The first one counts.
void check_broken(const char *invariant, const char *format, ...) SB_PRINTF(2, 3);

#endif
