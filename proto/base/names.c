#include "proto/base/names.h"

#include <assert.h>
#include <string.h>

static size_t room_for(size_t max)
{
    size_t room = 4;
    while (room < 2 * max)
        room *= 2;
    return room;
}

size_t names_size(size_t max)
{
    return room_for(max) * (sizeof(const char *) + sizeof(uint32_t));
}

void names_init(struct names *self, void *memory, size_t max)
{
    *self = (struct names){.keys = memory, .room = room_for(max)};
    self->numbers = (uint32_t *)(void *)(self->keys + self->room);
    for (size_t i = 0; i < self->room; i++)
        self->keys[i] = NULL;
}

// Where the search for a name begins (FNV-1a).
static size_t home_of(const struct names *self, const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32) & (self->room - 1);
}

// The place of a name, or the free one where its search ends.
static size_t place_of(const struct names *self, const char *name)
{
    size_t place = home_of(self, name);
    while (self->keys[place] != NULL && strcmp(self->keys[place], name) != 0)
        place = (place + 1) & (self->room - 1);
    return place;
}

void names_put(struct names *self, const char *name, uint32_t number)
{
    const size_t place = place_of(self, name);
    assert(self->keys[place] == NULL);
    assert(number != NAMES_NONE);
    self->keys[place] = name;
    self->numbers[place] = number;
}

void names_remove(struct names *self, const char *name)
{
    size_t gap = place_of(self, name);
    if (self->keys[gap] == NULL)
        return;
    // Those behind that would not be found any more across the gap move into it.
    for (size_t next = (gap + 1) & (self->room - 1); self->keys[next] != NULL;
         next = (next + 1) & (self->room - 1)) {
        const size_t home = home_of(self, self->keys[next]);
        if (((next - home) & (self->room - 1)) < ((next - gap) & (self->room - 1)))
            continue;
        self->keys[gap] = self->keys[next];
        self->numbers[gap] = self->numbers[next];
        gap = next;
    }
    self->keys[gap] = NULL;
}

uint32_t names_find(const struct names *self, const char *name)
{
    const size_t place = place_of(self, name);
    return self->keys[place] != NULL ? self->numbers[place] : NAMES_NONE;
}
