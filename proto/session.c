#include "proto/session_parts.h"

#include "proto/base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    PINGS_MAX = 2,          // unanswered ones, then the sockets are opened anew
    GREETING_MIN_MS = 2000, // how long a Hello may take at least
    REFUSED_MS = 2000,      // until the next Hello after one was refused
    PING_MIN_MS = 100,      // between pings, however short a session may be silent
};

// ---------------------------------------------------------------- making and freeing

static void free_list(char **list)
{
    for (char **item = list; item != NULL && *item != NULL; item++)
        free(*item);
    free(list);
}

bool session_fits(const char *text, size_t size_max)
{
    return strlen(text) <= size_max && utf8_plain(text, strlen(text));
}

// A copy of a list ended by NULL, with room for `extra` more; NULL when memory ends or a name does not fit.
static char **copy_list(const char *const *list, size_t extra)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL)
        count++;
    char **copy = calloc(count + extra + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = session_fits(list[i], WIRE_NAME_MAX) ? strdup(list[i]) : NULL;
        if (copy[i] == NULL) {
            free_list(copy);
            return NULL;
        }
    }
    return copy;
}

static size_t list_size(char *const *list)
{
    size_t count = 0;
    while (list[count] != NULL)
        count++;
    return count;
}

// What to subscribe to: what the program wants, the beat, and for its jobs their ticks and the pauses.
static char **all_topics(const char *const *wanted, char *const *jobs)
{
    static const char tick[] = "tick.";
    const size_t job_count = list_size(jobs);
    char **topics = copy_list(wanted, job_count + 2);
    if (topics == NULL)
        return NULL;
    size_t count = list_size(topics);
    for (size_t i = 0; i < job_count; i++) {
        const size_t size = strlen(jobs[i]);
        char *topic = malloc(sizeof tick + size);
        if (topic == NULL)
            goto fail;
        memcpy(topic, tick, sizeof tick - 1);
        memcpy(topic + sizeof tick - 1, jobs[i], size + 1);
        topics[count++] = topic;
    }
    const char *const fixed[] = {"beat", job_count > 0 ? "pause." : NULL};
    for (size_t i = 0; i < 2 && fixed[i] != NULL; i++) {
        topics[count] = strdup(fixed[i]);
        if (topics[count++] == NULL)
            goto fail;
    }
    return topics;
fail:
    free_list(topics);
    return NULL;
}

static bool copy_options(struct session *self, const struct syncbus_options *options)
{
    if (options->name != NULL && !session_fits(options->name, WIRE_NAME_MAX))
        return false;
    if (options->version != NULL && !session_fits(options->version, WIRE_NAME_MAX))
        return false;
    self->name = strdup(options->name != NULL ? options->name : "");
    self->version = strdup(options->version != NULL ? options->version : "");
    self->jobs = copy_list(options->jobs, 0);
    self->serves = copy_list(options->serves, 0);
    self->wanted = copy_list(options->topics, 0);
    if (self->name == NULL || self->version == NULL || self->jobs == NULL || self->serves == NULL ||
        self->wanted == NULL)
        return false;
    if (options->events == NULL)
        return true;
    self->topics = all_topics(options->topics, self->jobs);
    return self->topics != NULL;
}

struct session *session_new(const struct session_options *options, int64_t now_ms)
{
    struct session *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->frames_tail = &self->frames;
    self->news_tail = &self->news;
    if (!copy_options(self, options->client)) {
        session_destroy(&self);
        return NULL;
    }
    random_init(&self->random, options->seed);
    self->anonymous = options->client->anonymous;
    self->instance = options->client->instance != 0 ? options->client->instance : random_next(&self->random);
    self->process = options->process;
    self->host = options->host;
    // One-shots take their numbers from a random start: nobody else's is likely to be near.
    self->next_id = self->anonymous ? random_next(&self->random) >> 1 : 1;
    self->now_ms = now_ms;
    self->state = SESSION_AWAY;
    self->next_ms = self->anonymous ? INT64_MAX : now_ms;
    self->beat_ms = SESSION_BEAT_MS;
    self->ping_ms = SESSION_BEAT_MS;
    self->connect = true;
    session_state_want(self);
    return self;
}

