#include "tests/sim/disk.h"

#include "store.pb-c.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void disk_init(struct disk *self)
{
    memset(self, 0, sizeof *self);
}

void disk_free(struct disk *self)
{
    for (size_t i = 0; i < CORE_TABLE_COUNT; i++) {
        for (size_t j = 0; j < self->tables[i].count; j++)
            free(self->tables[i].entries[j]);
        free(self->tables[i].entries);
    }
    memset(self, 0, sizeof *self);
}

struct disk_entry *disk_entry_new(const struct core_record *record)
{
    const size_t size = record->value != NULL ? protobuf_c_message_get_packed_size(record->value) : 0;
    struct disk_entry *self = malloc(sizeof *self + size);
    assert(self != NULL);
    memcpy(self->key, record->key, record->key_size);
    self->key_size = record->key_size;
    self->type = record->value != NULL ? record->value->descriptor : NULL;
    self->size = size;
    if (record->value != NULL)
        (void)protobuf_c_message_pack(record->value, self->data);
    return self;
}

static int compare(const struct disk_entry *entry, const uint8_t *key, size_t size)
{
    const int order = memcmp(entry->key, key, entry->key_size < size ? entry->key_size : size);
    return order != 0 ? order : (int)entry->key_size - (int)size;
}

// The first entry that does not come before the key.
static size_t find(const struct disk_table *table, const uint8_t *key, size_t size)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (compare(table->entries[middle], key, size) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct disk_table *self, size_t place, struct disk_entry *entry)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? 16 : 2 * self->capacity;
        self->entries = realloc(self->entries, self->capacity * sizeof(struct disk_entry *));
        assert(self->entries != NULL);
    }
    memmove(&self->entries[place + 1], &self->entries[place],
            (self->count - place) * sizeof(struct disk_entry *));
    self->entries[place] = entry;
    self->count++;
}

void disk_put(struct disk *self, enum core_table number, struct disk_entry *entry)
{
    struct disk_table *table = &self->tables[number];
    const size_t place = find(table, entry->key, entry->key_size);
    const bool there =
        place < table->count && compare(table->entries[place], entry->key, entry->key_size) == 0;
    if (there)
        free(table->entries[place]);
    if (entry->type == NULL) {
        free(entry);
        if (there) {
            table->count--;
            memmove(&table->entries[place], &table->entries[place + 1],
                    (table->count - place) * sizeof(struct disk_entry *));
        }
    } else if (there) {
        table->entries[place] = entry;
    } else {
        insert(table, place, entry);
    }
}

// ---------------------------------------------------------------- out

static ProtobufCMessage *unpack(const struct disk_entry *entry)
{
    ProtobufCMessage *value = protobuf_c_message_unpack(entry->type, NULL, entry->size, entry->data);
    assert(value != NULL);
    return value;
}

static bool is_recovered(enum core_table table, const ProtobufCMessage *value)
{
    return table != CORE_TABLE_RUN || ((const Sb__StoredRun *)value)->run->ended_ms == 0;
}

struct core_record *disk_recover(const struct disk *self, size_t *ret_count)
{
    size_t room = 1;
    size_t count = 0;
    for (size_t i = 0; i < CORE_TABLE_COUNT; i++)
        room += self->tables[i].count;
    struct core_record *records = calloc(room, sizeof *records);
    assert(records != NULL);
    for (enum core_table i = 0; i < CORE_TABLE_COUNT; i++) {
        if (i == CORE_TABLE_LEDGER || i == CORE_TABLE_PAUSE)
            continue;
        for (size_t j = 0; j < self->tables[i].count; j++) {
            const struct disk_entry *entry = self->tables[i].entries[j];
            ProtobufCMessage *value = unpack(entry);
            if (!is_recovered(i, value)) {
                protobuf_c_message_free_unpacked(value, NULL);
                continue;
            }
            records[count] = (struct core_record){.table = i, .key_size = entry->key_size, .value = value};
            memcpy(records[count].key, entry->key, entry->key_size);
            count++;
        }
    }
    *ret_count = count;
    return records;
}

void disk_recovered_free(struct core_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        protobuf_c_message_free_unpacked((ProtobufCMessage *)(uintptr_t)records[i].value, NULL);
    free(records);
}

size_t disk_read(const struct disk *self, const struct core_read *read, ProtobufCMessage **ret, size_t max)
{
    const struct disk_table *table = &self->tables[read->table];
    const size_t from = find(table, read->from, read->from_size);
    size_t place = find(table, read->to, read->to_size);
    size_t count = 0;
    while (place > from && count < max && count < read->limit)
        ret[count++] = unpack(table->entries[--place]);
    return count;
}
