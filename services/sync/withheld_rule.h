// Which deletions are withheld, and which of those that were are withheld no more. Pure; any thread.
#ifndef SYNCBUS_SERVICES_SYNC_WITHHELD_RULE_H
#define SYNCBUS_SERVICES_SYNC_WITHHELD_RULE_H

#include "services/sync/changes.h"

#include <stdbool.h>

// True when the job's guard withholds `deletions` of `count` records.
bool withheld_by_guard(const struct config_job *job, uint64_t deletions, uint64_t count);

// Whether the changes still withhold the record of this store key. It is asked for one key after the other in
// their order, and remembers in `next` (0 at first) how far the list was read.
bool withheld_still(const struct changes *changes, struct bytes store_key, size_t *next);

#endif
