#include "proto/session_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    BEATS_MISSED_MAX = 3, // then the state is asked for
    BEATS_DEAD_MAX = 10,  // of an anonymous client: then its sockets are opened anew
    JOBS_LISTED_MAX = 4,  // with more jobs one snapshot of all is asked for
};

// ---------------------------------------------------------------- topics

static bool has_prefix(const char *topic, char *const *prefixes)
{
    for (; *prefixes != NULL; prefixes++) {
        if (strncmp(topic, *prefixes, strlen(*prefixes)) == 0)
            return true;
    }
    return false;
}

static bool is_own_job(const struct session *self, const char *job)
{
    for (char *const *own = self->jobs; *own != NULL; own++) {
        if (strcmp(*own, job) == 0)
            return true;
    }
    return false;
}

// The followed topic, made if there is room; NULL else. `*ret_new` says whether nothing was known of it; of
// one whose epoch was followed from its start it is known that nothing came.
static struct session_topic *follow(struct session *self, const char *name, bool *ret_new)
{
    *ret_new = false;
    for (size_t i = 0; i < self->seq_count; i++) {
        if (strcmp(self->seqs[i].name, name) == 0)
            return &self->seqs[i];
    }
    if (self->seq_count == SESSION_TOPICS_MAX)
        return NULL;
    if (self->seq_count == self->seq_capacity) {
        const size_t capacity = self->seq_capacity == 0 ? 16 : 2 * self->seq_capacity;
        struct session_topic *seqs = realloc(self->seqs, capacity * sizeof *seqs);
        if (seqs == NULL)
            return NULL;
        self->seqs = seqs;
        self->seq_capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return NULL;
    *ret_new = !self->from_start;
    self->seqs[self->seq_count] = (struct session_topic){.name = copy};
    return &self->seqs[self->seq_count++];
}

static void forget_topics(struct session *self)
{
    for (size_t i = 0; i < self->seq_count; i++)
        free(self->seqs[i].name);
    self->seq_count = 0;
}

void session_state_free(struct session *self)
{
    forget_topics(self);
    free(self->seqs);
}

// ---------------------------------------------------------------- what is told

static void tell_tick(struct session *self, const char *job, uint64_t run, uint32_t attempt, int64_t slot_ms)
{
    // The copy of the options lives as long as the session.
    char *const *own = self->jobs;
    while (*own != NULL && strcmp(*own, job) != 0)
        own++;
    if (*own == NULL || run == 0)
        return;
    struct session_news *news = session_tell(self, SYNCBUS_TICK);
    if (news == NULL)
        return; // the beat repeats it
    news->notice.job = *own;
    news->notice.run = run;
    news->notice.attempt = attempt;
    news->notice.slot_ms = slot_ms;
}

static void tell_gap(struct session *self, const char *topic, uint64_t missed)
{
    struct session_news *news = session_tell(self, SYNCBUS_GAP);
    if (news == NULL)
        return;
    session_tell_text(news, topic);
    news->notice.topic = news->notice.text;
    news->notice.missed = missed;
}

static void tell_publication(struct session *self, const char *topic, const void *data, size_t size)
{
    struct session_news *news = session_tell(self, SYNCBUS_PUBLICATION);
    if (news == NULL)
        return;
    session_tell_text(news, topic);
    news->notice.topic = news->notice.text;
    session_tell_body(news, data, size);
}

static void take_resource(struct session *self, const Sb__ResourceState *resource)
{
    if (resource->phase == SB__PHASE__PHASE_DRAINING)
        session_lease_paused(self, resource->resource, resource->pause);
}

// ---------------------------------------------------------------- the whole state

// Of one job, or of all ("") that come after another.
static void send_snapshot(struct session *self, const char *job, const char *after)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    snapshot.job = (char *)job;
    snapshot.after = (char *)after;
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &snapshot;
    session_send(self, &request, session_next_id(self));
}

static void want_beat_within(struct session *self, unsigned beats)
{
    self->beat_end_ms = self->now_ms + (int64_t)beats * self->beat_ms + self->beat_ms / 2;
}

void session_state_want(struct session *self)
{
    if (self->anonymous && self->topics == NULL)
        self->beat_end_ms = INT64_MAX;
    else
        want_beat_within(self, self->anonymous ? BEATS_DEAD_MAX : BEATS_MISSED_MAX);
}

// Asks for the state of what this client works on or listens to; one that does neither has nothing to repair.
static void ask_for_state(struct session *self)
{
    session_state_want(self);
    if (self->state != SESSION_JOINED && !self->anonymous)
        return;
    const bool listens = self->topics != NULL && self->wanted[0] != NULL;
    size_t count = 0;
    while (self->jobs[count] != NULL && count <= JOBS_LISTED_MAX)
        count++;
    if (listens || count > JOBS_LISTED_MAX) {
        send_snapshot(self, "", "");
        return;
    }
    for (size_t i = 0; i < count; i++)
        send_snapshot(self, self->jobs[i], "");
}

// A topic has come to `seq`, as a beat or a state tells; true if not all of it came here.
static bool know_seq(struct session *self, const char *name, uint64_t seq)
{
    bool is_new = false;
    if (self->topics == NULL || !has_prefix(name, self->topics))
        return false;
    struct session_topic *topic = follow(self, name, &is_new);
    if (topic == NULL || seq <= topic->seq)
        return false;
    // What a topic was before this client listened to it is no gap, but may be news all the same.
    if (!is_new && has_prefix(name, self->wanted))
        tell_gap(self, topic->name, seq - topic->seq);
    topic->seq = seq;
    return true;
}

