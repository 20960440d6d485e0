// Which number stands for a name: a table of fixed size, so that a look-up costs the same however many there
// are.
#ifndef SYNCBUS_BASE_NAMES_H
#define SYNCBUS_BASE_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { NAMES_NONE = 0xffffffff };

// The names themselves stay where their owner has them, and must not change while they are in the table.
struct names {
    const char **keys; // NULL: a free place
    uint32_t *numbers; // of the name at the same place
    size_t room;       // places, a power of two and at least twice the names
};

// Bytes that names_init needs for `max` names.
size_t names_size(size_t max);

// Begins empty in `memory` of names_size(max) bytes, aligned for pointers and owned by the caller.
void names_init(struct names *self, void *memory, size_t max);

// Puts a name that is not in the table; there is room for as many as were asked for.
void names_put(struct names *self, const char *name, uint32_t number);

// Takes a name out; one that is not in the table is fine.
void names_remove(struct names *self, const char *name);

// The number of a name, or NAMES_NONE.
uint32_t names_find(const struct names *self, const char *name);

#endif
