// All that one run fetches: an export in one piece, or its pages one behind the other in one spool file.
//
// A download can be stopped at any byte and gone on with later: pages that came stay, and the page or export
// in hand goes on as fetch.h says. Each page is looked at as it comes, as only its rows say whether it was
// the last. Nothing of an unfinished download is ever applied: it counts only once download_ended said so.
//
// One thread, that of the multi handle.
#ifndef SYNCBUS_SERVICES_SYNC_DOWNLOAD_H
#define SYNCBUS_SERVICES_SYNC_DOWNLOAD_H

#include "services/sync/fetch.h"
#include "services/sync/plan.h"

struct download;

// Downloads of the job (kept by the caller) into the file `spool`. Errors as fetch_new.
SB_MUST_CHECK
enum err download_new(const struct config_job *job, const char *spool, CURLM *multi, struct download **ret,
                      struct fault *fault);

// Has `may_send` asked before each request, as fetch_guard.
void download_guard(struct download *self, fetch_may_send_fn *may_send, void *arg);

// Cuts what is under way, removes the spool, frees; sets the pointer to NULL; NULL is fine.
void download_destroy(struct download **self_p);

// Forgets what came and plans another download: `plan` is copied, its url is the caller's. No transfer may be
// under way. ERR_NO_MEMORY.
SB_MUST_CHECK
enum err download_begin(struct download *self, const struct plan *plan, struct fault *fault);

// Begins the next transfer, or goes on where one was cut. None may be under way. ERR_NO_MEMORY, ERR_IO.
SB_MUST_CHECK
enum err download_start(struct download *self, int64_t now_ms, struct fault *fault);

// Ends the transfer at once and keeps what can be gone on with; nothing when none is under way.
void download_cut(struct download *self);

// Forgets the transfer in hand, as it came too late to count; what came before stays.
void download_forget(struct download *self);

// True if `easy` is this download's transfer.
bool download_is(const struct download *self, const CURL *easy);

// The transfer ended (it was removed from the multi): ERR_OK, and either there is more, for download_start to
// fetch, or all of it is in the spool. Else what went wrong, for people: the errors of fetch_ended, and those
// of decoding a page, ERR_INVALID if the ERP does not do what it was asked for.
SB_MUST_CHECK
enum err download_ended(struct download *self, CURLcode result, int64_t now_ms, bool *ret_more,
                        struct fault *fault);

// Looks whether a deadline has passed; then cuts the transfer and gives ERR_TIMED_OUT.
SB_MUST_CHECK
enum err download_time(struct download *self, int64_t now_ms, struct fault *fault);

// BOOTTIME ms by which download_time must be called; INT64_MAX while no transfer is under way.
int64_t download_deadline(const struct download *self);

// Bytes that came, and how many there will be, estimated from what the ERP says of records (0: not known).
uint64_t download_done(const struct download *self);
uint64_t download_total(const struct download *self);

// Path of the spool.
const char *download_spool(const struct download *self);

// Of a download that has ended well:

// True if nothing was sent, as nothing has changed.
bool download_not_modified(const struct download *self);

// Where in the spool each page ends; NULL and 0 for an export in one piece. Kept until the next download.
const uint64_t *download_pages(const struct download *self, size_t *ret_count);

// Why nothing may be deleted by it, for people; NULL: it may. Static.
const char *download_withheld(const struct download *self);

// What to remember of it, if it began at `start_ms` (Unix ms).
struct validator download_remember(const struct download *self, const struct validator *known,
                                   int64_t start_ms);

#endif
