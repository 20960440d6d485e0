#include "tests/unit/disk/cuts.h"

#include "tests/unit/disk/disk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

void cuts_acknowledge(struct cuts *self, uint64_t state)
{
    assert_true(self->count < CUTS_COMMITS_MAX);
    self->commits[self->count].calls = disk_calls();
    self->commits[self->count++].state = state;
}

void cuts_check(struct cuts *self, size_t calls, uint64_t seed, uint64_t state)
{
    size_t last = self->count;
    while (last > 0 && self->commits[last - 1].calls >= calls) // whose last call was still under way
        last--;
    assert_true(last > 0); // nothing was acknowledged: nothing is promised
    self->tried++;
    if (state == self->commits[last - 1].state)
        return;
    if (last == self->count || state != self->commits[last].state)
        fail_msg(
            "a cut at call %zu, seed %llu, left neither commit %zu, which was acknowledged, nor the next",
            calls, (unsigned long long)seed, last);
    self->completed++;
}

void cuts_try(struct cuts *self, const char *path, cuts_recover *recover, void *arg)
{
    for (size_t calls = self->commits[0].calls + 1; calls <= self->commits[self->count - 1].calls; calls++) {
        for (uint64_t seed = 0; seed < 2 + CUTS_TORN; seed++) {
            disk_cut(calls, seed, path);
            cuts_check(self, calls, seed, recover(arg));
        }
    }
}

static uint64_t mix(uint64_t number, const void *data, size_t size) // FNV-1a
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        number = (number ^ bytes[i]) * UINT64_C(0x100000001b3);
    return number;
}

uint64_t cuts_entry(unsigned table, const void *key, size_t key_size, const void *value, size_t value_size)
{
    uint64_t number = mix(UINT64_C(0xcbf29ce484222325), &table, sizeof table);
    number = mix(number, &key_size, sizeof key_size);
    return mix(mix(number, key, key_size), value, value_size);
}
