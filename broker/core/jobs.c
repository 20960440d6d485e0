// The table of jobs: found by name, and woken when something of theirs is due. Each has at most one moment by
// the wall clock (its next slot, its data growing stale) and one in BOOTTIME (a retry, a service that is gone
// …); whoever changes a job touches it, and its moments are looked at anew when the step ends.
#include "broker/core/parts.h"

#include <string.h>

struct job *job_find(const struct core *self, const char *name)
{
    const uint32_t place = names_find(&self->job_names, name);
    return place != NAMES_NONE ? &self->jobs[place] : NULL;
}

struct job *job_find_configured(const struct core *self, const char *name)
{
    struct job *job = job_find(self, name);
    return job != NULL && job->presence == JOB_CONFIGURED ? job : NULL;
}

uint32_t job_index(const struct core *self, const struct job *job)
{
    return (uint32_t)(job - self->jobs);
}

struct figures *job_figures(const struct core *self, const struct job *job)
{
    return &self->figures[job_index(self, job)];
}

void job_touch(struct core *self, struct job *job)
{
    if (job->is_touched)
        return;
    job->is_touched = true;
    self->touched[self->touched_count++] = job_index(self, job);
}

struct job *job_add(struct core *self, const struct core_job_config *config)
{
    uint32_t place = (uint32_t)self->job_count;
    for (uint32_t i = 0; self->jobs_absent > 0 && i < self->job_count && place == self->job_count; i++)
        place = self->jobs[i].presence == JOB_ABSENT ? i : place;
    assert(place < self->config.jobs_max);
    if (place == self->job_count) {
        self->job_count++; // its figures are 0 and stay untouched
    } else {
        self->jobs_absent--;
        self->figures[place] = (struct figures){0};
    }
    struct job *job = &self->jobs[place];
    *job = (struct job){.presence = JOB_CONFIGURED};
    text_copy(job->name, sizeof job->name, config->name);
    job_configure(job, config);
    topic_init(&job->tick, "tick", job->name);
    topic_init(&job->run, "run", job->name);
    topic_init(&job->change, "change", job->name);
    job->tick.seq = job->run.seq = job->change.seq = self->seq_removed;
    names_put(&self->job_names, job->name, place);
    return job;
}

void job_configure(struct job *job, const struct core_job_config *config)
{
    assert(config->every_ms > 0);
    job->config = *config;
    job->config.name = job->name;
}

// ---------------------------------------------------------------- removal

static bool is_referred_to(const struct core *self, uint32_t place)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (self->leases[i].job == place)
            return true;
    }
    return false;
}

// Sessions that said they run it do not any more. One that runs nothing else ends: its service says Hello
// until the job is back.
static void leave_sessions(struct core *self, uint32_t place)
{
    for (size_t i = self->present_count; i-- > 0;) { // from the end, as the last one takes a freed place
        struct session *session = &self->sessions[self->present[i]];
        const size_t before = session->job_count;
        for (size_t k = session->job_count; k-- > 0;) {
            if (session->jobs[k] == place)
                session->jobs[k] = session->jobs[--session->job_count];
        }
        if (before > 0 && session->job_count == 0)
            session_end(self, session);
    }
}

void job_retire(struct core *self, struct job *job)
{
    job->presence = JOB_RETIRING;
    schedule_settle(self, job);
    job_touch(self, job);
}

// A name that comes back within this epoch must not count from the start again: who heard it before would
// take its events for old ones (I11).
static void topic_remove(struct core *self, struct topic *topic)
{
    self->seq_removed = topic->seq > self->seq_removed ? topic->seq : self->seq_removed;
    list_remove(&topic->changed);
}

