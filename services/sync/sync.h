// The service of one job: does what the machine decides, with the bus, the ERP and the store.
#ifndef SYNCBUS_SERVICES_SYNC_SYNC_H
#define SYNCBUS_SERVICES_SYNC_SYNC_H

#include "proto/io/config.h"
#include "services/service.h"

struct sync;

// What its loop calls; the argument is the sync.
extern const struct service_handler sync_handler;

// Joins the bus as the service of `job` and opens its store; a standby first waits while another process
// serves the job. `config` and `job` are kept; the locked directory that an earlier life left in `life` is
// taken over. The errors of service_new, delta_open, download_new and news_new.
SB_MUST_CHECK
enum err sync_new(const struct config *config, const struct config_job *job, bool standby,
                  struct service_life *life, struct sync **ret, struct fault *fault);

// Ends what is under way, with nothing stored of it, and frees; sets the pointer to NULL; NULL is fine.
void sync_destroy(struct sync **self_p);

// Its loop, to be run with sync_handler.
struct service *sync_service(const struct sync *self);

// After the loop: why it had to end; ERR_OK if it did not have to.
SB_MUST_CHECK
enum err sync_broken(const struct sync *self, struct fault *fault);

#endif
