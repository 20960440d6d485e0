#include "tests/sim/broker.h"

#include "broker/core/core.h"
#include "broker/outbox.h"
#include "broker/settings.h"
#include "proto/io/clock.h"
#include "proto/wire.h"
#include "services/service.h"
#include "tests/sim/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/leases.h"
#include "tests/sim/ledger.h"
#include "tests/sim/net.h"
#include "tests/sim/repeats.h"
#include "tests/sim/waits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { READ_MAX = 256, GONE_MAX = 256, FALLS_PPM = 300, FAILS_PPM = 200, SLOW_PPM = 20000 };

// Records that wait for their commit.
struct waiting {
    uint64_t update;          // that they belong to
    enum core_table table;    // of the entry
    struct disk_entry *entry; // owned
};

static struct broker {
    struct node *node;           // its own
    const struct config *config; // that it works by
    struct disk disk;            // lasts through its lives
    struct core *core;           // NULL while it is down
    void *memory;                // of the core
    size_t memory_size;          // bytes of it
    struct outbox outbox;        // waits for commits
    struct buffer packed;        // the message that is being sent
    int64_t boot_ms;             // last time given to the core
    bool starting;               // its epoch is not on disk yet: nobody is heard
    bool stopping;               // it was asked to end
    bool reload_wanted;          // somebody asked for it
    uint64_t durable;            // last update that is committed
    uint64_t committing;         // last update of the commit under way; 0: none is
    struct waiting *waiting;     // in order, owned
    size_t waiting_count;        // of them
    size_t waiting_capacity;     // room for so many
    uint64_t gone[GONE_MAX];     // peers that a send just missed
    size_t gone_count;           // of them
    uint64_t epoch;              // the last one in which it answered
    uint64_t epoch_life;         // the life that did
} broker;

static void step(struct core_event *event);

// ---------------------------------------------------------------- the journal

static void commit_done(void *arg, uint64_t life);

static int64_t commit_us(void)
{
    if (sim_fault(SIM_FAULT_DISK, SLOW_PPM))
        return sim_between(100, 5000) * SIM_MS_US;
    return sim_between(200, 8000);
}

static void commit_next(void)
{
    const uint64_t last = core_update_number(broker.core);
    if (broker.committing != 0)
        return;
    if (broker.waiting_count == 0) {
        broker.durable = last;
        return;
    }
    broker.committing = last;
    sim_after(commit_us(), commit_done, NULL, broker.node->life);
}

static void append(const struct core_update *update)
{
    const uint64_t number = core_update_number(broker.core);
    for (size_t i = 0; i < update->record_count; i++) {
        if (broker.waiting_count == broker.waiting_capacity) {
            broker.waiting_capacity = broker.waiting_capacity == 0 ? 64 : 2 * broker.waiting_capacity;
            broker.waiting = realloc(broker.waiting, broker.waiting_capacity * sizeof *broker.waiting);
            assert(broker.waiting != NULL);
        }
        broker.waiting[broker.waiting_count++] =
            (struct waiting){.update = number,
                             .table = update->records[i].table,
                             .entry = disk_entry_new(&update->records[i])};
    }
    commit_next();
}

// All records up to that update are on the disk now.
static void commit(uint64_t last)
{
    size_t done = 0;
    for (; done < broker.waiting_count && broker.waiting[done].update <= last; done++) {
        const struct waiting *waiting = &broker.waiting[done];
        struct core_record record = {.table = waiting->table, .key_size = waiting->entry->key_size};
        memcpy(record.key, waiting->entry->key, record.key_size);
        ProtobufCMessage *value = NULL;
        if (waiting->entry->type != NULL)
            value = protobuf_c_message_unpack(waiting->entry->type, NULL, waiting->entry->size,
                                              waiting->entry->data);
        record.value = value;
        ledger_note(&record);
        if (value != NULL)
            protobuf_c_message_free_unpacked(value, NULL);
        disk_put(&broker.disk, waiting->table, waiting->entry);
    }
    broker.waiting_count -= done;
    memmove(broker.waiting, &broker.waiting[done], broker.waiting_count * sizeof *broker.waiting);
    ledger_check(0);
}

// ---------------------------------------------------------------- what leaves

static void dispatch(uint64_t peer, const char *topic, const void *data, size_t size)
{
    if (topic != NULL)
        net_publish(topic, data, size);
    else if (!net_reply(peer, data, size) && broker.gone_count < GONE_MAX)
        broker.gone[broker.gone_count++] = peer;
}

