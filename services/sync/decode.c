#include "services/sync/decode.h"

#include "services/sync/decode_csv.h"
#include "services/sync/decode_json.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HEAD_SIZE = 256, READ_SIZE = 256 << 10, SHOWN_SIZE = 40 };

struct decode {
    const struct config_job *job;
    struct decode_csv *csv;   // one of these two; owned
    struct decode_json *json; // owned
    char head[HEAD_SIZE];     // the first bytes, until there are enough to see what it is
    size_t head_size;         // of them; HEAD_SIZE + 1 once they were looked at
    struct buffer converted;  // a chunk in UTF-8, where the export is in Latin-1
};

enum err decode_new(const struct config_job *job, const struct decode_sink *sink, struct decode **ret,
                    struct fault *fault)
{
    struct decode *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "decoding: %s", err_text(ERR_NO_MEMORY));
    self->job = job;
    buffer_init(&self->converted, 2 * (size_t)READ_SIZE);
    const enum err err = job->source.format == FORMAT_CSV ? decode_csv_new(job, sink, &self->csv, fault)
                                                          : decode_json_new(job, sink, &self->json, fault);
    if (err != ERR_OK)
        decode_destroy(&self);
    else
        *ret = self;
    return err;
}

void decode_destroy(struct decode **self_p)
{
    struct decode *self = *self_p;
    if (self == NULL)
        return;
    decode_csv_destroy(&self->csv);
    decode_json_destroy(&self->json);
    buffer_free(&self->converted);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- the first bytes

// The text as a person may read it in an error: printable ASCII, cut short.
static const char *shown(const char *text, size_t size, char room[SHOWN_SIZE + 1])
{
    const size_t count = size < SHOWN_SIZE ? size : SHOWN_SIZE;
    for (size_t i = 0; i < count; i++)
        room[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '.';
    room[count] = '\0';
    return room;
}

static bool begins(const char *text, size_t size, const char *with)
{
    const size_t length = strlen(with);
    return size >= length && strncasecmp(text, with, length) == 0;
}

static enum err refuse_pages(const char *text, size_t size, struct fault *fault)
{
    static const char *const pages[] = {"<!doctype", "<html", "<head", "<body", "<?xml", "<!--"};
    static const char *const packed[] = {"\x1f\x8b", "PK\x03\x04", "%PDF-", "\xff\xfe", "\xfe\xff"};
    static const char *const names[] = {"gzip data", "a zip archive", "a PDF", "UTF-16", "UTF-16"};
    char room[SHOWN_SIZE + 1];
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (begins(text, size, packed[i]))
            return fault_set(fault, ERR_INVALID, "the export is %s, found at byte 0", names[i]);
    const struct bytes rest = record_trim(text, size);
    const size_t at = (size_t)((const char *)rest.data - text);
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (begins(rest.data, rest.size, pages[i]))
            return fault_set(fault, ERR_INVALID,
                             "the export is an HTML or XML page: at byte %zu stands \"%s\"", at,
                             shown(rest.data, rest.size, room));
    return ERR_OK;
}

static enum err pass_on(struct decode *self, const char *data, size_t size, struct fault *fault)
{
    return self->csv != NULL ? decode_csv_feed(self->csv, data, size, fault)
                             : decode_json_feed(self->json, data, size, fault);
}

// Latin-1 is UTF-8 once each byte past 127 is written as two.
static enum err convert(struct decode *self, const char *data, size_t size, struct fault *fault)
{
    while (size > 0) {
        const size_t part = size < READ_SIZE ? size : READ_SIZE;
        char *place = NULL;
        buffer_clear(&self->converted);
        if (buffer_reserve(&self->converted, 2 * part, &place) != ERR_OK)
            return fault_set(fault, ERR_NO_MEMORY, "decoding: %s", err_text(ERR_NO_MEMORY));
        size_t length = 0;
        for (size_t i = 0; i < part; i++) {
            const uint8_t byte = (uint8_t)data[i];
            if (byte >= 0x80)
                place[length++] = (char)(0xc0 | byte >> 6);
            place[length++] = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
        }
        const enum err err = pass_on(self, place, length, fault);
        if (err != ERR_OK)
            return err;
        data += part;
        size -= part;
    }
    return ERR_OK;
}

static enum err take(struct decode *self, const char *data, size_t size, struct fault *fault)
{
    return self->job->source.encoding == ENCODING_LATIN1 ? convert(self, data, size, fault)
                                                         : pass_on(self, data, size, fault);
}

static enum err open_head(struct decode *self, struct fault *fault)
{
    const char *head = self->head;
    size_t size = self->head_size;
    self->head_size = HEAD_SIZE + 1;
    if (record_trim(head, size).size == 0 && size < HEAD_SIZE)
        return fault_set(fault, ERR_INVALID, "the export is empty (%zu bytes)", size);
    if (begins(head, size, "\xef\xbb\xbf")) {
        head += 3;
        size -= 3;
    }
    const enum err err = refuse_pages(head, size, fault);
    return err == ERR_OK ? take(self, head, size, fault) : err;
}

enum err decode_feed(struct decode *self, const char *data, size_t size, struct fault *fault)
{
    if (self->head_size < HEAD_SIZE) {
        const size_t room = HEAD_SIZE - self->head_size;
        const size_t part = size < room ? size : room;
        if (part > 0)
            memcpy(self->head + self->head_size, data, part);
        self->head_size += part;
        data += part;
        size -= part;
        if (self->head_size < HEAD_SIZE)
            return ERR_OK;
        const enum err err = open_head(self, fault);
        if (err != ERR_OK)
            return err;
    }
    return size == 0 ? ERR_OK : take(self, data, size, fault);
}

enum err decode_end(struct decode *self, struct fault *fault)
{
    if (self->head_size <= HEAD_SIZE) {
        const enum err err = open_head(self, fault);
        if (err != ERR_OK)
            return err;
    }
    return self->csv != NULL ? decode_csv_end(self->csv, fault) : decode_json_end(self->json, fault);
}

// ---------------------------------------------------------------- files

static enum err read_all(struct decode *self, int file, const char *path, const atomic_bool *cancel,
                         struct fault *fault)
{
    char *data = malloc(READ_SIZE);
    if (data == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "decoding: %s", err_text(ERR_NO_MEMORY));
    enum err err = ERR_OK;
    ssize_t size = 1;
    while (err == ERR_OK && size > 0) {
        if (atomic_load(cancel)) {
            err = fault_set(fault, ERR_REFUSED, "given up while the export was read");
            break;
        }
        size = read(file, data, READ_SIZE);
        if (size > 0)
            err = decode_feed(self, data, (size_t)size, fault);
        else if (size < 0 && errno != EINTR)
            err = fault_set(fault, ERR_IO, "%s: %s", path, strerror(errno));
        else if (size < 0)
            size = 1; // interrupted: again
    }
    free(data);
    return err == ERR_OK ? decode_end(self, fault) : err;
}

enum err decode_file(const struct config_job *job, const char *path, const struct decode_sink *sink,
                     const atomic_bool *cancel, struct fault *fault)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fault_set(fault, ERR_IO, "%s: %s", path, strerror(errno));
    struct decode *self = NULL;
    enum err err = decode_new(job, sink, &self, fault);
    if (err == ERR_OK)
        err = read_all(self, file, path, cancel, fault);
    decode_destroy(&self);
    (void)close(file);
    return err;
}
