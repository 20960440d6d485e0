#include "services/sync/calls.h"

#include "services/sync/feed.h"
#include "services/sync/record.h"

#include "proto/wire.h"

static enum syncbus_code code_of(enum err err)
{
    switch (err) {
    case ERR_OK: return SYNCBUS_OK;
    case ERR_NOT_FOUND: return SYNCBUS_NOT_FOUND;
    case ERR_INVALID: return SYNCBUS_INVALID;
    case ERR_CONFLICT: return SYNCBUS_CONFLICT;
    default: return SYNCBUS_INTERNAL;
    }
}

enum err sync_answer(syncbus_client_t *client, struct delta *store, const struct syncbus_notice *call,
                     struct fault *ret_fault)
{
    struct fault fault = {.err = ERR_OK};
    struct buffer body;
    buffer_init(&body, 2 * (size_t)RECORD_SIZE_MAX);
    enum err err = feed_call(store, call->method, call->body, call->body_size, &body, &fault);
    if (err == ERR_OK && body.size > WIRE_BODY_MAX)
        err = fault_set(&fault, ERR_FULL, "the record is larger than the %d KiB that an answer can hold",
                        WIRE_BODY_MAX / 1024);
    // An answer that cannot be sent, as the session has just ended, is the caller's time-out.
    (void)syncbus_answer(client, call->call, code_of(err), fault.text, body.data,
                         err == ERR_OK ? body.size : 0);
    buffer_free(&body);
    return err == ERR_IO ? fault_set(ret_fault, err, "%s", fault.text) : ERR_OK;
}
