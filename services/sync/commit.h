// The writing of changes into an entity's store: records with their hashes and dense ids, the feed and what
// is to be published, all inside one write transaction (D2). One thread, inside the transaction's body.
#ifndef SYNCBUS_SERVICES_SYNC_COMMIT_H
#define SYNCBUS_SERVICES_SYNC_COMMIT_H

#include "services/sync/changes.h"
#include "services/sync/delta_store.h"

// One write transaction under way.
struct commit {
    const struct delta *self;
    Sb__StoredEntity *entity; // as it will be; the caller's
    uint64_t run;             // that made the changes; 0: none did
    const char *by;           // the person who released the deletions; NULL: a sync made the changes
    int64_t now_ms;           // Unix ms
    uint64_t first;           // feed number of the first change
    uint64_t created;         // changes so far
    uint64_t changed;         // the same
    uint64_t deleted;         // the same
    uint64_t free_ids;        // in the table of them
    struct buffer item;       // of the feed
    struct buffer record;     // in it
};

// Begins: self, entity, run, by and now_ms are set by the caller. End it with commit_end, whatever came of
// it.
SB_MUST_CHECK
enum err commit_begin(struct commit *self, struct store_txn *txn);
void commit_end(struct commit *self);

// Makes one change.
SB_MUST_CHECK
enum err commit_change(struct commit *self, struct store_txn *txn, const struct change *change);

// Puts what is to be published of the changes, if there are any.
SB_MUST_CHECK
enum err commit_publication(const struct commit *self, struct store_txn *txn);

#endif