void session_destroy(struct session **self_p)
{
    struct session *self = *self_p;
    if (self == NULL)
        return;
    session_drop_frames(self);
    session_drop_news(self);
    session_lease_free(self);
    session_ask_free(self);
    session_state_free(self);
    for (size_t i = 0; i < self->run_count; i++)
        free(self->runs[i].job);
    free(self->runs);
    free(self->name);
    free(self->version);
    free_list(self->jobs);
    free_list(self->serves);
    free_list(self->wanted);
    free_list(self->topics);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- registration

uint64_t session_next_id(struct session *self)
{
    return self->next_id++;
}

static void tell_away(struct session *self, const char *why)
{
    if (self->was_away)
        return;
    self->was_away = true;
    self->was_joined = false;
    session_tell_text(session_tell(self, SYNCBUS_DISCONNECTED), why);
}

static void tell_joined(struct session *self)
{
    self->was_away = false;
    self->was_joined = true;
    (void)session_tell(self, SYNCBUS_CONNECTED);
}

// Many clients lose one broker at the same moment: each waits a random part of a beat before its Hello.
void session_greet_again(struct session *self)
{
    if (self->anonymous)
        return;
    self->state = SESSION_AWAY;
    self->number = 0;
    self->pings = 0;
    session_drop_frames(self);
    self->next_ms = self->now_ms + (int64_t)random_below(&self->random, self->beat_ms);
}

void session_connect_again(struct session *self, const char *why)
{
    session_drop_frames(self);
    self->connect = true;
    tell_away(self, why);
    session_greet_again(self);
}

static void say_hello(struct session *self)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Hello hello = SB__HELLO__INIT;
    Sb__Renew *renews = calloc(self->wish_count + 1, sizeof *renews);
    Sb__Renew **renew_places = calloc(self->wish_count + 1, sizeof *renew_places);
    Sb__RunState *runs = calloc(self->run_count + 1, sizeof *runs);
    Sb__RunState **run_places = calloc(self->run_count + 1, sizeof *run_places);
    self->state = SESSION_GREETING;
    self->hello_id = session_next_id(self);
    self->next_ms =
        self->now_ms + (2 * self->beat_ms > GREETING_MIN_MS ? 2 * self->beat_ms : GREETING_MIN_MS);
    if (renews == NULL || renew_places == NULL || runs == NULL || run_places == NULL)
        goto end; // the greeting times out, and the next one may find memory
    hello.name = self->name;
    hello.version = self->version;
    hello.instance = self->instance;
    hello.process = self->process;
    hello.host = self->host;
    hello.last_epoch = self->epoch;
    hello.jobs = self->jobs;
    hello.n_jobs = list_size(self->jobs);
    hello.serves = self->serves;
    hello.n_serves = list_size(self->serves);
    session_lease_hello(self, &hello, renews, renew_places);
    for (size_t i = 0; i < self->run_count; i++) {
        runs[i] = (Sb__RunState)SB__RUN_STATE__INIT;
        runs[i].job = self->runs[i].job;
        runs[i].run = self->runs[i].run;
        runs[i].attempt = self->runs[i].attempt;
        run_places[i] = &runs[i];
    }
    hello.runs = run_places;
    hello.n_runs = self->run_count;
    request.body_case = SB__REQUEST__BODY_HELLO;
    request.hello = &hello;
    session_send(self, &request, self->hello_id);
end:
    free(renews);
    free(renew_places);
    free(runs);
    free(run_places);
}

static void send_ping(struct session *self)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Ping ping = SB__PING__INIT;
    request.body_case = SB__REQUEST__BODY_PING;
    request.ping = &ping;
    session_send(self, &request, session_next_id(self));
    self->pings++;
    self->next_ms = self->now_ms + self->ping_ms;
}

// The pings' pace: often enough that three fit into the time after which a silent session counts as gone.
static int64_t ping_pace(uint32_t beat_ms, uint32_t session_ttl_ms)
{
    int64_t pace = session_ttl_ms > 0 && session_ttl_ms / 4 < beat_ms ? session_ttl_ms / 4 : beat_ms;
    return pace > PING_MIN_MS ? pace : PING_MIN_MS;
}

static void take_welcome(struct session *self, const Sb__Reply *reply)
{
    const Sb__Welcome *welcome = reply->welcome;
    if (!session_state_epoch(self, reply->epoch)) { // I10: another broker that has not heard of the newer one
        tell_away(self, "a broker of an earlier epoch answers; it was started from old data");
        self->state = SESSION_AWAY;
        self->next_ms = self->now_ms + REFUSED_MS;
        return;
    }
    self->epoch = reply->epoch;
    self->number = welcome->session;
    self->state = SESSION_JOINED;
    self->pings = 0;
    self->beat_ms = welcome->beat_ms > 0 ? welcome->beat_ms : SESSION_BEAT_MS;
    self->ping_ms = ping_pace(self->beat_ms, welcome->session_ttl_ms);
    self->next_ms = self->now_ms + self->ping_ms;
    tell_joined(self);
    session_ask_joined(self); // their numbers are older than those of anything else that follows
    session_lease_joined(self);
    session_state_joined(self, welcome->state);
}

static void take_greeting(struct session *self, const Sb__Reply *reply)
{
    if (self->state != SESSION_GREETING)
        return;
    if (reply->code == SB__CODE__CODE_OK && reply->body_case == SB__REPLY__BODY_WELCOME &&
        reply->welcome->session != 0) {
        take_welcome(self, reply);
        return;
    }
    tell_away(self, reply->text[0] != '\0' ? reply->text : "the broker refused to register this client");
    self->state = SESSION_AWAY;
    self->next_ms = self->now_ms + REFUSED_MS;
}

// ---------------------------------------------------------------- inputs

