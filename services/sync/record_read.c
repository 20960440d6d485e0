// A stored record back into its fields: record_json's counterpart, and no reader of JSON in general.
#include "services/sync/record.h"

#include <assert.h>
#include <string.h>

// A reading under way.
struct reading {
    const char *at;         // what comes next
    const char *end;        // of the record
    struct buffer *scratch; // names and values without their escapes
};

static bool take(struct reading *self, char byte)
{
    if (self->at == self->end || *self->at != byte)
        return false;
    self->at++;
    return true;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// What stands behind a backslash; json_string writes characters below 0x80 so, and no others.
static enum err read_escape(struct reading *self)
{
    static const char letters[] = "\"\\nrt";
    static const char bytes[] = "\"\\\n\r\t";
    if (self->at == self->end)
        return ERR_CORRUPT;
    const char letter = *self->at++;
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);
    if (found != NULL)
        return buffer_add_byte(self->scratch, bytes[found - letters]);
    if (letter != 'u' || self->end - self->at < 4 || self->at[0] != '0' || self->at[1] != '0')
        return ERR_CORRUPT;
    const int high = hex_digit(self->at[2]);
    const int low = hex_digit(self->at[3]);
    if (high < 0 || high > 7 || low < 0)
        return ERR_CORRUPT;
    self->at += 4;
    return buffer_add_byte(self->scratch, (char)(high << 4 | low));
}

// Appends a string to the scratch.
static enum err read_string(struct reading *self)
{
    enum err err = take(self, '"') ? ERR_OK : ERR_CORRUPT;
    while (err == ERR_OK) {
        const char *start = self->at;
        while (self->at < self->end && *self->at != '"' && *self->at != '\\')
            self->at++;
        err = buffer_add(self->scratch, start, (size_t)(self->at - start));
        if (err != ERR_OK || take(self, '"'))
            return err;
        err = take(self, '\\') ? read_escape(self) : ERR_CORRUPT;
    }
    return err;
}

// Appends a number, true or false.
static enum err read_bare(struct reading *self)
{
    const char *start = self->at;
    while (self->at < self->end && *self->at != ',' && *self->at != '}')
        self->at++;
    return self->at == start ? ERR_CORRUPT : buffer_add(self->scratch, start, (size_t)(self->at - start));
}

static enum err read_field(struct reading *self, record_take *sink, void *arg)
{
    buffer_clear(self->scratch);
    enum err err = read_string(self);
    const size_t name_size = self->scratch->size;
    if (err == ERR_OK && !take(self, ':'))
        err = ERR_CORRUPT;
    const bool raw = self->at == self->end || *self->at != '"';
    if (err == ERR_OK)
        err = raw ? read_bare(self) : read_string(self);
    if (err != ERR_OK)
        return err;
    const char *text = self->scratch->data; // there even for two empty texts
    const struct field field = {.name = text,
                                .name_size = name_size,
                                .value = text + name_size,
                                .value_size = self->scratch->size - name_size,
                                .raw = raw};
    return sink(arg, &field);
}

enum err record_read(struct bytes json, struct buffer *scratch, record_take *sink, void *arg)
{
    struct reading self = {.at = json.data, .scratch = scratch};
    self.end = self.at + json.size;
    if (!take(&self, '{'))
        return ERR_CORRUPT;
    enum err err = ERR_OK;
    if (!take(&self, '}')) {
        do {
            err = read_field(&self, sink, arg);
        } while (err == ERR_OK && take(&self, ','));
        if (err == ERR_OK && !take(&self, '}'))
            err = ERR_CORRUPT;
    }
    return err == ERR_OK && self.at != self.end ? ERR_CORRUPT : err;
}
