#include "services/sync/record_index.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

enum {
    PREFIX = RECORD_INDEX_PREFIX_SIZE,
    KEY_MAX = STORE_KEY_MAX - PREFIX, // a longer key stands as a hash in its entry, and whole in its value
};

// What one record has at each indexed field.
struct values {
    const struct words *fields;
    bool there[CONFIG_INDEXES_MAX];             // it has a value
    uint8_t prefix[CONFIG_INDEXES_MAX][PREFIX]; // of the value's entries
};

struct bytes record_index_prefix(size_t field, struct bytes value, uint8_t room[RECORD_INDEX_PREFIX_SIZE])
{
    XXH128_canonical_t hash;
    assert(field < CONFIG_INDEXES_MAX);
    XXH128_canonicalFromHash(&hash, XXH3_128bits(value.data, value.size));
    room[0] = (uint8_t)(field >> 8);
    room[1] = (uint8_t)field;
    static_assert(sizeof hash.digest == PREFIX - 2, "the hash fills its place");
    memcpy(room + 2, hash.digest, sizeof hash.digest);
    return (struct bytes){.data = room, .size = PREFIX};
}

struct bytes record_index_entry(struct bytes prefix, struct bytes store_key, uint8_t room[STORE_KEY_MAX])
{
    assert(prefix.size == PREFIX);
    memcpy(room, prefix.data, PREFIX);
    if (store_key.size <= KEY_MAX) {
        memcpy(room + PREFIX, store_key.data, store_key.size);
        return (struct bytes){.data = room, .size = PREFIX + store_key.size};
    }
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(store_key.data, store_key.size));
    room[PREFIX] = 0xff; // no key of the store begins like this but one that is a hash itself
    memcpy(room + PREFIX + 1, hash.digest, sizeof hash.digest);
    return (struct bytes){.data = room, .size = PREFIX + 1 + sizeof hash.digest};
}

struct bytes record_index_key(struct bytes entry, struct bytes value)
{
    if (value.size > 0 || entry.size < PREFIX)
        return value;
    return (struct bytes){.data = (const uint8_t *)entry.data + PREFIX, .size = entry.size - PREFIX};
}

// ---------------------------------------------------------------- values

static enum err take_field(void *arg, const struct field *field)
{
    struct values *values = arg;
    for (size_t i = 0; i < values->fields->count; i++) {
        const char *name = values->fields->items[i];
        if (strlen(name) != field->name_size || memcmp(name, field->name, field->name_size) != 0)
            continue;
        values->there[i] = field->value_size > 0;
        (void)record_index_prefix(i, (struct bytes){.data = field->value, .size = field->value_size},
                                  values->prefix[i]);
    }
    return ERR_OK;
}

static enum err read_values(const struct words *fields, struct bytes json, struct buffer *scratch,
                            struct values *ret)
{
    assert(fields->count <= CONFIG_INDEXES_MAX);
    ret->fields = fields;
    memset(ret->there, 0, sizeof ret->there);
    return json.size == 0 ? ERR_OK : record_read(json, scratch, take_field, ret);
}

static enum err put_entry(struct store_txn *txn, const uint8_t *prefix, struct bytes store_key)
{
    uint8_t room[STORE_KEY_MAX];
    const struct bytes whole = {.data = prefix, .size = PREFIX};
    const struct bytes empty = {.data = "", .size = 0};
    return store_put(txn, TABLE_INDEX, record_index_entry(whole, store_key, room),
                     store_key.size <= KEY_MAX ? empty : store_key);
}

static enum err delete_entry(struct store_txn *txn, const uint8_t *prefix, struct bytes store_key)
{
    uint8_t room[STORE_KEY_MAX];
    const struct bytes whole = {.data = prefix, .size = PREFIX};
    const enum err err = store_delete(txn, TABLE_INDEX, record_index_entry(whole, store_key, room));
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err; // it was put with the record
}

enum err record_index_move(struct store_txn *txn, const struct words *fields, struct bytes store_key,
                           struct bytes old_json, struct bytes new_json)
{
    struct values before;
    struct values after;
    struct buffer scratch;
    if (fields->count == 0)
        return ERR_OK;
    buffer_init(&scratch, 2 * (size_t)RECORD_SIZE_MAX);
    enum err err = read_values(fields, old_json, &scratch, &before);
    if (err == ERR_OK)
        err = read_values(fields, new_json, &scratch, &after);
    for (size_t i = 0; i < fields->count && err == ERR_OK; i++) {
        if (before.there[i] && after.there[i] && memcmp(before.prefix[i], after.prefix[i], PREFIX) == 0)
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
        struct values values;
        uint8_t room[STORE_KEY_MAX]; // the key may not outlive a write
        memcpy(room, key.data, key.size);
        const struct bytes own = {.data = room, .size = key.size};
        err = delta_read_record(key, value, &stored);
        if (err == ERR_OK)
            err = read_values(fields, stored.json, &scratch, &values);
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
