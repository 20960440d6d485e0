#include "services/sync/record_index.h"

#include <string.h>

static enum err put_entry(struct store_txn *txn, const uint8_t *prefix, struct bytes store_key)
{
    uint8_t room[STORE_KEY_MAX];
    const struct bytes whole = {.data = prefix, .size = INDEX_PREFIX_SIZE};
    const struct bytes empty = {.data = "", .size = 0};
    return store_put(txn, TABLE_INDEX, index_entry(whole, store_key, room),
                     store_key.size <= INDEX_KEY_MAX ? empty : store_key);
}

static enum err delete_entry(struct store_txn *txn, const uint8_t *prefix, struct bytes store_key)
{
    uint8_t room[STORE_KEY_MAX];
    const struct bytes whole = {.data = prefix, .size = INDEX_PREFIX_SIZE};
    const enum err err = store_delete(txn, TABLE_INDEX, index_entry(whole, store_key, room));
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err; // it was put with the record
}

enum err record_index_move(struct store_txn *txn, const struct words *fields, struct bytes store_key,
                           struct bytes old_json, struct bytes new_json)
{
    struct index_values before;
    struct index_values after;
    struct buffer scratch;
    if (fields->count == 0)
        return ERR_OK;
    buffer_init(&scratch, 2 * (size_t)RECORD_SIZE_MAX);
    enum err err = index_values_read(fields, old_json, &scratch, &before);
    if (err == ERR_OK)
        err = index_values_read(fields, new_json, &scratch, &after);
    for (size_t i = 0; i < fields->count && err == ERR_OK; i++) {
        if (before.there[i] && after.there[i] &&
            memcmp(before.prefix[i], after.prefix[i], INDEX_PREFIX_SIZE) == 0)
            continue;
        if (before.there[i])
            err = delete_entry(txn, before.prefix[i], store_key);
        if (err == ERR_OK && after.there[i])
            err = put_entry(txn, after.prefix[i], store_key);
    }
    buffer_free(&scratch);
    return err;
}

// ---------------------------------------------------------------- building

enum err record_index_build(struct store_txn *txn, const struct words *fields)
{
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    struct buffer scratch;
    buffer_init(&scratch, 2 * (size_t)RECORD_SIZE_MAX);
    enum err err = store_clear(txn, TABLE_INDEX);
    if (err == ERR_OK)
        err = store_scan_begin(txn, TABLE_RECORDS, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, (struct bytes){.data = NULL}, &key, &value);
    for (; err == ERR_OK && fields->count > 0; err = store_scan_next(scan, &key, &value)) {
        struct stored_record stored;
        struct index_values values;
        uint8_t room[STORE_KEY_MAX]; // the key may not outlive a write
        memcpy(room, key.data, key.size);
        const struct bytes own = {.data = room, .size = key.size};
        err = delta_read_record(key, value, &stored);
        if (err == ERR_OK)
            err = delta_find_json(txn, &stored);
        if (err == ERR_OK)
            err = index_values_read(fields, stored.json, &scratch, &values);
        for (size_t i = 0; i < fields->count && err == ERR_OK; i++)
            if (values.there[i])
                err = put_entry(txn, values.prefix[i], own);
        if (err != ERR_OK)
            break;
    }
    store_scan_end(&scan);
    buffer_free(&scratch);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
