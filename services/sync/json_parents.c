#include "services/sync/json_parents.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// One field that records get, and its value in the parent that is open.
struct wanted {
    struct json_parent place; // where it stands
    struct buffer label;      // its name in the records: parent.NAME
    struct buffer value;      // text
    bool known;               // it was met in this parent
    bool null;                // as null
    bool raw;                 // as in struct field
};

struct json_parents {
    const struct json_path *path;      // the caller's
    struct wanted *wanted;             // owned
    size_t wanted_count;               // of them
    size_t open;                       // parents that are open, outermost first
    size_t marks[JSON_PATH_STEPS_MAX]; // bytes that were held when each of them opened
    struct buffer held;                // entries: a head, why with its NUL, fields
    struct buffer spare;               // the same while fields are added
    size_t entry;                      // where the newest one begins
    size_t next;                       // where the next one to be taken begins
};

// What an entry begins with.
struct head {
    uint64_t number;   // of the record
    uint32_t size;     // of the whole entry
    uint32_t why_size; // with its NUL
};

// What a field in an entry begins with.
struct field_head {
    uint32_t name_size;  // bytes
    uint32_t value_size; // bytes
    bool raw;            // as in struct field
};

// ---------------------------------------------------------------- life

static enum err add_wanted(struct json_parents *self, const char *word, struct fault *fault)
{
    struct wanted *wanted = &self->wanted[self->wanted_count++];
    buffer_init(&wanted->label, 2 * (size_t)JSON_PATH_SIZE_MAX + strlen(word));
    buffer_init(&wanted->value, RECORD_SIZE_MAX);
    const enum err err = json_parent_parse(self->path, word, &wanted->place, fault);
    if (err != ERR_OK)
        return err;
    if (buffer_print(&wanted->label, "parent.%s", word) != ERR_OK)
        return fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    return ERR_OK;
}

enum err json_parents_new(const struct json_path *path, const struct words *wanted, struct json_parents **ret,
                          struct fault *fault)
{
    struct json_parents *self = calloc(1, sizeof *self);
    if (self != NULL)
        self->wanted = calloc(wanted->count, sizeof *self->wanted);
    if (self == NULL || self->wanted == NULL) {
        free(self);
        return fault_set(fault, ERR_NO_MEMORY, "decoding JSON: %s", err_text(ERR_NO_MEMORY));
    }
    self->path = path;
    buffer_init(&self->held, JSON_HELD_MAX);
    buffer_init(&self->spare, JSON_HELD_MAX);
    enum err err = ERR_OK;
    for (size_t i = 0; i < wanted->count && err == ERR_OK; i++)
        err = add_wanted(self, wanted->items[i], fault);
    if (err != ERR_OK)
        json_parents_destroy(&self);
    else
        *ret = self;
    return err;
}

void json_parents_destroy(struct json_parents **self_p)
{
    struct json_parents *self = *self_p;
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->wanted_count; i++) {
        buffer_free(&self->wanted[i].label);
        buffer_free(&self->wanted[i].value);
    }
    free(self->wanted);
    buffer_free(&self->held);
    buffer_free(&self->spare);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- fields of parents

bool json_parents_enter(struct json_parents *self, size_t depth)
{
    if (self->open == self->path->parents || self->path->depths[self->open] != depth)
        return false;
    for (size_t i = 0; i < self->wanted_count; i++)
        if (self->wanted[i].place.parent == self->open)
            self->wanted[i].known = false;
    self->marks[self->open++] = self->held.size;
    return true;
}

bool json_parents_inside(const struct json_parents *self)
{
    return self->open > 0;
}

enum err json_parents_take(struct json_parents *self, struct bytes name, const char *value, size_t size,
                           bool raw)
{
    assert(self->open > 0);
    for (size_t i = 0; i < self->wanted_count; i++) {
        struct wanted *wanted = &self->wanted[i];
        if (wanted->known || wanted->place.parent != self->open - 1 ||
            strlen(wanted->place.name) != name.size || memcmp(wanted->place.name, name.data, name.size) != 0)
            continue;
        buffer_clear(&wanted->value);
        const enum err err = buffer_add(&wanted->value, value != NULL ? value : "", size);
        if (err != ERR_OK)
            return err;
        wanted->known = true;
        wanted->null = value == NULL;
        wanted->raw = raw;
    }
    return ERR_OK;
}

bool json_parents_complete(const struct json_parents *self)
{
    bool complete = self->held.size == 0;
    for (size_t i = 0; i < self->wanted_count && complete; i++)
        complete = self->wanted[i].known;
    return complete;
}

