// Any bytes are an event or an error.
#include "round_trip.h"

static enum err read_event(const void *data, size_t size, ProtobufCMessage **ret, struct fault *fault)
{
    Sb__Event *message = NULL;
    const enum err err = wire_event(data, size, &message, fault);
    if (err == ERR_OK)
        *ret = &message->base;
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    round_trip(read_event, data, size);
    return 0;
}
