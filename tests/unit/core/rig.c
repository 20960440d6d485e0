#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEER = 7, SESSION_JOBS = 64 };

static const struct core_resource_config RESOURCE = {.name = "erp",
                                                     .capacity = 2,
                                                     .lease_ttl_ms = 10000,
                                                     .grant_delay_ms = 1000,
                                                     .max_exclusive_ms = 600000,
                                                     .max_exclusive_streak_ms = 900000,
                                                     .aging_ms = 600000};
static const struct core_job_config JOB = {.every_ms = 600000,
                                           .priority = 3,
                                           .pause_timeout_ms = 60000,
                                           .max_yields = 3,
                                           .yields = true,
                                           .stall_ms = 60000,
                                           .settle_ms = 250,
                                           .retry_after_ms = 30000,
                                           .fresh_within_ms = 900000,
                                           .catches_up = true};

int rig_set_up(void **state)
{
    static const char *const names[RIG_JOBS] = {"prices", "stocks", "people"};
    struct rig *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->resources[ERP] = self->resources[CRM] = RESOURCE;
    self->resources[CRM].name = "crm";
    for (size_t i = 0; i < RIG_JOBS_MAX; i++) {
        (void)snprintf(self->names[i], sizeof self->names[i], "%s%zu", i < RIG_JOBS ? "" : "j", i);
        if (i < RIG_JOBS)
            (void)snprintf(self->names[i], sizeof self->names[i], "%s", names[i]);
        self->jobs[i] = JOB;
        self->jobs[i].name = self->names[i];
        self->jobs[i].resource = i == PEOPLE ? CRM : ERP;
    }
    self->config = (struct core_config){.resources = self->resources,
                                        .resource_count = 2,
                                        .jobs = self->jobs,
                                        .job_count = RIG_JOBS,
                                        .jobs_max = RIG_JOBS_MAX,
                                        .resources_max = 2,
                                        .beat_ms = 1000,
                                        .session_ttl_ms = 3600000,
                                        .sessions_max = 64,
                                        .waiters_max = 4096,
                                        .calls_max = 8,
                                        .version = "test",
                                        .profile = ""};
    self->boot_ms = 1000000;
    self->wall_ms = INT64_C(472222) * 3600000 + 1000; // a second after a slot
    *state = self;
    return 0;
}

int rig_tear_down(void **state)
{
    struct rig *self = *state;
    free(self->memory);
    free(self);
    return 0;
}

// ---------------------------------------------------------------- steps

static void hear(struct rig *self, const Sb__Event *event)
{
    for (size_t i = 0; i < self->config.job_count; i++) {
        if (event->body_case == SB__EVENT__BODY_TICK && strcmp(event->tick->job, self->names[i]) == 0) {
            self->runs[i] = event->tick->run;
            self->attempts[i] = event->tick->attempt;
        }
        if (event->body_case == SB__EVENT__BODY_RUN && strcmp(event->run->job, self->names[i]) == 0)
            self->stages[i] = event->run->stage;
    }
}

static void store(struct rig *self, const struct core_record *record)
{
    if (record->value == NULL) {
        self->deleted[record->table]++;
        return;
    }
    self->records[record->table]++;
    if (record->table == CORE_TABLE_LEDGER)
        self->outcome = ((const Sb__StoredLedgerEntry *)record->value)->entry->outcome;
}

static void step(struct rig *self, struct core_event *event)
{
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = self->durable;
    core_step(self->core, event, &self->update);
    for (size_t i = 0; i < self->update.publication_count; i++)
        hear(self, self->update.publications[i].event);
    for (size_t i = 0; i < self->update.record_count; i++)
        store(self, &self->update.records[i]);
    for (size_t i = 0; i < self->update.reply_count; i++)
        self->answers[self->update.replies[i].reply->code]++;
    if (!self->journal_stands)
        self->durable = core_update_number(self->core);
}

