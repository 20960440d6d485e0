// Any sequence of requests, pauses and restarts keeps the invariants of the core: bytes say what happens
// next.
#include "broker/core/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    CLIENTS = 4,
    JOBS = 3,
    RESOURCES = 2,
    CLAIMS = 6,
    ENTRIES = 256,
    STEPS_MAX = 2000,
    MEMORY = 8 * 1024 * 1024
};

// One entry of the journal.
struct entry {
    struct core_record record;              // its value is rebuilt from `data` at a start
    const ProtobufCMessageDescriptor *type; // of the value; NULL: free
    uint8_t *data;                          // owned
    size_t size;                            // bytes of it
};

struct world {
    const uint8_t *data; // what is left of the input
    size_t size;         // bytes of it
    struct core *core;
    struct entry entries[ENTRIES];
    int64_t boot_ms, wall_ms;
    uint64_t durable;
    uint64_t sessions[CLIENTS]; // as last welcomed
    uint64_t tokens[CLIENTS];   // as last granted
    uint64_t runs[JOBS];        // as last ticked
    uint64_t next_id, greatest_token;
};

static const char *const JOB_NAMES[JOBS] = {"orders", "prices", "ddt"};
static const char *const RESOURCE_NAMES[RESOURCES] = {"erp", "crm"};

static uint8_t next(struct world *self)
{
    if (self->size == 0)
        return 0;
    self->size--;
    return *self->data++;
}

static void keep(struct world *self, const struct core_record *record)
{
    struct entry *place = NULL;
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *entry = &self->entries[i];
        const bool same = entry->type != NULL && entry->record.table == record->table &&
                          entry->record.key_size == record->key_size &&
                          memcmp(entry->record.key, record->key, record->key_size) == 0;
        if (same || (place == NULL && entry->type == NULL))
            place = entry;
        if (same)
            break;
    }
    if (place == NULL) // a journal that loses some must be borne, too
        return;
    free(place->data);
    *place = (struct entry){.record = *record};
    if (record->value == NULL || record->table == CORE_TABLE_LEDGER || record->table == CORE_TABLE_PAUSE)
        return;
    place->type = record->value->descriptor;
    place->size = protobuf_c_message_get_packed_size(record->value);
    place->data = malloc(place->size + 1);
    assert(place->data != NULL);
    (void)protobuf_c_message_pack(record->value, place->data);
}

static void hear(struct world *self, const struct core_update *update)
{
    for (size_t i = 0; i < update->record_count; i++)
        keep(self, &update->records[i]);
    for (size_t i = 0; i < update->reply_count; i++) {
        const struct core_reply *reply = &update->replies[i];
        assert(protobuf_c_message_check(&reply->reply->base));
        if (reply->reply->body_case == SB__REPLY__BODY_WELCOME)
            self->sessions[reply->peer - 1] = reply->reply->welcome->session;
        if (reply->reply->body_case == SB__REPLY__BODY_GRANTED) {
            const uint64_t token = reply->reply->granted->token;
            self->tokens[reply->peer - 1] = token;
            self->greatest_token = token > self->greatest_token ? token : self->greatest_token;
        }
    }
    for (size_t i = 0; i < update->publication_count; i++) {
        const Sb__Event *event = update->publications[i].event;
        assert(protobuf_c_message_check(&event->base));
        for (size_t k = 0; k < JOBS && event->body_case == SB__EVENT__BODY_TICK; k++) {
            if (strcmp(event->tick->job, JOB_NAMES[k]) == 0)
                self->runs[k] = event->tick->run;
        }
    }
}

static void step(struct world *self, struct core_event *event)
{
    struct core_update update;
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = self->durable;
    core_step(self->core, event, &update);
    core_check(self->core);
    self->durable = core_update_number(self->core);
    hear(self, &update);
}

// The config as its byte has it: a reload or a restart may come with another.
struct settings {
    struct core_resource_config resources[RESOURCES];
    struct core_job_config jobs[JOBS];
    struct core_config config;
};

