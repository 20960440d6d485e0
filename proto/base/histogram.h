// Percentiles of durations in fixed memory: log-linear buckets, at most 5 % error, under 1 KiB.
#ifndef SYNCBUS_BASE_HISTOGRAM_H
#define SYNCBUS_BASE_HISTOGRAM_H

#include <stdint.h>

// Values are kept exactly below 16, then in 16 equal buckets for each doubling up to 2^31 (24 days).
// Plain data of fixed size: it can be copied and stored as it is.
struct histogram {
    uint64_t count;        // values added
    uint64_t sum;          // of all of them, ms; stops at UINT64_MAX
    uint64_t max;          // greatest one, ms
    uint16_t buckets[448]; // how many fell into each; when one is full, all are halved
};

// Adds one value in ms (negative counts as 0; past 2^31 counts as that in the buckets, not in max).
void histogram_add(struct histogram *self, int64_t value_ms);

// Adds all values of another one; counts that would pass their limit are halved in both alike.
void histogram_merge(struct histogram *self, const struct histogram *other);

// The value at or below which the share `per_mille`/1000 of all values lie, within 5 %; 0 when empty.
uint64_t histogram_quantile(const struct histogram *self, unsigned per_mille);

// Sum divided by count, ms; 0 when empty.
double histogram_average(const struct histogram *self);

#endif
