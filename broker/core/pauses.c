// The figures of pauses: how often, how long, for whom. They are kept over restarts, but for those of the
// last beat: a grant costs no commit.
#include "broker/core/parts.h"

#include <string.h>

Sb__LeaseState *pause_view(struct core *self, const struct pause *pause)
{
    Sb__LeaseState *state = arena_take(self, sizeof *state);
    sb__lease_state__init(state);
    state->resource = self->resources[pause->resource].name;
    state->mode = SB__MODE__MODE_EXCLUSIVE;
    state->holder = arena_text(self, pause->holder);
    state->reason = arena_text(self, pause->reason);
    state->change = pause->change;
    state->waited_ms = pause->waited_ms;
    state->time_ms = pause->time_ms;
    state->blockers = arena_text(self, pause->blockers);
    return state;
}

static void resource_store(struct core *self, struct resource *resource)
{
    Sb__StoredResource *stored = arena_take(self, sizeof *stored);
    sb__stored_resource__init(stored);
    stored->resource = resource->name;
    stored->wait = histogram_bytes(self, &resource->wait);
    stored->timed_out = resource->timed_out;
    record_add(self, CORE_TABLE_RESOURCE, resource->name, strlen(resource->name), &stored->base);
    resource->is_counted = false;
}

static void pause_store(struct core *self, const struct pause *pause)
{
    enum { STEPS = 1024 }; // of a millisecond: several pauses of one are told apart
    struct resource *resource = &self->resources[pause->resource];
    Sb__StoredPause *stored = arena_take(self, sizeof *stored);
    sb__stored_pause__init(stored);
    stored->pause = pause_view(self, pause);
    uint8_t key[CORE_KEY_MAX];
    const int64_t step = (int64_t)(resource->history_count++ % STEPS);
    const size_t size = key_slot(key, resource->name, pause->time_ms * STEPS + step);
    record_add(self, CORE_TABLE_PAUSE, key, size, &stored->base);
}

void pauses_store(struct core *self)
{
    for (size_t i = 0; i < self->pause_count; i++)
        pause_store(self, &self->pauses[i]);
    self->pause_count = 0;
    for (size_t i = 0; i < self->resource_count; i++) {
        if (self->resources[i].is_counted)
            resource_store(self, &self->resources[i]);
    }
}

const struct pause *pause_count(struct core *self, struct resource *resource, const struct waiter *waiter,
                                Sb__LeaseChange change)
{
    if (self->pause_count == PAUSES_KEPT)
        pauses_store(self);
    struct pause *pause = &self->pauses[self->pause_count++];
    *pause = (struct pause){.resource = (uint32_t)(resource - self->resources),
                            .change = change,
                            .waited_ms = self->boot_ms - resource->drain_since,
                            .time_ms = self->wall_ms};
    text_copy(pause->holder, sizeof pause->holder, waiter->holder);
    text_copy(pause->reason, sizeof pause->reason, waiter->reason);
    text_copy(pause->blockers, sizeof pause->blockers, resource->blocked_by);
    if (change == SB__LEASE_CHANGE__LEASE_CHANGE_GRANTED)
        histogram_add(&resource->wait, pause->waited_ms);
    else
        resource->timed_out++;
    resource->is_counted = true;
    return pause;
}

// ---------------------------------------------------------------- the report

static double time_of(const Sb__BlockerTotal *total)
{
    return total->wait->avg_ms * (double)total->wait->count;
}

static Sb__BlockerTotal *total_of(struct core *self, const struct job *job)
{
    Sb__BlockerTotal *total = arena_take(self, sizeof *total);
    sb__blocker_total__init(total);
    total->job = (char *)job->name;
    const struct histogram *blocked = &job_figures(self, job)->blocked_others;
    total->times = blocked->count;
    total->wait = view_quantiles(self, blocked);
    return total;
}

// Keeps the list's order, those that took most time first; what has no room falls off its end.
static void insert(Sb__PauseReport *report, Sb__BlockerTotal *total)
{
    size_t place = report->n_blockers;
    while (place > 0 && time_of(report->blockers[place - 1]) < time_of(total))
        place--;
    if (place == BLOCKERS_TOLD)
        return;
    report->n_blockers += report->n_blockers < BLOCKERS_TOLD ? 1 : 0;
    for (size_t i = report->n_blockers - 1; i > place; i--)
        report->blockers[i] = report->blockers[i - 1];
    report->blockers[place] = total;
}

static void add_blockers(struct core *self, Sb__PauseReport *report, const char *resource)
{
    report->blockers = arena_take(self, BLOCKERS_TOLD * sizeof(void *));
    for (size_t i = 0; i < self->job_count; i++) {
        const struct job *job = &self->jobs[i];
        if (job->presence == JOB_ABSENT || job_figures(self, job)->blocked_others.count == 0 ||
            (resource != NULL && strcmp(self->resources[job->config.resource].name, resource) != 0))
            continue;
        insert(report, total_of(self, job));
    }
}

void view_pauses(struct core *self, uint64_t peer, const Sb__Request *request)
{
    const Sb__Pauses *pauses = request->pauses;
    const struct resource *resource = resource_find(self, pauses->resource);
    if (pauses->resource[0] != '\0' && resource == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_NOT_FOUND,
                        arena_print(self, "no resource is called \"%s\"", pauses->resource));
        return;
    }
    struct core_read *read = read_add(self, peer, request, CORE_TABLE_PAUSE, pauses->limit);
    read->job = resource != NULL ? resource->name : NULL;
    if (resource != NULL)
        read_range(read, resource->name, 0, INT64_MAX);
    else
        read_everything(read);
}

void pauses_fill(struct core *self, Sb__Reply *reply, const char *resource,
                 const ProtobufCMessage *const *values, size_t count)
{
    Sb__PauseReport *report = arena_take(self, sizeof *report);
    struct histogram *wait = arena_take(self, sizeof *wait);
    sb__pause_report__init(report);
    for (size_t i = 0; i < self->resource_count; i++) {
        const struct resource *one = &self->resources[i];
        if (resource != NULL && strcmp(one->name, resource) != 0)
            continue;
        histogram_merge(wait, &one->wait);
        report->timed_out += one->timed_out;
    }
    report->count = wait->count;
    report->wait = view_quantiles(self, wait);
    add_blockers(self, report, resource);
    report->recent = arena_take(self, (count + 1) * sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        const Sb__StoredPause *stored = (const Sb__StoredPause *)values[i];
        if (stored->pause != NULL)
            report->recent[report->n_recent++] = stored->pause;
    }
    reply->body_case = SB__REPLY__BODY_PAUSE_REPORT;
    reply->pause_report = report;
}
