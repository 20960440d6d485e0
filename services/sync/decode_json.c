#include "services/sync/decode_json.h"

#include "proto/base/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum {
    DEPTH_MAX = 64,       // of nesting
    FIELDS_MAX = 4096,    // of a record
    PART_SIZE = 64 << 10, // bytes given to yajl in one go
    QUIET_MAX = 1 << 20,  // bytes without a value: past these yajl's time would grow with their square
    FOUND_SIZE = 24,      // bytes that an error shows
};

// An open container.
struct level {
    bool array;     // else an object
    bool on_path;   // every container above, and this one, lies on the way to the records
    bool fits;      // object on the path: the name in hand is the path's next one
    size_t prefix;  // bytes of the flattened name that lead here
    uint64_t index; // array: of the next element
};

// A field of the record in hand; its bytes lie in `text`, which may move.
struct place {
    size_t name;       // offset
    size_t name_size;  // bytes
    size_t value;      // offset
    size_t value_size; // bytes
    bool raw;          // as in struct field
};

struct decode_json {
    const struct config_job *job;
    struct decode_sink sink;
    yajl_handle parser;                 // owned
    char *path;                         // the path without "$", its dots turned into NULs; owned
    const char *steps[DEPTH_MAX];       // names of the path
    size_t step_count;                  // of them
    struct level levels[DEPTH_MAX + 1]; // levels[1] is the document's
    size_t depth;                       // of open containers
    bool inside;                        // the records' container, at depth step_count + 1, is open
    bool found;                         // it was seen
    bool in_record;                     // an object in it is open
    uint64_t number;                    // of the record in hand, from 1
    uint64_t parsed;                    // bytes given to yajl before this part
    size_t quiet;                       // bytes since the last value
    bool heard;                         // a value came in this part
    struct buffer name;                 // flattened name of the value in hand
    struct buffer record_name;          // name of the record in hand, where records are named
    struct buffer text;                 // names and values of the record in hand
    struct place *places;               // its fields; owned, FIELDS_MAX
    struct field *fields;               // the same, sorted; owned, FIELDS_MAX
    size_t count;                       // of fields
    uint16_t *order;                    // which place comes where among the sorted; owned, FIELDS_MAX
    size_t ordered;                     // how many of these hold, each place once
    char why[160];                      // what is wrong with the record; "": nothing
    enum err err;                       // why a callback stopped the parser
    struct fault fault;                 // the same, in words
};

// ---------------------------------------------------------------- fields

// Stops the parser: the whole export is wrong, or the sink will take no more. Returns what yajl wants to
// hear.
static int stop(struct decode_json *self, enum err err)
{
    self->err = err;
    return 0;
}

static int no_memory(struct decode_json *self)
{
    return stop(self, fault_set(&self->fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY)));
}

static void spoil(struct decode_json *self, const char *why)
{
    if (self->why[0] == '\0')
        snprintf(self->why, sizeof self->why, "%s", why);
}

// Adds a field to the record in hand, unless it is ignored. What does not fit spoils the record only.
static void add_field(struct decode_json *self, const char *name, size_t name_size, const char *value,
                      size_t value_size, bool raw)
{
    if (record_ignores(&self->job->ignore, name, name_size))
        return;
    const struct bytes trimmed = record_trim(value, value_size);
    char *text = NULL;
    if (self->count == FIELDS_MAX)
        spoil(self, "too many fields");
    else if (buffer_reserve(&self->text, name_size + trimmed.size, &text) != ERR_OK)
        spoil(self, "too large");
    else {
        self->places[self->count++] = (struct place){.name = self->text.size,
                                                     .name_size = name_size,
                                                     .value = self->text.size + name_size,
                                                     .value_size = trimmed.size,
                                                     .raw = raw};
        memcpy(text, name, name_size);
        memcpy(text + name_size, trimmed.data, trimmed.size);
        self->text.size += name_size + trimmed.size;
    }
}