void rig_recovers(struct rig *self, enum core_table table, const char *key, const ProtobufCMessage *value)
{
    assert_true(self->start_count < RIG_RECORDS_MAX);
    struct core_record *record = &self->start[self->start_count++];
    *record = (struct core_record){.table = table, .key_size = strlen(key), .value = value};
    memcpy(record->key, key, record->key_size);
}

void rig_start(struct rig *self)
{
    struct core_event event = {.kind = CORE_EVENT_START};
    self->memory = calloc(1, core_size(&self->config, NULL));
    assert_non_null(self->memory);
    self->core = core_init(self->memory, &self->config);
    event.start.records = self->start;
    event.start.count = self->start_count;
    step(self, &event);
    rig_pass(self, 0);
}

void rig_stop(struct rig *self)
{
    step(self, &(struct core_event){.kind = CORE_EVENT_STOP});
}

Sb__Code rig_reload(struct rig *self)
{
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    event.reload.config = &self->config;
    event.reload.wish = (struct core_reload_wish){.peer = PEER, .request = ++self->id};
    step(self, &event);
    for (size_t i = 0; i < self->update.reply_count; i++) {
        if (self->update.replies[i].reply->id == self->id)
            return self->update.replies[i].reply->code;
    }
    return SB__CODE__CODE_UNSPECIFIED;
}

void rig_tick(struct rig *self, int64_t duration_ms)
{
    self->wall_ms += duration_ms;
    self->boot_ms += duration_ms;
    step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
}

void rig_pass(struct rig *self, int64_t duration_ms)
{
    const int64_t end = self->boot_ms + duration_ms;
    while (core_deadline(self->core) <= end) {
        const int64_t at = core_deadline(self->core);
        if (at > self->boot_ms) {
            self->wall_ms += at - self->boot_ms;
            self->boot_ms = at;
        }
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
    }
    self->wall_ms += end - self->boot_ms;
    self->boot_ms = end;
    core_check(self->core);
}

const Sb__Reply *rig_ask(struct rig *self, const struct rig_client *client, Sb__Request *request)
{
    request->id = ++self->id;
    request->session = client != NULL ? client->session : 0;
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = PEER;
    event.request.request = request;
    step(self, &event);
    for (size_t i = 0; i < self->update.reply_count; i++) {
        if (self->update.replies[i].reply->id == request->id)
            return self->update.replies[i].reply;
    }
    return NULL;
}

// ---------------------------------------------------------------- what clients ask for

static Sb__Code say_hello(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs,
                          bool knows)
{
    char *names[SESSION_JOBS];
    Sb__RunState states[SESSION_JOBS];
    Sb__RunState *runs[SESSION_JOBS];
    Sb__Hello message = SB__HELLO__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    assert_true(jobs <= SESSION_JOBS);
    for (size_t i = 0; i < jobs; i++) {
        names[i] = self->names[first_job + i];
        sb__run_state__init(&states[i]);
        states[i].run = self->runs[first_job + i];
        runs[i] = &states[i];
    }
    message.name = (char *)(uintptr_t) "sync";
    message.instance = client->instance;
    message.process = client->process;
    message.host = 1;
    message.jobs = names;
    message.n_jobs = jobs;
    message.runs = runs;
    message.n_runs = knows ? jobs : 0;
    request.body_case = SB__REQUEST__BODY_HELLO;
    request.hello = &message;
    client->session = 0;
    const Sb__Reply *reply = rig_ask(self, client, &request);
    client->session = reply->code == SB__CODE__CODE_OK ? reply->welcome->session : 0;
    return reply->code;
}

Sb__Code rig_hello(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs)
{
    return say_hello(self, client, first_job, jobs, true);
}

Sb__Code rig_hello_anew(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs)
{
    return say_hello(self, client, first_job, jobs, false);
}

Sb__Acquire rig_order(struct rig *self, size_t resource, uint64_t claim)
{
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = (char *)(uintptr_t)self->resources[resource].name;
    acquire.mode = SB__MODE__MODE_EXCLUSIVE;
    acquire.claim = claim;
    return acquire;
}

