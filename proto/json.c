#include "proto/json.h"

#include "proto/base/utf8.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

// ---------------------------------------------------------------- strings

static enum err add_escaped(unsigned char c, struct buffer *ret)
{
    switch (c) {
    case '"': return buffer_add(ret, "\\\"", 2);
    case '\\': return buffer_add(ret, "\\\\", 2);
    case '\n': return buffer_add(ret, "\\n", 2);
    case '\r': return buffer_add(ret, "\\r", 2);
    case '\t': return buffer_add(ret, "\\t", 2);
    default: return buffer_print(ret, "\\u%04x", c);
    }
}

// How many bytes at the start stand for themselves in a string.
static size_t plain_size(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        const unsigned char c = (unsigned char)text[at];
        const size_t step = c < 0x80 ? 1 : utf8_character(text + at, size - at);
        if (step == 0 || c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            return at;
        at += step;
    }
    return size;
}

enum err json_string(const char *text, size_t size, struct buffer *ret)
{
    enum err err = buffer_add_byte(ret, '"');
    for (size_t at = 0; at < size && err == ERR_OK;) {
        const size_t plain = plain_size(text + at, size - at);
        if (plain > 0) {
            err = buffer_add(ret, text + at, plain);
            at += plain;
        } else {
            const unsigned char c = (unsigned char)text[at++];
            err = c < 0x80 ? add_escaped(c, ret) : buffer_add(ret, "\xef\xbf\xbd", 3);
        }
    }
    return err == ERR_OK ? buffer_add_byte(ret, '"') : err;
}

static enum err add_base64(const ProtobufCBinaryData *data, struct buffer *ret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum err err = buffer_add_byte(ret, '"');
    for (size_t at = 0; at < data->len && err == ERR_OK; at += 3) {
        const size_t left = data->len - at;
        const unsigned bits = (unsigned)data->data[at] << 16 |
                              (left > 1 ? (unsigned)data->data[at + 1] << 8 : 0) |
                              (left > 2 ? (unsigned)data->data[at + 2] : 0);
        const char group[4] = {digits[bits >> 18 & 63], digits[bits >> 12 & 63],
                               left > 1 ? digits[bits >> 6 & 63] : '=', left > 2 ? digits[bits & 63] : '='};
        err = buffer_add(ret, group, sizeof group);
    }
    return err == ERR_OK ? buffer_add_byte(ret, '"') : err;
}

// ---------------------------------------------------------------- enums

const char *json_enum(const ProtobufCEnumDescriptor *type, int value)
{
    // Several names are often shown in one line, so the last few stay valid.
    static _Thread_local char names[32][48];
    static _Thread_local unsigned next;
    const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(type, value);
    if (found == NULL)
        return "?";
    // The prefix is what the first value's name shares with UNSPECIFIED, which each enum begins with.
    const char *unspecified = strstr(type->values[0].name, "UNSPECIFIED");
    const size_t prefix = unspecified != NULL ? (size_t)(unspecified - type->values[0].name) : 0;
    const bool shared = prefix > 0 && strncmp(found->name, type->values[0].name, prefix) == 0;
    const char *from = found->name + (shared ? prefix : 0);
    char *name = names[next++ % 32];
    size_t size = 0;
    for (; from[size] != '\0' && size < sizeof names[0] - 1; size++)
        name[size] = (char)tolower((unsigned char)from[size]);
    name[size] = '\0';
    return name;
}

// ---------------------------------------------------------------- messages

static const void *member(const ProtobufCMessage *message, size_t offset)
{
    return (const char *)message + offset;
}

// Whether a list is a map: a list of entries with a key and a value.
static bool is_map(const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    const size_t size = strlen(entry->short_name);
    return entry->n_fields == 2 && size > 5 && strcmp(entry->short_name + size - 5, "Entry") == 0 &&
           strcmp(entry->fields[0].name, "key") == 0 && strcmp(entry->fields[1].name, "value") == 0;
}

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    default: return 4;
    }
}