// Whether all of it is ASCII without a NUL: looked at by words, since nearly all text is.
static bool is_plain(const char *text, size_t size)
{
    const uint64_t high = 0x8080808080808080u;
    uint64_t word;
    size_t at = 0;
    for (; size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        if (((word | ((word - 0x0101010101010101u) & ~word)) & high) != 0)
            return false;
    }
    while (at < size && (signed char)text[at] > 0)
        at++;
    return at == size;
}

// Leaves out the fields that are no text.
static void drop_damaged(struct decode_json *self)
{
    size_t kept = 0;
    if (is_plain(self->text.data, self->text.size))
        return;
    for (size_t i = 0; i < self->count; i++) {
        const struct place *place = &self->places[i];
        const char *text = self->text.data;
        if (memchr(text + place->name, '\0', place->name_size + place->value_size) != NULL)
            spoil(self, "a NUL in a field");
        else if (!utf8_valid(text + place->name, place->name_size) ||
                 !utf8_valid(text + place->value, place->value_size))
            spoil(self, "not UTF-8 in a field");
        else
            self->places[kept++] = *place;
    }
    self->count = kept;
}

static int compare_places(const void *a, const void *b, void *arg)
{
    const struct decode_json *self = arg;
    const struct place *left = &self->places[*(const uint16_t *)a];
    const struct place *right = &self->places[*(const uint16_t *)b];
    return record_compare_names(self->text.data + left->name, left->name_size, self->text.data + right->name,
                                right->name_size);
}

// Fills the fields in the order that is noted; true if their names ascend by it, each there once.
static bool fill_fields(struct decode_json *self)
{
    bool ascending = true;
    for (size_t i = 0; i < self->count; i++) {
        const struct place *place = &self->places[self->order[i]];
        self->fields[i] = (struct field){.name = self->text.data + place->name,
                                         .name_size = place->name_size,
                                         .value = self->text.data + place->value,
                                         .value_size = place->value_size,
                                         .raw = place->raw};
        ascending = ascending && (i == 0 || compare_places(&self->order[i - 1], &self->order[i], self) < 0);
    }
    return ascending;
}

// Of a name that came twice with one value one is kept, with two values neither.
static void drop_doubles(struct decode_json *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count;) {
        const struct field *first = &self->fields[i];
        bool equal = true;
        size_t next = i + 1;
        for (; next < self->count &&
               record_compare_names(first->name, first->name_size, self->fields[next].name,
                                    self->fields[next].name_size) == 0;
             next++)
            equal = equal && first->value_size == self->fields[next].value_size &&
                    memcmp(first->value, self->fields[next].value, first->value_size) == 0;
        if (equal)
            self->fields[kept++] = *first;
        else
            spoil(self, "a field twice, with two values");
        i = next;
    }
    self->count = kept;
}

// Sorts the fields by name. Records of one export have their fields in one order, nearly always: that of the
// record before is tried first.
static void arrange_fields(struct decode_json *self)
{
    drop_damaged(self);
    if (self->ordered != self->count) {
        for (size_t i = 0; i < self->count; i++)
            self->order[i] = (uint16_t)i;
        self->ordered = self->count;
    }
    if (fill_fields(self))
        return;
    qsort_r(self->order, self->count, sizeof *self->order, compare_places, self);
    if (!fill_fields(self))
        drop_doubles(self);
}

// ---------------------------------------------------------------- records

// The fields of a record before any of its own: its name, where records are named.
static void begin_fields(struct decode_json *self)
{
    self->count = 0;
    buffer_clear(&self->text);
    const char *key = self->job->source.json_object_key;
    if (key != NULL)
        add_field(self, key, strlen(key), self->record_name.data, self->record_name.size, false);
}

static int begin_record(struct decode_json *self)
{
    self->in_record = true;
    self->why[0] = '\0';
    buffer_clear(&self->name);
    begin_fields(self);
    return 1;
}