Sb__Acquire rig_turn(struct rig *self, size_t job, uint64_t claim)
{
    Sb__Acquire acquire = rig_order(self, self->jobs[job].resource, claim);
    acquire.mode = SB__MODE__MODE_SHARED;
    acquire.job = self->names[job];
    acquire.run = self->runs[job];
    acquire.attempt = self->attempts[job];
    return acquire;
}

const Sb__Reply *rig_acquire(struct rig *self, const struct rig_client *client, Sb__Acquire *acquire)
{
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_ACQUIRE;
    request.acquire = acquire;
    return rig_ask(self, client, &request);
}

uint64_t rig_granted(struct rig *self, const struct rig_client *client, Sb__Acquire acquire)
{
    const Sb__Reply *reply = rig_acquire(self, client, &acquire);
    assert_int_equal(reply->body_case, SB__REPLY__BODY_GRANTED);
    return reply->granted->token;
}

const Sb__Reply *rig_renew(struct rig *self, const struct rig_client *client, const Sb__Acquire *acquire,
                           uint64_t token)
{
    Sb__Renew message = SB__RENEW__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.token = token;
    message.resource = acquire->resource;
    message.mode = acquire->mode;
    message.job = acquire->job;
    message.run = acquire->run;
    message.attempt = acquire->attempt;
    message.claim = acquire->claim;
    message.settle_ms = acquire->settle_ms;
    request.body_case = SB__REQUEST__BODY_RENEW;
    request.renew = &message;
    return rig_ask(self, client, &request);
}

void rig_release(struct rig *self, const struct rig_client *client, uint64_t token, bool yields)
{
    Sb__Release message = SB__RELEASE__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.token = token;
    message.yielded = yields;
    request.body_case = SB__REQUEST__BODY_RELEASE;
    request.release = &message;
    assert_int_equal(rig_ask(self, client, &request)->code, SB__CODE__CODE_OK);
}

Sb__Code rig_report(struct rig *self, const struct rig_client *client, size_t job, uint64_t run,
                    uint32_t attempt, bool ok)
{
    Sb__Result result = SB__RESULT__INIT;
    Sb__Report message = SB__REPORT__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    result.ok = ok;
    result.started_ms = self->wall_ms - 1000;
    result.ended_ms = self->wall_ms;
    message.job = self->names[job];
    message.run = run;
    message.attempt = attempt;
    message.result = &result;
    request.body_case = SB__REQUEST__BODY_REPORT;
    request.report = &message;
    return rig_ask(self, client, &request)->code;
}

const Sb__Reply *rig_trigger(struct rig *self, const struct rig_client *client, size_t job, Sb__Cause cause)
{
    Sb__Trigger message = SB__TRIGGER__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.job = self->names[job];
    message.cause = cause;
    request.body_case = SB__REQUEST__BODY_TRIGGER;
    request.trigger = &message;
    return rig_ask(self, client, &request);
}

// ---------------------------------------------------------------- what a State shows

const Sb__JobState *rig_job(struct rig *self, size_t job)
{
    Sb__Snapshot message = SB__SNAPSHOT__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.job = self->names[job];
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &message;
    const Sb__Reply *reply = rig_ask(self, NULL, &request);
    return reply->code == SB__CODE__CODE_OK && reply->state->n_jobs > 0 ? reply->state->jobs[0] : NULL;
}

const Sb__ResourceState *rig_resource(struct rig *self, size_t resource)
{
    Sb__Snapshot message = SB__SNAPSHOT__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &message;
    const Sb__State *state = rig_ask(self, NULL, &request)->state;
    for (size_t i = 0; i < state->n_resources; i++) {
        if (strcmp(state->resources[i]->resource, self->resources[resource].name) == 0)
            return state->resources[i];
    }
    return NULL;
}
