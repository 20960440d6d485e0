// Bytes that are served, shared by those who serve them: a new version does not pull the old one away.
#ifndef SYNCBUS_ERP_CONTENT_H
#define SYNCBUS_ERP_CONTENT_H

#include "proto/base/buffer.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

enum { EXPORT_SIZE_MAX = 1 << 30 };

struct content {
    atomic_uint holders; // who still needs it
    struct buffer bytes; // what is served
    char etag[36];       // its strong validator, with quotes
    time_t modified;     // for Last-Modified
    const char *type;    // its media type; static
};

// Takes the bytes over (the buffer is empty afterwards); one holder, the caller.
struct content *content_new(struct buffer *bytes, const char *type, time_t modified);

// One more holder.
struct content *content_hold(struct content *self);

// One holder less; the last one frees it. Sets the pointer to NULL; NULL is fine. Any thread.
void content_drop(struct content **self_p);

// A file, unpacked if its name ends in .gz.
SB_MUST_CHECK
enum err content_load(const char *path, const char *type, struct content **ret, struct fault *fault);

// Page `page` (from 1) of `size` records: for CSV the first `head` lines and the page's lines, for JSON a
// part of the array. `ret_total` is the number of records in all. ERR_INVALID when the content has no pages.
SB_MUST_CHECK
enum err content_page(const struct content *self, uint64_t head, uint64_t page, uint64_t size,
                      struct content **ret, uint64_t *ret_total);

#endif
