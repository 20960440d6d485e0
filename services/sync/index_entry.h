// The entries of an index: by field and value to the records that have it. Found by equality: what is stored
// is the hash of a value, so that a long one is as good as a short one, and then the record's key, so that
// records with one value come in key order. Absent and empty values have no entry. Pure; any thread.
#ifndef SYNCBUS_SERVICES_SYNC_INDEX_ENTRY_H
#define SYNCBUS_SERVICES_SYNC_INDEX_ENTRY_H

#include "proto/io/store.h"
#include "services/sync/record.h"

enum {
    INDEX_PREFIX_SIZE = 2 + 16, // number of the field, hash of the value
    // A longer key stands as a hash in its entry, and whole in its value.
    INDEX_KEY_MAX = STORE_KEY_MAX - INDEX_PREFIX_SIZE,
};

// What every entry of this value (without blanks at its ends) begins with; the bytes lie in `room`.
struct bytes index_prefix(size_t field, struct bytes value, uint8_t room[INDEX_PREFIX_SIZE]);

// The entry of the record with this key in the store; the bytes lie in `room`.
struct bytes index_entry(struct bytes prefix, struct bytes store_key, uint8_t room[STORE_KEY_MAX]);

// The store key of the record that an entry is of.
struct bytes index_key(struct bytes entry, struct bytes value);

// What one record has at each indexed field.
struct index_values {
    const struct words *fields;                            // of the index, the caller's
    bool there[CONFIG_INDEXES_MAX];                        // it has a value
    uint8_t prefix[CONFIG_INDEXES_MAX][INDEX_PREFIX_SIZE]; // of the value's entries
};

// Reads them out of a record's JSON (of size 0: there is none). ERR_CORRUPT when it is no record.
SB_MUST_CHECK
enum err index_values_read(const struct words *fields, struct bytes json, struct buffer *scratch,
                           struct index_values *ret);

#endif
