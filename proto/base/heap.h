// What is due next: numbered items, each with at most one time, the earliest first. Ties go to the smaller
// number, so that the order never depends on how the heap came about.
#ifndef SYNCBUS_BASE_HEAP_H
#define SYNCBUS_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

// Everything lies in memory that the owner gave. Setting and removing cost O(log n).
struct heap {
    int64_t *times;   // by item; INT64_MAX: the item is not in the heap
    uint32_t *places; // by item: where in `items` it stands
    uint32_t *items;  // the heap itself, the first `count`
    uint32_t count;   // items in it
    uint32_t max;     // items are 0 … max - 1
};

// Bytes that heap_init needs for items 0 … max - 1.
size_t heap_size(uint32_t max);

// Begins empty in `memory` of heap_size(max) bytes, aligned for int64_t and owned by the caller.
void heap_init(struct heap *self, void *memory, uint32_t max);

// Gives an item its time, in place of an earlier one; INT64_MAX takes it out.
void heap_set(struct heap *self, uint32_t item, int64_t time);

// The earliest time, INT64_MAX when empty; and its item, which is only meaningful when not empty.
int64_t heap_first_time(const struct heap *self);
uint32_t heap_first(const struct heap *self);

// The time of an item; INT64_MAX if it has none.
int64_t heap_time(const struct heap *self, uint32_t item);

#endif