static int end_record(struct decode_json *self)
{
    self->in_record = false;
    arrange_fields(self);
    struct row row = {.line = self->number, .fields = self->fields, .count = self->count};
    struct buffer raw;
    buffer_init(&raw, RECORD_SIZE_MAX);
    if (self->why[0] != '\0') {
        row.why = self->why;
        // What was read of it stands for its bytes, which are gone; a text that does not fit is left out.
        if (record_json(&row, &raw) == ERR_OK) {
            row.raw = raw.data;
            row.raw_size = raw.size;
        }
    }
    self->err = self->sink.take(self->sink.arg, &row, &self->fault);
    buffer_free(&raw);
    return self->err == ERR_OK;
}

// Something else stands where a record should. Its name protects the record that it stands for.
static int give_stranger(struct decode_json *self, const char *what, const char *text, size_t size)
{
    snprintf(self->why, sizeof self->why, "%s in place of an object", what);
    begin_fields(self);
    arrange_fields(self);
    const struct row row = {.line = self->number,
                            .fields = self->fields,
                            .count = self->count,
                            .why = self->why,
                            .raw = text,
                            .raw_size = size};
    self->err = self->sink.take(self->sink.arg, &row, &self->fault);
    return self->err == ERR_OK;
}

// ---------------------------------------------------------------- yajl's callbacks

// True when the value that begins now is the one that the path names.
static bool at_records(const struct decode_json *self)
{
    const struct level *level = &self->levels[self->depth];
    return self->depth == self->step_count && (self->depth == 0 || (level->on_path && level->fits));
}

static bool at_record(const struct decode_json *self)
{
    return self->inside && self->depth == self->step_count + 1;
}

// A value begins: counts it, and names it if it is part of a record.
static int begin_value(struct decode_json *self)
{
    self->heard = true;
    if (at_record(self))
        self->number++;
    struct level *level = &self->levels[self->depth];
    if (!self->in_record || !level->array)
        return 1;
    self->name.size = level->prefix;
    if (buffer_print(&self->name, ".%" PRIu64, level->index++) != ERR_OK)
        spoil(self, "a name that is too long");
    return 1;
}

static int misplaced(struct decode_json *self, const char *what)
{
    return stop(self, fault_set(&self->fault, ERR_INVALID, "at %s the export has %s",
                                self->job->source.json_records, what));
}

static int take_scalar(struct decode_json *self, const char *what, const char *text, size_t size, bool raw)
{
    (void)begin_value(self);
    if (self->in_record)
        add_field(self, self->name.data, self->name.size, text, size, raw);
    else if (at_record(self))
        return give_stranger(self, what, text, size);
    else if (at_records(self))
        return misplaced(self, "a single value, not the records");
    return 1;
}

static int on_null(void *arg)
{
    struct decode_json *self = arg;
    if (self->in_record)
        return begin_value(self);
    return take_scalar(self, "null", "null", 4, true);
}

static int on_boolean(void *arg, int value)
{
    return take_scalar(arg, "a boolean", value != 0 ? "true" : "false", value != 0 ? 4 : 5, true);
}

static int on_number(void *arg, const char *text, size_t size)
{
    return take_scalar(arg, "a number", text, size, true);
}

static int on_string(void *arg, const unsigned char *text, size_t size)
{
    return take_scalar(arg, "a string", (const char *)text, size, false);
}

