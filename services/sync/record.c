#include "services/sync/record.h"

#include "proto/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// ---------------------------------------------------------------- names and values

int record_compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    const int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    if (order != 0)
        return order;
    return a_size < b_size ? -1 : a_size > b_size;
}

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

struct bytes record_trim(const char *text, size_t size)
{
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    while (size > 0 && is_blank(*text)) {
        text++;
        size--;
    }
    return (struct bytes){.data = text, .size = size};
}

bool record_ignores(const struct words *ignore, const char *name, size_t size)
{
    for (size_t i = 0; i < ignore->count; i++) {
        const size_t length = strlen(ignore->items[i]);
        if (size >= length && memcmp(name, ignore->items[i], length) == 0 &&
            (size == length || name[length] == '.'))
            return true;
    }
    return false;
}

// ---------------------------------------------------------------- hash

static char *put_text(char *place, const char *text, size_t size)
{
    const uint32_t length = (uint32_t)size;
    for (int shift = 24; shift >= 0; shift -= 8)
        *place++ = (char)(length >> shift);
    memcpy(place, text, size);
    return place + size;
}

enum err record_hash(const struct row *row, struct buffer *scratch, uint8_t ret_hash[RECORD_HASH_SIZE])
{
    size_t size = 0;
    for (size_t i = 0; i < row->count; i++)
        size += 8 + row->fields[i].name_size + row->fields[i].value_size;
    buffer_clear(scratch);
    char *place = NULL;
    const enum err err = buffer_reserve(scratch, size, &place);
    if (err != ERR_OK)
        return err;
    for (size_t i = 0; i < row->count; i++) {
        const struct field *field = &row->fields[i];
        place = put_text(place, field->name, field->name_size);
        place = put_text(place, field->value, field->value_size);
    }
    scratch->size = size;
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(scratch->data, size));
    static_assert(sizeof hash.digest == RECORD_HASH_SIZE, "the hash fills its place");
    memcpy(ret_hash, hash.digest, RECORD_HASH_SIZE);
    return ERR_OK;
}

// ---------------------------------------------------------------- keys

static const struct field *find(const struct row *row, const char *name)
{
    const size_t size = strlen(name);
    size_t low = 0;
    size_t high = row->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct field *field = &row->fields[middle];
        const int order = record_compare_names(name, size, field->name, field->name_size);
        if (order == 0)
            return field;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static enum err add_part(struct buffer *ret, const char *name, const char *value, size_t size,
                         struct fault *fault)
{
    if (size == 0)
        return fault_set(fault, ERR_NOT_FOUND, "the key field %s is missing", name);
    if (size > RECORD_KEY_PART_MAX)
        return fault_set(fault, ERR_FULL, "the key field %s has %zu bytes, more than %d", name, size,
                         RECORD_KEY_PART_MAX);
    const char length[2] = {(char)(size >> 8), (char)size};
    enum err err = buffer_add(ret, length, sizeof length);
    if (err == ERR_OK)
        err = buffer_add(ret, value, size);
    return err == ERR_OK ? err : fault_set(fault, err, "the key: %s", err_text(err));
}

enum err record_key(const struct row *row, const struct words *names, struct buffer *ret, struct fault *fault)
{
    buffer_clear(ret);
    for (size_t i = 0; i < names->count; i++) {
        const struct field *field = find(row, names->items[i]);
        const enum err err = add_part(ret, names->items[i], field == NULL ? "" : field->value,
                                      field == NULL ? 0 : field->value_size, fault);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err record_key_of(char *const *parts, size_t count, const struct words *names, struct buffer *ret,
                       struct fault *fault)
{
    if (count != names->count)
        return fault_set(fault, ERR_INVALID, "the key has %zu part%s, not %zu", names->count,
                         names->count == 1 ? "" : "s", count);
    buffer_clear(ret);
    for (size_t i = 0; i < count; i++) {
        const struct bytes part = record_trim(parts[i], strlen(parts[i]));
        const enum err err = add_part(ret, names->items[i], part.data, part.size, fault);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

size_t record_key_parts(struct bytes key, struct bytes parts[RECORD_KEY_PARTS_MAX])
{
    const uint8_t *at = key.data;
    size_t left = key.size;
    size_t count = 0;
    while (left >= 2 && count < RECORD_KEY_PARTS_MAX) {
        const size_t size = (size_t)at[0] << 8 | at[1];
        if (size > left - 2)
            break;
        parts[count++] = (struct bytes){.data = at + 2, .size = size};
        at += 2 + size;
        left -= 2 + size;
    }
    return count;
}

struct bytes record_store_key(struct bytes key, uint8_t room[RECORD_STORE_KEY_SIZE])
{
    if (key.size <= STORE_KEY_MAX)
        return key;
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(key.data, key.size));
    room[0] = 0xff; // no part is so long that its length begins like this
    memcpy(room + 1, hash.digest, sizeof hash.digest);
    return (struct bytes){.data = room, .size = RECORD_STORE_KEY_SIZE};
}

// ---------------------------------------------------------------- JSON

enum err record_json(const struct row *row, struct buffer *ret)
{
    enum err err = buffer_add_byte(ret, '{');
    for (size_t i = 0; i < row->count && err == ERR_OK; i++) {
        const struct field *field = &row->fields[i];
        if (i > 0)
            err = buffer_add_byte(ret, ',');
        if (err == ERR_OK)
            err = json_string(field->name, field->name_size, ret);
        if (err == ERR_OK)
            err = buffer_add_byte(ret, ':');
        if (err == ERR_OK)
            err = field->raw ? buffer_add(ret, field->value, field->value_size)
                             : json_string(field->value, field->value_size, ret);
    }
    return err == ERR_OK ? buffer_add_byte(ret, '}') : err;
}
