// The calls that a sync answers about its entity: get, list, feed and rejects.
#ifndef SYNCBUS_SERVICES_SYNC_CALLS_H
#define SYNCBUS_SERVICES_SYNC_CALLS_H

#include "proto/syncbus.h"
#include "services/sync/delta.h"

// Answers one CALL from the store, in one read transaction: at once, also while an export is applied.
void sync_answer(syncbus_client_t *client, struct delta *store, const struct syncbus_notice *call);

#endif
