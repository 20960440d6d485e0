// An export, decoded in a stream: bytes in, rows out. What is wrong with one row is said in that row; what is
// wrong with the whole (an HTML page, nothing at all, cut short) ends the decoding with an error for people.
//
// One thread at a time. Memory does not grow with the export.
#ifndef SYNCBUS_SERVICES_SYNC_DECODE_H
#define SYNCBUS_SERVICES_SYNC_DECODE_H

#include "services/sync/record.h"

#include <stdatomic.h>

struct decode;

// Takes a row, which is valid during the call only. An error ends the decoding and is returned by it.
typedef enum err decode_take(void *arg, const struct row *row, struct fault *fault);

// Where rows go.
struct decode_sink {
    decode_take *take;
    void *arg; // the caller's
};

// A decoder of the job's format (kept by the caller, as what the sink points to). ERR_NO_MEMORY.
SB_MUST_CHECK
enum err decode_new(const struct config_job *job, const struct decode_sink *sink, struct decode **ret,
                    struct fault *fault);

// Frees it and sets the pointer to NULL; NULL is fine.
void decode_destroy(struct decode **self_p);

// Takes the next bytes, as many as come. ERR_INVALID: this is no such export; ERR_FULL: a limit;
// ERR_NO_MEMORY; or the sink's error. After an error only decode_destroy may follow.
SB_MUST_CHECK
enum err decode_feed(struct decode *self, const char *data, size_t size, struct fault *fault);

// The export has ended. ERR_CORRUPT: in the middle of something; else as decode_feed.
SB_MUST_CHECK
enum err decode_end(struct decode *self, struct fault *fault);

// Decodes a whole file. `cancel` is looked at between reads: ERR_REFUSED once it is true. ERR_IO.
SB_MUST_CHECK
enum err decode_file(const struct config_job *job, const char *path, const struct decode_sink *sink,
                     const atomic_bool *cancel, struct fault *fault);

#endif
