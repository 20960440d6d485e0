#include "services/sync/index_entry.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

struct bytes index_prefix(size_t field, struct bytes value, uint8_t room[INDEX_PREFIX_SIZE])
{
    XXH128_canonical_t hash;
    assert(field < CONFIG_INDEXES_MAX);
    XXH128_canonicalFromHash(&hash, XXH3_128bits(value.data, value.size));
    room[0] = (uint8_t)(field >> 8);
    room[1] = (uint8_t)field;
    static_assert(sizeof hash.digest == INDEX_PREFIX_SIZE - 2, "the hash fills its place");
    memcpy(room + 2, hash.digest, sizeof hash.digest);
    return (struct bytes){.data = room, .size = INDEX_PREFIX_SIZE};
}

struct bytes index_entry(struct bytes prefix, struct bytes store_key, uint8_t room[STORE_KEY_MAX])
{
    assert(prefix.size == INDEX_PREFIX_SIZE);
    memcpy(room, prefix.data, INDEX_PREFIX_SIZE);
    if (store_key.size <= INDEX_KEY_MAX) {
        memcpy(room + INDEX_PREFIX_SIZE, store_key.data, store_key.size);
        return (struct bytes){.data = room, .size = INDEX_PREFIX_SIZE + store_key.size};
    }
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(store_key.data, store_key.size));
    room[INDEX_PREFIX_SIZE] = 0xff; // no key of the store begins like this but one that is a hash itself
    memcpy(room + INDEX_PREFIX_SIZE + 1, hash.digest, sizeof hash.digest);
    return (struct bytes){.data = room, .size = INDEX_PREFIX_SIZE + 1 + sizeof hash.digest};
}

struct bytes index_key(struct bytes entry, struct bytes value)
{
    if (value.size > 0 || entry.size < INDEX_PREFIX_SIZE)
        return value;
    return (struct bytes){.data = (const uint8_t *)entry.data + INDEX_PREFIX_SIZE,
                          .size = entry.size - INDEX_PREFIX_SIZE};
}

static enum err take_field(void *arg, const struct field *field)
{
    struct index_values *values = arg;
    for (size_t i = 0; i < values->fields->count; i++) {
        const char *name = values->fields->items[i];
        if (strlen(name) != field->name_size || memcmp(name, field->name, field->name_size) != 0)
            continue;
        values->there[i] = field->value_size > 0;
        (void)index_prefix(i, (struct bytes){.data = field->value, .size = field->value_size},
                           values->prefix[i]);
    }
    return ERR_OK;
}

enum err index_values_read(const struct words *fields, struct bytes json, struct buffer *scratch,
                           struct index_values *ret)
{
    assert(fields->count <= CONFIG_INDEXES_MAX);
    ret->fields = fields;
    memset(ret->there, 0, sizeof ret->there);
    return json.size == 0 ? ERR_OK : record_read(json, scratch, take_field, ret);
}
