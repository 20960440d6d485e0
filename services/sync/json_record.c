#include "services/sync/json_record.h"

#include "proto/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 4096 }; // of a record

enum err json_record_init(struct json_record *self, const struct words *ignore)
{
    *self = (struct json_record){.ignore = ignore,
                                 .places = calloc(FIELDS_MAX, sizeof *self->places),
                                 .fields = calloc(FIELDS_MAX, sizeof *self->fields),
                                 .order = calloc(FIELDS_MAX, sizeof *self->order)};
    buffer_init(&self->text, RECORD_SIZE_MAX);
    return self->places == NULL || self->fields == NULL || self->order == NULL
               ? ERR_NO_MEMORY
               : buffer_add_byte(&self->text, ' '); // so that its bytes are somewhere
}

void json_record_free(struct json_record *self)
{
    buffer_free(&self->text);
    free(self->places);
    free(self->fields);
    free(self->order);
}

void json_record_clear(struct json_record *self)
{
    self->count = 0;
    buffer_clear(&self->text);
}

void json_record_spoil(struct json_record *self, const char *why)
{
    if (self->why[0] == '\0')
        snprintf(self->why, sizeof self->why, "%s", why);
}

struct field json_record_field(const struct json_record *self, size_t index)
{
    const struct place *place = &self->places[index];
    return (struct field){.name = self->text.data + place->name,
                          .name_size = place->name_size,
                          .value = self->text.data + place->value,
                          .value_size = place->value_size,
                          .raw = place->raw};
}

// Adds a field to the record in hand, unless it is ignored. What does not fit spoils the record only.
void json_record_add(struct json_record *self, const char *name, size_t name_size, const char *value,
                     size_t value_size, bool raw)
{
    if (record_ignores(self->ignore, name, name_size))
        return;
    const struct bytes trimmed = record_trim(value, value_size);
    char *text = NULL;
    if (self->count == FIELDS_MAX)
        json_record_spoil(self, "too many fields");
    else if (buffer_reserve(&self->text, name_size + trimmed.size, &text) != ERR_OK)
        json_record_spoil(self, "too large");
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
static void drop_damaged(struct json_record *self)
{
    size_t kept = 0;
    if (is_plain(self->text.data, self->text.size))
        return;
    for (size_t i = 0; i < self->count; i++) {
        const struct place *place = &self->places[i];
        const char *text = self->text.data;
        if (memchr(text + place->name, '\0', place->name_size + place->value_size) != NULL)
            json_record_spoil(self, "a NUL in a field");
        else if (!utf8_valid(text + place->name, place->name_size) ||
                 !utf8_valid(text + place->value, place->value_size))
            json_record_spoil(self, "not UTF-8 in a field");
        else
            self->places[kept++] = *place;
    }
    self->count = kept;
}

static int compare_places(const void *a, const void *b, void *arg)
{
    const struct json_record *self = arg;
    const struct place *left = &self->places[*(const uint16_t *)a];
    const struct place *right = &self->places[*(const uint16_t *)b];
    return record_compare_names(self->text.data + left->name, left->name_size, self->text.data + right->name,
                                right->name_size);
}

// Fills the fields in the order that is noted; true if their names ascend by it, each there once.
static bool fill_fields(struct json_record *self)
{
    bool ascending = true;
    for (size_t i = 0; i < self->count; i++) {
        self->fields[i] = json_record_field(self, self->order[i]);
        ascending = ascending && (i == 0 || compare_places(&self->order[i - 1], &self->order[i], self) < 0);
    }
    return ascending;
}

// Of a name that came twice with one value one is kept, with two values neither.
static void drop_doubles(struct json_record *self)
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
            json_record_spoil(self, "a field twice, with two values");
        i = next;
    }
    self->count = kept;
}

// Sorts the fields by name. Records of one export have their fields in one order, nearly always: that of the
// record before is tried first.
void json_record_arrange(struct json_record *self)
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