static void settings_make(struct settings *self, uint8_t how)
{
    *self = (struct settings){0};
    for (size_t i = 0; i < RESOURCES; i++)
        self->resources[i] = (struct core_resource_config){.name = RESOURCE_NAMES[i],
                                                           .capacity = 1 + (how & 1U),
                                                           .lease_ttl_ms = how & 2U ? 10000 : 3000,
                                                           .grant_delay_ms = how & 4U ? 1000 : 0,
                                                           .max_exclusive_ms = 60000,
                                                           .max_exclusive_streak_ms = 30000,
                                                           .aging_ms = 60000,
                                                           .revokes = (how & 8U) != 0};
    // The first job is always there; the others come and go.
    size_t count = 0;
    for (size_t i = 0; i < JOBS; i++) {
        if (i > 0 && (how >> 3 & (1U << i)) != 0)
            continue;
        self->jobs[count++] = (struct core_job_config){.name = JOB_NAMES[i],
                                                       .resource = how & 64U ? i % RESOURCES : 0,
                                                       .every_ms = 60000 * (int64_t)(i + 1),
                                                       .priority = (uint32_t)(5 - i),
                                                       .pause_timeout_ms = 20000,
                                                       .max_yields = 1,
                                                       .yields = i != 1,
                                                       .stall_ms = 15000,
                                                       .settle_ms = 250,
                                                       .retry_after_ms = 5000,
                                                       .fresh_within_ms = 60000,
                                                       .max_duration_ms = 30000,
                                                       .queues_overlap = i == 2,
                                                       .catches_up = i != 1};
    }
    self->config = (struct core_config){.resources = self->resources,
                                        .resource_count = how & 128U ? RESOURCES : 1,
                                        .jobs = self->jobs,
                                        .job_count = count,
                                        .jobs_max = 4,
                                        .resources_max = RESOURCES,
                                        .beat_ms = 1000,
                                        .session_ttl_ms = 15000,
                                        .sessions_max = 3,
                                        .waiters_max = 4,
                                        .calls_max = 2,
                                        .version = "fuzz",
                                        .profile = ""};
    for (size_t i = 0; i < count && self->config.resource_count == 1; i++)
        self->jobs[i].resource = 0;
}

static void start(struct world *self)
{
    struct settings settings;
    settings_make(&settings, next(self));
    struct core_record records[ENTRIES];
    size_t count = 0;
    static _Alignas(64) char memory[MEMORY]; // taken once: lives are short
    assert(core_size(&settings.config, NULL) <= sizeof memory);
    memset(memory, 0, core_size(&settings.config, NULL));
    self->core = core_init(memory, &settings.config);
    self->durable = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *entry = &self->entries[i];
        if (entry->type == NULL)
            continue;
        ProtobufCMessage *value = protobuf_c_message_unpack(entry->type, NULL, entry->size, entry->data);
        assert(value != NULL);
        records[count] = entry->record;
        records[count].value = value;
        if (entry->record.table == CORE_TABLE_RUN && ((Sb__StoredRun *)value)->run->ended_ms != 0)
            protobuf_c_message_free_unpacked(value, NULL);
        else
            count++;
    }
    struct core_event event = {.kind = CORE_EVENT_START};
    event.start.records = records;
    event.start.count = count;
    step(self, &event);
    for (size_t i = 0; i < count; i++)
        protobuf_c_message_free_unpacked((ProtobufCMessage *)(uintptr_t)records[i].value, NULL);
}

static void send(struct world *self, size_t client, Sb__Request *request)
{
    request->id = next(self) % 8 == 0 ? self->next_id : ++self->next_id;
    request->session = request->body_case == SB__REQUEST__BODY_HELLO ? 0 : self->sessions[client];
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = client + 1;
    event.request.request = request;
    step(self, &event);
}

static void say_hello(struct world *self, size_t client, Sb__Request *request)
{
    const uint8_t how = next(self);
    Sb__Hello hello = SB__HELLO__INIT;
    Sb__Renew renew = SB__RENEW__INIT;
    Sb__Renew *renews[] = {&renew};
    Sb__RunState run = SB__RUN_STATE__INIT;
    Sb__RunState *runs[] = {&run};
    char *job = (char *)(uintptr_t)JOB_NAMES[client % JOBS];
    hello.name = job;
    hello.instance = 1 + (how & 1U ? client : client % 2);
    hello.process = 1 + (how >> 1 & 1U);
    hello.host = 1 + (how >> 2 & 1U);
    char service[8] = "call-a";
    char *serves[] = {service};
    service[5] = (char)('a' + next(self) % 16); // more names than there is room for
    hello.jobs = &job;
    hello.serves = serves;
    hello.n_jobs = how >> 3 & 1U;
    hello.n_serves = how >> 4 & 1U;
    renew.token = self->tokens[client];
    hello.leases = renews;
    hello.n_leases = how >> 5 & 1U;
    run.run = self->runs[client % JOBS];
    hello.runs = runs;
    hello.n_runs = how >> 6 & 1U;
    request->body_case = SB__REQUEST__BODY_HELLO;
    request->hello = &hello;
    send(self, client, request);
}

