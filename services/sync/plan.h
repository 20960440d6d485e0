// What the next fetch asks for: which address, in pages or in one piece, all of it or only if it has changed.
//
// An export that has not changed need not be sent again: what the ERP said to vouch for the last one
// (its validator) is asked about. But an ERP can be wrong about that, so each `full_every` everything is
// fetched all the same; and a validator speaks of one address, decoded in one way, so it is void once the
// job's options say something else. Pages have none: what vouches for one says nothing of the others.
//
// Pure but for memory; any thread.
#ifndef SYNCBUS_SERVICES_SYNC_PLAN_H
#define SYNCBUS_SERVICES_SYNC_PLAN_H

#include "proto/io/config.h"
#include "services/sync/answer.h"

// What a store remembers of the fetch that it holds. Zeroed: nothing.
struct validator {
    char etag[ANSWER_ETAG_MAX];          // as the ERP gave it; "": none
    char last_modified[ANSWER_DATE_MAX]; // the same; "": none
    uint64_t asked;                      // plan.asked of that fetch
    int64_t full_ms;                     // when the last fetch of all began, Unix ms; 0: never
};

// What a fetch asks for.
struct plan {
    const char *url;                     // the config's, or the caller's
    bool paged;                          // page by page
    bool full;                           // what it brings is all there is: what it lacks may be deleted
    bool counts;                         // what it brings is as much as the job's exports ever have
    uint64_t asked;                      // hash of the address and of all the job's options
    char etag[ANSWER_ETAG_MAX];          // not wanted if it is still this; "": wanted anyway
    char last_modified[ANSWER_DATE_MAX]; // the same by its time, where there is no tag
};

// Plans a fetch that begins at `now_ms` (Unix ms). `url` replaces the configured address (which must live as
// long as the plan) unless NULL. ERR_NO_MEMORY.
SB_MUST_CHECK
enum err plan_fetch(const struct config_job *job, const char *url, const struct validator *known,
                    int64_t now_ms, struct plan *ret, struct fault *fault);

// What to remember of a fetch that began at `start_ms` under this plan and was answered with `answer` (NULL:
// in pages). `known` is what was remembered before.
struct validator plan_remember(const struct plan *self, const struct validator *known, int64_t start_ms,
                               const struct answer *answer);

#endif
