// What the fuzz targets of decoding share: the rows of an export as one hash, checked one by one.
#ifndef SYNCBUS_TESTS_FUZZ_SYNC_ROWS_H
#define SYNCBUS_TESTS_FUZZ_SYNC_ROWS_H

#include "services/sync/decode.h"

#include "proto/base/utf8.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What came of an export.
struct rows {
    uint64_t count; // of rows
    uint64_t sum;   // over their fields and lines
    enum err err;   // of the end
};

static inline enum err take_row(void *arg, const struct row *row, struct fault *fault)
{
    (void)fault;
    struct rows *rows = arg;
    assert(row->why == NULL || row->why[0] != '\0');
    rows->count++;
    rows->sum = rows->sum * 31 + row->line + (row->why != NULL);
    for (size_t i = 0; i < row->count; i++) {
        const struct field *field = &row->fields[i];
        assert(utf8_valid(field->name, field->name_size));
        assert(utf8_valid(field->value, field->value_size));
        assert(memchr(field->value, '\0', field->value_size) == NULL);
        assert(i == 0 ||
               record_compare_names(field[-1].name, field[-1].name_size, field->name, field->name_size) < 0);
        for (size_t j = 0; j < field->value_size; j++)
            rows->sum = rows->sum * 31 + (uint8_t)field->value[j];
    }
    return ERR_OK;
}

static inline struct rows decode_in_parts(const struct config_job *job, const char *text, size_t size,
                                          size_t part)
{
    struct rows rows = {.count = 0};
    const struct decode_sink sink = {.take = take_row, .arg = &rows};
    struct decode *decode = NULL;
    struct fault fault = {.err = ERR_OK};
    rows.err = decode_new(job, &sink, &decode, &fault);
    for (size_t at = 0; at < size && rows.err == ERR_OK; at += part)
        rows.err = decode_feed(decode, text + at, size - at < part ? size - at : part, &fault);
    if (rows.err == ERR_OK)
        rows.err = decode_end(decode, &fault);
    assert(rows.err == ERR_OK || fault.text[0] != '\0');
    decode_destroy(&decode);
    return rows;
}

// Decodes in one part and in many: the rows must be the same.
static inline void compare_cuts(const struct config_job *job, const char *text, size_t size)
{
    const struct rows whole = decode_in_parts(job, text, size, size + 1);
    const struct rows parts = decode_in_parts(job, text, size, 3);
    assert(whole.err == parts.err);
    assert(whole.count == parts.count);
    assert(whole.sum == parts.sum);
}

#endif