// What is over is over before anything else is looked at: a late answer must not revive it.
void session_begin(struct session *self, int64_t now_ms)
{
    if (now_ms > self->now_ms)
        self->now_ms = now_ms;
    session_lease_ends(self);
}

static void take_call(struct session *self, Sb__Reply **reply_p)
{
    const Sb__Deliver *deliver = (*reply_p)->deliver;
    struct session_news *news = session_tell(self, SYNCBUS_CALL);
    if (news == NULL)
        return;
    news->notice.call = deliver->call;
    news->notice.method = deliver->method;
    news->notice.from = deliver->from;
    news->notice.timeout_ms = deliver->timeout_ms;
    news->notice.body = deliver->body.data;
    news->notice.body_size = deliver->body.len;
    news->reply = *reply_p;
    *reply_p = NULL;
}

static void take_reply(struct session *self, Sb__Reply **reply_p, const void *data, size_t size)
{
    const Sb__Reply *reply = *reply_p;
    if (reply->id == 0) {
        if (reply->body_case == SB__REPLY__BODY_DELIVER && self->state == SESSION_JOINED)
            take_call(self, reply_p);
        return;
    }
    self->pings = 0;
    if (self->anonymous) {
        if (reply->epoch > self->epoch)
            self->epoch = reply->epoch;
        if (!self->was_joined)
            tell_joined(self);
        const bool current = session_state_epoch(self, reply->epoch);
        if (!session_ask_reply(self, reply, data, size) && current &&
            reply->body_case == SB__REPLY__BODY_STATE)
            session_state_apply(self, reply->state);
        return;
    }
    if (reply->id == self->hello_id) {
        take_greeting(self, reply);
        return;
    }
    if (self->state != SESSION_JOINED)
        return;
    if (reply->code == SB__CODE__CODE_NO_SESSION) {
        // Of an earlier session nothing can be answered here any more.
        if (reply->id > self->hello_id)
            session_greet_again(self);
        return;
    }
    if (session_lease_reply(self, reply_p) || session_ask_reply(self, reply, data, size))
        return;
    // Nobody's answer: one to a snapshot that the session itself asked for.
    if (reply->body_case == SB__REPLY__BODY_STATE)
        session_state_apply(self, reply->state);
}

void session_reply(struct session *self, int64_t now_ms, Sb__Reply *reply, const void *data, size_t size)
{
    session_begin(self, now_ms);
    take_reply(self, &reply, data, size);
    if (reply != NULL)
        sb__reply__free_unpacked(reply, NULL);
}

void session_time(struct session *self, int64_t now_ms)
{
    session_begin(self, now_ms);
    session_lease_time(self);
    session_ask_time(self);
    session_state_time(self);
    if (self->now_ms < self->next_ms)
        return;
    switch (self->state) {
    case SESSION_AWAY: say_hello(self); break;
    case SESSION_GREETING: session_connect_again(self, "the broker does not answer"); break;
    case SESSION_JOINED:
        if (self->pings >= PINGS_MAX)
            session_connect_again(self, "the broker does not answer any more");
        else
            send_ping(self);
        break;
    }
}

int64_t session_deadline(const struct session *self)
{
    const int64_t times[] = {session_lease_deadline(self), session_ask_deadline(self),
                             session_state_deadline(self)};
    int64_t deadline = self->next_ms;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (times[i] < deadline)
            deadline = times[i];
    }
    return deadline;
}

// ---------------------------------------------------------------- commands

const char *const *session_topics(const struct session *self)
{
    return (const char *const *)self->topics;
}

uint64_t session_number(const struct session *self)
{
    return self->number;
}

uint64_t session_epoch(const struct session *self)
{
    return self->epoch;
}

int session_run_begin(struct session *self, const char *job, uint64_t run, uint32_t attempt)
{
    if (job == NULL || run == 0 || !session_fits(job, WIRE_NAME_MAX))
        return -EINVAL;
    for (size_t i = 0; i < self->run_count; i++) {
        if (self->runs[i].run == run) {
            self->runs[i].attempt = attempt;
            return 0;
        }
    }
    if (self->run_count == SESSION_RUNS_MAX)
        return -ENOBUFS;
    struct session_run *runs = realloc(self->runs, (self->run_count + 1) * sizeof *runs);
    if (runs == NULL)
        return -ENOMEM;
    self->runs = runs;
    char *copy = strdup(job);
    if (copy == NULL)
        return -ENOMEM;
    self->runs[self->run_count++] = (struct session_run){.job = copy, .run = run, .attempt = attempt};
    return 0;
}

void session_run_end(struct session *self, uint64_t run)
{
    for (size_t i = 0; i < self->run_count; i++) {
        if (self->runs[i].run != run)
            continue;
        free(self->runs[i].job);
        self->runs[i] = self->runs[--self->run_count];
        return;
    }
}

void session_bye(struct session *self)
{
    if (self->state != SESSION_JOINED)
        return;
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Bye bye = SB__BYE__INIT;
    request.body_case = SB__REQUEST__BODY_BYE;
    request.bye = &bye;
    session_send(self, &request, session_next_id(self));
}
