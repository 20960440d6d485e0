#include "tests/worlds/broker.h"

#include "broker/core/parts.h"
#include "tests/worlds/clients.h"
#include "tests/worlds/memory.h"
#include "tests/worlds/net.h"

#include <stdio.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS, GONE_MAX = 16, RECORDS_MAX = 64, NAME_SIZE = 32 };

// An hour's first second, far from the next slot.
static const int64_t WALL_AHEAD_MS = INT64_C(472222) * 3600000 - BOOT_START_MS;

static struct {
    struct core_resource_config resource;
    struct core_job_config jobs[CLIENTS_MAX];
    char job_names[CLIENTS_MAX][NAME_SIZE];
    struct core_config config;
    uint64_t gone[GONE_MAX]; // connections that a reply did not find
    size_t gone_count;
} broker;

void broker_init(size_t syncs)
{
    broker.resource = (struct core_resource_config){.name = "erp",
                                                    .capacity = 1,
                                                    .lease_ttl_ms = TTL_MS,
                                                    .grant_delay_ms = GRANT_DELAY_MS,
                                                    .max_exclusive_ms = HOUR_MS,
                                                    .max_exclusive_streak_ms = HOUR_MS};
    for (size_t i = 0; i < syncs; i++) {
        (void)snprintf(broker.job_names[i], NAME_SIZE, "job-%zu", i + 1);
        broker.jobs[i] = (struct core_job_config){.name = broker.job_names[i],
                                                  .every_ms = INT64_C(1000) * DAY_MS,
                                                  .priority = 3,
                                                  .pause_timeout_ms = PAUSE_TIMEOUT_MS,
                                                  .max_yields = 1,
                                                  .yields = true,
                                                  .stall_ms = HOUR_MS,
                                                  .settle_ms = SYNC_SETTLE_MS,
                                                  .retry_after_ms = 30000,
                                                  .fresh_within_ms = INT64_C(2000) * DAY_MS,
                                                  .catches_up = true};
    }
    broker.config = (struct core_config){.resources = &broker.resource,
                                         .resource_count = 1,
                                         .jobs = broker.jobs,
                                         .job_count = syncs,
                                         .jobs_max = (uint32_t)syncs,
                                         .resources_max = 1,
                                         .beat_ms = BEAT_MS,
                                         .session_ttl_ms = SESSION_TTL_MS,
                                         .sessions_max = 2 * CLIENTS_MAX,
                                         .waiters_max = 2 * CLIENTS_MAX,
                                         .calls_max = 1,
                                         .version = "",
                                         .profile = ""};
    const size_t size = core_size(&broker.config, NULL);
    assert(size > 0);
    memory_init(size);
}

// ---------------------------------------------------------------- the journal

// Figures, and what is only told to people, have no part in what is decided.
static bool is_kept(enum core_table table)
{
    return table == CORE_TABLE_META || table == CORE_TABLE_JOB || table == CORE_TABLE_RUN ||
           table == CORE_TABLE_OWNER || table == CORE_TABLE_LEASE;
}

static void note(struct entry *entry, const struct core_record *record)
{
    if (record->table == CORE_TABLE_LEASE) {
        const Sb__StoredLease *lease = (const Sb__StoredLease *)record->value;
        entry->token = lease->token;
        entry->run = lease->run;
        entry->claim = lease->claim;
        entry->rest = (uint64_t)lease->mode | (uint64_t)lease->refused << 4 | (uint64_t)lease->revoked << 5 |
                      (lease->process & 0xff) << 8 | lease->instance << 16;
    } else if (record->table == CORE_TABLE_RUN) {
        const Sb__StoredRun *run = (const Sb__StoredRun *)record->value;
        entry->run = run->run->run;
        entry->rest = (uint64_t)run->run->stage | (uint64_t)run->run->attempt << 8 |
                      (uint64_t)run->run->yields << 16 | run->instance << 32;
    }
}

static void write_down(const struct core_record *record)
{
    const size_t size = record->value != NULL ? protobuf_c_message_get_packed_size(record->value) : 0;
    struct entry *entry = memory_take(sizeof *entry + size);
    entry->table = record->table;
    entry->key_size = record->key_size;
    entry->size = size;
    memcpy(entry->key, record->key, record->key_size);
    entry->is_deleted = record->value == NULL;
    if (record->value != NULL) {
        entry->type = record->value->descriptor;
        (void)protobuf_c_message_pack(record->value, entry->data);
        note(entry, record);
    }
    struct entry **end = &world->waiting;
    while (*end != NULL)
        end = &(*end)->next;
    *end = entry;
}

static bool is_same_key(const struct entry *one, const struct entry *other)
{
    return one->table == other->table && one->key_size == other->key_size &&
           memcmp(one->key, other->key, one->key_size) == 0;
}

static void commit(void)
{
    while (world->waiting != NULL) {
        struct entry *entry = world->waiting;
        world->waiting = entry->next;
        struct entry **place = &world->journal;
        while (*place != NULL && !is_same_key(*place, entry))
            place = &(*place)->next;
        entry->next = *place != NULL ? (*place)->next : NULL;
        memory_give(*place);
        if (entry->is_deleted) {
            *place = entry->next;
            memory_give(entry);
        } else {
            *place = entry;
        }
    }
    world->waiting_update = 0;
    world->waiting_told = false;
}

