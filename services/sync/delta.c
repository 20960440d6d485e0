#include "services/sync/delta.h"

#include "proto/io/clock.h"
#include "services/sync/delta_store.h"
#include "services/sync/pack.h"
#include "services/sync/record_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAP_SIZE     ((uint64_t)64 << 20)
#define MAP_SIZE_MAX ((uint64_t)1 << 40)

static const char *const tables[DELTA_TABLE_COUNT] = {
    "meta", "records", "feed", "rejects", "results", "publications", "free", "withheld", "index"};
static const struct bytes entity_key = {.data = "entity", .size = 6};

enum { RECORD_HEAD_SIZE = RECORD_HASH_SIZE + 8 + 8 + 4 };

// ---------------------------------------------------------------- entries

enum err delta_read_record(struct bytes key, struct bytes value, struct stored_record *ret)
{
    const uint8_t *data = value.data;
    uint32_t key_size;
    if (value.size < RECORD_HEAD_SIZE)
        return ERR_CORRUPT;
    memcpy(&key_size, data + RECORD_HASH_SIZE + 16, sizeof key_size);
    if (key_size > value.size - RECORD_HEAD_SIZE)
        return ERR_CORRUPT;
    ret->hash = data;
    memcpy(&ret->id, data + RECORD_HASH_SIZE, sizeof ret->id);
    memcpy(&ret->seq, data + RECORD_HASH_SIZE + 8, sizeof ret->seq);
    ret->key = key_size == 0 ? key : (struct bytes){.data = data + RECORD_HEAD_SIZE, .size = key_size};
    ret->json = (struct bytes){.data = NULL};
    return ERR_OK;
}

enum err delta_find_json(struct store_txn *txn, struct stored_record *record)
{
    enum { ITEM_RECORD = 3, RECORD_TEXT = 2 };
    uint8_t room[8];
    struct bytes item;
    struct bytes json;
    enum err err = store_get(txn, TABLE_FEED, store_number(record->seq, room), &item);
    if (err == ERR_OK)
        err = pack_find(item, ITEM_RECORD, &json);
    if (err == ERR_OK)
        err = pack_find(json, RECORD_TEXT, &json);
    if (err == ERR_OK)
        record->json = json;
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err; // the feed has what the record names
}

enum err delta_read_entity(struct store_txn *txn, Sb__StoredEntity **ret, struct fault *fault)
{
    struct bytes value;
    enum err err = store_get(txn, TABLE_META, entity_key, &value);
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? err : fault_set(fault, err, "the store: %s", err_text(err));
    Sb__StoredEntity *entity = sb__stored_entity__unpack(NULL, value.size, value.data);
    if (entity == NULL)
        return fault_set(fault, ERR_CORRUPT, "the store's own entry is damaged");
    *ret = entity;
    return ERR_OK;
}

enum err delta_put_message(struct store_txn *txn, unsigned table, struct bytes key,
                           const ProtobufCMessage *message)
{
    void *place = NULL;
    const enum err err = store_reserve(txn, table, key, protobuf_c_message_get_packed_size(message), &place);
    if (err == ERR_OK)
        (void)protobuf_c_message_pack(message, place);
    return err;
}

enum err delta_put_entity(struct store_txn *txn, const Sb__StoredEntity *entity)
{
    return delta_put_message(txn, TABLE_META, entity_key, &entity->base);
}

enum err delta_make_room(struct delta *self, uint64_t size, struct fault *fault)
{
    (void)pthread_mutex_lock(&self->write);
    const enum err err = store_make_room(self->store, size, fault);
    (void)pthread_mutex_unlock(&self->write);
    return err;
}

enum err delta_write(struct delta *self, store_body *body, void *arg, struct fault *fault)
{
    (void)pthread_mutex_lock(&self->write);
    const enum err err = store_write(self->store, body, arg, fault);
    (void)pthread_mutex_unlock(&self->write);
    return err;
}

// A result's key: run, then attempt, so that the oldest is reported first.
static struct bytes result_key(uint64_t run, uint32_t attempt, uint8_t key[16])
{
    (void)store_number(run, key);
    (void)store_number(attempt, key + 8);
    return (struct bytes){.data = key, .size = 16};
}

enum err delta_put_result(struct store_txn *txn, const struct delta *self, const struct delta_run *run,
                          Sb__Result *result, Sb__StoredEntity *entity)
{
    if (run->run == 0)
        return ERR_OK;
    uint8_t key[16];
    Sb__Report report = SB__REPORT__INIT;
    report.run = run->run;
    report.attempt = run->attempt;
    report.job = self->job->name;
    report.result = result;
    entity->last_run = run->run;
    entity->last_attempt = run->attempt;
    return delta_put_message(txn, TABLE_RESULTS, result_key(run->run, run->attempt, key), &report.base);
}

