#include "tests/unit/sync_data/delta_model.h"

#include "services/sync/record.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_KEY = 600, PAGE = 7 };

void model_broken(const struct model *self, const char *invariant, const char *format, ...)
{
    va_list args;
    printf("%s is broken with seed %" PRIu64 " at step %u: ", invariant, self->seed, self->step);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
    (void)fflush(stdout);
    exit(1);
}

const char *model_key(size_t number)
{
    static char text[LONG_KEY + 16];
    (void)snprintf(text, sizeof text, "%0*zu", number % 5 == 4 ? LONG_KEY : 1, number);
    return text;
}

void model_take(struct model *self, const struct model_table *records, uint64_t run)
{
    self->before = self->now;
    self->now = *records;
    self->first_seq = self->last_seq + 1;
    for (size_t i = 0; i < MODEL_KEYS; i++)
        self->last_seq += self->before.values[i] != self->now.values[i];
    self->validated = self->applied = run;
}

// ---------------------------------------------------------------- what the store tells

// The answer to a call, unpacked; freed by the caller.
static ProtobufCMessage *ask(const struct model *self, struct support_store *store, const char *method,
                             const ProtobufCMessage *query, const ProtobufCMessageDescriptor *type)
{
    uint8_t body[2048];
    struct buffer packed;
    struct fault fault = {.err = ERR_OK};
    if (protobuf_c_message_get_packed_size(query) > sizeof body)
        abort();
    const size_t size = protobuf_c_message_pack(query, body);
    buffer_init(&packed, 4 << 20);
    const enum err err = feed_call(store->delta, method, body, size, &packed, &fault);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        model_broken(self, "D2", "%s is not answered: %s", method, fault.text);
    ProtobufCMessage *message = NULL;
    if (err == ERR_OK)
        message = protobuf_c_message_unpack(type, NULL, packed.size,
                                            packed.size > 0 ? (uint8_t *)packed.data : body);
    buffer_free(&packed);
    return message;
}

static Sb__RecordList *ask_list(const struct model *self, struct support_store *store)
{
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    query.limit = FEED_LIMIT_MAX;
    return (Sb__RecordList *)ask(self, store, "list", &query.base, &sb__record_list__descriptor);
}

static Sb__FeedList *ask_feed(const struct model *self, struct support_store *store, uint64_t after,
                              uint32_t limit)
{
    Sb__FeedQuery query = SB__FEED_QUERY__INIT;
    query.after = after;
    query.limit = limit;
    return (Sb__FeedList *)ask(self, store, "feed", &query.base, &sb__feed_list__descriptor);
}

static size_t number_of(const struct model *self, const Sb__Record *record)
{
    const size_t number = record->n_key == 1 ? (size_t)strtoul(record->key[0], NULL, 10) : MODEL_KEYS;
    if (number >= MODEL_KEYS || strcmp(record->key[0], model_key(number)) != 0)
        model_broken(self, "D2", "a record has a key that no export had");
    return number;
}

// The value in a record as it is told.
static unsigned value_of(const struct model *self, const Sb__Record *record)
{
    const char *place = strstr(record->record, "\"a\":\"v");
    if (place == NULL)
        model_broken(self, "D2", "record %s has no value: %s", record->key[0], record->record);
    return (unsigned)strtoul(place + strlen("\"a\":\"v"), NULL, 10);
}

// ---------------------------------------------------------------- D1

// One field after the other, as the record has them.
struct told {
    struct field fields[8];
    char values[8][LONG_KEY + 16];
    char names[8][16];
    size_t count;
};

static enum err take_field(void *arg, const struct field *field)
{
    struct told *told = arg;
    if (told->count == 8 || field->value_size >= sizeof told->values[0] || field->name_size >= 16)
        return ERR_FULL;
    memcpy(told->values[told->count], field->value, field->value_size);
    memcpy(told->names[told->count], field->name, field->name_size);
    told->fields[told->count] = (struct field){.name = told->names[told->count],
                                               .name_size = field->name_size,
                                               .value = told->values[told->count],
                                               .value_size = field->value_size};
    told->count++;
    return ERR_OK;
}

