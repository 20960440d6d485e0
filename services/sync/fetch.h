// One download, over http, https or from a file by libcurl, streamed into a spool file: an export, or one
// page of it behind those before.
//
// A transfer can be cut at any byte; the next one goes on there when the ERP gave a strong ETag and takes
// ranges, else from the start. Limits and deadlines are counted here, since libcurl's own miss chunked
// answers. Nothing of an unfinished export is ever read: the spool counts only after fetch_ended gave ERR_OK.
//
// One thread, that of the multi handle.
#ifndef SYNCBUS_SERVICES_SYNC_FETCH_H
#define SYNCBUS_SERVICES_SYNC_FETCH_H

#include "proto/base/err.h"
#include "proto/io/config.h"

#include <curl/curl.h>

struct answer;
struct fetch;

// What the next transfers are for.
struct fetch_aim {
    const char *url;           // of the export or page
    uint64_t base;             // where in the spool it begins: what is before is kept
    int64_t spent_ms;          // of source.timeout by what came before
    const char *etag;          // not wanted if it is still this; NULL or "": wanted anyway
    const char *last_modified; // the same by its time, where there is no tag
};

// A fetch of `source` (kept by the caller) by way of `multi` into the file `spool`, which is emptied now.
// `url` replaces the source's own unless NULL. ERR_INVALID (a header's environment variable is missing),
// ERR_IO, ERR_NO_SPACE, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err fetch_new(const struct config_source *source, const char *url, const char *spool, CURLM *multi,
                   struct fetch **ret, struct fault *fault);

// Cuts what is under way, removes the spool, frees; sets the pointer to NULL; NULL is fine.
void fetch_destroy(struct fetch **self_p);

// Whether a request may be sent now, which was wanted when its connection was begun.
typedef bool fetch_may_send_fn(void *arg);

// Has `may_send` asked before the first byte of each request; a transfer that may not be sent ends with
// CURLE_ABORTED_BY_CALLBACK. `arg` lives as long as the fetch.
void fetch_guard(struct fetch *self, fetch_may_send_fn *may_send, void *arg);

// Aims it at something else: copies `aim`, and forgets what came so far of it. No transfer may be under way.
// ERR_NO_MEMORY.
SB_MUST_CHECK
enum err fetch_aim(struct fetch *self, const struct fetch_aim *aim, struct fault *fault);

// Begins a transfer, or goes on where one was cut. None may be under way. ERR_NO_MEMORY, ERR_IO.
SB_MUST_CHECK
enum err fetch_start(struct fetch *self, int64_t now_ms, struct fault *fault);

// Ends the transfer at once; nothing when none is under way.
void fetch_cut(struct fetch *self);

// Forgets what came so far: the next start is from the first byte.
void fetch_forget(struct fetch *self);

// True if `easy` is this fetch's transfer.
bool fetch_is(const struct fetch *self, const CURL *easy);

// The transfer ended (it was removed from the multi): ERR_OK with the whole export in the spool, or what went
// wrong, in words for people: ERR_UNREACHABLE, ERR_TIMED_OUT, ERR_FULL, ERR_REFUSED (a status), ERR_NO_SPACE,
// ERR_IO, ERR_CORRUPT (cut short).
SB_MUST_CHECK
enum err fetch_ended(struct fetch *self, CURLcode result, struct fault *fault);

// Looks whether a deadline has passed; then cuts the transfer and gives ERR_TIMED_OUT.
SB_MUST_CHECK
enum err fetch_time(struct fetch *self, int64_t now_ms, struct fault *fault);

// BOOTTIME ms by which fetch_time must be called; INT64_MAX while no transfer is under way.
int64_t fetch_deadline(const struct fetch *self);

// True if the last transfer ended well and brought nothing, as what was asked for is still what was known.
bool fetch_not_modified(const struct fetch *self);

// What the ERP said with what is in the spool, or with "not modified". Kept until the next transfer.
const struct answer *fetch_answer(const struct fetch *self);

// The spool's descriptor, to be read by position, and its path.
int fetch_file(const struct fetch *self);
const char *fetch_spool(const struct fetch *self);

// Bytes that came behind the base, and how many there will be (0: not known).
uint64_t fetch_done(const struct fetch *self);
uint64_t fetch_total(const struct fetch *self);

#endif
