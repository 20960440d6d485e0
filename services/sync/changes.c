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

static void free_blocks(struct block *blocks)
{
    while (blocks != NULL) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

void changes_free(struct changes *self)
{
    free_blocks(self->keys);
    free_blocks(self->blocks);
    free(self->items);
    free(self->index);
    free(self->rejects);
    free(self->withheld);
    changes_init(self);
}

// ---------------------------------------------------------------- bytes

// Copies bytes into the newest of these blocks, or into one more.
static enum err keep(struct changes *self, struct block **blocks, struct bytes bytes, struct bytes *ret)
{
    struct block *block = *blocks;
    if (block == NULL || block->size - block->used < bytes.size) {
        // A few changes take little, and many take few blocks.
        const size_t usual = (self->size < LARGE_PAGE_SIZE ? BLOCK_MIN : LARGE_PAGE_SIZE) - sizeof *block;
        const size_t room = bytes.size > usual ? bytes.size : usual;
        if (room > CHANGES_SIZE_MAX - self->size)
            return ERR_FULL;
        block = large_alloc(sizeof *block + room);
        if (block == NULL)
            return ERR_NO_MEMORY;
        *block = (struct block){.next = *blocks, .size = room};
        *blocks = block;
        self->size += room;
    }
    char *place = block->data + block->used;
    if (bytes.size > 0)
        memcpy(place, bytes.data, bytes.size);
    block->used += bytes.size;
    *ret = (struct bytes){.data = place, .size = bytes.size};
    return ERR_OK;
}

// ---------------------------------------------------------------- index

// The order of two keys in the store.
static int compare_keys(struct bytes a, struct bytes b)
{
    uint8_t room_a[RECORD_STORE_KEY_SIZE];
    uint8_t room_b[RECORD_STORE_KEY_SIZE];
    const struct bytes left = record_store_key(a, room_a);
    const struct bytes right = record_store_key(b, room_b);
    return record_compare_names(left.data, left.size, right.data, right.size);
}

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

// The half of a hash that an entry keeps: it says where the entry belongs, and spares most looks at keys that
// are others.
static uint64_t kept_half(uint64_t hash)
{
    return hash & ~(uint64_t)UINT32_MAX;
}

static size_t place_of(const struct changes *self, uint64_t entry)
{
    return (size_t)(entry >> 32) & (self->index_size - 1);
}

static size_t next_place(const struct changes *self, size_t at)
{
    return (at + 1) & (self->index_size - 1);
}

// The place of this key in the index, or the free one where it belongs.
static size_t slot(const struct changes *self, struct bytes key, uint64_t hash)
{
    size_t at = place_of(self, hash);
    for (; self->index[at] != 0; at = next_place(self, at)) {
        const uint64_t entry = self->index[at];
        if (kept_half(entry) == kept_half(hash) && equal(self->items[position_of(entry)].key, key))
            break;
    }
    return at;
}

static void insert(struct changes *self, uint64_t entry)
{
    size_t at = place_of(self, entry);
    while (self->index[at] != 0)
        at = next_place(self, at);
    self->index[at] = entry;
}

// The change of this key while all came in the order of their keys.
static const struct change *find_ascending(const struct changes *self, struct bytes key)
{
    size_t from = 0;
    size_t end = self->count;
    if (end == 0 || compare_keys(self->items[end - 1].key, key) < 0)
        return NULL;
    while (from < end) {
        const size_t middle = from + (end - from) / 2;
        if (compare_keys(self->items[middle].key, key) < 0)
            from = middle + 1;
        else
            end = middle;
    }
    return equal(self->items[from].key, key) ? &self->items[from] : NULL;
}

const struct change *changes_find(const struct changes *self, struct bytes key)
{
    if (self->index_size == 0)
        return find_ascending(self, key);
    const uint64_t entry = self->index[slot(self, key, hash_of(key))];
    return entry == 0 ? NULL : &self->items[position_of(entry)];
}

// Makes the index, or one of twice the size: an entry itself says where it belongs.
static enum err grow_index(struct changes *self)
{
    uint64_t *old = self->index;
    const size_t old_size = self->index_size;
    size_t size = old_size == 0 ? INDEX_MIN : 2 * old_size;
    while (size < 2 * self->count)
        size *= 2;
    uint64_t *index = calloc(size, sizeof *index);
    if (index == NULL)
        return ERR_NO_MEMORY;
    self->index = index;
    self->index_size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i] != 0)
            insert(self, old[i]);
    for (size_t i = 0; i < self->count && old_size == 0; i++)
        insert(self, kept_half(hash_of(self->items[i].key)) | (i + 1));
    free(old);
    return ERR_OK;
}

