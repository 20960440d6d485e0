// Any bytes are a request or an error.
#include "round_trip.h"

static enum err read_request(const void *data, size_t size, ProtobufCMessage **ret, struct fault *fault)
{
    Sb__Request *message = NULL;
    const enum err err = wire_request(data, size, &message, fault);
    assert(err != ERR_OK || message->body_case != SB__REQUEST__BODY__NOT_SET);
    if (err == ERR_OK)
        *ret = &message->base;
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    round_trip(read_request, data, size);
    return 0;
}
