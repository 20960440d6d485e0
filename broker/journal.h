// The journal: what the core must remember, in LMDB. The only file of the broker that stores.
//
// Records are handed over with the number of their update and written by a thread of the journal's own, all
// that waits in one transaction (group commit); a descriptor tells when more became durable. Everything here
// is called from the one thread of the broker's loop.
#ifndef SYNCBUS_BROKER_JOURNAL_H
#define SYNCBUS_BROKER_JOURNAL_H

#include "broker/core/core.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JOURNAL_BACKLOG_MAX = 64 * 1024 * 1024 };

struct journal;

// Opens or makes the journal in a directory that the caller has locked, and starts its thread. The errors of
// store_open.
SB_MUST_CHECK
enum err journal_open(const char *path, struct journal **ret, struct fault *fault);

// Writes what still waits, ends the thread, closes. Sets the pointer to NULL; NULL is fine.
void journal_close(struct journal **self_p);

// What a START event needs: all of META, JOB, OWNER and LEASE and the open runs, to be freed by
// journal_recovered_free. ERR_CORRUPT names the entry that cannot be read.
SB_MUST_CHECK
enum err journal_recover(struct journal *self, struct core_record **ret, size_t *ret_count,
                         struct fault *fault);
void journal_recovered_free(struct core_record *records, size_t count);

// Takes over a copy of the records (there may be none) of update `update`; numbers ascend by any steps.
// ERR_FULL when more than four times JOURNAL_BACKLOG_MAX waits, ERR_NO_MEMORY; then the broker must stop.
SB_MUST_CHECK
enum err journal_append(struct journal *self, uint64_t update, const struct core_record *records,
                        size_t count, struct fault *fault);

// Number of the last update that is durable together with all before it.
uint64_t journal_durable(struct journal *self);

// A descriptor that can be read when journal_durable rose or a commit failed; journal_settle empties it and
// gives the failure: ERR_IO means that what is on disk is not known, so the broker must stop and say so.
int journal_fd(const struct journal *self);
SB_MUST_CHECK
enum err journal_settle(struct journal *self, struct fault *fault);

// Whether so much waits to be written that no more requests should be taken for now.
bool journal_is_behind(struct journal *self);

// Waits until `update` is durable. The failure as journal_settle.
SB_MUST_CHECK
enum err journal_wait(struct journal *self, uint64_t update, struct fault *fault);

// Looks up what the core asked for: at most read->limit values, newest first, to be freed by
// journal_values_free.
SB_MUST_CHECK
enum err journal_read(struct journal *self, const struct core_read *read, ProtobufCMessage ***ret,
                      size_t *ret_count, struct fault *fault);
void journal_values_free(ProtobufCMessage **values, size_t count);

// Asks the thread to delete ended runs and ledger entries from before `before_ms` (Unix ms), some at
// a time, so that commits between are not held up.
void journal_prune(struct journal *self, int64_t before_ms);

#endif
