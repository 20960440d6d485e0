// The indexes of an entity's store: by field and value to the records that have it, kept in the transaction
// that changes the records. Their entries are made in index_entry.h. One thread a transaction.
#ifndef SYNCBUS_SERVICES_SYNC_RECORD_INDEX_H
#define SYNCBUS_SERVICES_SYNC_RECORD_INDEX_H

#include "services/sync/delta_store.h"
#include "services/sync/index_entry.h"

// Takes a record that changes from one JSON to another (of size 0: there is none) over into the indexes of
// `fields`. The old JSON may lie in the store. ERR_CORRUPT when one is no record.
SB_MUST_CHECK
enum err record_index_move(struct store_txn *txn, const struct words *fields, struct bytes store_key,
                           struct bytes old_json, struct bytes new_json);

// Makes the indexes of `fields` anew from all records.
SB_MUST_CHECK
enum err record_index_build(struct store_txn *txn, const struct words *fields);

#endif
