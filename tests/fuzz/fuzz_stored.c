// Any records that the journal gives are refused or borne: no start with them ends in a crash, and the broker
// serves after it. (What contradicts itself cannot keep the invariants: they are not looked at.)
//
// A byte says how many numbers of the records are changed, and four say each: in which record, which field,
// which field of that one, to what. Then come the records, each a byte of its table, one of its key's size,
// two of its value's size, its key, its value; one that reaches past the input is cut.
#include "broker/stored.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 8 * 1024 * 1024, RECORDS_MAX = 64, STEPS_MAX = 1000, HEAD = 4, CHANGES_MAX = 16, CHANGE = 4 };

static const int64_t BEGIN_BOOT_MS = 1000000, BEGIN_WALL_MS = INT64_C(1700000000000);

struct world {
    struct core *core;
    struct core_record records[RECORDS_MAX];
    size_t count;    // of them
    int64_t boot_ms; // since the world began; the wall clock goes along
    uint64_t durable;
};

// ---------------------------------------------------------------- numbers that are changed

static uint64_t number_of(uint8_t which)
{
    const uint64_t numbers[] = {0,
                                1,
                                2,
                                UINT64_MAX,
                                INT64_MAX,
                                1 + (uint64_t)INT64_MAX,
                                UINT32_MAX,
                                (uint64_t)INT32_MAX,
                                UINT64_MAX - UINT32_MAX,
                                UINT64_MAX - 60000,
                                (uint64_t)BEGIN_WALL_MS,
                                (uint64_t)BEGIN_WALL_MS - 60000,
                                INT64_MAX - 60000,
                                UINT64_C(1) << 44,
                                UINT64_C(1) << 50,
                                12};
    return numbers[which % (sizeof numbers / sizeof *numbers)];
}

// Sets a number of a message, or drops the message that it has there; into one it goes once.
static void change_field(ProtobufCMessage *message, uint8_t which, uint8_t below, uint8_t value)
{
    for (int depth = 0; depth < 2 && message->descriptor->n_fields > 0; depth++, which = below) {
        const ProtobufCFieldDescriptor *field =
            &message->descriptor->fields[which % message->descriptor->n_fields];
        void *place = (char *)message + field->offset;
        const uint64_t number = number_of(value);
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            return;
        switch (field->type) {
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64: memcpy(place, &number, sizeof(uint64_t)); return;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_ENUM: memcpy(place, &(uint32_t){(uint32_t)number}, sizeof(uint32_t)); return;
        case PROTOBUF_C_TYPE_BOOL:
            memcpy(place, &(protobuf_c_boolean){(value & 1U) != 0}, sizeof(protobuf_c_boolean));
            return;
        case PROTOBUF_C_TYPE_MESSAGE: break;
        default: return;
        }
        ProtobufCMessage *inner = *(ProtobufCMessage **)place;
        if (inner == NULL)
            return;
        if (value == UINT8_MAX) {
            protobuf_c_message_free_unpacked(inner, NULL);
            memset(place, 0, sizeof inner);
            return;
        }
        message = inner;
    }
}

// Changes a record, and reads it once more as it lies on disk then.
static void change_record(struct core_record *record, const uint8_t change[CHANGE])
{
    ProtobufCMessage *message = (ProtobufCMessage *)(uintptr_t)record->value;
    change_field(message, change[1], change[2], change[3]);
    const size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);
    assert(bytes != NULL);
    (void)protobuf_c_message_pack(message, bytes);
    protobuf_c_message_free_unpacked(message, NULL);
    ProtobufCMessage *again = NULL;
    const enum err err = stored_read(record->table, bytes, size, &again, NULL);
    assert(err == ERR_OK || err == ERR_CORRUPT);
    record->value = again;
    free(bytes);
}

// ---------------------------------------------------------------- records

// What one input holds, as the journal reads it.
static void read_records(struct world *self, const uint8_t *data, size_t size)
{
    while (size >= HEAD && self->count < RECORDS_MAX) {
        const enum core_table table = (enum core_table)(data[0] % CORE_TABLE_COUNT);
        size_t key_size = data[1] % CORE_KEY_MAX;
        size_t value_size = (size_t)(data[2] | data[3] << 8);
        data += HEAD;
        size -= HEAD;
        key_size = key_size < size ? key_size : size;
        value_size = value_size < size - key_size ? value_size : size - key_size;
        struct core_record *record = &self->records[self->count];
        ProtobufCMessage *value = NULL;
        const enum err err = stored_read(table, data + key_size, value_size, &value, NULL);
        assert(err == ERR_OK || err == ERR_CORRUPT);
        if (err == ERR_OK) {
            *record = (struct core_record){.table = table, .key_size = key_size, .value = value};
            memcpy(record->key, data, key_size);
            self->count++;
        }
        data += key_size + value_size;
        size -= key_size + value_size;
    }
}

// The history is not part of a start.
static bool is_recovered(const struct core_record *record)
{
    const Sb__StoredRun *run = (const Sb__StoredRun *)record->value;
    return record->table != CORE_TABLE_LEDGER && record->table != CORE_TABLE_PAUSE &&
           (record->table != CORE_TABLE_RUN || (run->run != NULL && run->run->ended_ms == 0));
}

