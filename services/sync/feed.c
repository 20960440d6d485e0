#include "services/sync/feed.h"

#include "proto/wire.h"
#include "services/sync/delta_store.h"
#include "services/sync/pack.h"
#include "services/sync/record_index.h"

#include <stdlib.h>
#include <string.h>

// The field under which each list has its entries.
enum { ENTRIES = 1 };

// A call under way: all its answers come from one state of the store.
struct call {
    const struct delta *self;
    struct store_txn *txn; // that state
    const uint8_t *body;   // the question
    size_t body_size;      // bytes
    struct buffer *ret;    // the answer
    struct buffer scratch; // a key, or an entry of the answer
    struct fault *fault;
};

// Reads the question as the given message, which the caller frees.
static enum err read_query(struct call *call, const ProtobufCMessageDescriptor *type, void *ret)
{
    return wire_unpack(type, call->body, call->body_size, ret, call->fault);
}

static uint32_t limit_of(uint32_t asked)
{
    if (asked == 0)
        return FEED_LIMIT_DEFAULT;
    return asked < FEED_LIMIT_MAX ? asked : FEED_LIMIT_MAX;
}

// Adds an entry while there is room; false: the answer is full.
static bool add_entry(struct call *call, struct bytes entry, uint32_t limit, uint32_t *count,
                      enum err *ret_err)
{
    const bool room = *count == 0 || call->ret->size + entry.size + 16 <= FEED_ANSWER_MAX;
    if (*count == limit || !room)
        return false;
    *ret_err = pack_bytes(call->ret, ENTRIES, entry);
    (*count)++;
    return *ret_err == ERR_OK;
}

static struct bytes scratch_bytes(const struct call *call)
{
    return (struct bytes){.data = call->scratch.data, .size = call->scratch.size};
}

// ---------------------------------------------------------------- records

// Packs an entry of the table of records.
static enum err pack_stored(const struct call *call, struct bytes key, struct bytes value, struct buffer *ret)
{
    struct stored_record stored;
    enum err err = delta_read_record(key, value, &stored);
    if (err == ERR_OK)
        err = delta_find_json(call->txn, &stored);
    return err == ERR_OK
               ? pack_record(ret, stored.key, stored.json,
                             (struct bytes){.data = stored.hash, .size = RECORD_HASH_SIZE}, stored.seq)
               : err;
}

static enum err answer_get(struct call *call)
{
    Sb__RecordKey *query = NULL;
    enum err err = read_query(call, &sb__record_key__descriptor, &query);
    if (err != ERR_OK)
        return err;
    err = record_key_of(query->key, query->n_key, &call->self->job->key, &call->scratch, call->fault);
    sb__record_key__free_unpacked(query, NULL);
    if (err != ERR_OK)
        return err == ERR_NO_MEMORY ? err : ERR_INVALID;
    uint8_t room[RECORD_STORE_KEY_SIZE];
    struct bytes value;
    const struct bytes key = record_store_key(scratch_bytes(call), room);
    err = store_get(call->txn, TABLE_RECORDS, key, &value);
    if (err == ERR_NOT_FOUND)
        return fault_set(call->fault, err, "%s has no such record", call->self->job->name);
    return err == ERR_OK ? pack_stored(call, key, value, call->ret) : err;
}

