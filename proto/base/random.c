#include "proto/base/random.h"

#include <assert.h>

void random_init(struct random *self, uint64_t seed)
{
    self->state = seed;
}

// splitmix64: a counter whose steps are mixed, so any seed is a good one.
uint64_t random_next(struct random *self)
{
    uint64_t mixed;
    do {
        self->state += UINT64_C(0x9E3779B97F4A7C15);
        mixed = self->state;
        mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
        mixed ^= mixed >> 31;
    } while (mixed == 0);
    return mixed;
}

uint64_t random_below(struct random *self, uint64_t limit)
{
    assert(limit > 0);
    return random_next(self) % limit;
}
