#include "tests/scenario/world.h"

#include "tests/lib/request.h"
#include "tests/scenario/habits.h"
#include "tests/scenario/trace.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000, BOOT_START = 1000000, TRACE_MAX = 1 << 20 };

// An hour's first second, so that slots have round times.
static const int64_t WALL_START = INT64_C(472222) * 3600000;

void world_init(struct world *self)
{
    memset(self, 0, sizeof *self);
    self->resource = (struct core_resource_config){.name = "erp",
                                                   .capacity = 1,
                                                   .lease_ttl_ms = 10000,
                                                   .grant_delay_ms = 1000,
                                                   .max_exclusive_ms = 600000,
                                                   .max_exclusive_streak_ms = 900000,
                                                   .aging_ms = 600000};
    self->waiters_max = 32;
    self->calls_max = 8;
    self->sessions_max = 32;
    self->boot_ms = self->start_ms = BOOT_START;
    self->wall_ms = WALL_START;
    buffer_init(&self->trace, TRACE_MAX);
}

void world_free(struct world *self)
{
    free(self->memory);
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        free(self->entries[i].data);
    buffer_free(&self->trace);
}

size_t world_job(const struct world *self, const char *name)
{
    size_t index = 0;
    while (index < self->job_count && strcmp(self->job_names[index], name) != 0)
        index++;
    return index;
}

struct client *world_client(struct world *self, const char *name)
{
    for (size_t i = 0; i < self->client_count; i++) {
        if (strcmp(self->clients[i].name, name) == 0)
            return &self->clients[i];
    }
    assert(self->client_count < CLIENTS_MAX);
    struct client *client = &self->clients[self->client_count++];
    (void)snprintf(client->name, sizeof client->name, "%s", name);
    client->instance = 1000 + self->client_count;
    client->process = client->host = client->next_id = 1;
    return client;
}

struct wish *world_wish_of_token(struct client *client, uint64_t token)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        if (client->wishes[i].acquire.claim != 0 && client->wishes[i].token == token)
            return &client->wishes[i];
    }
    return NULL;
}

// ---------------------------------------------------------------- the journal

static struct entry *entry_find(struct world *self, const struct core_record *record)
{
    struct entry *vacant = NULL;
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct entry *entry = &self->entries[i];
        if (entry->type == NULL) {
            vacant = vacant == NULL ? entry : vacant;
        } else if (entry->table == record->table && entry->key_size == record->key_size &&
                   memcmp(entry->key, record->key, record->key_size) == 0) {
            return entry;
        }
    }
    assert(vacant != NULL);
    return vacant;
}

static void keep_record(struct world *self, const struct core_record *record)
{
    struct entry *entry = entry_find(self, record);
    free(entry->data);
    *entry = (struct entry){.table = record->table, .key_size = record->key_size};
    if (record->value == NULL)
        return;
    memcpy(entry->key, record->key, record->key_size);
    entry->type = record->value->descriptor;
    entry->size = protobuf_c_message_get_packed_size(record->value);
    entry->data = malloc(entry->size + 1);
    assert(entry->data != NULL);
    (void)protobuf_c_message_pack(record->value, entry->data);
}

// Whether a START gives it to the core: all but runs that have ended and the ledger.
static bool is_recovered(const struct entry *entry, const ProtobufCMessage *value)
{
    if (entry->table == CORE_TABLE_RUN)
        return ((const Sb__StoredRun *)value)->run->ended_ms == 0;
    return entry->table != CORE_TABLE_LEDGER && entry->table != CORE_TABLE_PAUSE;
}

// ---------------------------------------------------------------- steps

static void take_update(struct world *self, const struct core_update *update)
{
    self->durable = core_update_number(self->core);
    for (size_t i = 0; i < update->record_count; i++) {
        trace_record(self, &update->records[i]);
        keep_record(self, &update->records[i]);
    }
    for (size_t i = 0; i < update->publication_count; i++)
        trace_publication(self, &update->publications[i]);
    // Clients act on what they hear, which makes further steps: the replies are copied first.
    const size_t count = update->reply_count;
    Sb__Reply **replies = calloc(count + 1, sizeof(void *));
    struct client **to = calloc(count + 1, sizeof(void *));
    assert(replies != NULL);
    assert(to != NULL);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCMessage *message = &update->replies[i].reply->base;
        const size_t size = protobuf_c_message_get_packed_size(message);
        uint8_t *data = malloc(size + 1);
        assert(data != NULL);
        (void)protobuf_c_message_pack(message, data);
        replies[i] = sb__reply__unpack(NULL, size, data);
        to[i] = &self->clients[update->replies[i].peer - 1];
        free(data);
    }
    for (size_t i = 0; i < count; i++) {
        trace_reply(self, to[i], replies[i]);
        sb__reply__free_unpacked(replies[i], NULL);
    }
    free(replies);
    free(to);
}