static void check_hash(const struct model *self, const Sb__Record *record)
{
    struct told told = {.count = 0};
    struct buffer scratch;
    uint8_t hash[RECORD_HASH_SIZE];
    buffer_init(&scratch, RECORD_SIZE_MAX);
    const struct bytes json = {.data = record->record, .size = strlen(record->record)};
    enum err err = record_read(json, &scratch, take_field, &told);
    const struct row row = {.fields = told.fields, .count = told.count};
    if (err == ERR_OK)
        err = record_hash(&row, &scratch, hash);
    buffer_free(&scratch);
    if (err != ERR_OK || record->hash.len != sizeof hash || memcmp(record->hash.data, hash, sizeof hash) != 0)
        model_broken(self, "D1", "record %.10s has another hash than that of what it says: %s",
                     record->key[0], record->record);
}

void model_check_d1(const struct model *self, struct support_store *store)
{
    Sb__RecordList *list = ask_list(self, store);
    for (size_t i = 0; i < list->n_records; i++)
        check_hash(self, list->records[i]);
    sb__record_list__free_unpacked(list, NULL);
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        char *key = (char *)(uintptr_t)model_key(i);
        Sb__RecordKey query = SB__RECORD_KEY__INIT;
        query.n_key = 1;
        query.key = &key;
        Sb__Record *record = (Sb__Record *)ask(self, store, "get", &query.base, &sb__record__descriptor);
        const unsigned value = record != NULL ? value_of(self, record) : 0;
        if (record != NULL)
            check_hash(self, record);
        if (value != self->now.values[i])
            model_broken(self, "D1", "record %zu is v%u in place of v%u", i, value, self->now.values[i]);
        sb__record__free_unpacked(record, NULL);
    }
}

// ---------------------------------------------------------------- D2

static void check_publications(const struct model *self, struct support_store *store)
{
    struct fault fault = {.err = ERR_OK};
    Sb__Change *change = NULL;
    if (delta_next_change(store->delta, &change, &fault) != ERR_OK)
        return;
    if (change->first == 0 || change->first > change->last || change->last > self->last_seq ||
        change->created + change->changed + change->deleted != change->last - change->first + 1)
        model_broken(self, "D2", "a change of %" PRIu64 " to %" PRIu64 " is to be published", change->first,
                     change->last);
    sb__change__free_unpacked(change, NULL);
}

void model_check_d2(const struct model *self, struct support_store *store)
{
    struct model_table told = {{0}};
    struct validator validator;
    struct fault fault = {.err = ERR_OK};
    Sb__RecordList *list = ask_list(self, store);
    for (size_t i = 0; i < list->n_records; i++)
        told.values[number_of(self, list->records[i])] = value_of(self, list->records[i]);
    if (memcmp(&told, &self->now, sizeof told) != 0)
        model_broken(self, "D2", "the records are not those of run %" PRIu64, self->applied);
    if (list->last_seq != self->last_seq)
        model_broken(self, "D2", "the list goes to number %" PRIu64 ", not %" PRIu64, list->last_seq,
                     self->last_seq);
    sb__record_list__free_unpacked(list, NULL);
    Sb__FeedList *feed = ask_feed(self, store, 0, FEED_LIMIT_MAX);
    for (size_t i = 0; i < feed->n_items; i++) {
        if (feed->items[i]->seq != i + 1)
            model_broken(self, "D2", "number %" PRIu64 " stands at place %zu of the feed",
                         feed->items[i]->seq, i + 1);
    }
    if (feed->n_items != self->last_seq || feed->last_seq != self->last_seq)
        model_broken(self, "D2", "the feed has %zu items and says %" PRIu64 ", not %" PRIu64, feed->n_items,
                     feed->last_seq, self->last_seq);
    sb__feed_list__free_unpacked(feed, NULL);
    if (delta_validator(store->delta, &validator, &fault) != ERR_OK ||
        strtoull(validator.etag, NULL, 10) != self->validated)
        model_broken(self, "D2", "the validator is of run \"%s\", the records are of run %" PRIu64,
                     validator.etag, self->validated);
    check_publications(self, store);
}