static int open_container(struct decode_json *self, bool array)
{
    if (self->depth == DEPTH_MAX)
        return stop(self,
                    fault_set(&self->fault, ERR_FULL, "the export is nested deeper than %d", DEPTH_MAX));
    (void)begin_value(self);
    const bool records = at_records(self);
    const bool record = at_record(self);
    const bool named = self->job->source.json_object_key != NULL;
    const struct level *above = &self->levels[self->depth];
    const bool on_path = self->depth == 0 || (above->on_path && above->fits);
    if (record && array && !give_stranger(self, "an array", "[", 1))
        return 0;
    self->depth++;
    self->levels[self->depth] = (struct level){.array = array, .on_path = on_path};
    if (records) {
        if (array && named)
            return misplaced(self, "an array; object_key is for an object of records");
        if (!array && !named)
            return misplaced(self,
                             "an object, not an array; if its names are the records' own, set object_key");
        self->inside = true;
        self->found = true;
    } else if (record && !array) {
        return begin_record(self);
    }
    self->levels[self->depth].prefix = self->name.size;
    return 1;
}

static int close_container(struct decode_json *self)
{
    self->heard = true;
    self->depth--;
    if (self->in_record && at_record(self))
        return end_record(self);
    if (self->inside && self->depth == self->step_count)
        self->inside = false;
    return 1;
}

static int on_start_map(void *arg)
{
    return open_container(arg, false);
}

static int on_start_array(void *arg)
{
    return open_container(arg, true);
}

static int on_end(void *arg)
{
    return close_container(arg);
}

static int on_map_key(void *arg, const unsigned char *text, size_t size)
{
    struct decode_json *self = arg;
    struct level *level = &self->levels[self->depth];
    self->heard = true;
    if (self->in_record) {
        self->name.size = level->prefix;
        const enum err dot = level->prefix > 0 ? buffer_add_byte(&self->name, '.') : ERR_OK;
        if (dot != ERR_OK || buffer_add(&self->name, text, size) != ERR_OK)
            spoil(self, "a name that is too long");
    } else if (at_record(self)) {
        buffer_clear(&self->record_name);
        if (buffer_add(&self->record_name, text, size) != ERR_OK)
            return no_memory(self);
    } else if (level->on_path && self->depth <= self->step_count) {
        const char *step = self->steps[self->depth - 1];
        level->fits = strlen(step) == size && memcmp(step, text, size) == 0;
    }
    return 1;
}

static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                         .yajl_boolean = on_boolean,
                                         .yajl_number = on_number,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_start_map,
                                         .yajl_map_key = on_map_key,
                                         .yajl_end_map = on_end,
                                         .yajl_start_array = on_start_array,
                                         .yajl_end_array = on_end};

// ---------------------------------------------------------------- life

