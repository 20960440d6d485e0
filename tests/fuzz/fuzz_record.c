// Any bytes are a stored record, a key, a message, or refused; what is read of them lies inside them.
#include "services/sync/delta_store.h"
#include "services/sync/pack.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_inside(struct bytes part, const uint8_t *data, size_t size)
{
    const uint8_t *start = part.data;
    assert(start >= data && start + part.size <= data + size);
}

static enum err count_field(void *arg, const struct field *field)
{
    struct buffer *sum = arg;
    return buffer_print(sum, "%zu %zu %d ", field->name_size, field->value_size, field->raw);
}

// Any bytes read as a record's fields, or refused.
static void read_fields(struct bytes json)
{
    struct buffer scratch;
    struct buffer sum;
    buffer_init(&scratch, RECORD_SIZE_MAX);
    buffer_init(&sum, RECORD_SIZE_MAX);
    const enum err err = record_read(json, &scratch, count_field, &sum);
    assert(err == ERR_OK || err == ERR_CORRUPT || err == ERR_FULL);
    buffer_free(&scratch);
    buffer_free(&sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes value = {.data = data, .size = size};
    struct stored_record record;
    struct bytes parts[RECORD_KEY_PARTS_MAX];
    struct buffer packed;
    struct bytes part;
    read_fields(value);
    for (uint32_t field = 1; field <= 3; field++)
        if (pack_find(value, field, &part) == ERR_OK)
            assert_inside(part, data, size);
    const size_t count = record_key_parts(value, parts);
    for (size_t i = 0; i < count; i++)
        assert_inside(parts[i], data, size);
    if (delta_read_record(value, value, &record) != ERR_OK)
        return 0;
    assert_inside(record.key, data, size);
    buffer_init(&packed, RECORD_SIZE_MAX);
    const struct bytes hash = {.data = record.hash, .size = RECORD_HASH_SIZE};
    const enum err err = pack_record(&packed, record.key, value, hash, record.seq);
    assert(err == ERR_OK || err == ERR_FULL);
    buffer_free(&packed);
    return 0;
}
