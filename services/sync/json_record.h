// The record that a JSON decoder has in hand: its fields as they come, then sorted by name. Pure.
#ifndef SYNCBUS_SERVICES_SYNC_JSON_RECORD_H
#define SYNCBUS_SERVICES_SYNC_JSON_RECORD_H

#include "proto/base/buffer.h"
#include "services/sync/record.h"

// A field of it; its bytes lie in `text`, which may move.
struct place {
    size_t name;       // offset
    size_t name_size;  // bytes
    size_t value;      // offset
    size_t value_size; // bytes
    bool raw;          // as in struct field
};

struct json_record {
    const struct words *ignore; // fields that are left out; the caller's
    struct buffer text;         // names and values
    struct place *places;       // the fields as they came; owned
    struct field *fields;       // the same, sorted; owned
    size_t count;               // of fields
    uint16_t *order;            // which place comes where among the sorted; owned
    size_t ordered;             // how many of these hold, each place once
    char why[160];              // what is wrong with the record; "": nothing
};

// Begins without a field. ERR_NO_MEMORY. Freed by json_record_free, whatever came of it.
SB_MUST_CHECK
enum err json_record_init(struct json_record *self, const struct words *ignore);
void json_record_free(struct json_record *self);

// Forgets the fields; what is wrong stays.
void json_record_clear(struct json_record *self);

// Notes what is wrong with the record, unless something was already.
void json_record_spoil(struct json_record *self, const char *why);

// Adds a field, unless it is ignored. What does not fit spoils the record only.
void json_record_add(struct json_record *self, const char *name, size_t name_size, const char *value,
                     size_t value_size, bool raw);

// A field in the order in which they came, valid until the next one is added.
struct field json_record_field(const struct json_record *self, size_t index);

// Sorts the fields by name into `fields`, leaves out what is no text, and keeps one of two alike.
void json_record_arrange(struct json_record *self);

#endif
