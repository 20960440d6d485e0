// What every target of the wire checks: any bytes are a message or an error, and what was taken can be
// packed, read again and shown as JSON.
#ifndef SYNCBUS_FUZZ_ROUND_TRIP_H
#define SYNCBUS_FUZZ_ROUND_TRIP_H

#include "proto/json.h"
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Reads bytes as one kind of message, as the functions of wire.h do.
typedef enum err round_trip_read(const void *data, size_t size, ProtobufCMessage **ret, struct fault *fault);

static inline void round_trip(round_trip_read *read, const uint8_t *data, size_t size)
{
    ProtobufCMessage *message = NULL;
    struct fault fault = {0};
    const enum err err = read(data, size, &message, &fault);
    if (err != ERR_OK) {
        assert(message == NULL);
        assert(fault.text[0] != '\0');
        return;
    }
    struct buffer packed;
    struct buffer again;
    buffer_init(&packed, 64 * WIRE_FRAME_MAX);
    buffer_init(&again, 64 * WIRE_FRAME_MAX);
    enum err packing = wire_pack(message, &packed);
    assert(packing == ERR_OK);
    ProtobufCMessage *back = NULL;
    enum err reading = read(packed.data, packed.size, &back, &fault);
    assert(reading == ERR_OK);
    packing = wire_pack(back, &again);
    assert(packing == ERR_OK);
    assert(again.size == packed.size);
    assert(packed.size == 0 || memcmp(packed.data, again.data, packed.size) == 0);
    buffer_clear(&packed);
    const enum err showing = json_message(message, &packed);
    assert(showing == ERR_OK);
    buffer_free(&packed);
    buffer_free(&again);
    protobuf_c_message_free_unpacked(message, NULL);
    protobuf_c_message_free_unpacked(back, NULL);
}

#endif
