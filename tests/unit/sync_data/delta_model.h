// What a store of one entity must hold after each sync, and the invariants D1 to D4 of it as functions over
// all that the store tells. Each ends the program with "D1 is broken with seed …" when it does not hold.
#ifndef SYNCBUS_TESTS_UNIT_SYNC_DATA_DELTA_MODEL_H
#define SYNCBUS_TESTS_UNIT_SYNC_DATA_DELTA_MODEL_H

#include "tests/unit/sync_data/support.h"

enum { MODEL_KEYS = 24, MODEL_ITEMS_MAX = 8192 };

// The records of a table: the value of each key, 0: there is no such record.
struct model_table {
    unsigned values[MODEL_KEYS];
};

// What the store is to hold.
struct model {
    uint64_t seed;             // that the sequence follows from
    unsigned step;             // of the sequence
    struct model_table now;    // the records
    struct model_table before; // the same before the last sync
    uint64_t last_seq;         // of the feed
    uint64_t first_seq;        // of the last sync's part of it; last_seq + 1: it had none
    uint64_t validated;        // run whose validator is remembered; 0: none
    uint64_t applied;          // the last run that was applied
};

// A consumer of the feed: begins with nothing or at a snapshot, and reads on now and then.
struct model_reader {
    struct model_table records; // as it has them
    uint64_t after;             // the last number that it took
};

// An invariant does not hold: prints its name, the seed, the step and why; exits with 1.
void model_broken(const struct model *self, const char *invariant, const char *format, ...) SB_PRINTF(3, 4)
    __attribute__((noreturn));

// The key field of a record, whose number counts from 0. Some are too long to be a key of the store. Static.
const char *model_key(size_t number);

// A sync has brought these records, under this run: what the store is to hold from now on.
void model_take(struct model *self, const struct model_table *records, uint64_t run);

// Each record's hash is that of the record as it is told (D1), by `list` and by `get`.
void model_check_d1(const struct model *self, struct support_store *store);

// The feed's numbers have no gaps; records, feed, validator and publications are of the same sync (D2).
void model_check_d2(const struct model *self, struct support_store *store);

// Replaying the feed from nothing gives the records; and so does reading on from a snapshot (D3).
void model_check_d3(const struct model *self, struct support_store *store, struct model_reader *reader);

// The last sync made one entry for each record that it changed, and none for any other (D4).
void model_check_d4(const struct model *self, struct support_store *store);

// The reader forgets what it has and begins at a snapshot of the records.
void model_reader_begin(const struct model *self, struct support_store *store, struct model_reader *reader);

#endif
