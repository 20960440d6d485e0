#include "proto/base/heap.h"

#include <assert.h>
#include <stdbool.h>

size_t heap_size(uint32_t max)
{
    return (size_t)max * (sizeof(int64_t) + 2 * sizeof(uint32_t));
}

void heap_init(struct heap *self, void *memory, uint32_t max)
{
    *self = (struct heap){.times = memory, .max = max};
    self->places = (uint32_t *)(void *)(self->times + max);
    self->items = self->places + max;
    for (uint32_t i = 0; i < max; i++)
        self->times[i] = INT64_MAX;
}

static bool goes_before(const struct heap *self, uint32_t a, uint32_t b)
{
    return self->times[a] != self->times[b] ? self->times[a] < self->times[b] : a < b;
}

static void put(struct heap *self, uint32_t place, uint32_t item)
{
    self->items[place] = item;
    self->places[item] = place;
}

static void rise(struct heap *self, uint32_t place)
{
    const uint32_t item = self->items[place];
    while (place > 0 && goes_before(self, item, self->items[(place - 1) / 2])) {
        put(self, place, self->items[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(self, place, item);
}

static void sink(struct heap *self, uint32_t place)
{
    const uint32_t item = self->items[place];
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child + 1 < self->count && goes_before(self, self->items[child + 1], self->items[child]))
            child++;
        if (child >= self->count || !goes_before(self, self->items[child], item))
            break;
        put(self, place, self->items[child]);
        place = child;
    }
    put(self, place, item);
}

void heap_set(struct heap *self, uint32_t item, int64_t time)
{
    assert(item < self->max);
    const int64_t before = self->times[item];
    if (time == before)
        return;
    self->times[item] = time;
    if (before == INT64_MAX) {
        put(self, self->count, item);
        rise(self, self->count++);
        return;
    }
    const uint32_t place = self->places[item];
    if (time != INT64_MAX) {
        rise(self, place);
        sink(self, self->places[item]);
        return;
    }
    const uint32_t last = self->items[--self->count];
    if (last == item)
        return;
    put(self, place, last);
    rise(self, place);
    sink(self, self->places[last]);
}

int64_t heap_first_time(const struct heap *self)
{
    return self->count > 0 ? self->times[self->items[0]] : INT64_MAX;
}

uint32_t heap_first(const struct heap *self)
{
    return self->count > 0 ? self->items[0] : 0;
}

int64_t heap_time(const struct heap *self, uint32_t item)
{
    assert(item < self->max);
    return self->times[item];
}