// What a look into the history of pauses finds, newest first.
static void answer_read(struct world *self, const struct core_read *read)
{
    ProtobufCMessage *values[ENTRIES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        const struct entry *entry = &self->entries[i];
        if (entry->type != NULL && entry->table == read->table)
            values[count++] = protobuf_c_message_unpack(entry->type, NULL, entry->size, entry->data);
    }
    const Sb__Reply *reply =
        core_read_reply(self->core, read, (const ProtobufCMessage *const *)values, count);
    if (reply->body_case == SB__REPLY__BODY_PAUSE_REPORT)
        trace_pauses(self, reply->pause_report);
    for (size_t i = 0; i < count; i++)
        protobuf_c_message_free_unpacked(values[i], NULL);
}

static void step(struct world *self, struct core_event *event)
{
    struct core_update update;
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = self->durable;
    core_step(self->core, event, &update);
    core_check(self->core);
    take_update(self, &update);
    for (size_t i = 0; i < update.read_count; i++)
        answer_read(self, &update.reads[i]);
}

// The config as it now stands; `jobs` has room for all of them.
static struct core_config config_of(const struct world *self, struct core_job_config *jobs)
{
    size_t count = 0;
    for (size_t i = 0; i < self->job_count; i++) {
        if (!self->removed[i])
            jobs[count++] = self->jobs[i];
    }
    return (struct core_config){.resources = &self->resource,
                                .resource_count = 1,
                                .jobs = jobs,
                                .job_count = count,
                                .jobs_max = JOBS_MAX_TOLD,
                                .resources_max = 4,
                                .beat_ms = SECOND,
                                .session_ttl_ms = 15 * SECOND,
                                .sessions_max = self->sessions_max,
                                .waiters_max = self->waiters_max,
                                .calls_max = self->calls_max,
                                .version = "test",
                                .profile = "60m"};
}

void world_start(struct world *self)
{
    struct core_job_config jobs[JOBS_MAX_TOLD];
    const struct core_config config = config_of(self, jobs);
    struct fault fault = {0};
    const size_t size = core_size(&config, &fault);
    assert(size > 0);
    free(self->memory);
    self->memory = calloc(1, size);
    assert(self->memory != NULL);
    self->core = core_init(self->memory, &config);
    self->durable = 0;
    self->next_second = self->boot_ms + SECOND;
    static struct core_record records[ENTRIES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        const struct entry *entry = &self->entries[i];
        if (entry->type == NULL)
            continue;
        ProtobufCMessage *value = protobuf_c_message_unpack(entry->type, NULL, entry->size, entry->data);
        assert(value != NULL);
        records[count] =
            (struct core_record){.table = entry->table, .key_size = entry->key_size, .value = value};
        memcpy(records[count].key, entry->key, entry->key_size);
        if (is_recovered(entry, value))
            count++;
        else
            protobuf_c_message_free_unpacked(value, NULL);
    }
    struct core_event event = {.kind = CORE_EVENT_START};
    event.start.records = records;
    event.start.count = count;
    step(self, &event);
    for (size_t i = 0; i < count; i++)
        protobuf_c_message_free_unpacked((ProtobufCMessage *)(uintptr_t)records[i].value, NULL);
}

void world_reload(struct world *self, struct client *client)
{
    struct core_job_config jobs[JOBS_MAX_TOLD];
    const struct core_config config = config_of(self, jobs);
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    event.reload.config = &config;
    if (client != NULL)
        event.reload.wish = (struct core_reload_wish){.peer = (uint64_t)(client - self->clients) + 1,
                                                      .request = client->next_id};
    step(self, &event);
}

void world_crash(struct world *self)
{
    self->core = NULL;
}

void world_stop(struct world *self)
{
    step(self, &(struct core_event){.kind = CORE_EVENT_STOP});
    while (!core_stopped(self->core)) {
        self->boot_ms = core_deadline(self->core) > self->boot_ms ? core_deadline(self->core) : self->boot_ms;
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
    }
    self->core = NULL;
}

void world_send(struct world *self, struct client *client, Sb__Request *request)
{
    if (self->core == NULL)
        return;
    request->id = client->next_id++;
    request->session = request->body_case == SB__REQUEST__BODY_HELLO ? 0 : client->session;
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = (uint64_t)(client - self->clients) + 1;
    event.request.request = request;
    step(self, &event);
}

void world_lose(struct world *self, struct client *client)
{
    step(self, &(struct core_event){.kind = CORE_EVENT_PEER_GONE,
                                    .peer_gone = (uint64_t)(client - self->clients) + 1});
}

// ---------------------------------------------------------------- clients

