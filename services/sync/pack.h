// Protobuf messages written field by field, straight from the store's bytes: what goes out of a feed is
// spliced, not taken apart and built again; a part of it is found in its place. Appends; ERR_FULL,
// ERR_NO_MEMORY. Any thread.
#ifndef SYNCBUS_SERVICES_SYNC_PACK_H
#define SYNCBUS_SERVICES_SYNC_PACK_H

#include "proto/base/buffer.h"
#include "proto/io/store.h"

#include <protobuf-c/protobuf-c.h>

// A number under a field's tag; zero is left out, as proto3 has it.
SB_MUST_CHECK
enum err pack_number(struct buffer *ret, uint32_t field, uint64_t number);

// Bytes, a string or a packed message under a field's tag.
SB_MUST_CHECK
enum err pack_bytes(struct buffer *ret, uint32_t field, struct bytes bytes);

// A whole message; what follows or stands before it under other tags is read as one message with it.
SB_MUST_CHECK
enum err pack_message(struct buffer *ret, const ProtobufCMessage *message);

// A Record message. `json` of size 0: a deleted record, of which the key alone is known.
SB_MUST_CHECK
enum err pack_record(struct buffer *ret, struct bytes key, struct bytes json, struct bytes hash,
                     uint64_t seq);

// The bytes, string or message that first stand under a field's tag. ERR_NOT_FOUND; ERR_CORRUPT: what stands
// before is no part of such a message.
SB_MUST_CHECK
enum err pack_find(struct bytes message, uint32_t field, struct bytes *ret);

#endif
