// Bytes ↔ messages, as total functions: any input gives a message or an error, never a crash and never a
// message whose strings are not UTF-8, cut at a NUL, too long (WIRE_NAME_MAX, WIRE_TEXT_MAX) or lists too
// many. Pure; any thread.
#ifndef SYNCBUS_WIRE_H
#define SYNCBUS_WIRE_H

#include "proto/base/buffer.h"

#include "syncbus.pb-c.h"

#include <stddef.h>
#include <stdint.h>

// What the topics of publications as JSON begin with.
#define WIRE_JSON_TOPIC "json."

enum {
    WIRE_NAME_MAX = 64,           // bytes of a name: job, resource, service, method
    WIRE_TEXT_MAX = 1024,         // bytes of a line for people: reason, detail, error
    WIRE_LIST_MAX = 1024,         // items of a list that a client sends
    WIRE_BODY_MAX = 256 * 1024,   // bytes of the body of a call or an answer
    WIRE_FRAME_MAX = 1024 * 1024, // bytes of a frame, unless configured
};

// A request from a client, checked. ERR_INVALID with the reason. Free with sb__request__free_unpacked(…,
// NULL).
SB_MUST_CHECK
enum err wire_request(const void *data, size_t size, Sb__Request **ret, struct fault *fault);

// The id of a request that was refused, so that its sender knows which; 0 if it cannot be read.
uint64_t wire_request_id(const void *data, size_t size);

// A reply or an event from the broker, checked alike.
SB_MUST_CHECK
enum err wire_reply(const void *data, size_t size, Sb__Reply **ret, struct fault *fault);
SB_MUST_CHECK
enum err wire_event(const void *data, size_t size, Sb__Event **ret, struct fault *fault);

// Any message to bytes, appended. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err wire_pack(const ProtobufCMessage *message, struct buffer *ret);

// A body of a call to a message of the given type; ERR_INVALID. Free with protobuf_c_message_free_unpacked.
SB_MUST_CHECK
enum err wire_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                     ProtobufCMessage **ret, struct fault *fault);

#endif
