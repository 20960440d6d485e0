#include "proto/base/histogram.h"

#include <assert.h>

enum {
    LINEAR = 16,                   // values below this have a bucket each
    SHARES = 16,                   // buckets for each doubling
    LINEAR_BITS = 4,               // 2^4 = LINEAR
    BUCKETS = LINEAR + 27 * SHARES // up to 2^31
};

static_assert(sizeof(((struct histogram *)0)->buckets) / sizeof(uint16_t) == BUCKETS,
              "buckets reach to 2^31");

static const uint64_t VALUE_MAX = (UINT64_C(1) << 31) - 1;

static unsigned bucket_of(uint64_t value)
{
    if (value > VALUE_MAX)
        value = VALUE_MAX;
    if (value < LINEAR)
        return (unsigned)value;
    const unsigned power = 63U - (unsigned)__builtin_clzll(value);
    const unsigned share = (unsigned)(value >> (power - LINEAR_BITS)) - SHARES;
    return LINEAR + (power - LINEAR_BITS) * SHARES + share;
}

// The middle of the values that fall into a bucket.
static uint64_t value_of(unsigned bucket)
{
    if (bucket < LINEAR)
        return bucket;
    const unsigned shift = (bucket - LINEAR) / SHARES;
    const uint64_t low = (uint64_t)(SHARES + (bucket - LINEAR) % SHARES) << shift;
    return low + ((UINT64_C(1) << shift) - 1) / 2;
}

static void halve(struct histogram *self)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        self->buckets[i] = (uint16_t)(self->buckets[i] / 2);
}

void histogram_add(struct histogram *self, int64_t value_ms)
{
    const uint64_t value = value_ms < 0 ? 0 : (uint64_t)value_ms;
    const unsigned bucket = bucket_of(value);
    assert(bucket < BUCKETS);
    if (self->buckets[bucket] == UINT16_MAX)
        halve(self);
    self->buckets[bucket]++;
    self->count++;
    self->sum = value > UINT64_MAX - self->sum ? UINT64_MAX : self->sum + value;
    if (value > self->max)
        self->max = value;
}

void histogram_merge(struct histogram *self, const struct histogram *other)
{
    struct histogram more = *other;
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (self->buckets[i] > UINT16_MAX - more.buckets[i]) {
            halve(self);
            halve(&more);
        }
    }
    for (unsigned i = 0; i < BUCKETS; i++)
        self->buckets[i] = (uint16_t)(self->buckets[i] + more.buckets[i]);
    self->count += other->count;
    self->sum = other->sum > UINT64_MAX - self->sum ? UINT64_MAX : self->sum + other->sum;
    self->max = other->max > self->max ? other->max : self->max;
}

uint64_t histogram_quantile(const struct histogram *self, unsigned per_mille)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        total += self->buckets[i];
    if (total == 0)
        return 0;
    const uint64_t wanted = (total * (per_mille > 1000 ? 1000 : per_mille) + 999) / 1000;
    unsigned bucket = 0;
    uint64_t passed = self->buckets[0];
    while (passed < wanted || passed == 0) {
        bucket++;
        assert(bucket < BUCKETS); // all of them together have passed `wanted`
        passed += self->buckets[bucket];
    }
    return value_of(bucket) < self->max ? value_of(bucket) : self->max;
}

double histogram_average(const struct histogram *self)
{
    return self->count == 0 ? 0 : (double)self->sum / (double)self->count;
}