static void post(bool durable, uint64_t peer, const char *topic, const ProtobufCMessage *message)
{
    const uint64_t update = core_update_number(broker.core);
    buffer_clear(&broker.packed);
    const enum err packed = wire_pack(message, &broker.packed);
    assert(packed == ERR_OK);
    if (!durable || outbox_may_pass(&broker.outbox, update, broker.durable)) {
        dispatch(peer, topic, broker.packed.data, broker.packed.size);
        return;
    }
    const enum err put =
        outbox_put(&broker.outbox, update, peer, topic, broker.packed.data, broker.packed.size);
    assert(put == ERR_OK);
}

static void answer_read(const struct core_read *read)
{
    ProtobufCMessage *values[READ_MAX];
    const size_t count = disk_read(&broker.disk, read, values, READ_MAX);
    const Sb__Reply *reply =
        core_read_reply(broker.core, read, (const ProtobufCMessage *const *)values, count);
    post(false, read->peer, NULL, &reply->base);
    for (size_t i = 0; i < count; i++)
        protobuf_c_message_free_unpacked(values[i], NULL);
}

// The config that counts for the core from now on.
static void take_config(void)
{
    broker.config = sim->config;
    ledger_config(broker.config);
}

static void reload(struct core_reload_wish wish)
{
    struct settings settings = {0};
    const enum err err = settings_make(sim->config, &settings);
    assert(err == ERR_OK);
    take_config();
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    event.reload.config = &settings.core;
    event.reload.wish = wish;
    step(&event);
    settings_free(&settings);
}

// I10: each life answers in an epoch of its own, which is greater than those before.
static void check_epoch(uint64_t epoch)
{
    const uint64_t life = broker.node->life;
    if (broker.epoch_life == life ? epoch != broker.epoch : epoch <= broker.epoch)
        check_broken("I10",
                     "life %" PRIu64 " of the broker answers in epoch %" PRIu64 " after epoch %" PRIu64, life,
                     epoch, broker.epoch);
    broker.epoch = epoch;
    broker.epoch_life = life;
}

static void carry_out(const struct core_update *update)
{
    append(update);
    for (size_t i = 0; i < update->reply_count; i++)
        check_epoch(update->replies[i].reply->epoch);
    for (size_t i = 0; i < update->reply_count; i++)
        post(update->replies[i].durable, update->replies[i].peer, NULL, &update->replies[i].reply->base);
    for (size_t i = 0; i < update->publication_count; i++)
        post(update->publications[i].durable, 0, update->publications[i].topic,
             &update->publications[i].event->base);
    for (size_t i = 0; i < update->read_count; i++)
        answer_read(&update->reads[i]);
    if (update->reload != NULL)
        reload(*update->reload);
}

// Gives one event to the core, at the time that it is now.
static void step(struct core_event *event)
{
    struct core_update update;
    if (broker.node->dying)
        return;
    const int64_t boot_ms = clock_boot_ms();
    broker.boot_ms = boot_ms > broker.boot_ms ? boot_ms : broker.boot_ms;
    event->boot_ms = broker.boot_ms;
    event->wall_ms = clock_wall_ms();
    event->durable = broker.durable;
    core_step(broker.core, event, &update);
    core_check(broker.core);
    if (node_falls(broker.node, FALLS_PPM)) // decided, but not a word of it is stored or sent
        return;
    leases_step(event, &update, core_update_number(broker.core));
    repeats_step(event, &update);
    waits_step(event, &update);
    carry_out(&update);
    (void)node_falls(broker.node, FALLS_PPM);
}

static void settle(void)
{
    struct outbox_item *item;
    while ((item = outbox_take(&broker.outbox, broker.durable)) != NULL) {
        if (!broker.node->dying)
            dispatch(item->peer, item->topic, item->data, item->size);
        outbox_item_free(item);
    }
    while (broker.gone_count > 0)
        step(&(struct core_event){.kind = CORE_EVENT_PEER_GONE,
                                  .peer_gone = broker.gone[--broker.gone_count]});
}

