#include "tools/erp/content.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>
#include <zlib.h>

struct content *content_new(struct buffer *bytes, const char *type, time_t modified)
{
    struct content *self = calloc(1, sizeof *self);
    if (self == NULL)
        abort();
    atomic_init(&self->holders, 1);
    self->bytes = *bytes;
    self->type = type;
    self->modified = modified;
    XXH128_hash_t hash = XXH3_128bits(self->bytes.data, self->bytes.size);
    snprintf(self->etag, sizeof self->etag, "\"%016" PRIx64 "%016" PRIx64 "\"", hash.high64, hash.low64);
    buffer_init(bytes, bytes->size_max);
    return self;
}

struct content *content_hold(struct content *self)
{
    atomic_fetch_add(&self->holders, 1);
    return self;
}

void content_drop(struct content **self_p)
{
    struct content *self = *self_p;
    *self_p = NULL;
    if (self == NULL || atomic_fetch_sub(&self->holders, 1) != 1)
        return;
    buffer_free(&self->bytes);
    free(self);
}

enum err content_load(const char *path, const char *type, struct content **ret, struct fault *fault)
{
    struct stat status;
    gzFile file = gzopen(path, "rb"); // reads plain files as they are
    if (file == NULL || stat(path, &status) != 0) {
        enum err err = fault_set(fault, ERR_IO, "%s: %s", path, strerror(errno));
        if (file != NULL)
            gzclose(file);
        return err;
    }
    struct buffer bytes;
    buffer_init(&bytes, EXPORT_SIZE_MAX);
    char block[65536];
    int got = 0;
    enum err err = ERR_OK;
    while (err == ERR_OK && (got = gzread(file, block, sizeof block)) > 0)
        err = buffer_add(&bytes, block, (size_t)got);
    if (err == ERR_OK && got < 0)
        err = ERR_CORRUPT;
    gzclose(file);
    if (err != ERR_OK) {
        buffer_free(&bytes);
        return fault_set(fault, err, "%s: %s", path, err_text(err));
    }
    *ret = content_new(&bytes, type, status.st_mtime);
    return ERR_OK;
}

// Lines `first` to `first + count` below the head, and the head above them.
static enum err page_of_lines(const struct content *self, uint64_t head, uint64_t first, uint64_t count,
                              struct buffer *page, uint64_t *ret_total)
{
    enum err err = ERR_OK;
    uint64_t line = 0;
    const char *at = self->bytes.data, *end = self->bytes.data + self->bytes.size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline != NULL ? newline + 1 : end;
        if (err == ERR_OK && (line < head || (line - head >= first && line - head - first < count)))
            err = buffer_add(page, at, (size_t)(next - at));
        at = next;
        line++;
    }
    *ret_total = line > head ? line - head : 0;
    return err;
}

static enum err page_of_array(const struct content *self, uint64_t first, uint64_t count, struct buffer *page,
                              uint64_t *ret_total)
{
    struct buffer text;
    buffer_init(&text, EXPORT_SIZE_MAX);
    enum err err = buffer_add(&text, self->bytes.data, self->bytes.size);
    if (err == ERR_OK)
        err = buffer_add_byte(&text, '\0');
    json_object *array = err == ERR_OK ? json_tokener_parse(text.data) : NULL;
    buffer_free(&text);
    if (err != ERR_OK)
        return err;
    if (!json_object_is_type(array, json_type_array)) {
        json_object_put(array);
        return ERR_INVALID;
    }
    *ret_total = json_object_array_length(array);
    err = buffer_add_byte(page, '[');
    for (uint64_t i = first; err == ERR_OK && i < *ret_total && i - first < count; i++) {
        json_object *record = json_object_array_get_idx(array, (size_t)i);
        err = buffer_print(page, "%s\n%s", i > first ? "," : "",
                           json_object_to_json_string_ext(record, JSON_C_TO_STRING_NOSLASHESCAPE));
    }
    if (err == ERR_OK)
        err = buffer_print(page, "\n]\n");
    json_object_put(array);
    return err;
}

enum err content_page(const struct content *self, uint64_t head, uint64_t page, uint64_t size,
                      struct content **ret, uint64_t *ret_total)
{
    assert(page > 0);
    assert(size > 0);
    struct buffer part;
    buffer_init(&part, EXPORT_SIZE_MAX);
    uint64_t first = page - 1 <= UINT64_MAX / size ? (page - 1) * size : UINT64_MAX, total = 0;
    bool csv = strcmp(self->type, "text/csv") == 0;
    enum err err = csv ? page_of_lines(self, head, first, size, &part, &total)
                       : page_of_array(self, first, size, &part, &total);
    if (err != ERR_OK) {
        buffer_free(&part);
        return err;
    }
    *ret_total = total;
    *ret = content_new(&part, self->type, self->modified);
    return ERR_OK;
}