// Gives the records from `from` on, but not `after` itself.
static enum err list_from(struct call *call, struct bytes after, uint32_t limit, bool *ret_more)
{
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    uint32_t count = 0;
    enum err err = store_scan_begin(call->txn, TABLE_RECORDS, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, after, &key, &value);
    if (err == ERR_OK && key.size == after.size && memcmp(key.data, after.data, key.size) == 0)
        err = store_scan_next(scan, &key, &value);
    struct buffer record;
    buffer_init(&record, 2 * (size_t)RECORD_SIZE_MAX);
    for (; err == ERR_OK; err = store_scan_next(scan, &key, &value)) {
        buffer_clear(&record);
        err = pack_stored(call, key, value, &record);
        if (err != ERR_OK)
            break;
        const struct bytes entry = {.data = record.data, .size = record.size};
        if (!add_entry(call, entry, limit, &count, &err)) {
            *ret_more = true;
            break;
        }
    }
    buffer_free(&record);
    store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err last_seq(struct call *call, uint64_t *ret)
{
    Sb__StoredEntity *entity = NULL;
    const enum err err = delta_read_entity(call->txn, &entity, call->fault);
    if (err != ERR_OK)
        return err;
    *ret = entity->last_seq;
    sb__stored_entity__free_unpacked(entity, NULL);
    return ERR_OK;
}

// The number of the index that a caller names.
static enum err find_index(struct call *call, const char *name, size_t *ret)
{
    const struct words *index = &call->self->job->index;
    for (size_t i = 0; i < index->count; i++) {
        if (strcmp(index->items[i], name) == 0) {
            *ret = i;
            return ERR_OK;
        }
    }
    struct buffer names;
    buffer_init(&names, 256);
    enum err err = ERR_OK;
    for (size_t i = 0; i < index->count && err == ERR_OK; i++)
        err = buffer_print(&names, "%s%s", i > 0 ? ", " : "", index->items[i]);
    (void)fault_set(call->fault, ERR_INVALID, "%s has no index \"%.64s\"; it has %.*s", call->self->job->name,
                    name, names.size > 0 ? (int)names.size : 4, names.size > 0 ? names.data : "none");
    buffer_free(&names);
    return ERR_INVALID;
}

// Packs the record that an index names.
static enum err pack_indexed(struct call *call, struct bytes entry, struct bytes value, struct buffer *ret)
{
    struct bytes found;
    const struct bytes key = index_key(entry, value);
    buffer_clear(ret);
    enum err err = key.size > 0 ? store_get(call->txn, TABLE_RECORDS, key, &found) : ERR_CORRUPT;
    if (err == ERR_OK)
        err = pack_stored(call, key, found, ret);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

// Gives the records with one value of an index after the one whose store key is `after`.
static enum err list_indexed(struct call *call, struct bytes prefix, struct bytes after, uint32_t limit,
                             bool *ret_more)
{
    uint8_t room[STORE_KEY_MAX];
    struct store_scan *scan = NULL;
    struct bytes entry;
    struct bytes value;
    struct buffer record;
    uint32_t count = 0;
    const struct bytes from = after.size > 0 ? index_entry(prefix, after, room) : prefix;
    buffer_init(&record, 2 * (size_t)RECORD_SIZE_MAX);
    enum err err = store_scan_begin(call->txn, TABLE_INDEX, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, from, &entry, &value);
    if (err == ERR_OK && entry.size == from.size && memcmp(entry.data, from.data, from.size) == 0)
        err = store_scan_next(scan, &entry, &value);
    for (; err == ERR_OK; err = store_scan_next(scan, &entry, &value)) {
        if (entry.size < prefix.size || memcmp(entry.data, prefix.data, prefix.size) != 0)
            break;
        err = pack_indexed(call, entry, value, &record);
        if (err != ERR_OK)
            break;
        const struct bytes bytes = {.data = record.data, .size = record.size};
        if (!add_entry(call, bytes, limit, &count, &err)) {
            *ret_more = true;
            break;
        }
    }
    buffer_free(&record);
    store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err list_query(struct call *call, const Sb__RecordQuery *query, bool *ret_more)
{
    uint8_t room[RECORD_STORE_KEY_SIZE];
    uint8_t prefix[INDEX_PREFIX_SIZE];
    struct bytes after = {.data = NULL};
    size_t index = 0;
    enum err err = ERR_OK;
    if (query->n_after > 0) {
        err = record_key_of(query->after, query->n_after, &call->self->job->key, &call->scratch, call->fault);
        if (err != ERR_OK)
            return err == ERR_NO_MEMORY ? err : ERR_INVALID;
        after = record_store_key(scratch_bytes(call), room);
    }
    const struct bytes value = record_trim(query->value, strlen(query->value));
    const bool indexed = query->index[0] != '\0';
    if (indexed != (value.size > 0))
        return fault_set(call->fault, ERR_INVALID, "an index and a value go together");
    if (indexed)
        err = find_index(call, query->index, &index);
    if (err != ERR_OK || !indexed)
        return err != ERR_OK ? err : list_from(call, after, limit_of(query->limit), ret_more);
    return list_indexed(call, index_prefix(index, value, prefix), after, limit_of(query->limit), ret_more);
}

static enum err answer_list(struct call *call)
{
    Sb__RecordQuery *query = NULL;
    Sb__RecordList rest = SB__RECORD_LIST__INIT;
    bool more = false;
    enum err err = read_query(call, &sb__record_query__descriptor, &query);
    if (err != ERR_OK)
        return err;
    err = last_seq(call, &rest.last_seq);
    if (err == ERR_OK)
        err = list_query(call, query, &more);
    sb__record_query__free_unpacked(query, NULL);
    rest.more = more;
    return err == ERR_OK ? pack_message(call->ret, &rest.base) : err;
}

// ---------------------------------------------------------------- numbered entries

// Gives the entries of a table after a number, as they are stored.
static enum err numbered_after(struct call *call, unsigned table, uint64_t after, uint32_t limit,
                               bool *ret_more)
{
    if (after == UINT64_MAX)
        return ERR_OK;
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    uint8_t room[8];
    uint32_t count = 0;
    enum err err = store_scan_begin(call->txn, table, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, store_number(after + 1, room), &key, &value);
    for (; err == ERR_OK; err = store_scan_next(scan, &key, &value)) {
        if (!add_entry(call, value, limit, &count, &err)) {
            *ret_more = true;
            break;
        }
    }
    store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err answer_feed(struct call *call, const Sb__FeedQuery *query)
{
    Sb__FeedList rest = SB__FEED_LIST__INIT;
    bool more = false;
    rest.feed = call->self->feed;
    rest.compacted = query->feed != 0 && query->feed != call->self->feed;
    enum err err = last_seq(call, &rest.last_seq);
    if (err != ERR_OK)
        return err;
    rest.first_seq = rest.last_seq > 0 ? 1 : 0;
    if (!rest.compacted)
        err = numbered_after(call, TABLE_FEED, query->after, limit_of(query->limit), &more);
    return err == ERR_OK ? pack_message(call->ret, &rest.base) : err;
}

static enum err answer_rejects(struct call *call, const Sb__FeedQuery *query)
{
    Sb__RejectList rest = SB__REJECT_LIST__INIT;
    bool more = false;
    const enum err err = numbered_after(call, TABLE_REJECTS, query->after, limit_of(query->limit), &more);
    rest.more = more;
    return err == ERR_OK ? pack_message(call->ret, &rest.base) : err;
}

static enum err answer_numbered(struct call *call, bool rejects)
{
    Sb__FeedQuery *query = NULL;
    enum err err = read_query(call, &sb__feed_query__descriptor, &query);
    if (err != ERR_OK)
        return err;
    err = rejects ? answer_rejects(call, query) : answer_feed(call, query);
    sb__feed_query__free_unpacked(query, NULL);
    return err;
}

// ---------------------------------------------------------------- withheld deletions

// A Deletion: the record as it is stored, and since when it is missed.
static enum err pack_deletion(struct call *call, struct bytes key, struct bytes value, struct buffer *ret)
{
    enum { RECORD = 1, RUN = 2, SINCE = 3 };
    struct buffer *record = &call->scratch;
    struct bytes found;
    Sb__StoredDeletion *deletion = sb__stored_deletion__unpack(NULL, value.size, value.data);
    if (deletion == NULL)
        return ERR_CORRUPT;
    buffer_clear(record);
    buffer_clear(ret);
    enum err err = store_get(call->txn, TABLE_RECORDS, key, &found);
    if (err == ERR_OK)
        err = pack_stored(call, key, found, record);
    if (err == ERR_OK)
        err = pack_bytes(ret, RECORD, scratch_bytes(call));
    if (err == ERR_OK)
        err = pack_number(ret, RUN, deletion->run);
    if (err == ERR_OK)
        err = pack_number(ret, SINCE, (uint64_t)deletion->since_ms);
    sb__stored_deletion__free_unpacked(deletion, NULL);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err; // it names a record that is not there
}

static enum err withheld_after(struct call *call, struct bytes after, uint32_t limit, bool *ret_more)
{
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    struct buffer entry;
    uint32_t count = 0;
    buffer_init(&entry, 2 * (size_t)RECORD_SIZE_MAX + 64);
    enum err err = store_scan_begin(call->txn, TABLE_WITHHELD, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, after, &key, &value);
    if (err == ERR_OK && key.size == after.size && memcmp(key.data, after.data, key.size) == 0)
        err = store_scan_next(scan, &key, &value);
    for (; err == ERR_OK; err = store_scan_next(scan, &key, &value)) {
        err = pack_deletion(call, key, value, &entry);
        if (err != ERR_OK)
            break;
        const struct bytes bytes = {.data = entry.data, .size = entry.size};
        if (!add_entry(call, bytes, limit, &count, &err)) {
            *ret_more = true;
            break;
        }
    }
    buffer_free(&entry);
    store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err answer_deletions(struct call *call, const Sb__DeletionQuery *query, uint64_t released)
{
    uint8_t room[RECORD_STORE_KEY_SIZE];
    struct buffer whole;
    struct bytes after = {.data = NULL};
    Sb__StoredEntity *entity = NULL;
    Sb__DeletionList rest = SB__DELETION_LIST__INIT;
    bool more = false;
    enum err err = ERR_OK;
    buffer_init(&whole, RECORD_SIZE_MAX * 2);
    if (query->n_after > 0) {
        err = record_key_of(query->after, query->n_after, &call->self->job->key, &whole, call->fault);
        err = err == ERR_OK || err == ERR_NO_MEMORY ? err : ERR_INVALID;
        after = record_store_key((struct bytes){.data = whole.data, .size = whole.size}, room);
    }
    if (err == ERR_OK)
        err = delta_read_entity(call->txn, &entity, call->fault);
    if (err == ERR_OK) {
        rest.guarded = entity->guarded;
        rest.list = entity->withheld_list;
        rest.last_seq = entity->last_seq;
        rest.released = released;
        rest.note = entity->note;
        err = store_count(call->txn, TABLE_WITHHELD, &rest.withheld);
    }
    if (err == ERR_OK)
        err = withheld_after(call, after, limit_of(query->limit), &more);
    rest.more = more;
    buffer_free(&whole);
    err = err == ERR_OK ? pack_message(call->ret, &rest.base) : err;
    if (entity != NULL)
        sb__stored_entity__free_unpacked(entity, NULL);
    return err;
}

// ---------------------------------------------------------------- calls

static enum err answer(struct call *call, const char *method)
{
    if (strcmp(method, "get") == 0)
        return answer_get(call);
    if (strcmp(method, "list") == 0)
        return answer_list(call);
    if (strcmp(method, "feed") == 0 || strcmp(method, "rejects") == 0)
        return answer_numbered(call, method[0] == 'r');
    return fault_set(call->fault, ERR_INVALID, "%s answers get, list, feed, rejects and deletions, not %.40s",
                     call->self->job->name, method);
}

// Answers from one state of the store.
static enum err answer_read(struct call *call, const char *method, const Sb__DeletionQuery *deletions,
                            uint64_t released)
{
    enum err err = store_read(call->self->store, &call->txn, call->fault);
    if (err == ERR_OK)
        err = deletions != NULL ? answer_deletions(call, deletions, released) : answer(call, method);
    store_end(&call->txn);
    return err;
}

// The one call that may write: first that, so that the answer shows what came of it.
static enum err answer_deletion_query(struct delta *self, struct call *call)
{
    Sb__DeletionQuery *query = NULL;
    uint64_t released = 0;
    enum err err = read_query(call, &sb__deletion_query__descriptor, &query);
    if (err != ERR_OK)
        return err;
    if (query->release)
        err = delta_release(self, query->by, query->list, &released, call->fault);
    if (err == ERR_OK)
        err = answer_read(call, NULL, query, released);
    sb__deletion_query__free_unpacked(query, NULL);
    return err;
}

enum err feed_call(struct delta *self, const char *method, const void *body, size_t body_size,
                   struct buffer *ret, struct fault *fault)
{
    const size_t before = ret->size;
    struct fault found = {.err = ERR_OK};
    struct call call = {.self = self, .body = body, .body_size = body_size, .ret = ret, .fault = &found};
    buffer_init(&call.scratch, RECORD_SIZE_MAX * 2);
    const enum err err = strcmp(method, "deletions") == 0 ? answer_deletion_query(self, &call)
                                                          : answer_read(&call, method, NULL, 0);
    buffer_free(&call.scratch);
    if (err == ERR_OK)
        return ERR_OK;
    ret->size = before;
    return fault_set(fault, err, "%s", found.err != ERR_OK ? found.text : err_text(err));
}