static enum err add_double(double number, struct buffer *ret)
{
    return isfinite(number) ? buffer_print(ret, "%.9g", number) : buffer_print(ret, "null");
}

// One value that is not a message.
static enum err add_scalar(const ProtobufCFieldDescriptor *field, const void *value, struct buffer *ret)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return buffer_print(ret, "%s", *(const protobuf_c_boolean *)value ? "true" : "false");
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32: return buffer_print(ret, "%" PRId32, *(const int32_t *)value);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: return buffer_print(ret, "%" PRIu32, *(const uint32_t *)value);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64: return buffer_print(ret, "%" PRId64, *(const int64_t *)value);
    case PROTOBUF_C_TYPE_UINT64: return buffer_print(ret, "%" PRIu64, *(const uint64_t *)value);
    case PROTOBUF_C_TYPE_FIXED64: return buffer_print(ret, "\"%016" PRIx64 "\"", *(const uint64_t *)value);
    case PROTOBUF_C_TYPE_FLOAT: return add_double((double)*(const float *)value, ret);
    case PROTOBUF_C_TYPE_DOUBLE: return add_double(*(const double *)value, ret);
    case PROTOBUF_C_TYPE_ENUM:
        return buffer_print(ret, "\"%s\"", json_enum(field->descriptor, *(const int *)value));
    case PROTOBUF_C_TYPE_BYTES: return add_base64(value, ret);
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(const char *const *)value;
        return text != NULL ? json_string(text, strlen(text), ret) : buffer_print(ret, "\"\"");
    }
    default: return ERR_INVALID;
    }
}

// Messages lie within messages only as deep as the schema has them, so this ends.
static enum err add_value(const ProtobufCFieldDescriptor *field, const void *value, struct buffer *ret)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return json_message(*(const ProtobufCMessage *const *)value, ret);
    return add_scalar(field, value, ret);
}

// An entry of a map: its key is always a string.
static enum err add_entry(const ProtobufCMessage *entry, struct buffer *ret)
{
    const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
    enum err err = add_value(&fields[0], member(entry, fields[0].offset), ret);
    if (err == ERR_OK)
        err = buffer_add_byte(ret, ':');
    return err == ERR_OK ? add_value(&fields[1], member(entry, fields[1].offset), ret) : err;
}

static enum err add_list(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                         struct buffer *ret)
{
    const size_t count = *(const size_t *)member(message, field->quantifier_offset);
    const char *items = *(const char *const *)member(message, field->offset);
    const bool map = is_map(field);
    enum err err = buffer_add_byte(ret, map ? '{' : '[');
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        const void *item = items + i * value_size(field);
        if (i > 0)
            err = buffer_add_byte(ret, ',');
        if (err == ERR_OK)
            err = map ? add_entry(*(const ProtobufCMessage *const *)item, ret) : add_value(field, item, ret);
    }
    return err == ERR_OK ? buffer_add_byte(ret, map ? '}' : ']') : err;
}

// Whether a field is shown: not the unset ones of a oneof, nor messages that are absent.
static bool is_there(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
        *(const uint32_t *)member(message, field->quantifier_offset) != field->id)
        return false;
    return field->label == PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE ||
           *(const void *const *)member(message, field->offset) != NULL;
}

enum err json_message(const ProtobufCMessage *message, struct buffer *ret)
{
    enum err err = buffer_add_byte(ret, '{');
    bool first = true;
    for (unsigned i = 0; i < message->descriptor->n_fields && err == ERR_OK; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (!is_there(message, field))
            continue;
        err = buffer_print(ret, "%s\"%s\":", first ? "" : ",", field->name);
        first = false;
        if (err != ERR_OK)
            break;
        err = field->label == PROTOBUF_C_LABEL_REPEATED
                  ? add_list(message, field, ret)
                  : add_value(field, member(message, field->offset), ret);
    }
    return err == ERR_OK ? buffer_add_byte(ret, '}') : err;
}
