// The calls that a sync answers about its entity: get, list, feed, rejects and deletions.
#ifndef SYNCBUS_SERVICES_SYNC_CALLS_H
#define SYNCBUS_SERVICES_SYNC_CALLS_H

#include "proto/syncbus.h"
#include "services/sync/delta.h"

// Answers one CALL from the store: at once, also while an export is applied; a release of deletions alone
// waits for a commit that is under way. ERR_IO: what is on disk is not known, stop the process.
SB_MUST_CHECK
enum err sync_answer(syncbus_client_t *client, struct delta *store, const struct syncbus_notice *call,
                     struct fault *fault);

#endif
