#include "broker/settings.h"

#include <stdlib.h>

static struct core_resource_config resource_of(const struct config_resource *from)
{
    return (struct core_resource_config){
        .name = from->name,
        .capacity = from->capacity,
        .lease_ttl_ms = from->lease_ttl_ms,
        .grant_delay_ms = from->grant_delay_ms,
        .max_exclusive_ms = from->max_exclusive_ms,
        .max_exclusive_streak_ms = from->max_exclusive_streak_ms,
        .aging_ms = from->aging_ms,
        .revokes = from->on_pause_timeout == PAUSE_TIMEOUT_REVOKE,
    };
}

static struct core_job_config job_of(const struct config_job *from)
{
    return (struct core_job_config){
        .name = from->name,
        .resource = (uint32_t)from->resource,
        .every_ms = from->every_ms,
        .offset_ms = from->offset_ms,
        .priority = from->priority,
        .pause_timeout_ms = from->pause_timeout_ms,
        .max_yields = from->max_yields,
        .yields = from->yield != YIELD_FINISH,
        .stall_ms = from->stall_ms,
        .settle_ms = from->settle_ms,
        .retry_after_ms = from->retry_after_ms,
        .fresh_within_ms = from->fresh_within_ms,
        .max_duration_ms = from->max_duration_ms,
        .queues_overlap = from->overlap == OVERLAP_QUEUE,
        .catches_up = from->catch_up == CATCH_UP_ONCE,
    };
}

enum err settings_make(const struct config *config, struct settings *ret)
{
    struct settings self = {
        .resources = calloc(config->resource_count + 1, sizeof *self.resources),
        .jobs = calloc(config->job_count + 1, sizeof *self.jobs),
    };
    if (self.resources == NULL || self.jobs == NULL) {
        settings_free(&self);
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < config->resource_count; i++)
        self.resources[i] = resource_of(&config->resources[i]);
    for (size_t i = 0; i < config->job_count; i++)
        self.jobs[i] = job_of(&config->jobs[i]);
    self.core = (struct core_config){
        .resources = self.resources,
        .resource_count = config->resource_count,
        .jobs = self.jobs,
        .job_count = config->job_count,
        .jobs_max = config->broker.jobs_max,
        .resources_max = config->broker.resources_max,
        .beat_ms = config->broker.beat_ms,
        .session_ttl_ms = config->broker.session_ttl_ms,
        .sessions_max = config->broker.sessions_max,
        .waiters_max = config->broker.waiters_max,
        .calls_max = config->broker.calls_max,
        .version = SYNCBUS_VERSION,
        .profile = config->profile,
    };
    *ret = self;
    return ERR_OK;
}

void settings_free(struct settings *self)
{
    free(self->resources);
    free(self->jobs);
    *self = (struct settings){0};
}
