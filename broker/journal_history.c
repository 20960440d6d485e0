#include "broker/journal_history.h"

#include "broker/stored.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// A growing list of recovered records.
struct recovered {
    struct core_record *items; // owned until given away
    size_t count;
    size_t capacity;
};

static enum err add_recovered(struct recovered *list, enum core_table table, struct bytes key,
                              ProtobufCMessage *value, struct fault *fault)
{
    if (key.size > CORE_KEY_MAX) {
        protobuf_c_message_free_unpacked(value, NULL);
        return fault_set(fault, ERR_CORRUPT, "the journal holds a key of %zu bytes", key.size);
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        struct core_record *items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL) {
            protobuf_c_message_free_unpacked(value, NULL);
            return fault_set(fault, ERR_NO_MEMORY, "no memory for the journal's %zu entries", list->count);
        }
        list->items = items;
        list->capacity = capacity;
    }
    struct core_record *record = &list->items[list->count++];
    *record = (struct core_record){.table = table, .key_size = key.size, .value = value};
    memcpy(record->key, key.data, key.size);
    return ERR_OK;
}

static bool is_needed(enum core_table table, const ProtobufCMessage *value)
{
    if (table != CORE_TABLE_RUN)
        return true;
    const Sb__StoredRun *run = (const Sb__StoredRun *)value;
    return run->run != NULL && run->run->ended_ms == 0;
}

static enum err recover_table(struct store_txn *txn, enum core_table table, struct recovered *list,
                              struct fault *fault)
{
    struct store_scan *scan = NULL;
    struct bytes key, value;
    enum err err = store_scan_begin(txn, table, &scan);
    if (err != ERR_OK)
        return fault_set(fault, err, "the journal cannot be read: %s", err_text(err));
    for (err = store_scan_seek(scan, (struct bytes){0}, &key, &value); err == ERR_OK;
         err = store_scan_next(scan, &key, &value)) {
        ProtobufCMessage *message = NULL;
        err = stored_read(table, value.data, value.size, &message, fault);
        if (err == ERR_OK && is_needed(table, message))
            err = add_recovered(list, table, key, message, fault);
        else if (err == ERR_OK)
            protobuf_c_message_free_unpacked(message, NULL);
        if (err != ERR_OK)
            goto end;
    }
    err = err == ERR_NOT_FOUND ? ERR_OK
                               : fault_set(fault, err, "the journal cannot be read: %s", err_text(err));
end:
    store_scan_end(&scan);
    return err;
}

enum err journal_recover_in(struct store_txn *txn, struct core_record **ret, size_t *ret_count,
                            struct fault *fault)
{
    static const enum core_table needed[] = {CORE_TABLE_META,  CORE_TABLE_JOB,      CORE_TABLE_OWNER,
                                             CORE_TABLE_LEASE, CORE_TABLE_RUN,      CORE_TABLE_HOLD,
                                             CORE_TABLE_ALERT, CORE_TABLE_RESOURCE, CORE_TABLE_FIGURES};
    struct recovered list = {0};
    enum err err = ERR_OK;
    for (size_t i = 0; i < sizeof needed / sizeof *needed && err == ERR_OK; i++)
        err = recover_table(txn, needed[i], &list, fault);
    if (err != ERR_OK) {
        journal_recovered_free(list.items, list.count);
        return err;
    }
    *ret = list.items;
    *ret_count = list.count;
    return ERR_OK;
}

void journal_recovered_free(struct core_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        protobuf_c_message_free_unpacked((ProtobufCMessage *)records[i].value, NULL);
    free(records);
}

// The job, or resource, that an entry is about; NULL where entries are about none.
static const char *subject_of(enum core_table table, const ProtobufCMessage *value)
{
    if (table == CORE_TABLE_RUN) {
        const Sb__StoredRun *run = (const Sb__StoredRun *)value;
        return run->run == NULL ? NULL : run->run->job;
    }
    if (table == CORE_TABLE_LEDGER) {
        const Sb__StoredLedgerEntry *entry = (const Sb__StoredLedgerEntry *)value;
        return entry->entry == NULL ? NULL : entry->entry->job;
    }
    if (table == CORE_TABLE_PAUSE) {
        const Sb__StoredPause *pause = (const Sb__StoredPause *)value;
        return pause->pause == NULL ? NULL : pause->pause->resource;
    }
    return NULL;
}