static void keep_records(const struct core_update *update)
{
    size_t kept = 0;
    for (size_t i = 0; i < update->record_count; i++)
        kept += is_kept(update->records[i].table) ? 1 : 0;
    if (kept == 0)
        return;
    commit();
    for (size_t i = 0; i < update->record_count; i++) {
        if (is_kept(update->records[i].table))
            write_down(&update->records[i]);
    }
    world->waiting_update = core_update_number(world->core);
}

// ---------------------------------------------------------------- steps

static void step(struct core_event *event)
{
    struct core_update update;
    event->boot_ms = world->now_ms;
    event->wall_ms = world->now_ms + WALL_AHEAD_MS;
    event->durable = world->waiting != NULL ? world->waiting_update - 1 : core_update_number(world->core);
    core_step(world->core, event, &update);
    core_check(world->core);
    const uint64_t number = core_update_number(world->core);
    judge_step(event, &update, number);
    keep_records(&update);
    for (size_t i = 0; i < update.reply_count; i++) {
        const struct core_reply *reply = &update.replies[i];
        if (!net_reply(reply->peer, reply->reply, reply->durable ? number : 0) &&
            broker.gone_count < GONE_MAX)
            broker.gone[broker.gone_count++] = reply->peer;
    }
}

// A step, and what follows from replies that found nobody.
static void step_out(struct core_event *event)
{
    step(event);
    while (broker.gone_count > 0) {
        struct core_event gone = {.kind = CORE_EVENT_PEER_GONE};
        gone.peer_gone = broker.gone[--broker.gone_count];
        step(&gone);
    }
}

void broker_start(void)
{
    struct core_record records[RECORDS_MAX];
    ProtobufCMessage *values[RECORDS_MAX];
    size_t count = 0;
    assert(world->core == NULL);
    for (const struct entry *entry = world->journal; entry != NULL; entry = entry->next) {
        assert(count < RECORDS_MAX);
        values[count] = protobuf_c_message_unpack(entry->type, NULL, entry->size, entry->data);
        assert(values[count] != NULL);
        if (entry->table == CORE_TABLE_RUN && ((const Sb__StoredRun *)values[count])->run->ended_ms != 0) {
            protobuf_c_message_free_unpacked(values[count], NULL);
            continue;
        }
        records[count] =
            (struct core_record){.table = entry->table, .key_size = entry->key_size, .value = values[count]};
        memcpy(records[count].key, entry->key, entry->key_size);
        count++;
    }
    memory_clear_core();
    world->core = core_init(memory_core(), &broker.config);
    memory_learn_core(world->core);
    world->lives++;
    judge_broker_started();
    struct core_event event = {.kind = CORE_EVENT_START};
    event.start.records = records;
    event.start.count = count;
    event.start.entropy = world->lives;
    step_out(&event);
    commit(); // nothing leaves before
    for (size_t i = 0; i < count; i++)
        protobuf_c_message_free_unpacked(values[i], NULL);
}

bool broker_may_lose(void)
{
    return world->waiting != NULL && !world->waiting_told;
}

void broker_crash(bool early)
{
    assert(world->core != NULL);
    uint64_t lost = 0;
    net_broker_gone(early);
    if (early) {
        lost = world->waiting_update;
        while (world->waiting != NULL) {
            struct entry *entry = world->waiting;
            world->waiting = entry->next;
            memory_give(entry);
        }
    }
    commit();
    judge_broker_crashed(lost);
    world->core = NULL;
}

void broker_stop(void)
{
    assert(world->core != NULL);
    step_out(&(struct core_event){.kind = CORE_EVENT_STOP});
    judge_broker_stopped();
    broker_crash(false);
}

void broker_request(uint64_t peer, const Sb__Request *request)
{
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = peer;
    event.request.request = request;
    step_out(&event);
}

// ---------------------------------------------------------------- time

// When the first session that nobody keeps alive has been silent for too long; they end with a beat.
static int64_t sessions_deadline(void)
{
    const struct core *core = world->core;
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < core->present_count; i++) {
        const struct session *session = &core->sessions[core->present[i]];
        const int64_t end = session->seen_boot + SESSION_TTL_MS;
        if (!clients_keep(session->peer, session->number))
            first = end < first ? end : first;
    }
    return first != INT64_MAX && first < core->next_beat ? core->next_beat : first;
}

// Beats are of no interest by themselves: what they publish is lost here, always (I11).
int64_t broker_deadline(void)
{
    const struct core *core = world->core;
    if (core == NULL)
        return INT64_MAX;
    if (core->is_behind)
        return world->now_ms;
    const int64_t times[] = {leases_deadline(core), pauses_deadline(core), waiters_deadline(core),
                             jobs_deadline(core), sessions_deadline()};
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        first = times[i] < first ? times[i] : first;
    return first < world->now_ms + HOUR_MS ? first : INT64_MAX;
}

void broker_time(void)
{
    commit(); // a disk takes less time than anything else
    if (world->core == NULL || broker_deadline() > world->now_ms)
        return;
    step_out(&(struct core_event){.kind = CORE_EVENT_TIME});
}
