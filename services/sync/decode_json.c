#include "services/sync/decode_json.h"

#include "services/sync/json_parents.h"
#include "services/sync/json_record.h"
#include "services/sync/json_walk.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum {
    PART_SIZE = 64 << 10, // bytes given to yajl in one go
    QUIET_MAX = 1 << 20,  // bytes without a value: past these yajl's time would grow with their square
    FOUND_SIZE = 24,      // bytes that an error shows
};

struct decode_json {
    const struct config_job *job;
    struct decode_sink sink;
    yajl_handle parser;           // owned
    struct json_walk walk;        // where the parser stands
    struct json_parents *parents; // wanted fields of the path's parents; owned, NULL: none
    bool in_record;               // one is open
    uint64_t number;              // of the record in hand, from 1
    uint64_t parsed;              // bytes given to yajl before this part
    size_t quiet;                 // bytes since the last value
    bool heard;                   // a value came in this part
    struct buffer name;           // flattened name of the value in hand
    struct buffer record_name;    // name of the record in hand, where records are named
    struct json_record record;    // the one in hand
    enum err err;                 // why a callback stopped the parser
    struct fault fault;           // the same, in words
};

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

// ---------------------------------------------------------------- records

// The fields of a record before any of its own: its name, where records are named.
static void begin_fields(struct decode_json *self)
{
    json_record_clear(&self->record);
    const char *key = self->job->source.json_object_key;
    if (key != NULL)
        json_record_add(&self->record, key, strlen(key), self->record_name.data, self->record_name.size,
                        false);
}

static int begin_record(struct decode_json *self)
{
    self->in_record = true;
    self->record.why[0] = '\0';
    buffer_clear(&self->name);
    begin_fields(self);
    return 1;
}

static void join_field(void *arg, const struct field *field)
{
    struct decode_json *self = arg;
    json_record_add(&self->record, field->name, field->name_size, field->value, field->value_size,
                    field->raw);
}

