#include "services/sync/commit.h"

#include "services/sync/pack.h"
#include "services/sync/record_index.h"

#include <string.h>

// ---------------------------------------------------------------- one change

// A dense id for a new record: one that a deleted record had, if there is any.
static enum err take_id(struct commit *commit, struct store_txn *txn, uint64_t *ret)
{
    if (commit->free_ids == 0) {
        *ret = commit->entity->ids_end++;
        return ERR_OK;
    }
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    uint8_t room[8];
    enum err err = store_scan_begin(txn, TABLE_FREE, &scan);
    if (err == ERR_OK)
        err = store_scan_last(scan, (struct bytes){.data = NULL}, &key, &value);
    if (err == ERR_OK)
        *ret = store_number_of(key);
    store_scan_end(&scan);
    commit->free_ids--;
    return err == ERR_OK ? store_delete(txn, TABLE_FREE, store_number(*ret, room)) : err;
}

// The record without its JSON, which lies in the feed item of the same change (delta_find_json).
static enum err put_record(struct store_txn *txn, const struct change *change, struct bytes key, uint64_t id,
                           uint64_t seq)
{
    const uint32_t key_size = key.size == change->key.size ? 0 : (uint32_t)change->key.size;
    uint8_t *place = NULL;
    const enum err err = store_reserve(txn, TABLE_RECORDS, key,
                                       RECORD_HASH_SIZE + 16 + sizeof key_size + key_size, (void **)&place);
    if (err != ERR_OK)
        return err;
    memcpy(place, change->hash, RECORD_HASH_SIZE);
    memcpy(place + RECORD_HASH_SIZE, &id, sizeof id);
    memcpy(place + RECORD_HASH_SIZE + 8, &seq, sizeof seq);
    memcpy(place + RECORD_HASH_SIZE + 16, &key_size, sizeof key_size);
    place += RECORD_HASH_SIZE + 16 + sizeof key_size;
    memcpy(place, change->key.data, key_size);
    return ERR_OK;
}

// The change as a feed item.
static enum err put_item(struct commit *self, struct store_txn *txn, const struct change *change,
                         uint64_t seq)
{
    enum { SEQ = 1, OP = 2, RECORD = 3, RUN = 4, TIME = 5, BY = 6 };
    uint8_t room[8];
    buffer_clear(&self->item);
    buffer_clear(&self->record);
    enum err err = pack_record(&self->record, change->key, change->json,
                               (struct bytes){.data = change->hash, .size = RECORD_HASH_SIZE}, seq);
    if (err == ERR_OK)
        err = pack_number(&self->item, SEQ, seq);
    if (err == ERR_OK)
        err = pack_number(&self->item, OP, (uint64_t)change->op);
    if (err == ERR_OK)
        err = pack_bytes(&self->item, RECORD,
                         (struct bytes){.data = self->record.data, .size = self->record.size});
    if (err == ERR_OK)
        err = pack_number(&self->item, RUN, self->run);
    if (err == ERR_OK)
        err = pack_number(&self->item, TIME, (uint64_t)self->now_ms);
    if (err == ERR_OK && self->by != NULL)
        err = pack_bytes(&self->item, BY, (struct bytes){.data = self->by, .size = strlen(self->by)});
    return err == ERR_OK ? store_put(txn, TABLE_FEED, store_number(seq, room),
                                     (struct bytes){.data = self->item.data, .size = self->item.size})
                         : err;
}

static enum err delete_record(struct commit *self, struct store_txn *txn, struct bytes key, uint64_t id)
{
    uint8_t number[8];
    self->deleted++;
    self->free_ids++;
    const enum err err = store_delete(txn, TABLE_RECORDS, key);
    return err == ERR_OK
               ? store_put(txn, TABLE_FREE, store_number(id, number), (struct bytes){.data = "", .size = 0})
               : err;
}

// The indexes go with the record: what they say of the old one is read before it is replaced.
static enum err move_indexes(const struct commit *self, struct store_txn *txn, const struct change *change,
                             struct bytes key)
{
    const struct words *fields = &self->self->job->index;
    struct stored_record stored = {.json = {.data = NULL}};
    struct bytes value;
    if (fields->count == 0)
        return ERR_OK;
    if (change->op != SB__OP__OP_CREATED) {
        enum err err = store_get(txn, TABLE_RECORDS, key, &value);
        if (err == ERR_OK)
            err = delta_read_record(key, value, &stored);
        if (err == ERR_OK)
            err = delta_find_json(txn, &stored);
        if (err != ERR_OK)
            return err;
    }
    return record_index_move(txn, fields, key, stored.json, change->json);
}

enum err commit_change(struct commit *self, struct store_txn *txn, const struct change *change)
{
    uint8_t room[RECORD_STORE_KEY_SIZE];
    const struct bytes key = record_store_key(change->key, room);
    const uint64_t seq = ++self->entity->last_seq;
    uint64_t id = change->id;
    enum err err = move_indexes(self, txn, change, key);
    if (err != ERR_OK)
        return err;
    if (change->op == SB__OP__OP_DELETED) {
        err = delete_record(self, txn, key, id);
    } else {
        self->created += change->op == SB__OP__OP_CREATED;
        self->changed += change->op == SB__OP__OP_CHANGED;
        if (change->op == SB__OP__OP_CREATED)
            err = take_id(self, txn, &id);
        if (err == ERR_OK)
            err = put_record(txn, change, key, id, seq);
    }
    return err == ERR_OK ? put_item(self, txn, change, seq) : err;
}

// ---------------------------------------------------------------- the whole

enum err commit_begin(struct commit *self, struct store_txn *txn)
{
    self->first = self->entity->last_seq + 1;
    buffer_init(&self->item, 4 * (size_t)RECORD_SIZE_MAX);
    buffer_init(&self->record, 2 * (size_t)RECORD_SIZE_MAX);
    return store_count(txn, TABLE_FREE, &self->free_ids);
}

void commit_end(struct commit *self)
{
    buffer_free(&self->item);
    buffer_free(&self->record);
}

enum err commit_publication(const struct commit *self, struct store_txn *txn)
{
    uint8_t room[8];
    Sb__Change change = SB__CHANGE__INIT;
    if (self->entity->last_seq < self->first)
        return ERR_OK;
    change.entity = self->self->job->name;
    change.run = self->run;
    change.first = self->first;
    change.last = self->entity->last_seq;
    change.created = self->created;
    change.changed = self->changed;
    change.deleted = self->deleted;
    change.feed = self->self->feed;
    return delta_put_message(txn, TABLE_PUBLICATIONS, store_number(self->first, room), &change.base);
}
