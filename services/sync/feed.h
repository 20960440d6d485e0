// The calls that an entity answers, on the stored records, changes and rejects. Any thread; each answer shows
// one transaction's state (D5).
#ifndef SYNCBUS_SERVICES_SYNC_FEED_H
#define SYNCBUS_SERVICES_SYNC_FEED_H

#include "proto/base/buffer.h"
#include "services/sync/delta.h"

// An answer ends before it grows past this (but holds one entry at least); the rest is asked for by `after`.
enum { FEED_ANSWER_MAX = 192 << 10, FEED_LIMIT_MAX = 10000, FEED_LIMIT_DEFAULT = 100 };

// Answers a call: `method` is get, list, feed, rejects or deletions, `body` its packed message; appends the
// packed answer to `ret` (at most twice RECORD_SIZE_MAX).
//   get(RecordKey) → Record: ERR_NOT_FOUND.
//   list(RecordQuery) → RecordList, in key order after the key `after`; with an index those with this value.
//   feed(FeedQuery) → FeedList, after the number `after`; for another feed than this one: empty, compacted.
//   rejects(FeedQuery) → RejectList, after the first `after` of the last run that ended well.
//   deletions(DeletionQuery) → DeletionList, in key order after the key `after`; releases them if asked to
//   (delta_release).
// ERR_INVALID for an unknown method, a broken body, a wrong key or an index that is not kept;
// else the store's errors.
SB_MUST_CHECK
enum err feed_call(struct delta *self, const char *method, const void *body, size_t body_size,
                   struct buffer *ret, struct fault *fault);

#endif
