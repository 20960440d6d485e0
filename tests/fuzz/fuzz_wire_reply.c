// Any bytes are a reply or an error; what was taken can be packed, read again and shown as JSON.
#include "proto/json.h"
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Sb__Reply *message = NULL;
    struct fault fault = {0};
    const enum err err = wire_reply(data, size, &message, &fault);
    if (err != ERR_OK) {
        assert(message == NULL);
        assert(fault.text[0] != '\0');
        return 0;
    }
    struct buffer packed;
    struct buffer again;
    buffer_init(&packed, 64 * WIRE_FRAME_MAX);
    buffer_init(&again, 64 * WIRE_FRAME_MAX);
    enum err packing = wire_pack(&message->base, &packed);
    assert(packing == ERR_OK);
    Sb__Reply *back = NULL;
    enum err reading = wire_reply(packed.data, packed.size, &back, &fault);
    assert(reading == ERR_OK);
    packing = wire_pack(&back->base, &again);
    assert(packing == ERR_OK);
    assert(again.size == packed.size);
    assert(packed.size == 0 || memcmp(packed.data, again.data, packed.size) == 0);
    buffer_clear(&packed);
    const enum err showing = json_message(&message->base, &packed);
    assert(showing == ERR_OK);
    buffer_free(&packed);
    buffer_free(&again);
    sb__reply__free_unpacked(message, NULL);
    sb__reply__free_unpacked(back, NULL);
    return 0;
}
