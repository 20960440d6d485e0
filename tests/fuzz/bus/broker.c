#include "tests/fuzz/bus/broker.h"

#include "broker/settings.h"
#include "tests/sim/disk.h"
#include "tests/sim/leases.h"
#include "tests/sim/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY = 8 * 1024 * 1024,
    WAITING_MAX = 2048,
    HELD_MAX = 256,
    STEPS_MAX = 5000,
    STOP_MS = 20 * 1000,
    UNCOMMITTED_MS = 500, // a disk is no slower
};

const char *const bus_jobs[BUS_JOBS] = {"orders", "prices", "ddt"};
const char *const bus_resources[BUS_RESOURCES] = {"erp", "crm"};

// A record that is not committed yet.
struct waiting {
    uint64_t update;          // whose it is
    enum core_table table;    // where it goes
    struct disk_entry *entry; // owned
};

static struct {
    struct core *core;
    struct disk disk;
    uint8_t how; // of the config in force
    struct config_resource resources[BUS_RESOURCES];
    struct config_job jobs[BUS_JOBS];
    struct config config;
    int64_t boot_ms, wall_ms;
    uint64_t durable;
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
    struct bus_news held[HELD_MAX]; // until their update is durable
    size_t held_count;
    bus_hear *hear;
} bus;

// ---------------------------------------------------------------- the config

static void configure(uint8_t how)
{
    for (size_t i = 0; i < BUS_RESOURCES; i++)
        bus.resources[i] = (struct config_resource){.name = (char *)(uintptr_t)bus_resources[i],
                                                    .capacity = 1 + (how & 1U),
                                                    .lease_ttl_ms = how & 2U ? 10000 : 3000,
                                                    .grant_delay_ms = how & 4U ? 1000 : 0,
                                                    .max_exclusive_ms = 60000,
                                                    .max_exclusive_streak_ms = 30000,
                                                    .aging_ms = 60000,
                                                    .on_pause_timeout = how & 8U ? PAUSE_TIMEOUT_REVOKE
                                                                                 : PAUSE_TIMEOUT_REFUSE};
    size_t count = 0;
    for (size_t i = 0; i < BUS_JOBS; i++) {
        if (i == 2 && (how & 16U) != 0) // the last job comes and goes
            continue;
        bus.jobs[count++] = (struct config_job){.name = (char *)(uintptr_t)bus_jobs[i],
                                                .every_ms = 60000 * (int64_t)(i + 1),
                                                .offset_ms = how & 32U ? 10000 * (int64_t)i : 0,
                                                .priority = (uint32_t)(5 - i),
                                                .pause_timeout_ms = 20000,
                                                .max_yields = 1,
                                                .yield = i == 1 ? YIELD_FINISH : YIELD_ABORT,
                                                .stall_ms = 15000,
                                                .settle_ms = BUS_SETTLE_MS,
                                                .retry_after_ms = 5000,
                                                .fresh_within_ms = 60000,
                                                .max_duration_ms = 30000,
                                                .overlap = i == 2 ? OVERLAP_QUEUE : OVERLAP_SKIP,
                                                .catch_up = i == 1 ? CATCH_UP_NONE : CATCH_UP_ONCE};
    }
    bus.config = (struct config){.profile = (char *)(uintptr_t) "",
                                 .broker = {.beat_ms = 5000,
                                            .session_ttl_ms = 15000,
                                            .jobs_max = 4,
                                            .resources_max = BUS_RESOURCES,
                                            .sessions_max = 8,
                                            .waiters_max = 8,
                                            .calls_max = 1},
                                 .resources = bus.resources,
                                 .resource_count = BUS_RESOURCES,
                                 .jobs = bus.jobs,
                                 .job_count = count};
    sim->changes += how != bus.how;
    bus.how = how;
    bus_world_config(&bus.config);
    ledger_config(&bus.config);
}

// ---------------------------------------------------------------- what is decided

