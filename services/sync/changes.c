#include "services/sync/changes.h"

#include "services/sync/large.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { BLOCK_MIN = 64 << 10, INDEX_MIN = 1024 };

struct block {
    struct block *next; // older
    size_t size;        // of data
    size_t used;        // of it
    char data[];
};

void changes_init(struct changes *self)
{
    *self = (struct changes){.items = NULL};
}

void changes_free(struct changes *self)
{
    while (self->blocks != NULL) {
        struct block *next = self->blocks->next;
        free(self->blocks);
        self->blocks = next;
    }
    free(self->items);
    free(self->index);
    free(self->rejects);
    free(self->withheld);
    changes_init(self);
}

// ---------------------------------------------------------------- bytes

static enum err keep(struct changes *self, const void *data, size_t size, struct bytes *ret)
{
    struct block *block = self->blocks;
    if (block == NULL || block->size - block->used < size) {
        // A few changes take little, and many take few blocks.
        const size_t usual = (self->size < LARGE_PAGE_SIZE ? BLOCK_MIN : LARGE_PAGE_SIZE) - sizeof *block;
        const size_t room = size > usual ? size : usual;
        if (room > CHANGES_SIZE_MAX - self->size)
            return ERR_FULL;
        block = large_alloc(sizeof *block + room);
        if (block == NULL)
            return ERR_NO_MEMORY;
        *block = (struct block){.next = self->blocks, .size = room};
        self->blocks = block;
        self->size += room;
    }
    char *place = block->data + block->used;
    if (size > 0)
        memcpy(place, data, size);
    block->used += size;
    *ret = (struct bytes){.data = place, .size = size};
    return ERR_OK;
}

// ---------------------------------------------------------------- index

static bool equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static uint64_t hash_of(struct bytes key)
{
    return XXH3_64bits(key.data, key.size);
}

static size_t position_of(uint64_t entry)
{
    return (size_t)(uint32_t)entry - 1;
}

// The half of a hash that an entry keeps: it spares most looks at keys that are others.
static uint64_t kept_half(uint64_t hash)
{
    return hash & ~(uint64_t)UINT32_MAX;
}

// The place of this key in the index, or the free one where it belongs.
static size_t slot(const struct changes *self, struct bytes key, uint64_t hash)
{
    size_t at = (size_t)hash & (self->index_size - 1);
    for (; self->index[at] != 0; at = (at + 1) & (self->index_size - 1)) {
        const uint64_t entry = self->index[at];
        if (kept_half(entry) == kept_half(hash) && equal(self->items[position_of(entry)].key, key))
            break;
    }
    return at;
}

const struct change *changes_find(const struct changes *self, struct bytes key)
{
    if (self->index_size == 0)
        return NULL;
    const uint64_t entry = self->index[slot(self, key, hash_of(key))];
    return entry == 0 ? NULL : &self->items[position_of(entry)];
}

static enum err grow_index(struct changes *self)
{
    const size_t size = self->index_size == 0 ? INDEX_MIN : 2 * self->index_size;
    uint64_t *index = calloc(size, sizeof *index);
    if (index == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < self->count; i++) {
        const uint64_t hash = hash_of(self->items[i].key);
        size_t at = (size_t)hash & (size - 1);
        while (index[at] != 0)
            at = (at + 1) & (size - 1);
        index[at] = kept_half(hash) | (i + 1);
    }
    free(self->index);
    self->index = index;
    self->index_size = size;
    return ERR_OK;
}

static enum err grow_items(struct changes *self)
{
    const size_t capacity = self->capacity == 0 ? INDEX_MIN : 2 * self->capacity;
    if (capacity > UINT32_MAX)
        return ERR_FULL;
    struct change *items = realloc(self->items, capacity * sizeof *items);
    if (items == NULL)
        return ERR_NO_MEMORY;
    self->items = items;
    self->capacity = capacity;
    return ERR_OK;
}

// ---------------------------------------------------------------- lists

enum err changes_add(struct changes *self, const struct change *change)
{
    enum err err = self->count == self->capacity ? grow_items(self) : ERR_OK;
    if (err == ERR_OK && 4 * (self->count + 1) > 3 * self->index_size)
        err = grow_index(self);
    struct change kept = *change;
    if (err == ERR_OK)
        err = keep(self, change->key.data, change->key.size, &kept.key);
    if (err == ERR_OK)
        err = keep(self, change->json.data, change->json.size, &kept.json);
    if (err != ERR_OK)
        return err;
    const uint64_t hash = hash_of(kept.key);
    const size_t at = slot(self, kept.key, hash);
    assert(self->index[at] == 0);
    self->items[self->count++] = kept;
    self->index[at] = kept_half(hash) | self->count;
    return ERR_OK;
}

enum err changes_reject(struct changes *self, uint64_t line, const char *why, const char *raw,
                        size_t raw_size)
{
    if (self->reject_count == REJECTS_MAX)
        return ERR_OK;
    if (self->rejects == NULL)
        self->rejects = calloc(REJECTS_MAX, sizeof *self->rejects);
    if (self->rejects == NULL)
        return ERR_NO_MEMORY;
    struct reject *reject = &self->rejects[self->reject_count];
    reject->line = line;
    enum err err = keep(self, why, strlen(why), &reject->why);
    if (err == ERR_OK)
        err = keep(self, raw, raw_size < REJECT_RAW_MAX ? raw_size : REJECT_RAW_MAX, &reject->raw);
    if (err == ERR_OK)
        self->reject_count++;
    return err;
}

enum err changes_withhold(struct changes *self, struct bytes store_key)
{
    if (self->withheld_count == self->withheld_room) {
        const size_t room = self->withheld_room == 0 ? INDEX_MIN : 2 * self->withheld_room;
        struct bytes *withheld = realloc(self->withheld, room * sizeof *withheld);
        if (withheld == NULL)
            return ERR_NO_MEMORY;
        self->withheld = withheld;
        self->withheld_room = room;
    }
    const enum err err = keep(self, store_key.data, store_key.size, &self->withheld[self->withheld_count]);
    self->withheld_count += err == ERR_OK;
    return err;
}

static int compare(const void *a, const void *b)
{
    uint8_t room_a[RECORD_STORE_KEY_SIZE];
    uint8_t room_b[RECORD_STORE_KEY_SIZE];
    const struct bytes left = record_store_key(((const struct change *)a)->key, room_a);
    const struct bytes right = record_store_key(((const struct change *)b)->key, room_b);
    return record_compare_names(left.data, left.size, right.data, right.size);
}

void changes_sort(struct changes *self)
{
    size_t sorted = 1;
    while (sorted < self->count && compare(&self->items[sorted - 1], &self->items[sorted]) < 0)
        sorted++;
    if (sorted < self->count)
        qsort(self->items, self->count, sizeof *self->items, compare);
    free(self->index); // positions are not what they were
    self->index = NULL;
    self->index_size = 0;
}