void world_hello(struct world *self, struct client *client, const uint64_t *leases, size_t lease_count,
                 const uint64_t *runs, size_t run_count)
{
    Sb__Hello hello = SB__HELLO__INIT;
    char *jobs[4];
    char *serves[1] = {client->serves};
    Sb__Renew renews[WISHES_MAX];
    Sb__Renew *renew_items[WISHES_MAX];
    Sb__RunState states[WISHES_MAX];
    Sb__RunState *state_items[WISHES_MAX];
    hello.name = client->name;
    hello.instance = client->instance;
    hello.process = client->process;
    hello.host = client->host;
    hello.jobs = jobs;
    while (hello.n_jobs < 4 && client->jobs[hello.n_jobs][0] != '\0') {
        jobs[hello.n_jobs] = client->jobs[hello.n_jobs];
        hello.n_jobs++;
    }
    hello.serves = serves;
    hello.n_serves = client->serves[0] != '\0';
    hello.leases = renew_items;
    for (; hello.n_leases < lease_count; hello.n_leases++) {
        sb__renew__init(&renews[hello.n_leases]);
        renews[hello.n_leases].token = leases[hello.n_leases];
        renew_items[hello.n_leases] = &renews[hello.n_leases];
    }
    hello.runs = state_items;
    for (; hello.n_runs < run_count; hello.n_runs++) {
        sb__run_state__init(&states[hello.n_runs]);
        states[hello.n_runs].run = runs[hello.n_runs];
        state_items[hello.n_runs] = &states[hello.n_runs];
    }
    client->alive = true;
    client->hangs = false;
    world_send(self, client, REQUEST(hello, HELLO, &hello));
}

void world_ask(struct world *self, struct client *client, struct wish *wish, uint32_t poll_ms)
{
    wish->acquire.poll_ms = poll_ms;
    wish->request = client->next_id;
    Sb__Acquire acquire = wish->acquire;
    world_send(self, client, REQUEST(acquire, ACQUIRE, &acquire));
}

void world_renew(struct world *self, struct client *client, struct wish *wish)
{
    Sb__Renew renew = SB__RENEW__INIT;
    renew.token = wish->token;
    renew.resource = wish->acquire.resource;
    renew.mode = wish->acquire.mode;
    renew.run = wish->acquire.run;
    renew.job = wish->acquire.job;
    renew.attempt = wish->acquire.attempt;
    renew.claim = wish->acquire.claim;
    renew.settle_ms = wish->acquire.settle_ms;
    renew.done = wish->done;
    renew.total = wish->total;
    world_send(self, client, REQUEST(renew, RENEW, &renew));
}

struct wish *world_wish(struct world *self, struct client *client, size_t job)
{
    size_t index = 0;
    while (index < WISHES_MAX && client->wishes[index].acquire.claim != 0)
        index++;
    assert(index < WISHES_MAX);
    struct wish *wish = &client->wishes[index];
    *wish = (struct wish){.asks_again = true};
    Sb__Acquire *acquire = &wish->acquire;
    sb__acquire__init(acquire);
    acquire->resource = (char *)(uintptr_t)self->resource.name;
    acquire->mode = SB__MODE__MODE_EXCLUSIVE;
    acquire->claim = client->instance << 32 | client->next_id;
    if (job == self->job_count)
        return wish;
    acquire->mode = SB__MODE__MODE_SHARED;
    acquire->job = self->job_names[job];
    acquire->run = self->due[job].run;
    acquire->attempt = self->due[job].attempt;
    acquire->settle_ms = (uint32_t)self->jobs[job].settle_ms;
    return wish;
}

void world_give_back(struct world *self, struct client *client, struct wish *wish, bool yields)
{
    Sb__Release release = SB__RELEASE__INIT;
    release.token = wish->token;
    release.resource = wish->acquire.resource;
    release.yielded = yields;
    *wish = (struct wish){0};
    world_send(self, client, REQUEST(release, RELEASE, &release));
}

void world_report(struct world *self, struct client *client, size_t job, Sb__Result *result)
{
    Sb__Report message = SB__REPORT__INIT;
    result->started_ms = self->wall_ms - 1000;
    result->ended_ms = self->wall_ms;
    message.job = self->job_names[job];
    message.run = self->due[job].run;
    message.attempt = self->due[job].attempt;
    message.result = result;
    world_send(self, client, REQUEST(report, REPORT, &message));
}

void world_pass(struct world *self, int64_t duration_ms)
{
    const int64_t end = self->boot_ms + duration_ms;
    self->timed = true;
    for (;;) {
        const int64_t deadline = self->core != NULL ? core_deadline(self->core) : INT64_MAX;
        const int64_t second = self->core != NULL ? self->next_second : INT64_MAX;
        int64_t next = deadline < second ? deadline : second;
        next = next < end ? next : end;
        if (next > self->boot_ms) {
            self->wall_ms += next - self->boot_ms;
            self->boot_ms = next;
        }
        if (self->core != NULL && deadline <= self->boot_ms)
            step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
        else if (self->core != NULL && second <= self->boot_ms)
            habits_act(self);
        else
            break;
    }
    self->timed = false;
}