static bool is_given(const struct wanted *wanted, size_t parent)
{
    return wanted->place.parent == parent && wanted->known && !wanted->null;
}

// Of one that is given.
static struct field field_of(const struct wanted *wanted)
{
    return (struct field){.name = wanted->label.data,
                          .name_size = wanted->label.size,
                          .value = wanted->value.data,
                          .value_size = wanted->value.size,
                          .raw = wanted->raw};
}

void json_parents_give(const struct json_parents *self, json_parents_sink *sink, void *arg)
{
    assert(self->open == self->path->parents); // records lie within all of them
    for (size_t i = 0; i < self->wanted_count; i++) {
        if (is_given(&self->wanted[i], self->wanted[i].place.parent)) {
            const struct field field = field_of(&self->wanted[i]);
            sink(arg, &field);
        }
    }
}

// ---------------------------------------------------------------- what is held

static enum err add_field(struct buffer *entries, size_t entry, const struct field *field)
{
    const struct field_head head = {.name_size = (uint32_t)field->name_size,
                                    .value_size = (uint32_t)field->value_size,
                                    .raw = field->raw};
    struct head whole;
    enum err err = buffer_add(entries, &head, sizeof head);
    if (err == ERR_OK)
        err = buffer_add(entries, field->name, field->name_size);
    if (err == ERR_OK)
        err = buffer_add(entries, field->value, field->value_size);
    if (err != ERR_OK)
        return err;
    memcpy(&whole, entries->data + entry, sizeof whole);
    whole.size = (uint32_t)(entries->size - entry);
    memcpy(entries->data + entry, &whole, sizeof whole);
    return ERR_OK;
}

enum err json_parents_hold(struct json_parents *self, uint64_t number, const char *why)
{
    const size_t why_size = strlen(why) + 1;
    const struct head head = {
        .number = number, .size = (uint32_t)(sizeof(struct head) + why_size), .why_size = (uint32_t)why_size};
    self->entry = self->held.size;
    enum err err = buffer_add(&self->held, &head, sizeof head);
    return err == ERR_OK ? buffer_add(&self->held, why, why_size) : err;
}

enum err json_parents_hold_field(struct json_parents *self, const struct field *field)
{
    return add_field(&self->held, self->entry, field);
}

// Adds the fields of the parent that closes to each record that is held of it.
static enum err join(struct json_parents *self, size_t parent)
{
    const size_t mark = self->marks[parent];
    enum err err = ERR_OK;
    buffer_clear(&self->spare);
    for (size_t at = mark; at < self->held.size && err == ERR_OK;) {
        struct head head;
        memcpy(&head, self->held.data + at, sizeof head);
        const size_t entry = self->spare.size;
        err = buffer_add(&self->spare, self->held.data + at, head.size);
        for (size_t i = 0; i < self->wanted_count && err == ERR_OK; i++) {
            if (!is_given(&self->wanted[i], parent))
                continue;
            const struct field field = field_of(&self->wanted[i]);
            err = add_field(&self->spare, entry, &field);
        }
        at += head.size;
    }
    self->held.size = mark < self->held.size ? mark : self->held.size;
    return err == ERR_OK && self->spare.size > 0 ? buffer_add(&self->held, self->spare.data, self->spare.size)
                                                 : err;
}

bool json_parents_leave(struct json_parents *self, size_t depth, enum err *ret_err)
{
    *ret_err = ERR_OK;
    if (self->open == 0 || self->path->depths[self->open - 1] != depth)
        return false;
    self->open--;
    *ret_err = join(self, self->open);
    self->next = 0;
    return self->open == 0 && *ret_err == ERR_OK;
}

bool json_parents_next(struct json_parents *self, uint64_t *ret_number, const char **ret_why,
                       json_parents_sink *sink, void *arg)
{
    if (self->next == self->held.size) {
        buffer_clear(&self->held);
        return false;
    }
    struct head head;
    const char *at = self->held.data + self->next;
    const char *end;
    memcpy(&head, at, sizeof head);
    end = at + head.size;
    *ret_number = head.number;
    *ret_why = at + sizeof head;
    for (at += sizeof head + head.why_size; at < end;) {
        struct field_head field_head;
        memcpy(&field_head, at, sizeof field_head);
        const struct field field = {.name = at + sizeof field_head,
                                    .name_size = field_head.name_size,
                                    .value = at + sizeof field_head + field_head.name_size,
                                    .value_size = field_head.value_size,
                                    .raw = field_head.raw};
        sink(arg, &field);
        at = field.value + field.value_size;
    }
    self->next += head.size;
    return true;
}