// What is at work goes on to its end; all else of a removed job ends now, step by step where there is no room
// for all of it, and at last its place is free.
static void wind_down(struct core *self, struct job *job)
{
    const uint32_t place = job_index(self, job);
    if (run_is_at_work(job) || is_referred_to(self, place))
        return;
    further_drop(self, job, "the job was removed");
    if (run_is_open(job))
        run_end(self, job, run_outcome_so_far(&job->current), NULL, "the job was removed");
    if (!update_has_room(self))
        return;
    alerts_of_job_clear(self, job);
    if (!holds_of_job_end(self, place))
        return;
    leave_sessions(self, place);
    if (slots_leave(self, job->last_slot_ms))
        meta_store(self, false);
    record_add(self, CORE_TABLE_JOB, job->name, strlen(job->name), NULL);
    record_add(self, CORE_TABLE_FIGURES, job->name, strlen(job->name), NULL);
    names_remove(&self->job_names, job->name);
    list_remove(&job->due);
    topic_remove(self, &job->tick);
    topic_remove(self, &job->run);
    topic_remove(self, &job->change);
    job->presence = JOB_ABSENT;
    self->jobs_absent++;
}

// ---------------------------------------------------------------- deadlines

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t job_wall_deadline(const struct core *self, const struct job *job)
{
    if (job->presence != JOB_CONFIGURED)
        return INT64_MAX;
    return least(schedule_slot_deadline(self, job), job->is_stale ? INT64_MAX : job_stale_ms(job));
}

int64_t job_boot_deadline(const struct core *self, const struct job *job)
{
    if (job->presence == JOB_ABSENT)
        return INT64_MAX;
    if (job->presence == JOB_RETIRING && !run_is_at_work(job) && !is_referred_to(self, job_index(self, job)))
        return INT64_MIN;
    return least(run_boot_deadline(self, job), schedule_boot_deadline(self, job));
}

int64_t job_stale_ms(const struct job *job)
{
    const int64_t since = job->last_success_ms != 0 ? job->last_success_ms : job->known_since_ms;
    return since + job->config.fresh_within_ms + 1;
}

static void look(struct core *self, struct job *job)
{
    const uint32_t place = job_index(self, job);
    job->is_touched = false;
    heap_set(&self->job_wall, place, job_wall_deadline(self, job));
    heap_set(&self->job_boot, place, job_boot_deadline(self, job));
}

void jobs_look(struct core *self)
{
    while (self->touched_count > 0)
        look(self, &self->jobs[self->touched[--self->touched_count]]);
}

// A wall clock that was set moves what depends on it for every job.
static void look_at_clock(struct core *self)
{
    const int64_t ahead = self->wall_ms - self->boot_ms;
    const int64_t moved = ahead - self->wall_ahead_ms;
    if (moved <= CLOCK_STEP_MS && moved >= -CLOCK_STEP_MS)
        return;
    self->wall_ahead_ms = ahead;
    alerts_look_again(self);
    for (size_t i = 0; i < self->job_count; i++)
        job_touch(self, &self->jobs[i]);
    jobs_look(self);
}

// Where each job that moved stands is stored now, each by itself, so META need not say it for all of them.
static void settle_all(struct core *self)
{
    if (self->slots_told_ms == 0 || self->jobs_moved > 0)
        return;
    self->slots_told_ms = 0;
    meta_store(self, false);
}

static bool advance_due(struct core *self)
{
    for (;;) {
        struct job *job = NULL;
        if (heap_first_time(&self->job_wall) <= self->wall_ms)
            job = &self->jobs[heap_first(&self->job_wall)];
        else if (heap_first_time(&self->job_boot) <= self->boot_ms)
            job = &self->jobs[heap_first(&self->job_boot)];
        if (job == NULL || !number_is_left(&self->runs)) // which is stored a moment later
            return true;
        if (!update_has_room(self))
            return false;
        if (job->presence == JOB_RETIRING)
            wind_down(self, job);
        run_advance(self, job);
        schedule_advance(self, job);
        jobs_look(self);
        look(self, job);
    }
}

bool jobs_advance(struct core *self)
{
    if (self->stopping)
        return true;
    jobs_look(self);
    look_at_clock(self);
    const bool all = advance_due(self);
    settle_all(self);
    return all;
}

int64_t jobs_deadline(const struct core *self)
{
    if (self->stopping)
        return INT64_MAX;
    const int64_t wall = heap_first_time(&self->job_wall);
    const int64_t first = least(heap_first_time(&self->job_boot),
                                wall == INT64_MAX ? INT64_MAX : self->boot_ms + (wall - self->wall_ms));
    return first <= self->boot_ms && !number_is_left(&self->runs) ? self->boot_ms + LOOK_MS : first;
}
