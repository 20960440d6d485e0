// An entity's store: its records with their hashes, its numbered changes, and what is still to be told to the
// broker. One LMDB environment in the job's data directory.
//
// Tables: meta ("entity" → StoredEntity, "validator" → StoredValidator) · records (key → a record's
// hash and place in the feed, delta_store.h) · feed (seq → FeedItem) · rejects (n → Reject, of the last run
// that ended well) · results (run, attempt → Report, until acknowledged) · publications (first seq → Change,
// until published) · free (dense ids of deleted records) · withheld (key of a record that is missed but not
// deleted → StoredDeletion) · index (record_index.h).
//
// A sync's records, changes, deletions, rejects, validator, result and token commit together or not at all
// (D2). Threads: any; one delta_apply at a time. Writes wait for each other.
#ifndef SYNCBUS_SERVICES_SYNC_DELTA_H
#define SYNCBUS_SERVICES_SYNC_DELTA_H

#include "proto/base/err.h"
#include "proto/io/config.h"
#include "services/sync/plan.h"

#include "syncbus.pb-c.h"

#include <stdatomic.h>

struct delta;

// What the store is to know of a run.
struct delta_run {
    uint64_t run;                      // its number; 0: without a broker, its result is reported to nobody
    uint32_t attempt;                  // of the run
    uint64_t token;                    // of the fetch's last lease; 0: fetched without one, not compared
    int64_t started_ms;                // Unix ms
    uint64_t fetch_ms;                 // spent in transfers
    uint64_t bytes;                    // of the export
    uint32_t yields;                   // so far
    const uint64_t *page_ends;         // where each page ends in the spool; NULL: the export is one piece
    size_t page_count;                 // of them
    bool full;                         // it is all there is, although the job's exports are of changes only
    const char *withhold;              // why nothing may be deleted by it, in words that stay; NULL: it may
    const struct validator *validator; // to be remembered with what it brought; NULL: nothing is
    struct fault fault;                // delta_fail: why it failed
    bool over_rejects;                 // delta_fail: because of more rejected rows than max_rejects
};

// Opens or makes the store of `job` (kept by the caller) in job->data, which must exist and be locked.
// ERR_REFUSED when it was made for another key, or is of a later version; else the errors of store_open.
// Where the job has other indexes than the store, these are made anew.
SB_MUST_CHECK
enum err delta_open(const struct config_job *job, struct delta **ret, struct fault *fault);

// Closes it; sets the pointer to NULL; NULL is fine.
void delta_close(struct delta **self_p);

// Decodes the export in `spool`, compares it with the store and commits the difference. ERR_OK: the run has
// ended and its result is stored; `ret->ok` says how, and if it failed (a broken export, too many rejects, an
// older token than the stored one: nothing else was touched) `fault` says why. Its `error` is left empty.
// ERR_REFUSED: `cancel` became true, nothing is stored. Any other error is the store's own: stop the process.
SB_MUST_CHECK
enum err delta_apply(struct delta *self, const char *spool, const struct delta_run *run,
                     const atomic_bool *cancel, Sb__Result *ret, struct fault *fault);

// Ends a run whose fetch found that nothing has changed: its result is stored, and in `ret`; it counts what
// the last export brought as seen and unchanged. An error is the store's own: stop the process.
SB_MUST_CHECK
enum err delta_keep(struct delta *self, const struct delta_run *run, Sb__Result *ret, struct fault *fault);

// What is remembered of the fetch that the store holds; zeroed: nothing.
SB_MUST_CHECK
enum err delta_validator(struct delta *self, struct validator *ret, struct fault *fault);

// Deletes the records that are withheld, all in one transaction with feed and publication, and says how many.
// `by` is noted in the feed. `list`: only if the list still has this number (0: whichever it is), else
// ERR_CONFLICT. A sync that is being applied at the same time compares anew.
SB_MUST_CHECK
enum err delta_release(struct delta *self, const char *by, uint64_t list, uint64_t *ret_released,
                       struct fault *fault);

// What is withheld now.
SB_MUST_CHECK
enum err delta_withheld(struct delta *self, Sb__Withheld *ret, struct fault *fault);

// Stores that a run failed before it could be applied, with run->fault as the reason.
SB_MUST_CHECK
enum err delta_fail(struct delta *self, const struct delta_run *run, struct fault *fault);

// The run and attempt of the last result that was stored; 0, 0: none.
SB_MUST_CHECK
enum err delta_last_run(struct delta *self, uint64_t *ret_run, uint32_t *ret_attempt, struct fault *fault);

// The oldest result that was not acknowledged; ERR_NOT_FOUND when there is none. Free it with
// sb__report__free_unpacked(report, NULL).
SB_MUST_CHECK
enum err delta_next_report(struct delta *self, Sb__Report **ret, struct fault *fault);

// The broker has it, or does not want it: it is forgotten. One that is not there is fine.
SB_MUST_CHECK
enum err delta_acknowledge(struct delta *self, uint64_t run, uint32_t attempt, struct fault *fault);

// The oldest change that was committed and not published; ERR_NOT_FOUND when there is none. Free it with
// sb__change__free_unpacked(change, NULL).
SB_MUST_CHECK
enum err delta_next_change(struct delta *self, Sb__Change **ret, struct fault *fault);

// The change that begins with this feed number was published.
SB_MUST_CHECK
enum err delta_published(struct delta *self, uint64_t first, struct fault *fault);

// The feed's head, as a Change with first = 0 (initialised here; its entity is the job's name, not to be
// freed).
SB_MUST_CHECK
enum err delta_head(struct delta *self, Sb__Change *ret, struct fault *fault);

#endif
