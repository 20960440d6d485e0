#include "services/sync/pack.h"

#include "services/sync/record.h"

enum { WIRE_NUMBER = 0, WIRE_BYTES = 2 };

static enum err put_varint(struct buffer *ret, uint64_t number)
{
    char bytes[10];
    size_t size = 0;
    do {
        bytes[size++] = (char)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
        number >>= 7;
    } while (number > 0);
    return buffer_add(ret, bytes, size);
}

enum err pack_number(struct buffer *ret, uint32_t field, uint64_t number)
{
    if (number == 0)
        return ERR_OK;
    const enum err err = put_varint(ret, (uint64_t)field << 3 | WIRE_NUMBER);
    return err == ERR_OK ? put_varint(ret, number) : err;
}

enum err pack_bytes(struct buffer *ret, uint32_t field, struct bytes bytes)
{
    enum err err = put_varint(ret, (uint64_t)field << 3 | WIRE_BYTES);
    if (err == ERR_OK)
        err = put_varint(ret, bytes.size);
    return err == ERR_OK ? buffer_add(ret, bytes.data, bytes.size) : err;
}

enum err pack_message(struct buffer *ret, const ProtobufCMessage *message)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    char *place = NULL;
    const enum err err = buffer_reserve(ret, size, &place);
    if (err == ERR_OK)
        ret->size += protobuf_c_message_pack(message, (uint8_t *)place);
    return err;
}

enum err pack_record(struct buffer *ret, struct bytes key, struct bytes json, struct bytes hash, uint64_t seq)
{
    enum { KEY = 1, RECORD = 2, HASH = 3, SEQ = 4 };
    struct bytes parts[RECORD_KEY_PARTS_MAX];
    const size_t count = record_key_parts(key, parts);
    enum err err = ERR_OK;
    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = pack_bytes(ret, KEY, parts[i]);
    if (err == ERR_OK && json.size > 0)
        err = pack_bytes(ret, RECORD, json);
    if (err == ERR_OK && json.size > 0)
        err = pack_bytes(ret, HASH, hash);
    return err == ERR_OK ? pack_number(ret, SEQ, seq) : err;
}

// ---------------------------------------------------------------- reading

// A message from where it is read on.
struct reading {
    const uint8_t *at;
    const uint8_t *end;
};

static enum err take_varint(struct reading *self, uint64_t *ret)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && self->at < self->end; shift += 7) {
        const uint8_t byte = *self->at++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = number;
            return ERR_OK;
        }
    }
    return ERR_CORRUPT;
}

enum err pack_find(struct bytes message, uint32_t field, struct bytes *ret)
{
    struct reading reading = {.at = message.data};
    reading.end = reading.at + message.size;
    while (reading.at < reading.end) {
        uint64_t tag = 0;
        uint64_t number = 0; // the value, or its size
        if (take_varint(&reading, &tag) != ERR_OK || take_varint(&reading, &number) != ERR_OK)
            return ERR_CORRUPT;
        if ((tag & 7) == WIRE_NUMBER)
            continue;
        if ((tag & 7) != WIRE_BYTES || number > (size_t)(reading.end - reading.at))
            return ERR_CORRUPT;
        if (tag >> 3 == field) {
            *ret = (struct bytes){.data = reading.at, .size = (size_t)number};
            return ERR_OK;
        }
        reading.at += number;
    }
    return ERR_NOT_FOUND;
}
