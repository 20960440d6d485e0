// What a sync is about to change, collected in memory before anything is written: a list that can be searched
// by key and sorted by it. One thread.
#ifndef SYNCBUS_SERVICES_SYNC_CHANGES_H
#define SYNCBUS_SERVICES_SYNC_CHANGES_H

#include "services/sync/record.h"

#include "syncbus.pb-c.h"

// All that it may take of memory; a greater difference fails the run.
#define CHANGES_SIZE_MAX ((size_t)4 << 30)

// One record to be created, changed or deleted. The bytes belong to the list.
struct change {
    Sb__Op op;
    struct bytes key;               // whole, as record_key made it
    struct bytes json;              // the new record; empty: deleted
    uint8_t hash[RECORD_HASH_SIZE]; // of the new record
    uint64_t id;                    // dense id of the old record; 0: created
};

// A row that was set aside. The bytes belong to the list.
struct reject {
    uint64_t line;    // where it started
    struct bytes why; // text
    struct bytes raw; // as much of it as is kept
};

struct changes {
    struct change *items;   // in the order they came, until they are sorted
    size_t count;           // of them
    size_t capacity;        // room for so many
    uint64_t *index;        // open addressing by key: half of its hash, below that position + 1; 0: free
    size_t index_size;      // a power of two; 0: not needed, all came in the order of their keys
    struct reject *rejects; // in the order they came
    size_t reject_count;    // of those that are kept
    struct bytes *withheld; // store keys of records that are missed and kept, in their order
    size_t withheld_count;  // of them
    size_t withheld_room;   // room for so many
    struct block *keys;     // memory for keys, newest first: they are compared, and lie close together
    struct block *blocks;   // memory for all other bytes, the same
    size_t size;            // of all blocks
};

// An empty list; takes no memory yet.
void changes_init(struct changes *self);

// Gives all memory back.
void changes_free(struct changes *self);

// The change of this key, or NULL. It is valid until the next one is added.
const struct change *changes_find(const struct changes *self, struct bytes key);

// Adds a change, of which key and json are copied; its key must not be there yet. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err changes_add(struct changes *self, const struct change *change);

// Keeps a rejected row, at most the first REJECTS_MAX of them, and the first REJECT_RAW_MAX bytes of each.
enum { REJECTS_MAX = 10000, REJECT_RAW_MAX = 1024 };
SB_MUST_CHECK
enum err changes_reject(struct changes *self, uint64_t line, const char *why, const char *raw,
                        size_t raw_size);

// Notes a record that is missed and not deleted; its key in the store is copied. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err changes_withhold(struct changes *self, struct bytes store_key);

// Puts the changes in the order of their keys in the store; no two have one key. ERR_NO_MEMORY.
SB_MUST_CHECK
enum err changes_sort(struct changes *self);

// The change at this place, while the processor already fetches the text of one that comes soon: in the order
// of the keys they lie anywhere.
static inline const struct change *changes_at(const struct changes *self, size_t at)
{
    enum { AHEAD = 8, LINE = 64, LINES = 5 };
    const struct bytes soon = self->items[at + AHEAD < self->count ? at + AHEAD : at].json;
    for (size_t i = 0; i < LINES && i * LINE < soon.size; i++)
        __builtin_prefetch((const char *)soon.data + i * LINE);
    return &self->items[at];
}

#endif