// ---------------------------------------------------------------- opening

static enum err make_entity(struct store_txn *txn, void *arg, struct fault *fault)
{
    struct delta *self = arg;
    Sb__StoredEntity entity = SB__STORED_ENTITY__INIT;
    (void)fault;
    entity.feed = clock_entropy();
    entity.ids_end = 1;
    entity.form = DELTA_FORM;
    entity.n_key = self->job->key.count;
    entity.key = self->job->key.items;
    entity.n_index = self->job->index.count;
    entity.index = self->job->index.items;
    self->feed = entity.feed;
    return delta_put_entity(txn, &entity);
}

static bool are_same(char *const *stored, size_t count, const struct words *words)
{
    bool same = count == words->count;
    for (size_t i = 0; i < words->count && same; i++)
        same = strcmp(stored[i], words->items[i]) == 0;
    return same;
}

// The job's indexes in place of those that the store had, and the form that is written from now on; the body
// may run again.
static enum err renew_entity(struct store_txn *txn, void *arg, struct fault *fault)
{
    struct delta *self = arg;
    Sb__StoredEntity *entity = NULL;
    enum err err = delta_read_entity(txn, &entity, fault);
    if (err != ERR_OK)
        return err;
    Sb__StoredEntity changed = *entity;
    changed.n_index = self->job->index.count;
    changed.index = self->job->index.items;
    changed.form = DELTA_FORM;
    err = record_index_build(txn, &self->job->index);
    if (err == ERR_OK)
        err = delta_put_entity(txn, &changed);
    sb__stored_entity__free_unpacked(entity, NULL);
    return err == ERR_OK
               ? err
               : fault_set(fault, err, "%s: the indexes cannot be made: %s", self->job->data, err_text(err));
}

static enum err check_entity(struct delta *self, const Sb__StoredEntity *entity, struct fault *fault)
{
    if (entity->form > DELTA_FORM)
        return fault_set(
            fault, ERR_REFUSED,
            "%s was written by a later version of this program (form %u, not %d); run that one, or "
            "move the directory away to begin anew",
            self->job->data, entity->form, DELTA_FORM);
    if (!are_same(entity->key, entity->n_key, &self->job->key))
        return fault_set(
            fault, ERR_REFUSED,
            "%s was made for another key (%zu fields, the first is %s); give the old `key` back, or "
            "move the directory away to begin anew",
            self->job->data, entity->n_key, entity->n_key > 0 ? entity->key[0] : "none");
    self->feed = entity->feed;
    return entity->form == DELTA_FORM && are_same(entity->index, entity->n_index, &self->job->index)
               ? ERR_OK
               : delta_write(self, renew_entity, self, fault);
}

static enum err open_entity(struct delta *self, struct fault *fault)
{
    struct store_txn *txn = NULL;
    Sb__StoredEntity *entity = NULL;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = delta_read_entity(txn, &entity, fault);
    store_end(&txn);
    if (err == ERR_OK)
        err = check_entity(self, entity, fault);
    else if (err == ERR_NOT_FOUND)
        err = delta_write(self, make_entity, self, fault);
    if (entity != NULL)
        sb__stored_entity__free_unpacked(entity, NULL);
    return err;
}

enum err delta_open(const struct config_job *job, struct delta **ret, struct fault *fault)
{
    const struct store_options options = {.tables = tables,
                                          .table_count = DELTA_TABLE_COUNT,
                                          .map_size = MAP_SIZE,
                                          .map_size_max = MAP_SIZE_MAX};
    if (job->key.count == 0 || job->key.count > RECORD_KEY_PARTS_MAX)
        return fault_set(fault, ERR_INVALID, "%s: a key has 1 to %d fields", job->name, RECORD_KEY_PARTS_MAX);
    assert(job->index.count <= CONFIG_INDEXES_MAX);
    struct delta *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "%s: %s", job->data, err_text(ERR_NO_MEMORY));
    self->job = job;
    (void)pthread_mutex_init(&self->write, NULL);
    enum err err = store_open(job->data, &options, &self->store, fault);
    if (err == ERR_OK)
        err = open_entity(self, fault);
    if (err != ERR_OK)
        delta_close(&self);
    else
        *ret = self;
    return err;
}