static int compare(const void *a, size_t a_size, const void *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

// Keeps the newest values of [from, to) that the look-up wants, from the key before `to` downwards.
static enum err collect(struct store_scan *scan, const struct core_read *read, ProtobufCMessage **values,
                        size_t *ret_count, struct fault *fault)
{
    struct bytes key, value, to = {read->to, read->to_size};
    size_t count = 0, looked_at = 0;
    enum err err = store_scan_last(scan, to, &key, &value);
    if (err == ERR_OK && to.size > 0 && compare(key.data, key.size, to.data, to.size) == 0)
        err = store_scan_previous(scan, &key, &value);
    while (err == ERR_OK && count < read->limit && looked_at < READ_LOOKED_AT_MAX &&
           compare(key.data, key.size, read->from, read->from_size) >= 0) {
        ProtobufCMessage *message = NULL;
        err = stored_read(read->table, value.data, value.size, &message, fault);
        if (err != ERR_OK)
            break;
        const char *job = read->job == NULL ? NULL : subject_of(read->table, message);
        looked_at++;
        if (read->job == NULL || (job != NULL && strcmp(job, read->job) == 0))
            values[count++] = message;
        else
            protobuf_c_message_free_unpacked(message, NULL);
        err = store_scan_previous(scan, &key, &value);
    }
    *ret_count = count;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err journal_read_in(struct store_txn *txn, const struct core_read *read, ProtobufCMessage ***ret,
                         size_t *ret_count, struct fault *fault)
{
    struct store_scan *scan = NULL;
    size_t count = 0;
    assert(read->table < CORE_TABLE_COUNT);
    ProtobufCMessage **values = calloc((size_t)read->limit + 1, sizeof(ProtobufCMessage *));
    if (values == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "no memory for %u entries of the journal", read->limit);
    enum err err = store_scan_begin(txn, read->table, &scan);
    if (err == ERR_OK)
        err = collect(scan, read, values, &count, fault);
    store_scan_end(&scan);
    if (err != ERR_OK) {
        journal_values_free(values, count);
        return fault_set(fault, err, "the journal cannot be read: %s", err_text(err));
    }
    *ret = values;
    *ret_count = count;
    return ERR_OK;
}

void journal_values_free(ProtobufCMessage **values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        protobuf_c_message_free_unpacked(values[i], NULL);
    free(values);
}

// When an entry of the history ended, Unix ms; 0 while it has not.
static int64_t ended_ms(enum core_table table, const ProtobufCMessage *value)
{
    switch (table) {
    case CORE_TABLE_RUN: {
        const Sb__StoredRun *run = (const Sb__StoredRun *)value;
        return run->run == NULL ? 0 : run->run->ended_ms;
    }
    case CORE_TABLE_LEDGER: {
        const Sb__StoredLedgerEntry *entry = (const Sb__StoredLedgerEntry *)value;
        return entry->entry == NULL ? 0 : entry->entry->slot_ms;
    }
    case CORE_TABLE_PAUSE: {
        const Sb__StoredPause *pause = (const Sb__StoredPause *)value;
        return pause->pause == NULL ? 0 : pause->pause->time_ms;
    }
    default: return 0;
    }
}

// Keys that are to be deleted: a scan must not go on over what is deleted under it.
struct doomed {
    uint8_t keys[PRUNE_BATCH][CORE_KEY_MAX];
    size_t sizes[PRUNE_BATCH];
    size_t count;
};

static enum err find_doomed(struct store_txn *txn, enum core_table table, int64_t before_ms,
                            struct doomed *doomed, struct fault *fault)
{
    struct store_scan *scan = NULL;
    struct bytes key, value;
    enum err err = store_scan_begin(txn, table, &scan);
    if (err != ERR_OK)
        return err;
    for (err = store_scan_seek(scan, (struct bytes){0}, &key, &value);
         err == ERR_OK && doomed->count < PRUNE_BATCH; err = store_scan_next(scan, &key, &value)) {
        ProtobufCMessage *message = NULL;
        err = stored_read(table, value.data, value.size, &message, fault);
        if (err != ERR_OK)
            break;
        int64_t ended = ended_ms(table, message);
        protobuf_c_message_free_unpacked(message, NULL);
        if (ended == 0 || ended >= before_ms || key.size > CORE_KEY_MAX)
            continue;
        memcpy(doomed->keys[doomed->count], key.data, key.size);
        doomed->sizes[doomed->count++] = key.size;
    }
    store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err journal_prune_some(struct store_txn *txn, void *arg, struct fault *fault)
{
    static const enum core_table history[] = {CORE_TABLE_RUN, CORE_TABLE_LEDGER, CORE_TABLE_PAUSE};
    struct prune *prune = arg;
    struct doomed *doomed = malloc(sizeof *doomed);
    enum err err = ERR_OK;
    if (doomed == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "no memory to prune the journal");
    prune->deleted = 0;
    for (size_t i = 0; i < sizeof history / sizeof *history && err == ERR_OK; i++) {
        doomed->count = 0;
        err = find_doomed(txn, history[i], prune->before_ms, doomed, fault);
        for (size_t key = 0; key < doomed->count && err == ERR_OK; key++)
            err = store_delete(txn, history[i], (struct bytes){doomed->keys[key], doomed->sizes[key]});
        prune->deleted += doomed->count;
    }
    free(doomed);
    return err;
}
