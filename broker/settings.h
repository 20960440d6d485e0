// The config's words as the core's.
#ifndef SYNCBUS_BROKER_SETTINGS_H
#define SYNCBUS_BROKER_SETTINGS_H

#include "broker/core/core.h"
#include "proto/io/config.h"

// A core_config with the arrays that it points to; names belong to the config it was made from.
struct settings {
    struct core_config core;
    struct core_resource_config *resources; // owned
    struct core_job_config *jobs;           // owned
};

// Makes the settings of a config, which must outlive them. ERR_NO_MEMORY. Freed by settings_free.
SB_MUST_CHECK
enum err settings_make(const struct config *config, struct settings *ret);

// Frees what it owns; one that is all zeros is fine.
void settings_free(struct settings *self);

#endif
