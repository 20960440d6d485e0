// A config that was read again: jobs and resources are added, changed and removed, and no lease, wait or run
// is touched by it. What is under way keeps what it began with.
#include "broker/core/parts.h"

#include <inttypes.h>
#include <string.h>

void reload_ask(struct core *self, uint64_t peer, const Sb__Request *request)
{
    self->reload = (struct core_reload_wish){.peer = peer, .request = request->id};
    self->wants_reload = true;
}

struct resource *resource_add(struct core *self, const struct core_resource_config *config)
{
    size_t place = 0;
    while (place < self->resource_count && strcmp(self->resources[place].name, config->name) != 0)
        place++;
    assert(place < self->config.resources_max);
    struct resource *resource = &self->resources[place];
    if (place == self->resource_count) {
        self->resource_count++;
        *resource = (struct resource){0};
        text_copy(resource->name, sizeof resource->name, config->name);
        topic_init(&resource->pause_topic, "pause", resource->name);
        topic_init(&resource->resume_topic, "resume", resource->name);
        topic_init(&resource->lease_topic, "lease", resource->name);
        resource->ttl_ms = config->lease_ttl_ms;
    }
    resource->config = *config;
    resource->config.name = resource->name;
    if (config->capacity > resource->capacity_max)
        resource->capacity_max = config->capacity;
    resource->removed = false;
    return resource;
}

// A longer ttl is in force only when the journal has it: else a restart would not wait long enough (I2).
void terms_take_effect(struct core *self)
{
    if (self->terms_update == 0 || self->durable < self->terms_update)
        return;
    self->terms_update = 0;
    for (size_t i = 0; i < self->resource_count; i++)
        self->resources[i].ttl_ms = self->resources[i].config.lease_ttl_ms;
}

void life_keep(struct core *self)
{
    for (size_t i = 0; i < self->resource_count; i++) {
        const int64_t life = resource_life_ms(self, &self->resources[i]);
        self->life_max_ms = life > self->life_max_ms ? life : self->life_max_ms;
    }
}

// ---------------------------------------------------------------- what the new config says

static bool names_resource(const struct core_config *config, const char *name)
{
    for (size_t i = 0; i < config->resource_count; i++) {
        if (strcmp(config->resources[i].name, name) == 0)
            return true;
    }
    return false;
}

// Why the config cannot be taken over while running; NULL if it can.
static const char *refuse_config(struct core *self, const struct core_config *config)
{
    size_t resources = self->resource_count;
    size_t jobs = 0;
    for (size_t i = 0; i < config->resource_count; i++)
        resources += resource_find(self, config->resources[i].name) == NULL ? 1 : 0;
    if (resources > self->config.resources_max)
        return arena_print(self, "there is room for %" PRIu32 " resources until the next start",
                           self->config.resources_max);
    for (size_t i = 0; i < self->job_count; i++) // those that are removed keep their places for a while
        jobs += self->jobs[i].presence != JOB_ABSENT ? 1 : 0;
    for (size_t i = 0; i < config->job_count; i++)
        jobs += job_find(self, config->jobs[i].name) == NULL ? 1 : 0;
    if (jobs > self->config.jobs_max)
        return arena_print(self, "there is room for %" PRIu32 " jobs until the next start",
                           self->config.jobs_max);
    return NULL;
}

static void take_resources(struct core *self, const struct core_config *config)
{
    for (size_t i = 0; i < config->resource_count; i++)
        (void)resource_add(self, &config->resources[i]);
    for (size_t i = 0; i < self->resource_count; i++)
        self->resources[i].removed = !names_resource(config, self->resources[i].name);
    for (size_t i = 0; i < self->resource_count; i++) {
        struct resource *resource = &self->resources[i];
        if (resource->config.lease_ttl_ms < resource->ttl_ms)
            resource->ttl_ms = resource->config.lease_ttl_ms;
        if (resource->removed)
            alerts_of_resource_clear(self, resource);
        if (resource->removed)
            exclusive_waiters_end(self, (uint32_t)i, SB__CODE__CODE_NOT_FOUND,
                                  arena_print(self, "%s was removed from the config", resource->name));
    }
}

