// What the files of an entity's store share: its tables and the form of what lies in them.
#ifndef SYNCBUS_SERVICES_SYNC_DELTA_STORE_H
#define SYNCBUS_SERVICES_SYNC_DELTA_STORE_H

#include "services/sync/delta.h"
#include "services/sync/record.h"

#include "store.pb-c.h"

#include <pthread.h>

enum delta_table {
    TABLE_META,
    TABLE_RECORDS,
    TABLE_FEED,
    TABLE_REJECTS,
    TABLE_RESULTS,
    TABLE_PUBLICATIONS,
    TABLE_FREE,
    TABLE_WITHHELD,
    TABLE_INDEX,
    DELTA_TABLE_COUNT
};

struct delta {
    const struct config_job *job;
    struct store *store;   // owned
    pthread_mutex_t write; // held over each write: the map may not grow beside another one
    uint64_t feed;         // the feed's identity, fixed once made
};

// How entries lie in the tables; a store notes it, and one of a later program is refused. In form 0 a
// record had its JSON behind its key, too: it is not looked at.
enum { DELTA_FORM = 1 };

// A record as it lies in the store: hash, dense id, feed number of its last change, key where the table's own
// is only its hash. Its JSON lies in the feed, in the item of that number, and nowhere else: an item stays as
// it was put in the transaction that put this hash (D1).
struct stored_record {
    const uint8_t *hash; // RECORD_HASH_SIZE bytes
    uint64_t id;         // dense, from 1; one bit each says which records an export had
    uint64_t seq;        // of the change that made it what it is
    struct bytes key;    // whole
    struct bytes json;   // the record, once delta_find_json has found it
};

// Takes an entry of TABLE_RECORDS apart; `json` is left empty. ERR_CORRUPT.
SB_MUST_CHECK
enum err delta_read_record(struct bytes key, struct bytes value, struct stored_record *ret);

// Finds its JSON. ERR_CORRUPT.
SB_MUST_CHECK
enum err delta_find_json(struct store_txn *txn, struct stored_record *record);

// Reads the entity's entry; free it with sb__stored_entity__free_unpacked(entity, NULL). ERR_CORRUPT,
// ERR_NO_MEMORY.
SB_MUST_CHECK
enum err delta_read_entity(struct store_txn *txn, Sb__StoredEntity **ret, struct fault *fault);

// Puts a message under a key.
SB_MUST_CHECK
enum err delta_put_message(struct store_txn *txn, unsigned table, struct bytes key,
                           const ProtobufCMessage *message);

// Makes room in the map for what a write transaction will take, at a guess.
SB_MUST_CHECK
enum err delta_make_room(struct delta *self, uint64_t size, struct fault *fault);

// Runs a write transaction, one at a time.
SB_MUST_CHECK
enum err delta_write(struct delta *self, store_body *body, void *arg, struct fault *fault);

// Puts the result of a run, if anybody waits for it, and notes it as the entity's last.
SB_MUST_CHECK
enum err delta_put_result(struct store_txn *txn, const struct delta *self, const struct delta_run *run,
                          Sb__Result *result, Sb__StoredEntity *entity);

// Puts what is to be remembered of the fetch that is stored with it, and of its result. Where deletions were
// withheld, nothing vouches for what the store holds: then the next fetch takes everything.
SB_MUST_CHECK
enum err delta_put_validator(struct store_txn *txn, const struct validator *validator,
                             const Sb__Result *result);

// Puts the entity's entry.
SB_MUST_CHECK
enum err delta_put_entity(struct store_txn *txn, const Sb__StoredEntity *entity);

#endif