// Gives the record in hand, whose fields are all there.
static int give_record(struct decode_json *self, uint64_t number)
{
    json_record_arrange(&self->record);
    struct row row = {.line = number, .fields = self->record.fields, .count = self->record.count};
    struct buffer raw;
    buffer_init(&raw, RECORD_SIZE_MAX);
    if (self->record.why[0] != '\0') {
        row.why = self->record.why;
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

static int held_full(struct decode_json *self, enum err err)
{
    return stop(self, fault_set(&self->fault, err,
                                err == ERR_FULL ? "records of more than %d MiB stand before the fields that "
                                                  "they get from their parent, before record %" PRIu64
                                                : "decoding JSON: out of memory",
                                JSON_HELD_MAX >> 20, self->number));
}

static int hold_record(struct decode_json *self)
{
    enum err err = json_parents_hold(self->parents, self->number, self->record.why);
    for (size_t i = 0; i < self->record.count && err == ERR_OK; i++) {
        const struct field field = json_record_field(&self->record, i);
        err = json_parents_hold_field(self->parents, &field);
    }
    return err == ERR_OK ? 1 : held_full(self, err);
}

static int end_record(struct decode_json *self)
{
    self->in_record = false;
    if (self->parents != NULL && !json_parents_complete(self->parents))
        return hold_record(self);
    if (self->parents != NULL)
        json_parents_give(self->parents, join_field, self);
    return give_record(self, self->number);
}

// Gives the records that were held back until their parents ended.
static int give_held(struct decode_json *self)
{
    uint64_t number = 0;
    const char *why = NULL;
    int go_on = 1;
    for (;;) {
        json_record_clear(&self->record);
        self->record.why[0] = '\0';
        if (go_on == 0 || !json_parents_next(self->parents, &number, &why, join_field, self))
            return go_on;
        if (why[0] != '\0')
            snprintf(self->record.why, sizeof self->record.why, "%s", why);
        go_on = give_record(self, number);
    }
}

// Something else stands where a record should. Its name protects the record that it stands for.
static int give_stranger(struct decode_json *self, const char *what, const char *text, size_t size)
{
    snprintf(self->record.why, sizeof self->record.why, "%s in place of an object", what);
    begin_fields(self);
    if (self->parents != NULL)
        json_parents_give(self->parents, join_field, self);
    json_record_arrange(&self->record);
    const struct row row = {.line = self->number,
                            .fields = self->record.fields,
                            .count = self->record.count,
                            .why = self->record.why,
                            .raw = text,
                            .raw_size = size};
    self->err = self->sink.take(self->sink.arg, &row, &self->fault);
    return self->err == ERR_OK;
}

// ---------------------------------------------------------------- yajl's callbacks

// True where values get flattened names: in a record, and beside it in its parents.
static bool is_naming(const struct decode_json *self)
{
    return self->in_record ||
           (self->parents != NULL && !self->walk.inside && json_parents_inside(self->parents));
}

// A value begins: counts it, and names it if that is wanted.
static int begin_value(struct decode_json *self)
{
    self->heard = true;
    if (json_walk_at_record(&self->walk))
        self->number++;
    struct json_level *level = &self->walk.levels[self->walk.depth];
    if (!level->array)
        return 1;
    const uint64_t index = level->index++;
    if (!is_naming(self))
        return 1;
    self->name.size = level->prefix;
    if (buffer_print(&self->name, ".%" PRIu64, index) != ERR_OK)
        json_record_spoil(&self->record, "a name that is too long");
    return 1;
}

static int misplaced(struct decode_json *self, const char *what)
{
    struct buffer place;
    buffer_init(&place, 4 * (size_t)JSON_PATH_SIZE_MAX);
    const enum err err = json_walk_place(&self->walk, &place);
    (void)fault_set(&self->fault, ERR_INVALID, "at %.*s the export has %s",
                    err == ERR_OK ? (int)place.size : 1, err == ERR_OK ? place.data : "$", what);
    buffer_free(&place);
    return stop(self, ERR_INVALID);
}

static int take_of_parent(struct decode_json *self, const char *text, size_t size, bool raw)
{
    const struct bytes name = {.data = self->name.data, .size = self->name.size};
    const bool null = raw && text[0] == 'n';
    const enum err err =
        json_parents_take(self->parents, name, null ? NULL : text, null ? 0 : size, raw && !null);
    return err == ERR_OK ? 1 : held_full(self, err);
}

static int take_scalar(struct decode_json *self, const char *what, const char *text, size_t size, bool raw)
{
    const char *wrong = NULL;
    (void)begin_value(self);
    if (self->in_record)
        json_record_add(&self->record, self->name.data, self->name.size, text, size, raw);
    else if (json_walk_at_record(&self->walk))
        return give_stranger(self, what, text, size);
    else if (json_walk_at_records(&self->walk) || json_walk_on_way(&self->walk))
        wrong = json_walk_check_scalar(&self->walk, what, raw && text[0] == 'n');
    else if (self->parents != NULL && is_naming(self))
        return take_of_parent(self, text, size, raw);
    return wrong == NULL ? 1 : misplaced(self, wrong);
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
    struct json_walk *walk = &self->walk;
    if (walk->depth == JSON_DEPTH_MAX)
        return stop(self,
                    fault_set(&self->fault, ERR_FULL, "the export is nested deeper than %d", JSON_DEPTH_MAX));
    (void)begin_value(self);
    const bool record = json_walk_at_record(walk);
    if (json_walk_at_records(walk) || json_walk_on_way(walk)) {
        const char *wrong = json_walk_check(walk, array, self->job->source.json_object_key != NULL);
        if (wrong != NULL)
            return misplaced(self, wrong);
    }
    if (record && array && !give_stranger(self, "an array", "[", 1))
        return 0;
    struct json_level *level = json_walk_open(walk, array);
    if (record && !array)
        return begin_record(self);
    if (level->on_path && self->parents != NULL && json_parents_enter(self->parents, walk->depth))
        buffer_clear(&self->name);
    level->prefix = self->name.size;
    return 1;
}

static int leave_parent(struct decode_json *self)
{
    enum err err = ERR_OK;
    const bool outermost = json_parents_leave(self->parents, self->walk.depth + 1, &err);
    if (err != ERR_OK)
        return held_full(self, err);
    return outermost ? give_held(self) : 1;
}

static int close_container(struct decode_json *self)
{
    self->heard = true;
    struct json_walk *walk = &self->walk;
    walk->depth--;
    if (self->in_record && json_walk_at_record(walk))
        return end_record(self);
    if (walk->inside && walk->depth == walk->path.count)
        walk->inside = false;
    else if (self->parents != NULL && walk->levels[walk->depth + 1].on_path)
        return leave_parent(self);
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
    const struct json_level *level = &self->walk.levels[self->walk.depth];
    self->heard = true;
    if (is_naming(self)) {
        self->name.size = level->prefix;
        const enum err dot = level->prefix > 0 ? buffer_add_byte(&self->name, '.') : ERR_OK;
        if (dot != ERR_OK || buffer_add(&self->name, text, size) != ERR_OK)
            json_record_spoil(&self->record, "a name that is too long");
    }
    if (self->in_record)
        return 1;
    if (json_walk_at_record(&self->walk)) {
        buffer_clear(&self->record_name);
        if (buffer_add(&self->record_name, text, size) != ERR_OK)
            return no_memory(self);
    } else {
        json_walk_key(&self->walk, (const char *)text, size);
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
    const struct config_source *source = &self->job->source;
    enum err err = json_path_parse(source->json_records, &self->walk.path, fault);
    if (err == ERR_OK && source->json_parent.count > 0)
        err = json_parents_new(&self->walk.path, &source->json_parent, &self->parents, fault);
    return err;
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
    enum err err = json_record_init(&self->record, &job->ignore);
    self->parser = yajl_alloc(&callbacks, NULL, self);
    if (err != ERR_OK || self->parser == NULL)
        err = fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    // What is no UTF-8 spoils its record (json_record_arrange), not the whole export.
    if (err == ERR_OK && yajl_config(self->parser, yajl_dont_validate_strings, 1) == 0)
        err = fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    // Names and values must never be null pointers, even before the first byte.
    if (err == ERR_OK && buffer_add_byte(&self->name, ' ') != ERR_OK)
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
    json_record_free(&self->record);
    json_parents_destroy(&self->parents);
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
    if (!self->walk.found)
        return fault_set(fault, ERR_INVALID, "the export has nothing at %s", self->job->source.json_records);
    return ERR_OK;
}