// A job's config in this core: its resource by our index.
static struct core_job_config translate(const struct core *self, const struct core_config *config,
                                        size_t index)
{
    struct core_job_config job = config->jobs[index];
    const struct resource *resource = resource_find(self, config->resources[job.resource].name);
    job.resource = (uint32_t)(resource - self->resources);
    return job;
}

static void take_job(struct core *self, const struct core_job_config *config)
{
    struct job *job = job_find(self, config->name);
    if (job == NULL) {
        schedule_place(self, job_add(self, config));
        return;
    }
    const bool returns = job->presence == JOB_RETIRING;
    const bool moves = job->config.every_ms != config->every_ms || job->config.offset_ms != config->offset_ms;
    const bool elsewhere = job->config.resource != config->resource;
    job->presence = JOB_CONFIGURED;
    job_configure(job, config);
    if (elsewhere)
        holds_of_job_move(self, job);
    if (moves || returns)
        schedule_replace(self, job);
    job_touch(self, job);
}

// Marks the jobs that the config names, by their places; the others are retired.
static void take_jobs(struct core *self, const struct core_config *config)
{
    for (size_t i = 0; i < self->job_count; i++)
        self->jobs[i].is_named = false;
    for (size_t i = 0; i < config->job_count; i++) {
        const struct core_job_config job = translate(self, config, i);
        take_job(self, &job);
        job_find(self, job.name)->is_named = true;
    }
    for (size_t i = 0; i < self->job_count; i++) {
        struct job *job = &self->jobs[i];
        if (job->presence == JOB_CONFIGURED && !job->is_named)
            job_retire(self, job);
    }
}

static void take(struct core *self, const struct core_config *config)
{
    text_copy(self->profile, sizeof self->profile, config->profile);
    take_resources(self, config);
    take_jobs(self, config);
    life_keep(self);
    // Stored with the answer, as some jobs' places are not.
    const bool is_later = self->wall_ms > self->slots_told_ms;
    if (self->jobs_moved > 0 && is_later) // GCOVR_EXCL_BR_LINE: the clock was set back, and no number left
        self->slots_told_ms = self->wall_ms;
    meta_store(self, false);
    self->terms_update = self->update_number;
    for (uint32_t i = 0; i < self->resource_count; i++)
        resource_advance(self, i);
    self->is_behind = true; // whatever had no room in this step
}

// Whether the step is half empty: a new config can change every resource at once.
static bool is_roomy(const struct core *self)
{
    return self->publication_count <= PUBLICATIONS_A_STEP / 2 && self->record_count <= RECORDS_A_STEP / 2;
}

// Slots that have passed belong to the grid that was. What has no room in this step is taken by the next
// ones, and then the config is asked for once more: it is not kept.
static bool is_late_for(struct core *self, const struct core_reload_wish *wish)
{
    (void)jobs_advance(self);
    if (heap_first_time(&self->job_wall) > self->wall_ms && is_roomy(self))
        return false;
    const struct core_reload_wish *earlier = &self->late_reload;
    if (self->reload_waits && earlier->peer != 0)
        (void)reply_add(self, earlier->peer, earlier->request, SB__CODE__CODE_BUSY,
                        "another reload came before this one was done");
    self->late_reload = *wish;
    self->reload_waits = self->is_behind = true;
    return true;
}

void reload_advance(struct core *self)
{
    if (!self->reload_waits || heap_first_time(&self->job_wall) <= self->wall_ms)
        return;
    self->reload = self->late_reload;
    self->reload_waits = false;
    self->wants_reload = true;
}

void reload_take(struct core *self, const struct core_event *event)
{
    const struct core_config *config = event->reload.config;
    const struct core_reload_wish *wish = &event->reload.wish;
    const char *why = config == NULL ? event->reload.why : refuse_config(self, config);
    if (self->stopping)
        why = "the broker stops";
    if (why == NULL && is_late_for(self, wish))
        return;
    if (why == NULL)
        take(self, config);
    if (wish->peer == 0)
        return;
    (void)reply_add(self, wish->peer, wish->request, why == NULL ? SB__CODE__CODE_OK : SB__CODE__CODE_INVALID,
                    why);
    reply_durable(self);
}
