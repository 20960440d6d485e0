// The power cuts of a story: at each call that wrote or synced the watched file, and each time with what was
// not yet synced lost, landed, or torn by pages. What is left must be exactly what was acknowledged last, or
// what was being committed, and never less.
#ifndef SYNCBUS_TESTS_UNIT_CUTS_H
#define SYNCBUS_TESTS_UNIT_CUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CUTS_COMMITS_MAX = 512, CUTS_TORN = 6 };

// What was acknowledged, one state after the other. A state is a number that tells it from others.
struct cuts {
    struct {
        size_t calls;   // before it was acknowledged
        uint64_t state; // then
    } commits[CUTS_COMMITS_MAX];
    size_t count;     // of them
    size_t tried;     // cuts, so far
    size_t completed; // of them, those that left what was not acknowledged yet
};

// This state has just been acknowledged; disk_calls says when.
void cuts_acknowledge(struct cuts *self, uint64_t state);

// The state of what is in the file now, as the product's own code recovers it.
typedef uint64_t cuts_recover(void *arg);

// Cuts the power at each call from the first acknowledgement on, and recovers from what it left in `path`.
void cuts_try(struct cuts *self, const char *path, cuts_recover *recover, void *arg);

// Fails the test unless this is a state that a cut after so many calls may leave; `seed` is for the message.
void cuts_check(struct cuts *self, size_t calls, uint64_t seed, uint64_t state);

// One number for an entry, so that the sum over all entries tells one state from another.
uint64_t cuts_entry(unsigned table, const void *key, size_t key_size, const void *value, size_t value_size);

#endif