void session_state_apply(struct session *self, const Sb__State *state)
{
    for (size_t i = 0; i < state->n_seqs; i++)
        (void)know_seq(self, state->seqs[i]->key, state->seqs[i]->value);
    for (size_t i = 0; i < state->n_resources; i++)
        take_resource(self, state->resources[i]);
    for (size_t i = 0; i < state->n_jobs; i++) {
        const Sb__RunState *current = state->jobs[i]->current;
        if (current != NULL && current->stage == SB__STAGE__STAGE_DUE)
            tell_tick(self, state->jobs[i]->job, current->run, current->attempt, current->slot_ms);
    }
    const char *last = state->n_jobs > 0 ? state->jobs[state->n_jobs - 1]->job : "";
    if (state->more && last[0] != '\0' && strlen(last) <= WIRE_NAME_MAX)
        send_snapshot(self, "", last);
}

void session_state_joined(struct session *self, const Sb__State *state)
{
    session_state_want(self);
    if (state != NULL)
        session_state_apply(self, state);
    if (self->from_start && self->jobs[0] == NULL) // the Welcome tells of one's own jobs only
        ask_for_state(self);
}

// ---------------------------------------------------------------- publications

static void take_beat(struct session *self, const Sb__Beat *beat)
{
    bool missed = false;
    session_state_want(self);
    for (size_t i = 0; i < beat->n_resources; i++)
        take_resource(self, beat->resources[i]);
    for (size_t i = 0; i < beat->n_seqs; i++)
        missed |= know_seq(self, beat->seqs[i]->key, beat->seqs[i]->value);
    if (missed)
        ask_for_state(self);
}

// Follows the topic's count; false for an event that came before. `*ret_newer` says whether it tells more
// than the last state did.
static bool count_event(struct session *self, const char *name, uint64_t seq, bool *ret_newer)
{
    bool is_new = false;
    struct session_topic *topic = follow(self, name, &is_new);
    *ret_newer = topic == NULL || seq > topic->seq;
    if (topic == NULL)
        return true;
    if (seq <= topic->heard)
        return false;
    topic->heard = seq;
    if (!*ret_newer)
        return true;
    const uint64_t missed = is_new ? 0 : seq - topic->seq - 1;
    topic->seq = seq;
    if (missed > 0) {
        if (has_prefix(name, self->wanted))
            tell_gap(self, topic->name, missed);
        ask_for_state(self);
    }
    return true;
}

static void take_body(struct session *self, const char *topic, const Sb__Event *event)
{
    static const char tick[] = "tick.", pause[] = "pause.";
    switch (event->body_case) {
    case SB__EVENT__BODY_BEAT:
        if (strcmp(topic, "beat") == 0)
            take_beat(self, event->beat);
        break;
    case SB__EVENT__BODY_TICK:
        // Topics match by prefix: the whole one is compared.
        if (strncmp(topic, tick, sizeof tick - 1) == 0 &&
            strcmp(topic + sizeof tick - 1, event->tick->job) == 0 && is_own_job(self, event->tick->job))
            tell_tick(self, event->tick->job, event->tick->run, event->tick->attempt, event->tick->slot_ms);
        break;
    case SB__EVENT__BODY_RESOURCE:
        if (strncmp(topic, pause, sizeof pause - 1) == 0)
            take_resource(self, event->resource);
        break;
    default: break;
    }
}

bool session_state_epoch(struct session *self, uint64_t epoch)
{
    if (epoch < self->epoch || epoch < self->event_epoch)
        return false;                // I10
    if (epoch > self->event_epoch) { // another life of the broker: its counts begin anew
        forget_topics(self);
        self->from_start = self->event_epoch != 0;
        self->event_epoch = epoch;
    }
    return true;
}

// The session of an earlier epoch is gone.
static bool take_epoch(struct session *self, uint64_t epoch)
{
    if (!session_state_epoch(self, epoch))
        return false;
    if (self->state == SESSION_JOINED && epoch > self->epoch)
        session_greet_again(self);
    return true;
}

void session_event(struct session *self, int64_t now_ms, const char *topic, const Sb__Event *event,
                   const void *data, size_t size)
{
    session_begin(self, now_ms);
    if (self->topics == NULL || !has_prefix(topic, self->topics) || !take_epoch(self, event->epoch))
        return;
    if (self->anonymous && !self->was_joined) {
        self->was_away = false;
        self->was_joined = true;
        (void)session_tell(self, SYNCBUS_CONNECTED);
    }
    bool newer = false;
    if (!count_event(self, topic, event->seq, &newer))
        return;
    if (newer)
        take_body(self, topic, event);
    if (has_prefix(topic, self->wanted))
        tell_publication(self, topic, data, size);
}

void session_state_time(struct session *self)
{
    if (self->now_ms < self->beat_end_ms)
        return;
    if (!self->anonymous) {
        ask_for_state(self);
        return;
    }
    session_state_want(self);
    session_connect_again(self, "no publication comes from the broker");
    session_ask_joined(self);
}

int64_t session_state_deadline(const struct session *self)
{
    return self->beat_end_ms;
}