static void commit_done(void *arg, uint64_t life)
{
    (void)arg;
    if (!node_lives(broker.node, life))
        return;
    if (node_is_frozen(broker.node)) {
        agenda_put(&sim->agenda, broker.node->frozen_until_us, commit_done, NULL, life);
        return;
    }
    if (sim_fault(SIM_FAULT_DISK, FAILS_PPM)) {
        // Nobody knows what is on the disk: it may all be there.
        sim_trace("the broker's disk fails");
        if (sim_chance(500000))
            commit(broker.committing);
        node_kill(broker.node);
        return;
    }
    commit(broker.committing);
    broker.durable = broker.committing;
    broker.committing = 0;
    broker.starting = false;
    commit_next();
    node_wake(broker.node);
}

void broker_take(uint64_t peer, const void *data, size_t size)
{
    Sb__Request *request = NULL;
    if (broker.starting || wire_request(data, size, &request, NULL) != ERR_OK)
        return;
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = peer;
    event.request.request = request;
    sim->current = broker.node;
    step(&event);
    sim->current = NULL;
    sb__request__free_unpacked(request, NULL);
    node_wake(broker.node);
}

void broker_reload(void)
{
    broker.reload_wanted = true;
    node_wake(broker.node);
}

const struct config *broker_config(void)
{
    return broker.config;
}

// ---------------------------------------------------------------- its loop

static void on_time(void *arg, int64_t boot_ms, int64_t wall_ms)
{
    (void)arg;
    (void)wall_ms;
    settle();
    if (!broker.starting && broker.reload_wanted) {
        broker.reload_wanted = false;
        reload((struct core_reload_wish){.peer = 0});
    }
    if (!broker.starting && (broker.stopping || core_deadline(broker.core) <= boot_ms))
        step(&(struct core_event){.kind = CORE_EVENT_TIME});
    settle();
}

static int64_t on_deadline(void *arg)
{
    (void)arg;
    return broker.starting ? INT64_MAX : core_deadline(broker.core);
}

static void on_stop(void *arg)
{
    (void)arg;
    if (broker.stopping || broker.starting)
        return;
    broker.stopping = true;
    step(&(struct core_event){.kind = CORE_EVENT_STOP});
}

static bool on_stopped(void *arg)
{
    (void)arg;
    return broker.stopping && core_stopped(broker.core) && broker.outbox.first == NULL;
}

static const struct service_handler handler = {
    .time = on_time, .deadline = on_deadline, .stop = on_stop, .stopped = on_stopped};

static void free_memory(void)
{
    if (broker.memory != NULL)
        (void)munmap(broker.memory, broker.memory_size);
}

static void start(struct node *node)
{
    struct settings settings = {0};
    enum err err = settings_make(sim->config, &settings);
    assert(err == ERR_OK);
    const size_t size = core_size(&settings.core, NULL);
    assert(size > 0);
    // All zeros, page by page as they are used: most of a core is never touched in a small world.
    if (size > broker.memory_size) {
        free_memory();
        broker.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert(broker.memory != MAP_FAILED);
        broker.memory_size = size;
    } else {
        (void)madvise(broker.memory, broker.memory_size, MADV_DONTNEED);
    }
    broker.core = core_init(broker.memory, &settings.core);
    settings_free(&settings);
    take_config();
    broker.boot_ms = 0;
    broker.starting = true;
    broker.stopping = false;
    broker.reload_wanted = false; // it reads the config anyway
    broker.durable = broker.committing = 0;
    broker.gone_count = 0;
    node->handler = &handler;
    leases_broker_started();
    repeats_init();
    waits_init();
    struct core_event event = {.kind = CORE_EVENT_START};
    size_t count = 0;
    struct core_record *records = disk_recover(&broker.disk, &count);
    ledger_recovered(records, count);
    event.start.records = records;
    event.start.count = count;
    event.start.entropy = random_next(&sim->random);
    step(&event);
    disk_recovered_free(records, count);
}

static void end(struct node *node)
{
    (void)node;
    leases_broker_ended(broker.durable);
    for (size_t i = 0; i < broker.waiting_count; i++)
        free(broker.waiting[i].entry);
    broker.waiting_count = 0;
    outbox_clear(&broker.outbox);
    broker.core = NULL;
}

struct node *broker_add(void)
{
    memset(&broker, 0, sizeof broker);
    disk_init(&broker.disk);
    buffer_init(&broker.packed, WIRE_FRAME_MAX);
    broker.node = sim->broker = node_add("broker");
    broker.node->start = start;
    broker.node->end = end;
    return broker.node;
}

void broker_free(void)
{
    disk_free(&broker.disk);
    buffer_free(&broker.packed);
    free_memory();
    free(broker.waiting);
    memset(&broker, 0, sizeof broker);
}
