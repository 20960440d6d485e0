// Applies a fetched export in a thread of its own, so that the service goes on answering meanwhile. One at a
// time.
#ifndef SYNCBUS_SERVICES_SYNC_APPLY_H
#define SYNCBUS_SERVICES_SYNC_APPLY_H

#include "proto/base/err.h"
#include "services/sync/delta.h"

#include <curl/curl.h>

struct apply;

// Starts it. `store` and `spool` stay the caller's and must outlive it; `run` is copied. When it is done the
// loop around `wake` is woken. ERR_NO_MEMORY.
SB_MUST_CHECK
enum err apply_start(struct delta *store, const char *spool, const struct delta_run *run, CURLM *wake,
                     struct apply **ret, struct fault *fault);

// True once apply_end would not block.
bool apply_is_done(const struct apply *self);

// Asks it to end early, with nothing stored.
void apply_cancel(struct apply *self);

// Waits for its end, frees it and sets the pointer to NULL. What became of the run is in `ret_ok`, with the
// reason in `fault` when it failed: the store holds that result to report. An error means that it could not
// even be stored, and that the process must stop.
SB_MUST_CHECK
enum err apply_end(struct apply **self_p, bool *ret_ok, struct fault *fault);

#endif
