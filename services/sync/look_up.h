// Finds the stored records that an export's rows stand for, in the state that one read transaction shows.
//
// Rows in the order of their keys are found beside one another, by a cursor. Where rows come in any other
// order each costs a search of its own through a table that no cache holds; after so many of these that it
// pays, the hash of every record is gathered in memory (25 MB a million), and a row that says what a
// record says is found there. One thread.
#ifndef SYNCBUS_SERVICES_SYNC_LOOK_UP_H
#define SYNCBUS_SERVICES_SYNC_LOOK_UP_H

#include "services/sync/delta_store.h"

struct look_up;

// Looks in `txn`, which stays the caller's and must outlive it. Dense ids are below `ids_end`. The errors of
// store_scan_begin.
SB_MUST_CHECK
enum err look_up_new(struct store_txn *txn, uint64_t ids_end, struct look_up **ret);

// Frees it and sets the pointer to NULL; NULL is fine.
void look_up_destroy(struct look_up **self_p);

// The dense id of the record that has this hash, where that is known without a search; 0 else.
uint64_t look_up_equal(const struct look_up *self, const uint8_t hash[RECORD_HASH_SIZE]);

// Finds the record of a key (whole, as record_key made it). ERR_NOT_FOUND: there is none. ERR_CORRUPT,
// ERR_NO_MEMORY.
SB_MUST_CHECK
enum err look_up_key(struct look_up *self, struct bytes key, struct stored_record *ret);

#endif