// No index is needed until a key comes behind a greater one.
static enum err prepare_index(struct changes *self, struct bytes key)
{
    const bool ascends = self->index_size == 0 &&
                         (self->count == 0 || compare_keys(self->items[self->count - 1].key, key) < 0);
    const bool full = 4 * (self->count + 1) > 3 * self->index_size;
    return ascends || !full ? ERR_OK : grow_index(self);
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
    if (err == ERR_OK)
        err = prepare_index(self, change->key);
    struct change kept = *change;
    if (err == ERR_OK)
        err = keep(self, &self->keys, change->key, &kept.key);
    if (err == ERR_OK)
        err = keep(self, &self->blocks, change->json, &kept.json);
    if (err != ERR_OK)
        return err;
    self->items[self->count++] = kept;
    if (self->index_size > 0)
        insert(self, kept_half(hash_of(kept.key)) | self->count);
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
    const struct bytes text = {.data = why, .size = strlen(why)};
    const struct bytes kept = {.data = raw, .size = raw_size < REJECT_RAW_MAX ? raw_size : REJECT_RAW_MAX};
    enum err err = keep(self, &self->blocks, text, &reject->why);
    if (err == ERR_OK)
        err = keep(self, &self->blocks, kept, &reject->raw);
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
    const enum err err = keep(self, &self->keys, store_key, &self->withheld[self->withheld_count]);
    self->withheld_count += err == ERR_OK;
    return err;
}

// ---------------------------------------------------------------- order

// A change to be sorted: most are told apart by these bytes alone, and their keys stay where they are.
struct place {
    uint64_t head;     // bytes of the key in the store, behind those that all keys have alike
    uint32_t position; // in items
};

// How many bytes all keys have alike at their beginning.
static size_t shared_size(const struct changes *self)
{
    uint8_t first_room[RECORD_STORE_KEY_SIZE];
    uint8_t room[RECORD_STORE_KEY_SIZE];
    const struct bytes first = record_store_key(self->items[0].key, first_room);
    size_t shared = first.size;
    for (size_t i = 1; i < self->count && shared > 0; i++) {
        const struct bytes key = record_store_key(self->items[i].key, room);
        shared = shared < key.size ? shared : key.size;
        while (memcmp(first.data, key.data, shared) != 0)
            shared--;
    }
    return shared;
}

static uint64_t head_of(struct bytes key, size_t from)
{
    uint8_t room[RECORD_STORE_KEY_SIZE];
    uint8_t head[8] = {0};
    const struct bytes stored = record_store_key(key, room);
    const size_t left = stored.size - from;
    memcpy(head, (const uint8_t *)stored.data + from, left < sizeof head ? left : sizeof head);
    return store_number_of((struct bytes){.data = head, .size = sizeof head});
}

static int compare_places(const void *a, const void *b, void *arg)
{
    const struct changes *self = arg;
    const struct place *left = a;
    const struct place *right = b;
    if (left->head != right->head)
        return left->head < right->head ? -1 : 1;
    return compare_keys(self->items[left->position].key, self->items[right->position].key);
}

// Moves each change to its place, around one circle after another.
static void arrange(struct changes *self, struct place *places)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct change first = self->items[i];
        uint32_t at = (uint32_t)i;
        for (uint32_t from = places[at].position; from != i; from = places[at].position) {
            self->items[at] = self->items[from];
            places[at].position = at;
            at = from;
        }
        self->items[at] = first;
        places[at].position = at;
    }
}

enum err changes_sort(struct changes *self)
{
    if (self->index_size == 0) // they came so
        return ERR_OK;
    struct place *places = malloc(self->count * sizeof *places);
    if (places == NULL)
        return ERR_NO_MEMORY;
    const size_t shared = shared_size(self);
    for (size_t i = 0; i < self->count; i++)
        places[i] = (struct place){.head = head_of(self->items[i].key, shared), .position = (uint32_t)i};
    qsort_r(places, self->count, sizeof *places, compare_places, self);
    arrange(self, places);
    free(places);
    free(self->index); // positions are not what they were
    self->index = NULL;
    self->index_size = 0;
    return ERR_OK;
}