static void append(const struct core_update *update, uint64_t number)
{
    if (bus.waiting_count + update->record_count > WAITING_MAX)
        bus_commit();
    for (size_t i = 0; i < update->record_count; i++)
        bus.waiting[bus.waiting_count++] = (struct waiting){.update = number,
                                                            .table = update->records[i].table,
                                                            .entry = disk_entry_new(&update->records[i])};
    if (bus.waiting_count == 0)
        bus.durable = number;
}

static void tell(const struct bus_news *news)
{
    if (news->update <= bus.durable) {
        bus.hear(news);
        return;
    }
    if (bus.held_count == HELD_MAX)
        bus_commit();
    if (news->update <= bus.durable)
        bus.hear(news);
    else
        bus.held[bus.held_count++] = *news;
}

static void tell_reply(const struct core_reply *reply, uint64_t number)
{
    const Sb__Reply *said = reply->reply;
    struct bus_news news = {.update = reply->durable ? number : 0,
                            .client = (size_t)reply->peer - 1,
                            .id = said->id,
                            .no_session = said->code == SB__CODE__CODE_NO_SESSION};
    assert(protobuf_c_message_check(&said->base));
    switch (said->body_case) {
    case SB__REPLY__BODY_WELCOME: news.session = said->welcome->session; break;
    case SB__REPLY__BODY_GRANTED:
        news.token = said->granted->token;
        news.ttl_ms = said->granted->ttl_ms;
        break;
    case SB__REPLY__BODY_WAITING:
        news.waits = true;
        news.ticket = said->waiting->ticket;
        break;
    case SB__REPLY__BODY_RENEWED:
        news.renewed = true;
        news.ttl_ms = said->renewed->ttl_ms;
        break;
    default: break;
    }
    tell(&news);
}

static void tell_publication(const struct core_publication *publication, uint64_t number)
{
    const Sb__Event *event = publication->event;
    assert(protobuf_c_message_check(&event->base));
    for (size_t i = 0; i < BUS_JOBS && event->body_case == SB__EVENT__BODY_TICK; i++) {
        if (strcmp(event->tick->job, bus_jobs[i]) == 0)
            tell(&(struct bus_news){.update = publication->durable ? number : 0,
                                    .client = BUS_CLIENTS,
                                    .job = bus_jobs[i],
                                    .run = event->tick->run,
                                    .attempt = event->tick->attempt});
    }
}

static void look(void)
{
    for (size_t i = 1; i <= BUS_CLIENTS; i++)
        leases_check(&sim->nodes[i]);
}

void bus_step(struct core_event *event)
{
    struct core_update update;
    event->boot_ms = bus.boot_ms;
    event->wall_ms = bus.wall_ms;
    event->durable = bus.durable;
    core_step(bus.core, event, &update);
    core_check(bus.core);
    const uint64_t number = core_update_number(bus.core);
    leases_step(event, &update, number);
    append(&update, number);
    for (size_t i = 0; i < update.reply_count; i++)
        tell_reply(&update.replies[i], number);
    for (size_t i = 0; i < update.publication_count; i++)
        tell_publication(&update.publications[i], number);
    look();
}

static void put(const struct waiting *waiting)
{
    const struct disk_entry *entry = waiting->entry;
    struct core_record record = {.table = waiting->table, .key_size = entry->key_size};
    ProtobufCMessage *value = NULL;
    memcpy(record.key, entry->key, record.key_size);
    if (entry->type != NULL)
        value = protobuf_c_message_unpack(entry->type, NULL, entry->size, entry->data);
    record.value = value;
    ledger_note(&record);
    if (value != NULL)
        protobuf_c_message_free_unpacked(value, NULL);
    disk_put(&bus.disk, waiting->table, waiting->entry);
}

