#include "proto/wire_scan.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// What stands in the low bits of a field's key.
enum { KEY_VARINT = 0, KEY_64_BITS = 1, KEY_SIZED = 2, KEY_32_BITS = 5, KEY_BITS = 3 };

// A message under way: what of it is not yet looked at.
struct part {
    const ProtobufCMessageDescriptor *type; // what it is
    const uint8_t *at;                      // the next byte
    const uint8_t *end;                     // behind its last one
};

struct scan {
    struct part parts[WIRE_DEPTH_MAX]; // from the outermost message inwards
    size_t depth;                      // of them that are in use
};

static bool read_varint(struct part *part, uint64_t *ret)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && part->at < part->end; shift += 7) {
        const uint8_t byte = *part->at++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = number;
            return true;
        }
    }
    return false;
}

static bool skip(struct part *part, uint64_t size)
{
    if (size > (uint64_t)(part->end - part->at))
        return false;
    part->at += size;
    return true;
}

// Takes a field of `size` bytes that lie before `part->at`: looks at a string, and goes into a message.
static enum err take_sized(struct scan *scan, const struct part *part, uint64_t number, size_t size,
                           struct fault *fault)
{
    const ProtobufCFieldDescriptor *field =
        number <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(part->type, (unsigned)number) : NULL;
    const uint8_t *from = part->at - size;
    if (field == NULL)
        return ERR_OK;
    if (field->type == PROTOBUF_C_TYPE_STRING && memchr(from, '\0', size) != NULL)
        return fault_set(fault, ERR_INVALID, "field %s holds a NUL byte, which would end it unseen",
                         field->name);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        assert(scan->depth < WIRE_DEPTH_MAX);
        scan->parts[scan->depth++] = (struct part){.type = field->descriptor, .at = from, .end = from + size};
    }
    return ERR_OK;
}

// Takes the next field of a message; false where it cannot be read.
static bool take_field(struct scan *scan, struct fault *fault, enum err *ret_err)
{
    struct part *part = &scan->parts[scan->depth - 1];
    uint64_t key, value;
    if (!read_varint(part, &key))
        return false;
    switch (key & ((1U << KEY_BITS) - 1)) {
    case KEY_VARINT: return read_varint(part, &value);
    case KEY_64_BITS: return skip(part, 8);
    case KEY_32_BITS: return skip(part, 4);
    case KEY_SIZED:
        if (!read_varint(part, &value) || !skip(part, value))
            return false;
        *ret_err = take_sized(scan, part, key >> KEY_BITS, (size_t)value, fault);
        return true;
    default: return false;
    }
}

enum err wire_scan(const ProtobufCMessageDescriptor *type, const void *data, size_t size, struct fault *fault)
{
    const uint8_t *bytes = data;
    struct scan scan = {.depth = 1};
    scan.parts[0] = (struct part){.type = type, .at = bytes, .end = bytes + size};
    enum err err = ERR_OK;
    while (err == ERR_OK && scan.depth > 0) {
        const struct part *part = &scan.parts[scan.depth - 1];
        if (part->at == part->end)
            scan.depth--;
        else if (!take_field(&scan, fault, &err))
            return ERR_OK;
    }
    return err;
}
