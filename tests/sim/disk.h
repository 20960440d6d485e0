// The broker's journal as it lies on its disk: what was committed, and nothing else, is there after a crash.
#ifndef SYNCBUS_TESTS_SIM_DISK_H
#define SYNCBUS_TESTS_SIM_DISK_H

#include "broker/core/core.h"

// One record, packed.
struct disk_entry {
    uint8_t key[CORE_KEY_MAX];
    size_t key_size;                        // bytes of it
    const ProtobufCMessageDescriptor *type; // of the value; NULL: it is to be deleted
    size_t size;                            // bytes of the value
    uint8_t data[];                         // they
};

// A table: entries in order of their keys.
struct disk_table {
    struct disk_entry **entries; // owned
    size_t count;                // of them
    size_t capacity;             // room for so many
};

struct disk {
    struct disk_table tables[CORE_TABLE_COUNT];
};

// Empty; freed by disk_free.
void disk_init(struct disk *self);
void disk_free(struct disk *self);

// A copy of a record, to be committed later or freed by free.
struct disk_entry *disk_entry_new(const struct core_record *record);

// Commits one record, which it takes over.
void disk_put(struct disk *self, enum core_table table, struct disk_entry *entry);

// What a START needs: all tables but the history, of runs only the open ones. To be freed by
// disk_recovered_free.
struct core_record *disk_recover(const struct disk *self, size_t *ret_count);
void disk_recovered_free(struct core_record *records, size_t count);

// What a read of the core finds: at most `max` values, newest first; each to be freed by its caller.
size_t disk_read(const struct disk *self, const struct core_read *read, ProtobufCMessage **ret, size_t max);

#endif
