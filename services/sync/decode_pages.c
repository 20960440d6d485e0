#include "services/sync/decode_pages.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 64 << 10 };

static enum err feed_part(struct decode *decode, int file, uint64_t from, uint64_t to,
                          const atomic_bool *cancel, struct fault *fault)
{
    char *data = malloc(READ_SIZE);
    if (data == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "decoding: %s", err_text(ERR_NO_MEMORY));
    enum err err = ERR_OK;
    while (err == ERR_OK && from < to) {
        const uint64_t left = to - from;
        if (atomic_load(cancel)) {
            err = fault_set(fault, ERR_REFUSED, "given up while the export was read");
            break;
        }
        const ssize_t size = pread(file, data, left < READ_SIZE ? (size_t)left : READ_SIZE, (off_t)from);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0) {
            err = fault_set(fault, ERR_IO, "the spool: %s", size < 0 ? strerror(errno) : "it was cut short");
            break;
        }
        from += (uint64_t)size;
        err = decode_feed(decode, data, (size_t)size, fault);
    }
    free(data);
    return err;
}

enum err decode_part(const struct config_job *job, int file, uint64_t from, uint64_t to,
                     const struct decode_sink *sink, const atomic_bool *cancel, struct fault *fault)
{
    assert(from <= to);
    struct decode *decode = NULL;
    enum err err = decode_new(job, sink, &decode, fault);
    if (err == ERR_OK)
        err = feed_part(decode, file, from, to, cancel, fault);
    if (err == ERR_OK)
        err = decode_end(decode, fault);
    decode_destroy(&decode);
    return err;
}

// Rows on their way from the pages to the sink.
struct counter {
    const struct decode_sink *sink; // where they go
    uint64_t before;                // rows of the pages before
    uint64_t rows;                  // so far
};

static enum err pass_on(void *arg, const struct row *row, struct fault *fault)
{
    struct counter *self = arg;
    struct row moved = *row;
    moved.line += self->before;
    self->rows++;
    return self->sink->take(self->sink->arg, &moved, fault);
}

enum err decode_pages(const struct config_job *job, const char *path, const uint64_t *ends, size_t count,
                      const struct decode_sink *sink, const atomic_bool *cancel, struct fault *fault)
{
    struct counter counter = {.sink = sink};
    const struct decode_sink pages = {.take = pass_on, .arg = &counter};
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fault_set(fault, ERR_IO, "%s: %s", path, strerror(errno));
    enum err err = ERR_OK;
    uint64_t from = 0;
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        counter.before = counter.rows;
        err = decode_part(job, file, from, ends[i], &pages, cancel, fault);
        from = ends[i];
    }
    (void)close(file);
    return err;
}