void bus_commit(void)
{
    for (size_t i = 0; i < bus.waiting_count; i++)
        put(&bus.waiting[i]);
    bus.waiting_count = 0;
    ledger_check(0);
    bus.durable = core_update_number(bus.core);
    const size_t count = bus.held_count;
    bus.held_count = 0;
    for (size_t i = 0; i < count; i++)
        bus.hear(&bus.held[i]);
    look();
}

// ---------------------------------------------------------------- time

int64_t bus_boot_ms(void)
{
    return bus.boot_ms;
}

int64_t bus_wall_ms(void)
{
    return bus.wall_ms;
}

void bus_jump(int64_t ms)
{
    bus.wall_ms += ms;
}

static void move(int64_t ms)
{
    bus.boot_ms += ms;
    bus.wall_ms += ms;
    bus_world_time(bus.boot_ms);
    look();
}

void bus_pass(int64_t duration_ms)
{
    const int64_t end_ms = bus.boot_ms + duration_ms;
    if (duration_ms > UNCOMMITTED_MS)
        bus_commit();
    for (int i = 0; core_deadline(bus.core) <= end_ms; i++) {
        assert(i < STEPS_MAX); // deadlines are taken one after another, and end
        if (core_deadline(bus.core) > bus.boot_ms)
            move(core_deadline(bus.core) - bus.boot_ms);
        bus_step(&(struct core_event){.kind = CORE_EVENT_TIME});
        if (duration_ms > UNCOMMITTED_MS)
            bus_commit();
    }
    move(end_ms - bus.boot_ms);
}

// ---------------------------------------------------------------- lives of the broker

static void start(uint8_t how)
{
    static _Alignas(64) char memory[MEMORY]; // taken once: lives are short
    struct settings settings = {0};
    configure(how);
    const enum err err = settings_make(&bus.config, &settings);
    assert(err == ERR_OK);
    const size_t size = core_size(&settings.core, NULL);
    assert(size > 0);
    assert(size <= sizeof memory);
    memset(memory, 0, size);
    bus.core = core_init(memory, &settings.core);
    settings_free(&settings);
    bus.durable = 0;
    leases_broker_started();
    size_t count = 0;
    struct core_record *records = disk_recover(&bus.disk, &count);
    ledger_recovered(records, count);
    struct core_event event = {.kind = CORE_EVENT_START};
    event.start.records = records;
    event.start.count = count;
    bus_step(&event);
    disk_recovered_free(records, count);
    bus_commit();
}

static void end(void)
{
    leases_broker_ended(bus.durable);
    for (size_t i = 0; i < bus.waiting_count; i++)
        free(bus.waiting[i].entry);
    bus.waiting_count = bus.held_count = 0;
    sim->broker->life++;
}

void bus_kill(uint8_t how)
{
    end();
    start(how);
}

void bus_restart(uint8_t how)
{
    bus_step(&(struct core_event){.kind = CORE_EVENT_STOP});
    bus_commit();
    for (int64_t waited = 0; !core_stopped(bus.core); waited += 100) {
        assert(waited < STOP_MS);
        bus_pass(100);
        bus_commit();
    }
    bus_kill(how);
}

void bus_reload(uint8_t how)
{
    struct settings settings = {0};
    bus_commit(); // the ledger's judge takes what comes after a change for decided by the new grids
    configure(how);
    const enum err err = settings_make(&bus.config, &settings);
    assert(err == ERR_OK);
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    event.reload.config = &settings.core;
    bus_step(&event);
    settings_free(&settings);
}

void bus_begin(uint8_t how, int64_t boot_ms, int64_t wall_ms,
               struct syncbus_client *const clients[BUS_CLIENTS], bus_hear *hear)
{
    bus_world_begin(boot_ms, clients);
    leases_init();
    ledger_init();
    disk_init(&bus.disk);
    bus.boot_ms = boot_ms;
    bus.wall_ms = wall_ms;
    bus.hear = hear;
    bus.how = how;
    start(how);
}

void bus_end(void)
{
    end();
    disk_free(&bus.disk);
    ledger_free();
}
