// What the parts of a simulated sync share: what lies on its disk, and what it has under way.
#ifndef SYNCBUS_TESTS_SIM_SYNC_OWN_H
#define SYNCBUS_TESTS_SIM_SYNC_OWN_H

#include "services/sync/apply.h"
#include "services/sync/download.h"
#include "services/sync/sync.h"
#include "tests/sim/sim.h"

// The entity's store as it lies on the disk.
struct sync_disk;

// node->own of a sync's node.
struct sync_own {
    char job[SIM_NAME_MAX];    // name
    struct sync_disk *disk;    // lasts through its lives; owned
    struct service_life life;  // of the service; no directory is ever locked here
    struct sync *sync;         // NULL while it is down
    struct download *download; // of this life; NULL: none
    struct apply *apply;       // under way; NULL: none
    uint64_t serial;           // of the last transfer or apply, over all lives
    int64_t settle_ms;         // the least that any config promised of the ERP for this job
    int64_t moved_us;          // when it last began or ended something
};

// An empty disk, to be freed by sync_disk_free.
struct sync_disk *sync_disk_new(void);
void sync_disk_free(struct sync_disk *self);

// How many results that were stored before then wait to be acknowledged.
size_t sync_disk_reports(const struct sync_disk *self, int64_t before_us);

#endif
