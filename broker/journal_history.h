// What can be asked of the journal's tables inside a transaction: recovery, look-ups, pruning. Private to
// journal.c.
#ifndef SYNCBUS_BROKER_JOURNAL_HISTORY_H
#define SYNCBUS_BROKER_JOURNAL_HISTORY_H

#include "broker/journal.h"

#include "proto/io/store.h"

enum {
    PRUNE_BATCH = 500,           // entries deleted in one transaction
    READ_LOOKED_AT_MAX = 100000, // entries of other jobs that a look-up passes over
};

// One step of pruning.
struct prune {
    int64_t before_ms; // entries that ended earlier go
    size_t deleted;    // by the last step; fewer than PRUNE_BATCH: there are no more
};

// As journal_recover and journal_read, in a read transaction.
SB_MUST_CHECK
enum err journal_recover_in(struct store_txn *txn, struct core_record **ret, size_t *ret_count,
                            struct fault *fault);
SB_MUST_CHECK
enum err journal_read_in(struct store_txn *txn, const struct core_read *read, ProtobufCMessage ***ret,
                         size_t *ret_count, struct fault *fault);

// Deletes at most PRUNE_BATCH entries; a store_body with a struct prune.
SB_MUST_CHECK
enum err journal_prune_some(struct store_txn *txn, void *arg, struct fault *fault);

#endif
