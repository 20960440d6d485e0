#include "services/sync/look_up.h"

#include "services/sync/large.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    JUMPS_MIN = 1024,        // searches out of order before hashes are gathered, at least
    RECORDS_PER_JUMP = 32,   // and one for each so many records: gathering costs that much less than a search
    SLOTS_MAX = 1 << 24,     // 320 MiB: a larger store is searched
    SLOTS_PER_4_RECORDS = 5, // the set is full to four fifths
};

// A record's hash in the set; its first four bytes say where it belongs.
struct slot {
    uint32_t hash[RECORD_HASH_SIZE / 4];
    uint32_t id; // dense; 0: free
};

struct look_up {
    struct store_txn *txn;   // the caller's
    struct store_scan *scan; // owned; near the last key that was found
    uint64_t ids_end;        // dense ids are below
    uint64_t records;        // in the table
    uint64_t jumps;          // searches for a key that came after a greater one
    struct buffer last;      // the key before
    struct slot *slots;      // the set; owned; NULL: not gathered
    uint64_t slot_count;     // of them
};

enum err look_up_new(struct store_txn *txn, uint64_t ids_end, struct look_up **ret)
{
    struct look_up *self = calloc(1, sizeof *self);
    if (self == NULL)
        return ERR_NO_MEMORY;
    self->txn = txn;
    self->ids_end = ids_end;
    buffer_init(&self->last, STORE_KEY_MAX + 1);
    enum err err = store_count(txn, TABLE_RECORDS, &self->records);
    if (err == ERR_OK)
        err = store_scan_begin(txn, TABLE_RECORDS, &self->scan);
    if (err != ERR_OK)
        look_up_destroy(&self);
    else
        *ret = self;
    return err;
}

void look_up_destroy(struct look_up **self_p)
{
    struct look_up *self = *self_p;
    if (self == NULL)
        return;
    store_scan_end(&self->scan);
    buffer_free(&self->last);
    free(self->slots);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- the set of hashes

// Where the search for a hash begins.
static uint64_t place_of(const struct look_up *self, const uint8_t hash[RECORD_HASH_SIZE])
{
    uint32_t first;
    memcpy(&first, hash, sizeof first);
    return first * self->slot_count >> 32;
}

static uint64_t next_place(const struct look_up *self, uint64_t at)
{
    return at + 1 < self->slot_count ? at + 1 : 0;
}

uint64_t look_up_equal(const struct look_up *self, const uint8_t hash[RECORD_HASH_SIZE])
{
    if (self->slots == NULL)
        return 0;
    uint64_t at = place_of(self, hash);
    while (self->slots[at].id != 0 && memcmp(self->slots[at].hash, hash, RECORD_HASH_SIZE) != 0)
        at = next_place(self, at);
    return self->slots[at].id;
}

static enum err read_entry(const struct look_up *self, struct bytes key, struct bytes value,
                           struct stored_record *ret)
{
    const enum err err = delta_read_record(key, value, ret);
    if (err != ERR_OK)
        return err;
    return ret->id == 0 || ret->id >= self->ids_end ? ERR_CORRUPT : ERR_OK;
}

static enum err gather(struct look_up *self)
{
    struct bytes key;
    struct bytes value;
    struct stored_record record;
    self->slot_count = self->records * SLOTS_PER_4_RECORDS / 4 + 1;
    self->slots = large_alloc(self->slot_count * sizeof *self->slots);
    if (self->slots == NULL)
        return ERR_NO_MEMORY;
    memset(self->slots, 0, self->slot_count * sizeof *self->slots);
    enum err err = store_scan_seek(self->scan, (struct bytes){.data = NULL}, &key, &value);
    for (; err == ERR_OK; err = store_scan_next(self->scan, &key, &value)) {
        err = read_entry(self, key, value, &record);
        if (err != ERR_OK)
            return err;
        uint64_t at = place_of(self, record.hash);
        while (self->slots[at].id != 0)
            at = next_place(self, at);
        memcpy(self->slots[at].hash, record.hash, RECORD_HASH_SIZE);
        self->slots[at].id = (uint32_t)record.id;
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

// ---------------------------------------------------------------- keys

// Counts the keys that come after a greater one, and gathers the hashes when there were enough of them. Once
// they are gathered nothing is counted any more.
static enum err count_jump(struct look_up *self, struct bytes key)
{
    if (self->slots != NULL)
        return ERR_OK;
    self->jumps +=
        self->last.size > 0 && record_compare_names(key.data, key.size, self->last.data, self->last.size) < 0;
    buffer_clear(&self->last);
    const enum err err = buffer_add(&self->last, key.data, key.size);
    const bool worth = self->jumps > JUMPS_MIN && self->jumps > self->records / RECORDS_PER_JUMP &&
                       self->records < SLOTS_MAX / SLOTS_PER_4_RECORDS * 4 && self->ids_end <= UINT32_MAX;
    return err == ERR_OK && worth ? gather(self) : err;
}

enum err look_up_key(struct look_up *self, struct bytes key, struct stored_record *ret)
{
    uint8_t room[RECORD_STORE_KEY_SIZE];
    struct bytes value;
    const struct bytes stored = record_store_key(key, room);
    enum err err = count_jump(self, stored);
    if (err == ERR_OK)
        err = store_scan_find(self->scan, stored, &value);
    return err == ERR_OK ? read_entry(self, stored, value, ret) : err;
}
