// A record in its one form: fields in bytewise order of their names, so that neither the order in the export
// nor its format, quoting or encoding makes a difference.
//
// The hash covers (name, value text) pairs, each length-prefixed, and no types: CSV `1` and JSON `1` are the
// same truth. Pure but for memory; any thread.
#ifndef SYNCBUS_SERVICES_SYNC_RECORD_H
#define SYNCBUS_SERVICES_SYNC_RECORD_H

#include "proto/base/buffer.h"
#include "proto/io/config.h"
#include "proto/io/store.h"

enum {
    RECORD_HASH_SIZE = 16,
    RECORD_SIZE_MAX = 1 << 20,     // bytes of a record as JSON, and of a row of an export
    RECORD_KEY_PART_MAX = 1 << 15, // bytes of one key field; keeps a part's length below 0xff00
    RECORD_KEY_PARTS_MAX = 32,     // key fields of a job
    RECORD_STORE_KEY_SIZE = 17,    // of a key that is too long for the store: 0xff and its hash
};

// One field of a record. The bytes belong to the decoder.
struct field {
    const char *name;  // flattened with dots; UTF-8, no NUL
    size_t name_size;  // bytes
    const char *value; // text without blanks at its ends; UTF-8, no NUL
    size_t value_size; // bytes
    bool raw;          // a number, true or false of JSON: written without quotes
};

// One row of an export. Nulls and ignored fields are left out already.
struct row {
    uint64_t line; // where it starts: line of a CSV, number of a JSON record; from 1
    const struct field
        *fields;     // sorted by name, each name once; of a bad row: the key fields that can be read
    size_t count;    // of them
    const char *why; // NULL: a good row; else what is wrong with it
    const char *raw; // a bad row's own bytes
    size_t raw_size; // of them
};

// Order of two names: bytewise, the shorter first.
int record_compare_names(const char *a, size_t a_size, const char *b, size_t b_size);

// Drops the blanks at both ends.
struct bytes record_trim(const char *text, size_t size);

// True when a field of this name is not part of the record: named itself, or below a name that is.
bool record_ignores(const struct words *ignore, const char *name, size_t size);

// Hashes a row's fields by way of `scratch` (cleared first). ERR_FULL past RECORD_SIZE_MAX, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err record_hash(const struct row *row, struct buffer *scratch, uint8_t ret_hash[RECORD_HASH_SIZE]);

// Replaces `ret` by the row's key: the value of each key field, length-prefixed. ERR_NOT_FOUND when one is
// absent or empty, ERR_FULL when one is too long (either with the field in `fault`), ERR_NO_MEMORY.
SB_MUST_CHECK
enum err record_key(const struct row *row, const struct words *names, struct buffer *ret,
                    struct fault *fault);

// The same from parts as a person gives them; `count` must be the number of key fields (ERR_INVALID).
SB_MUST_CHECK
enum err record_key_of(char *const *parts, size_t count, const struct words *names, struct buffer *ret,
                       struct fault *fault);

// Takes a key apart; the parts point into it. Their number, at most RECORD_KEY_PARTS_MAX.
size_t record_key_parts(struct bytes key, struct bytes parts[RECORD_KEY_PARTS_MAX]);

// What the key is stored under: itself, or, where it is too long for the store, its hash in `room`.
struct bytes record_store_key(struct bytes key, uint8_t room[RECORD_STORE_KEY_SIZE]);

// Appends the record as one JSON object, numbers as they were written. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err record_json(const struct row *row, struct buffer *ret);

// Takes one field of a stored record, which is valid during the call only.
typedef enum err record_take(void *arg, const struct field *field);

// Reads what record_json wrote, field by field, by way of `scratch`. ERR_CORRUPT: it is no such record; else
// the errors of the buffer or of what takes.
SB_MUST_CHECK
enum err record_read(struct bytes json, struct buffer *scratch, record_take *sink, void *arg);

#endif
