// The beat repairs whatever was missed (I11): it repeats the state of every resource that is not simply open,
// the last seq of each topic that changed lately, and the ticks of runs that nobody has taken.
#include "broker/core/state.h"

// Entries under construction: room for every topic that can have changed.
struct entries {
    Sb__Beat__SeqsEntry **items;
    size_t count, max;
};

static void add(struct core *self, struct entries *entries, const struct topic *topic, const char *kind,
                const char *name)
{
    if (topic->seq == 0 || self->beat - topic->beat > BEATS_REPEATED || entries->count == entries->max)
        return;
    Sb__Beat__SeqsEntry *entry = arena_take(self, sizeof *entry);
    sb__beat__seqs_entry__init(entry);
    entry->key = arena_print(self, "%s.%s", kind, name);
    entry->value = topic->seq;
    entries->items[entries->count++] = entry;
}

static void add_all(struct core *self, struct entries *entries)
{
    for (size_t i = 0; i < self->config.resource_count; i++) {
        const struct resource *resource = &self->resources[i];
        add(self, entries, &resource->pause_topic, "pause", resource->name);
        add(self, entries, &resource->resume_topic, "resume", resource->name);
        add(self, entries, &resource->lease_topic, "lease", resource->name);
    }
    for (size_t i = SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED; i <= SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON;
         i++)
        add(self, entries, &self->order_topics[i], "order", order_topic((Sb__OrderStatus)i));
    for (size_t i = 0; i < self->config.job_count; i++) {
        const struct job *job = &self->jobs[i];
        add(self, entries, &job->tick, "tick", job->name);
        add(self, entries, &job->run, "run", job->name);
        add(self, entries, &job->change, "change", job->name);
    }
}

static void publish_beat(struct core *self)
{
    enum { ENTRIES_MAX = 4096 };
    Sb__Event *event = publish(self, &self->beat_topic, "beat", "", true);
    Sb__Beat *beat = arena_take(self, sizeof *beat);
    sb__beat__init(beat);
    beat->beat = self->beat;
    beat->stopping = self->stopping;
    beat->resources = arena_take(self, self->config.resource_count * sizeof(void *));
    for (size_t i = 0; i < self->config.resource_count; i++) {
        if (!resource_is_open(self, &self->resources[i]))
            beat->resources[beat->n_resources++] = view_resource(self, &self->resources[i]);
    }
    struct entries entries = {.items = arena_take(self, ENTRIES_MAX * sizeof(void *)), .max = ENTRIES_MAX};
    add_all(self, &entries);
    beat->seqs = entries.items;
    beat->n_seqs = entries.count;
    event->body_case = SB__EVENT__BODY_BEAT;
    event->beat = beat;
}

// Due runs that nobody has taken are told again, the same run and attempt.
static void repeat_ticks(struct core *self)
{
    int left = TICKS_A_BEAT;
    for (size_t i = 0; i < self->config.job_count && left > 0; i++) {
        struct job *job = &self->jobs[i];
        if (job->current.number == 0 || job->current.stage != SB__STAGE__STAGE_DUE)
            continue;
        run_publish_tick(self, job);
        left--;
    }
}

void beat_advance(struct core *self)
{
    if (self->boot_ms < self->next_beat)
        return;
    const int64_t late = self->boot_ms - self->next_beat;
    self->next_beat += (late / self->config.beat_ms + 1) * self->config.beat_ms; // no burst after a stall
    self->beat++;
    sessions_expire(self);
    if (!self->stopping)
        repeat_ticks(self);
    publish_beat(self);
}
