#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        (void)snprintf(self->names[i], sizeof self->names[i], "j%zu", i);
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
                                        .jobs_max = 8,
                                        .resources_max = 2,
                                        .beat_ms = 1000,
                                        .session_ttl_ms = 3600000,
                                        .sessions_max = 600,
                                        .waiters_max = 4096,
                                        .calls_max = 64,
                                        .version = "test"};
    self->boot_ms = 1000000;
    self->wall_ms = INT64_C(472222) * 3600000 + 1000; // a second after a slot
    rig_start(self);
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

static size_t job_called(const struct rig *self, const char *name)
{
    size_t job = name[0] == 'j' ? strtoul(name + 1, NULL, 10) : 0;
    while (strcmp(self->names[job], name) != 0)
        assert_true(++job < RIG_JOBS_MAX);
    return job;
}

// No event of a topic is left out (I11).
static void hear(struct rig *self, const Sb__Event *event)
{
    if (event->body_case == SB__EVENT__BODY_TICK) {
        const size_t job = job_called(self, event->tick->job);
        self->runs[job] = event->tick->run;
        self->attempts[job] = event->tick->attempt;
        assert_true(event->seq == self->ticks[job] + 1 ||
                    (event->seq > self->ticks[job] && self->deleted[CORE_TABLE_JOB] > 0));
        self->ticks[job] = event->seq;
    } else if (event->body_case == SB__EVENT__BODY_RUN) {
        self->stages[job_called(self, event->run->job)] = event->run->stage;
    } else if (event->body_case == SB__EVENT__BODY_LEASE) {
        self->leases[event->lease->change]++;
    } else if (event->body_case == SB__EVENT__BODY_BEAT) {
        assert_int_equal(event->seq, ++self->beats);
        self->seqs = event->beat->n_seqs;
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

void rig_step(struct rig *self, struct core_event *event)
{
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = self->durable;
    core_step(self->core, event, &self->update);
    for (size_t i = 0; i < self->update.publication_count; i++)
        hear(self, self->update.publications[i].event);
    for (size_t i = 0; i < self->update.record_count; i++)
        store(self, &self->update.records[i]);
    if (self->stores != NULL)
        self->stores(self->stores_arg, &self->update, core_update_number(self->core));
    for (size_t i = 0; i < self->update.reply_count; i++)
        self->answers[self->update.replies[i].reply->code]++;
    if (!self->journal_stands)
        self->durable = core_update_number(self->core);
    if (self->config.job_count <= RIG_JOBS) // it looks at every pair
        core_check(self->core);
}

void rig_recovers(struct rig *self, enum core_table table, const char *key, const ProtobufCMessage *value)
{
    assert_true(self->start_count < RIG_RECORDS_MAX);
    struct core_record *record = &self->start[self->start_count++];
    *record = (struct core_record){.table = table, .key_size = strlen(key), .value = value};
    memcpy(record->key, key, record->key_size);
}

void rig_start_only(struct rig *self)
{
    struct core_event event = {.kind = CORE_EVENT_START};
    memset(self, 0, offsetof(struct rig, memory));
    free(self->memory);
    self->memory = calloc(1, core_size(&self->config, NULL));
    assert_non_null(self->memory);
    self->core = core_init(self->memory, &self->config);
    self->durable = 0;
    event.start.records = self->start;
    event.start.count = self->start_count;
    rig_step(self, &event);
}

void rig_start(struct rig *self)
{
    rig_start_only(self);
    rig_pass(self, 0);
}

void rig_begin(struct rig *self)
{
    rig_start(self);
    self->sync = rig_comes(self, 1, PRICES, RIG_JOBS, NULL);
    self->order = rig_comes(self, 2, 0, 0, NULL);
}

void rig_stop(struct rig *self)
{
    rig_step(self, &(struct core_event){.kind = CORE_EVENT_STOP});
}

const Sb__Reply *rig_reload(struct rig *self)
{
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    event.reload.config = &self->config;
    event.reload.wish = (struct core_reload_wish){.peer = RIG_PEER, .request = ++self->id};
    rig_step(self, &event);
    return rig_reply(self, self->id);
}

void rig_tick(struct rig *self, int64_t duration_ms)
{
    self->wall_ms += duration_ms;
    self->boot_ms += duration_ms;
    rig_step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
}

void rig_pass(struct rig *self, int64_t duration_ms)
{
    const int64_t end = self->boot_ms + duration_ms;
    while (core_deadline(self->core) <= end) {
        const int64_t at = core_deadline(self->core);
        rig_tick(self, at > self->boot_ms ? at - self->boot_ms : 0);
    }
    self->wall_ms += end - self->boot_ms;
    self->boot_ms = end;
    core_check(self->core);
}

const Sb__Reply *rig_reply(const struct rig *self, uint64_t id)
{
    for (size_t i = 0; i < self->update.reply_count; i++) {
        if (self->update.replies[i].reply->id == id)
            return self->update.replies[i].reply;
    }
    return NULL;
}

const Sb__Reply *rig_ask(struct rig *self, const struct rig_client *client, Sb__Request *request)
{
    if (request->id == 0)
        request->id = ++self->id;
    request->session = client != NULL ? client->session : 0;
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = RIG_PEER;
    event.request.request = request;
    rig_step(self, &event);
    return rig_reply(self, request->id);
}

// ---------------------------------------------------------------- what clients ask for

static const Sb__Reply *say_hello(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs,
                                  bool knows)
{
    static Sb__RunState states[RIG_JOBS_MAX];
    static Sb__RunState *runs[RIG_JOBS_MAX];
    char *names[RIG_SESSION_JOBS];
    char *serves[] = {rig_text(client->serves)};
    Sb__Hello hello = SB__HELLO__INIT;
    assert_true(jobs <= RIG_SESSION_JOBS);
    for (size_t i = 0; i < jobs; i++)
        names[i] = self->names[first_job + i];
    for (size_t i = 0; i < self->config.job_count; i++) {
        sb__run_state__init(&states[i]);
        states[i].run = self->runs[i];
        runs[i] = &states[i];
    }
    hello.name = rig_text("sync");
    hello.instance = client->instance;
    hello.process = client->process;
    hello.host = 1;
    hello.jobs = names;
    hello.n_jobs = jobs;
    hello.serves = serves;
    hello.n_serves = client->serves != NULL ? 1 : 0;
    hello.runs = runs;
    hello.n_runs = knows ? self->config.job_count : 0;
    const Sb__Reply *reply = RIG_ASK(self, client, hello, HELLO, &hello);
    client->session = reply->code == SB__CODE__CODE_OK ? reply->welcome->session : 0;
    return reply;
}

const Sb__Reply *rig_hello(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs)
{
    return say_hello(self, client, first_job, jobs, true);
}

const Sb__Reply *rig_hello_anew(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs)
{
    return say_hello(self, client, first_job, jobs, false);
}

struct rig_client rig_comes(struct rig *self, uint64_t instance, size_t first_job, size_t jobs,
                            const char *serves)
{
    struct rig_client client = {.instance = instance, .process = 1, .serves = serves};
    assert_int_equal(rig_hello(self, &client, first_job, jobs)->code, SB__CODE__CODE_OK);
    return client;
}

Sb__Acquire rig_order(struct rig *self, size_t resource, uint64_t claim)
{
    Sb__Acquire wish = SB__ACQUIRE__INIT;
    wish.resource = rig_text(self->resources[resource].name);
    wish.mode = SB__MODE__MODE_EXCLUSIVE;
    wish.claim = claim;
    return wish;
}

Sb__Acquire rig_turn(struct rig *self, size_t job, uint64_t claim)
{
    Sb__Acquire wish = rig_order(self, self->jobs[job].resource, claim);
    wish.mode = SB__MODE__MODE_SHARED;
    wish.job = self->names[job];
    wish.run = self->runs[job];
    wish.attempt = self->attempts[job];
    return wish;
}

const Sb__Reply *rig_acquire(struct rig *self, const struct rig_client *client, Sb__Acquire wish)
{
    return RIG_ASK(self, client, acquire, ACQUIRE, &wish);
}

uint64_t rig_granted(struct rig *self, const struct rig_client *client, Sb__Acquire wish)
{
    const Sb__Reply *reply = rig_acquire(self, client, wish);
    assert_int_equal(reply->body_case, SB__REPLY__BODY_GRANTED);
    return reply->granted->token;
}

const Sb__Reply *rig_renew(struct rig *self, const struct rig_client *client, Sb__Acquire wish,
                           uint64_t token)
{
    Sb__Renew renew = SB__RENEW__INIT;
    renew.token = token;
    renew.resource = wish.resource;
    renew.mode = wish.mode;
    renew.job = wish.job;
    renew.run = wish.run;
    renew.attempt = wish.attempt;
    renew.claim = wish.claim;
    renew.settle_ms = wish.settle_ms;
    return RIG_ASK(self, client, renew, RENEW, &renew);
}

void rig_release(struct rig *self, const struct rig_client *client, uint64_t token, bool yields)
{
    Sb__Release release = SB__RELEASE__INIT;
    release.token = token;
    release.yielded = yields;
    assert_int_equal(RIG_ASK(self, client, release, RELEASE, &release)->code, SB__CODE__CODE_OK);
}

Sb__Code rig_report(struct rig *self, const struct rig_client *client, size_t job, uint64_t run,
                    uint32_t attempt, bool ok)
{
    Sb__Result result = SB__RESULT__INIT;
    Sb__Report report = SB__REPORT__INIT;
    result.ok = ok;
    result.started_ms = self->wall_ms - 1000;
    result.ended_ms = self->wall_ms;
    report.job = self->names[job];
    report.run = run;
    report.attempt = attempt;
    report.result = &result;
    return RIG_ASK(self, client, report, REPORT, &report)->code;
}

const Sb__Reply *rig_trigger(struct rig *self, const struct rig_client *client, size_t job, Sb__Cause cause)
{
    Sb__Trigger trigger = SB__TRIGGER__INIT;
    trigger.job = self->names[job];
    trigger.cause = cause;
    return RIG_ASK(self, client, trigger, TRIGGER, &trigger);
}

const Sb__Reply *rig_hold(struct rig *self, const char *job, const char *resource, int64_t until_ms,
                          uint64_t number)
{
    Sb__Hold hold = SB__HOLD__INIT;
    hold.job = rig_text(job);
    hold.resource = rig_text(resource);
    hold.by = rig_text("op");
    hold.reason = rig_text("maintenance");
    hold.until_ms = until_ms;
    hold.hold = number;
    return RIG_ASK(self, NULL, hold, HOLD, &hold);
}

uint64_t rig_call(struct rig *self, const char *service, const char *body, uint32_t timeout_ms)
{
    Sb__Call call = SB__CALL__INIT;
    call.service = rig_text(service);
    call.method = rig_text("get");
    call.body = (ProtobufCBinaryData){.len = strlen(body), .data = (uint8_t *)rig_text(body)};
    call.timeout_ms = timeout_ms;
    assert_null(RIG_ASK(self, NULL, call, CALL, &call));
    return self->id;
}

// ---------------------------------------------------------------- what a State shows

const Sb__State *rig_state(struct rig *self, const char *job, const char *after, uint32_t limit)
{
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    snapshot.job = rig_text(job);
    snapshot.after = rig_text(after);
    snapshot.limit = limit;
    const Sb__Reply *reply = RIG_ASK(self, NULL, snapshot, SNAPSHOT, &snapshot);
    assert_int_equal(reply->body_case, SB__REPLY__BODY_STATE);
    return reply->state;
}

const Sb__JobState *rig_job(struct rig *self, size_t job)
{
    return rig_state(self, self->names[job], "", 0)->jobs[0];
}

const Sb__ResourceState *rig_resource(struct rig *self, size_t resource)
{
    const Sb__State *state = rig_state(self, "", "", 0);
    for (size_t i = 0; i < state->n_resources; i++) {
        if (strcmp(state->resources[i]->resource, self->resources[resource].name) == 0)
            return state->resources[i];
    }
    return NULL;
}
