// The indexes of an entity's store: by field and value to the records that have it, kept in the transaction
// that changes the records. Found by equality: what is stored is the hash of a value, so that a long one is
// as good as a short one, and then the record's key, so that records with one value come in key order.
//
// Absent and empty values have no entry. Pure but for the store. One thread a transaction.
#ifndef SYNCBUS_SERVICES_SYNC_RECORD_INDEX_H
#define SYNCBUS_SERVICES_SYNC_RECORD_INDEX_H

#include "services/sync/delta_store.h"

enum { RECORD_INDEX_PREFIX_SIZE = 2 + 16 }; // number of the field, hash of the value

// What every entry of this value (without blanks at its ends) begins with; the bytes lie in `room`.
struct bytes record_index_prefix(size_t field, struct bytes value, uint8_t room[RECORD_INDEX_PREFIX_SIZE]);

// The entry of the record with this key in the store; the bytes lie in `room`.
struct bytes record_index_entry(struct bytes prefix, struct bytes store_key, uint8_t room[STORE_KEY_MAX]);

// The store key of the record that an entry is of.
struct bytes record_index_key(struct bytes entry, struct bytes value);

// Takes a record that changes from one JSON to another (of size 0: there is none) over into the indexes of
// `fields`. The old JSON may lie in the store. ERR_CORRUPT when one is no record.
SB_MUST_CHECK
enum err record_index_move(struct store_txn *txn, const struct words *fields, struct bytes store_key,
                           struct bytes old_json, struct bytes new_json);

// Makes the indexes of `fields` anew from all records.
SB_MUST_CHECK
enum err record_index_build(struct store_txn *txn, const struct words *fields);

#endif
