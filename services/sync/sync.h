// The service of one job: does what the machine decides, with the bus, the ERP and the store.
#ifndef SYNCBUS_SERVICES_SYNC_SYNC_H
#define SYNCBUS_SERVICES_SYNC_SYNC_H

#include "proto/io/config.h"
#include "services/service.h"

// Serves the job until a signal ends it; a standby first waits while another process serves it. ERR_OK after
// a clean end; else why it could not go on. `life` has what an earlier life left, and then what this one
// does: after a SIGHUP it ends between two runs with the config to begin anew with.
SB_MUST_CHECK
enum err sync_serve(const struct config *config, const struct config_job *job, bool standby,
                    struct service_life *life, struct fault *fault);

#endif