static void say_acquire(struct world *self, size_t client, Sb__Request *request)
{
    const uint8_t how = next(self);
    const size_t job = client % JOBS;
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = (char *)(uintptr_t)RESOURCE_NAMES[next(self) % RESOURCES];
    acquire.ticket = next(self) % 16 == 0 ? 1 : 0;
    acquire.mode = how & 1U ? SB__MODE__MODE_EXCLUSIVE : SB__MODE__MODE_SHARED;
    acquire.job = (char *)(uintptr_t)JOB_NAMES[job];
    acquire.run = self->runs[job];
    acquire.attempt = 1 + (how >> 1 & 1U);
    acquire.claim = how >> 2 & 7U;
    acquire.poll_ms = how & 32U ? 1000 : 0;
    acquire.wait_ms = how & 64U ? 3000 : 0;
    acquire.settle_ms = how & 128U ? 5000 : 0;
    request->body_case = SB__REQUEST__BODY_ACQUIRE;
    request->acquire = &acquire;
    send(self, client, request);
}

static void say_about_lease(struct world *self, size_t client, Sb__Request *request)
{
    const uint8_t how = next(self);
    Sb__Renew renew = SB__RENEW__INIT;
    Sb__Release release = SB__RELEASE__INIT;
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    char *erp = (char *)(uintptr_t) "erp";
    renew.token = release.token = self->tokens[how & 3U];
    renew.resource = release.resource = withdraw.resource = erp;
    renew.claim = withdraw.claim = how >> 2 & 7U;
    renew.mode = how & 32U ? SB__MODE__MODE_EXCLUSIVE : SB__MODE__MODE_SHARED;
    renew.job = (char *)(uintptr_t)JOB_NAMES[client % JOBS];
    renew.run = self->runs[client % JOBS];
    renew.done = how;
    renew.total = how & 1U ? UINT64_MAX : 255;
    release.yielded = (how & 32U) != 0;
    request->body_case = how >> 6 == 0   ? SB__REQUEST__BODY_RELEASE
                         : how >> 6 == 1 ? SB__REQUEST__BODY_WITHDRAW
                                         : SB__REQUEST__BODY_RENEW;
    if (how >> 6 == 0)
        request->release = &release;
    else if (how >> 6 == 1)
        request->withdraw = &withdraw;
    else
        request->renew = &renew;
    send(self, client, request);
}

static void say_about_run(struct world *self, size_t client, Sb__Request *request)
{
    const uint8_t how = next(self);
    Sb__Report report = SB__REPORT__INIT;
    Sb__Result result = SB__RESULT__INIT;
    Sb__Trigger trigger = SB__TRIGGER__INIT;
    result.ok = (how & 1U) != 0;
    result.guarded = (how & 8U) != 0;
    result.over_rejects = (how & 16U) != 0;
    result.started_ms = how & 32U ? INT64_MIN : 1;
    result.ended_ms = INT64_MAX;
    trigger.cause = how & 64U ? SB__CAUSE__CAUSE_WEBHOOK : SB__CAUSE__CAUSE_MANUAL;
    report.job = trigger.job = (char *)(uintptr_t)JOB_NAMES[client % JOBS];
    report.run = self->runs[client % JOBS];
    report.attempt = 1 + (how >> 1 & 1U);
    report.result = &result;
    request->body_case = how & 4U ? SB__REQUEST__BODY_TRIGGER : SB__REQUEST__BODY_REPORT;
    if (how & 4U)
        request->trigger = &trigger;
    else
        request->report = &report;
    send(self, client, request);
}

static void say_call(struct world *self, size_t client, Sb__Request *request)
{
    const uint8_t how = next(self);
    Sb__Call call = SB__CALL__INIT;
    Sb__Answer answer = SB__ANSWER__INIT;
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    call.service = call.method = (char *)(uintptr_t)JOB_NAMES[how % JOBS];
    answer.call = how;
    request->body_case = how & 64U    ? SB__REQUEST__BODY_CALL
                         : how & 128U ? SB__REQUEST__BODY_ANSWER
                                      : SB__REQUEST__BODY_SNAPSHOT;
    if (how & 64U)
        request->call = &call;
    else if (how & 128U)
        request->answer = &answer;
    else
        request->snapshot = &snapshot;
    send(self, client, request);
}

