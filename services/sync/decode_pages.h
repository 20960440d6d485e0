// An export that came in pages: each is a document of its own, with its own head, and lies in the spool
// behind the one before.
#ifndef SYNCBUS_SERVICES_SYNC_DECODE_PAGES_H
#define SYNCBUS_SERVICES_SYNC_DECODE_PAGES_H

#include "services/sync/decode.h"

// Decodes the bytes from `from` to `to` of an open file as one document. Errors as decode_file.
SB_MUST_CHECK
enum err decode_part(const struct config_job *job, int file, uint64_t from, uint64_t to,
                     const struct decode_sink *sink, const atomic_bool *cancel, struct fault *fault);

// Decodes page after page; `ends` says where in the file each of the `count` pages ends. The line of a row is
// the one that it would have if they were one document.
SB_MUST_CHECK
enum err decode_pages(const struct config_job *job, const char *path, const uint64_t *ends, size_t count,
                      const struct decode_sink *sink, const atomic_bool *cancel, struct fault *fault);

#endif