static void step(struct world *self, struct core_event *event)
{
    struct core_update update;
    event->boot_ms = BEGIN_BOOT_MS + self->boot_ms;
    event->wall_ms = BEGIN_WALL_MS + self->boot_ms;
    event->durable = self->durable;
    core_step(self->core, event, &update);
    self->durable = core_update_number(self->core);
    for (size_t i = 0; i < update.reply_count; i++)
        assert(protobuf_c_message_check(&update.replies[i].reply->base));
    for (size_t i = 0; i < update.publication_count; i++)
        assert(protobuf_c_message_check(&update.publications[i].event->base));
    for (size_t i = 0; i < update.record_count; i++)
        assert(update.records[i].value == NULL || protobuf_c_message_check(update.records[i].value));
}

static void pass(struct world *self, int64_t duration_ms)
{
    self->boot_ms += duration_ms;
    for (int i = 0; core_deadline(self->core) <= BEGIN_BOOT_MS + self->boot_ms; i++) {
        assert(i < STEPS_MAX);
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
    }
}

static void ask(struct world *self, Sb__Request *request)
{
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    request->id = self->durable + 1;
    event.request.peer = 1;
    event.request.request = request;
    step(self, &event);
}

// Whoever looks at what came of it sees all of it.
static void look(struct world *self)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &snapshot;
    ask(self, &request);
    request.body_case = SB__REQUEST__BODY_PAUSES;
    request.pauses = &pauses;
    ask(self, &request);
}

static void read_history(struct world *self)
{
    static const enum core_table tables[] = {CORE_TABLE_RUN, CORE_TABLE_LEDGER, CORE_TABLE_PAUSE};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const ProtobufCMessage *values[RECORDS_MAX];
        size_t count = 0;
        for (size_t k = 0; k < self->count; k++) {
            if (self->records[k].table == tables[i])
                values[count++] = self->records[k].value;
        }
        const struct core_read read = {.peer = 1, .request = 1, .table = tables[i], .limit = RECORDS_MAX};
        const Sb__Reply *reply = core_read_reply(self->core, &read, values, count);
        assert(protobuf_c_message_check(&reply->base));
    }
}

static void begin(struct world *self)
{
    static const struct core_resource_config resources[] = {{.name = "erp",
                                                             .capacity = 1,
                                                             .lease_ttl_ms = 10000,
                                                             .grant_delay_ms = 1000,
                                                             .max_exclusive_ms = 60000,
                                                             .max_exclusive_streak_ms = 30000,
                                                             .aging_ms = 60000}};
    static const struct core_job_config jobs[] = {
        {.name = "orders", .every_ms = 60000, .priority = 4, .yields = true, .catches_up = true},
        {.name = "prices", .every_ms = 120000, .offset_ms = 1000, .priority = 5, .queues_overlap = true}};
    static const struct core_config config = {.resources = resources,
                                              .resource_count = 1,
                                              .jobs = jobs,
                                              .job_count = 2,
                                              .jobs_max = 2,
                                              .resources_max = 1,
                                              .beat_ms = 5000,
                                              .session_ttl_ms = 15000,
                                              .sessions_max = 2,
                                              .waiters_max = 2,
                                              .calls_max = 1,
                                              .version = "fuzz",
                                              .profile = ""};
    static _Alignas(64) char memory[MEMORY]; // taken once: lives are short
    const size_t size = core_size(&config, NULL);
    assert(size <= sizeof memory);
    memset(memory, 0, size);
    self->core = core_init(memory, &config);
    struct core_record *recovered = malloc(sizeof self->records);
    assert(recovered != NULL);
    struct core_event event = {.kind = CORE_EVENT_START};
    for (size_t i = 0; i < self->count; i++) {
        if (is_recovered(&self->records[i]))
            recovered[event.start.count++] = self->records[i];
    }
    event.start.records = recovered;
    step(self, &event);
    free(recovered);
}

// A record that was refused is none: the broker would not start, and there is nothing to see.
static bool prepare(struct world *self, const uint8_t *data, size_t size)
{
    const size_t changes = size > 0 ? data[0] % CHANGES_MAX : 0;
    bool sound = true;
    if (size < 1 + changes * CHANGE)
        return true;
    read_records(self, data + 1 + changes * CHANGE, size - 1 - changes * CHANGE);
    for (size_t i = 0; i < changes && sound && self->count > 0; i++) {
        const uint8_t *change = data + 1 + i * CHANGE;
        struct core_record *record = &self->records[change[0] % self->count];
        change_record(record, change);
        sound = record->value != NULL;
    }
    return sound;
}

static void serve(struct world *self)
{
    begin(self);
    look(self);
    pass(self, 0);
    pass(self, 30000);
    pass(self, 100000);
    look(self);
    read_history(self);
    step(self, &(struct core_event){.kind = CORE_EVENT_STOP});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *self = calloc(1, sizeof *self);
    assert(self != NULL);
    if (prepare(self, data, size))
        serve(self);
    for (size_t i = 0; i < self->count; i++)
        protobuf_c_message_free_unpacked((ProtobufCMessage *)(uintptr_t)self->records[i].value, NULL);
    free(self);
    return 0;
}
