// The beat repairs whatever was missed (I11): it repeats the state of every resource that is not simply open,
// the last seq of each topic that changed lately, and the ticks of runs that nobody has taken, or whose
// turn nobody asks for any more.
#include "broker/core/parts.h"

// The last seq of each topic that changed within the last beats, the latest first, as many as a beat takes.
static void add_seqs(struct core *self, Sb__Beat *beat)
{
    beat->seqs = arena_take(self, BEAT_TOPICS * sizeof(void *));
    for (const struct link *link = list_first(&self->changed); link != NULL && beat->n_seqs < BEAT_TOPICS;
         link = list_next(&self->changed, link)) {
        const struct topic *topic = LIST_ITEM(link, const struct topic, changed);
        if (self->beat - topic->beat > BEATS_REPEATED)
            return;
        Sb__Beat__SeqsEntry *entry = arena_take(self, sizeof *entry);
        sb__beat__seqs_entry__init(entry);
        entry->key = (char *)(uintptr_t)topic_text(self, topic);
        entry->value = topic->seq;
        beat->seqs[beat->n_seqs++] = entry;
    }
}

static void publish_beat(struct core *self)
{
    Sb__Event *event = publish(self, &self->beat_topic, true);
    Sb__Beat *beat = arena_take(self, sizeof *beat);
    sb__beat__init(beat);
    beat->beat = self->beat;
    beat->stopping = self->stopping;
    beat->resources = arena_take(self, self->resource_count * sizeof(void *));
    for (size_t i = 0; i < self->resource_count; i++) {
        if (!resource_is_open(self, &self->resources[i]))
            beat->resources[beat->n_resources++] = view_resource(self, &self->resources[i]);
    }
    add_seqs(self, beat);
    event->body_case = SB__EVENT__BODY_BEAT;
    event->beat = beat;
}

// Runs that nobody has taken, or asks for any more, are told again, the same run and attempt; those longest
// untold first.
static void repeat_ticks(struct core *self)
{
    const struct link *last = self->due.prev;
    for (int left = TICKS_A_BEAT; left > 0; left--) {
        struct link *link = list_first(&self->due);
        if (link == NULL)
            return;
        run_publish_tick(self, LIST_ITEM(link, struct job, due));
        list_append(&self->due, link);
        if (link == last)
            return;
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
    pauses_store(self);
    if (!self->stopping)
        repeat_ticks(self);
    publish_beat(self);
}
