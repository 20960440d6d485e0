// Seeded pseudo-random numbers: randomness is state, so that what it decides can be replayed.
#ifndef SYNCBUS_BASE_RANDOM_H
#define SYNCBUS_BASE_RANDOM_H

#include <stdint.h>

// The generator's state; two with equal state give equal numbers for ever.
struct random {
    uint64_t state;
};

// Starts from a seed; any value will do.
void random_init(struct random *self, uint64_t seed);

// The next number, never 0 (0 means "none" on the wire).
uint64_t random_next(struct random *self);

// The next number below `limit`, which must not be 0.
uint64_t random_below(struct random *self, uint64_t limit);

#endif