static void say_hold(struct world *self, size_t client, Sb__Request *request)
{
    const uint8_t how = next(self);
    Sb__Hold hold = SB__HOLD__INIT;
    Sb__Unhold unhold = SB__UNHOLD__INIT;
    hold.job = (char *)(uintptr_t)(how & 1U ? JOB_NAMES[how >> 4 & 1U] : "");
    hold.resource = (char *)(uintptr_t)(how & 1U ? "" : RESOURCE_NAMES[how >> 4 & 1U]);
    hold.by = hold.reason = (char *)(uintptr_t) "op";
    hold.until_ms = how & 2U ? self->wall_ms + 20000 : 0;
    hold.orders_too = (how & 5U) == 4U;
    hold.hold = unhold.hold = how >> 5;
    request->body_case = how & 8U ? SB__REQUEST__BODY_UNHOLD : SB__REQUEST__BODY_HOLD;
    if (how & 8U)
        request->unhold = &unhold;
    else
        request->hold = &hold;
    send(self, client, request);
}

static void say_order(struct world *self, size_t client, Sb__Request *request)
{
    const uint8_t how = next(self);
    Sb__Publish publish = SB__PUBLISH__INIT;
    Sb__OrderState order = SB__ORDER_STATE__INIT;
    char key[4] = {(char)('a' + (how >> 4)), '\0'};
    order.key = key;
    order.status = (Sb__OrderStatus)(how & 7U);
    order.stopped = (how & 8U) != 0;
    publish.body_case = SB__PUBLISH__BODY_ORDER;
    publish.order = &order;
    request->body_case = SB__REQUEST__BODY_PUBLISH;
    request->publish = &publish;
    send(self, client, request);
}

static void say_as_operator(struct world *self, size_t client, Sb__Request *request)
{
    const uint8_t how = next(self);
    Sb__Revoke revoke = SB__REVOKE__INIT;
    Sb__Rebind rebind = SB__REBIND__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    switch (how & 7U) {
    case 0:
    case 1: say_hold(self, client, request); return;
    case 2: say_order(self, client, request); return;
    case 3:
        revoke.token = self->tokens[how >> 3 & 3U];
        request->body_case = SB__REQUEST__BODY_REVOKE;
        request->revoke = &revoke;
        break;
    case 4:
        rebind.name = (char *)(uintptr_t)JOB_NAMES[how >> 3 & 1U];
        request->body_case = SB__REQUEST__BODY_REBIND;
        request->rebind = &rebind;
        break;
    default:
        request->body_case = SB__REQUEST__BODY_PAUSES;
        request->pauses = &pauses;
        break;
    }
    send(self, client, request);
}

static void reload(struct world *self, size_t client)
{
    struct settings settings;
    settings_make(&settings, next(self));
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    event.reload.config = &settings.config;
    event.reload.wish = (struct core_reload_wish){.peer = client, .request = 1};
    step(self, &event);
}

static void pass(struct world *self, int64_t duration_ms)
{
    self->boot_ms += duration_ms;
    self->wall_ms += duration_ms;
    // Deadlines that lie in the past are taken one after another, and end.
    for (int i = 0; i < STEPS_MAX && core_deadline(self->core) <= self->boot_ms; i++) {
        assert(i + 1 < STEPS_MAX);
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
    }
}

static void happen(struct world *self)
{
    const uint8_t what = next(self);
    const size_t client = what >> 4 & 3U;
    Sb__Request request = SB__REQUEST__INIT;
    switch (what & 15U) {
    case 0:
    case 1: say_hello(self, client, &request); break;
    case 2:
    case 3:
    case 4: say_acquire(self, client, &request); break;
    case 5:
    case 6: say_about_lease(self, client, &request); break;
    case 7: say_about_run(self, client, &request); break;
    case 8: say_call(self, client, &request); break;
    case 9: start(self); break; // as after a kill
    case 10: self->wall_ms += ((int64_t)next(self) - 128) * 30000; break;
    case 11: step(self, &(struct core_event){.kind = CORE_EVENT_PEER_GONE, .peer_gone = client + 1}); break;
    case 12:
        step(self, &(struct core_event){.kind = CORE_EVENT_STOP});
        pass(self, 100);
        assert(core_stopped(self->core));
        start(self);
        break;
    case 13: pass(self, next(self) * 1000); break;
    case 14:
        if (next(self) % 4 == 0)
            reload(self, client);
        else
            say_as_operator(self, client, &request);
        break;
    default: pass(self, next(self) * 10); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->data = data;
    self->size = size;
    self->boot_ms = 1000000;
    self->wall_ms = INT64_C(1700000000000);
    start(self);
    for (int i = 0; i < STEPS_MAX && self->size > 0; i++) {
        happen(self);
        pass(self, 0);
    }
    for (size_t i = 0; i < ENTRIES; i++)
        free(self->entries[i].data);
    free(self);
    return 0;
}