static enum err read_path(struct decode_json *self, struct fault *fault)
{
    const char *path = self->job->source.json_records;
    if (path[0] != '$' || (path[1] != '\0' && path[1] != '.'))
        return fault_set(fault, ERR_INVALID, "records: %s is no path; write $ or $.name.name", path);
    self->path = strdup(path + 1);
    if (self->path == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    for (char *at = strchr(self->path, '.'); at != NULL; at = strchr(at + 1, '.')) {
        *at = '\0';
        if (self->step_count == DEPTH_MAX - 2 || at[1] == '\0' || at[1] == '.')
            return fault_set(fault, ERR_INVALID, "records: %s is no path; write $ or $.name.name", path);
        self->steps[self->step_count++] = at + 1;
    }
    return ERR_OK;
}

enum err decode_json_new(const struct config_job *job, const struct decode_sink *sink,
                         struct decode_json **ret, struct fault *fault)
{
    struct decode_json *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    self->job = job;
    self->sink = *sink;
    buffer_init(&self->name, RECORD_SIZE_MAX);
    buffer_init(&self->record_name, 2 * (size_t)RECORD_SIZE_MAX);
    buffer_init(&self->text, RECORD_SIZE_MAX);
    self->places = calloc(FIELDS_MAX, sizeof *self->places);
    self->fields = calloc(FIELDS_MAX, sizeof *self->fields);
    self->order = calloc(FIELDS_MAX, sizeof *self->order);
    self->parser = yajl_alloc(&callbacks, NULL, self);
    enum err err = ERR_OK;
    if (self->places == NULL || self->fields == NULL || self->order == NULL || self->parser == NULL)
        err = fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    // What is no UTF-8 spoils its record (add_field), not the whole export.
    if (err == ERR_OK && yajl_config(self->parser, yajl_dont_validate_strings, 1) == 0)
        err = fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    // Names and values must never be null pointers, even before the first byte.
    if (err == ERR_OK &&
        (buffer_add_byte(&self->name, ' ') != ERR_OK || buffer_add_byte(&self->text, ' ') != ERR_OK))
        err = fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    if (err == ERR_OK)
        err = read_path(self, fault);
    if (err != ERR_OK)
        decode_json_destroy(&self);
    else
        *ret = self;
    return err;
}

void decode_json_destroy(struct decode_json **self_p)
{
    struct decode_json *self = *self_p;
    if (self == NULL)
        return;
    if (self->parser != NULL)
        yajl_free(self->parser);
    buffer_free(&self->name);
    buffer_free(&self->record_name);
    buffer_free(&self->text);
    free(self->places);
    free(self->fields);
    free(self->order);
    free(self->path);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- bytes

// What stands at the parser's place in `data`, as a person may read it.
static const char *found(const char *data, size_t size, size_t at, char room[FOUND_SIZE + 1])
{
    size_t count = 0;
    for (; count < FOUND_SIZE && at + count < size; count++)
        room[count] = data[at + count] >= ' ' && data[at + count] <= '~' ? data[at + count] : '.';
    room[count] = '\0';
    return room;
}

// Says what yajl met, or what a callback found wrong.
static enum err report(struct decode_json *self, yajl_status status, const char *data, size_t size,
                       struct fault *fault)
{
    if (status == yajl_status_client_canceled) {
        assert(self->err != ERR_OK);
        return fault_set(fault, self->err, "%s", self->fault.text);
    }
    unsigned char *text = yajl_get_error(self->parser, 0, NULL, 0);
    const char *line = text == NULL ? "" : (const char *)text;
    const bool cut = strstr(line, "premature EOF") != NULL;
    const size_t at = data == NULL ? 0 : yajl_get_bytes_consumed(self->parser);
    char room[FOUND_SIZE + 1];
    enum err err;
    if (cut)
        err = fault_set(fault, ERR_CORRUPT, "the export ends at byte %" PRIu64 ", in the middle of its JSON",
                        self->parsed);
    else
        err =
            fault_set(fault, ERR_INVALID, "the export is not JSON: %.*s before byte %" PRIu64 ", near \"%s\"",
                      (int)strcspn(line, "\n"), line, self->parsed + at,
                      found(data, size, at > FOUND_SIZE / 2 ? at - FOUND_SIZE / 2 : 0, room));
    if (text != NULL)
        yajl_free_error(self->parser, text);
    return err;
}

enum err decode_json_feed(struct decode_json *self, const char *data, size_t size, struct fault *fault)
{
    while (size > 0) {
        const size_t part = size < PART_SIZE ? size : PART_SIZE;
        self->heard = false;
        const yajl_status status = yajl_parse(self->parser, (const unsigned char *)data, part);
        if (status != yajl_status_ok)
            return report(self, status, data, part, fault);
        self->quiet = self->heard ? 0 : self->quiet + part;
        self->parsed += part;
        if (self->quiet > QUIET_MAX)
            return fault_set(fault, ERR_FULL, "no value ends within %d bytes before byte %" PRIu64, QUIET_MAX,
                             self->parsed);
        data += part;
        size -= part;
    }
    return ERR_OK;
}

enum err decode_json_end(struct decode_json *self, struct fault *fault)
{
    const yajl_status status = yajl_complete_parse(self->parser);
    if (status != yajl_status_ok)
        return report(self, status, NULL, 0, fault);
    if (!self->found)
        return fault_set(fault, ERR_INVALID, "the export has nothing at %s", self->job->source.json_records);
    return ERR_OK;
}