// ---------------------------------------------------------------- D3

static void replay(const struct model *self, struct model_reader *reader, const Sb__FeedItem *item)
{
    unsigned *value = &reader->records.values[number_of(self, item->record)];
    const bool deletes = item->op == SB__OP__OP_DELETED;
    if (item->seq != reader->after + 1)
        model_broken(self, "D3", "number %" PRIu64 " comes after %" PRIu64, item->seq, reader->after);
    if ((*value == 0) != (item->op == SB__OP__OP_CREATED))
        model_broken(self, "D3", "number %" PRIu64 " makes what is there, or changes what is not", item->seq);
    *value = deletes ? 0 : value_of(self, item->record);
    reader->after = item->seq;
}

void model_reader_begin(const struct model *self, struct support_store *store, struct model_reader *reader)
{
    Sb__RecordList *list = ask_list(self, store);
    *reader = (struct model_reader){.after = list->last_seq};
    for (size_t i = 0; i < list->n_records; i++)
        reader->records.values[number_of(self, list->records[i])] = value_of(self, list->records[i]);
    sb__record_list__free_unpacked(list, NULL);
}

static void read_on(const struct model *self, struct support_store *store, struct model_reader *reader,
                    uint32_t limit)
{
    size_t count;
    do {
        Sb__FeedList *feed = ask_feed(self, store, reader->after, limit);
        count = feed->n_items;
        for (size_t i = 0; i < count; i++)
            replay(self, reader, feed->items[i]);
        sb__feed_list__free_unpacked(feed, NULL);
    } while (count > 0);
    struct model_reader now;
    model_reader_begin(self, store, &now);
    if (memcmp(&reader->records, &now.records, sizeof now.records) != 0)
        model_broken(self, "D3", "the feed to %" PRIu64 " does not give the records", reader->after);
}

void model_check_d3(const struct model *self, struct support_store *store, struct model_reader *reader)
{
    struct model_reader fresh = {.after = 0};
    read_on(self, store, &fresh, FEED_LIMIT_MAX);
    read_on(self, store, reader, PAGE);
}

// ---------------------------------------------------------------- D4

void model_check_d4(const struct model *self, struct support_store *store)
{
    bool met[MODEL_KEYS] = {false};
    Sb__FeedList *feed = ask_feed(self, store, self->first_seq - 1, FEED_LIMIT_MAX);
    for (size_t i = 0; i < feed->n_items; i++) {
        const Sb__FeedItem *item = feed->items[i];
        const size_t key = number_of(self, item->record);
        const unsigned before = self->before.values[key];
        const unsigned now = self->now.values[key];
        const Sb__Op op = now == 0      ? SB__OP__OP_DELETED
                          : before == 0 ? SB__OP__OP_CREATED
                                        : SB__OP__OP_CHANGED;
        if (before == now)
            model_broken(self, "D4", "record %zu has not changed and is number %" PRIu64, key, item->seq);
        if (met[key])
            model_broken(self, "D4", "record %zu has two entries of one sync", key);
        if (item->op != op || item->run != self->applied || (now != 0 && value_of(self, item->record) != now))
            model_broken(self, "D4", "number %" PRIu64 " does not say what became of record %zu", item->seq,
                         key);
        met[key] = true;
    }
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        if (self->before.values[i] != self->now.values[i] && !met[i])
            model_broken(self, "D4", "record %zu has changed, and the feed does not say so", i);
    }
    sb__feed_list__free_unpacked(feed, NULL);
}
