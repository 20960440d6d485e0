#include "tests/sim/keys.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 64 };

// FNV-1a.
static size_t hash_of(const char *key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return (size_t)hash;
}

// Where the key is, or would be.
static struct key_slot *slot_of(const struct keys *self, const char *key)
{
    size_t place = hash_of(key) & (self->capacity - 1);
    while (self->slots[place].key != NULL && strcmp(self->slots[place].key, key) != 0)
        place = (place + 1) & (self->capacity - 1);
    return &self->slots[place];
}

void keys_free(struct keys *self)
{
    free(self->slots);
    memset(self, 0, sizeof *self);
}

void *keys_get(const struct keys *self, const char *key)
{
    return self->count == 0 ? NULL : slot_of(self, key)->value;
}

static void grow(struct keys *self)
{
    const struct keys old = *self;
    self->capacity = old.capacity == 0 ? CAPACITY_MIN : 2 * old.capacity;
    self->slots = calloc(self->capacity, sizeof *self->slots);
    assert(self->slots != NULL);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].key != NULL)
            *slot_of(self, old.slots[i].key) = old.slots[i];
    }
    free(old.slots);
}

void keys_add(struct keys *self, const char *key, void *value)
{
    assert(value != NULL);
    if (2 * (self->count + 1) > self->capacity)
        grow(self);
    struct key_slot *slot = slot_of(self, key);
    assert(slot->key == NULL);
    *slot = (struct key_slot){.key = key, .value = value};
    self->count++;
}