void delta_close(struct delta **self_p)
{
    struct delta *self = *self_p;
    if (self == NULL)
        return;
    store_close(&self->store);
    (void)pthread_mutex_destroy(&self->write);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- results

struct failure {
    const struct delta *self;    // whose
    const struct delta_run *run; // that failed
    Sb__Result *result;          // of it
};

static enum err put_failure(struct store_txn *txn, void *arg, struct fault *fault)
{
    const struct failure *failure = arg;
    Sb__StoredEntity *entity = NULL;
    enum err err = delta_read_entity(txn, &entity, fault);
    if (err != ERR_OK)
        return err;
    failure->result->last_seq = entity->last_seq;
    err = delta_put_result(txn, failure->self, failure->run, failure->result, entity);
    if (err == ERR_OK)
        err = delta_put_entity(txn, entity);
    sb__stored_entity__free_unpacked(entity, NULL);
    return err;
}

enum err delta_fail(struct delta *self, const struct delta_run *run, struct fault *fault)
{
    if (run->run == 0)
        return ERR_OK;
    struct fault reason = run->fault; // the message wants text that it could change
    Sb__Result result = SB__RESULT__INIT;
    result.error = reason.text;
    result.started_ms = run->started_ms;
    result.ended_ms = clock_wall_ms();
    result.fetch_ms = run->fetch_ms;
    result.bytes = run->bytes;
    result.yields = run->yields;
    result.feed = self->feed;
    result.over_rejects = run->over_rejects;
    struct failure failure = {.self = self, .run = run, .result = &result};
    return delta_write(self, put_failure, &failure, fault);
}

enum err delta_last_run(struct delta *self, uint64_t *ret_run, uint32_t *ret_attempt, struct fault *fault)
{
    struct store_txn *txn = NULL;
    Sb__StoredEntity *entity = NULL;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = delta_read_entity(txn, &entity, fault);
    store_end(&txn);
    if (err != ERR_OK)
        return err;
    *ret_run = entity->last_run;
    *ret_attempt = entity->last_attempt;
    sb__stored_entity__free_unpacked(entity, NULL);
    return ERR_OK;
}

// The first entry of a table as a message.
static enum err first_message(struct delta *self, unsigned table, const ProtobufCMessageDescriptor *type,
                              ProtobufCMessage **ret, struct fault *fault)
{
    struct store_txn *txn = NULL;
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = store_scan_begin(txn, table, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, (struct bytes){.data = NULL}, &key, &value);
    if (err == ERR_OK) {
        ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, value.size, value.data);
        if (message == NULL)
            err = fault_set(fault, ERR_CORRUPT, "%s: a stored %s is damaged", self->job->data, type->name);
        else
            *ret = message;
    } else if (err != ERR_NOT_FOUND) {
        err = fault_set(fault, err, "%s: %s", self->job->data, err_text(err));
    }
    store_scan_end(&scan);
    store_end(&txn);
    return err;
}

enum err delta_next_report(struct delta *self, Sb__Report **ret, struct fault *fault)
{
    return first_message(self, TABLE_RESULTS, &sb__report__descriptor, (ProtobufCMessage **)ret, fault);
}

enum err delta_next_change(struct delta *self, Sb__Change **ret, struct fault *fault)
{
    return first_message(self, TABLE_PUBLICATIONS, &sb__change__descriptor, (ProtobufCMessage **)ret, fault);
}

// An entry that is not wanted any more.
struct removal {
    unsigned table;   // of the entry
    struct bytes key; // its key
};

static enum err remove_entry(struct store_txn *txn, void *arg, struct fault *fault)
{
    (void)fault;
    const struct removal *removal = arg;
    const enum err err = store_delete(txn, removal->table, removal->key);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err delta_acknowledge(struct delta *self, uint64_t run, uint32_t attempt, struct fault *fault)
{
    uint8_t key[16];
    struct removal removal = {.table = TABLE_RESULTS, .key = result_key(run, attempt, key)};
    return delta_write(self, remove_entry, &removal, fault);
}

enum err delta_published(struct delta *self, uint64_t first, struct fault *fault)
{
    uint8_t key[8];
    struct removal removal = {.table = TABLE_PUBLICATIONS, .key = store_number(first, key)};
    return delta_write(self, remove_entry, &removal, fault);
}

enum err delta_head(struct delta *self, Sb__Change *ret, struct fault *fault)
{
    struct store_txn *txn = NULL;
    Sb__StoredEntity *entity = NULL;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = delta_read_entity(txn, &entity, fault);
    store_end(&txn);
    if (err != ERR_OK)
        return err;
    *ret = (Sb__Change)SB__CHANGE__INIT;
    ret->entity = self->job->name;
    ret->last = entity->last_seq;
    ret->feed = self->feed;
    sb__stored_entity__free_unpacked(entity, NULL);
    return ERR_OK;
}
