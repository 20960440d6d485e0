// One sync without a broker: `syncbus-sync JOB --once`.
#ifndef SYNCBUS_SERVICES_SYNC_ONCE_H
#define SYNCBUS_SERVICES_SYNC_ONCE_H

#include "proto/io/config.h"

// Locks the job's data directory, fetches `source` (a URL or a path; NULL: the config's own), applies it and
// prints the result as one JSON line on stdout. The process's exit code.
int sync_once(const struct config_job *job, const char *source);

#endif
