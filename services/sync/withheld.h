// The deletions that are withheld: kept by key in the store, beside the records that they are about, until a
// sync no longer misses them, or a person releases them (delta_release). One thread, inside a transaction.
#ifndef SYNCBUS_SERVICES_SYNC_WITHHELD_H
#define SYNCBUS_SERVICES_SYNC_WITHHELD_H

#include "services/sync/changes.h"
#include "services/sync/delta_store.h"
#include "services/sync/withheld_rule.h"

// Lets the table hold the keys that `changes` withholds, and no others: those that were there keep their
// beginning, new ones begin with this run. Numbers the list anew in `entity` if it is another one.
SB_MUST_CHECK
enum err withheld_put(struct store_txn *txn, const struct changes *changes, uint64_t run, int64_t now_ms,
                      Sb__StoredEntity *entity);

#endif
