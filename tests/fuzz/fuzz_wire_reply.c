// Any bytes are a reply or an error.
#include "round_trip.h"

static enum err read_reply(const void *data, size_t size, ProtobufCMessage **ret, struct fault *fault)
{
    Sb__Reply *message = NULL;
    const enum err err = wire_reply(data, size, &message, fault);
    if (err == ERR_OK)
        *ret = &message->base;
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    round_trip(read_reply, data, size);
    return 0;
}
