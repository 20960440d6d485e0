// A look at the bytes of a message before they are decoded. The decoder keeps a string as characters up to
// the first NUL: what stands behind it would be cut off in silence, and "K-1\0x" would be the name K-1. Pure;
// any thread.
#ifndef SYNCBUS_WIRE_SCAN_H
#define SYNCBUS_WIRE_SCAN_H

#include "proto/base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

enum { WIRE_DEPTH_MAX = 16 }; // of messages within messages: the schema has no more than 6

// Whether no string of an encoded message holds a NUL; ERR_INVALID names the first that does. Bytes that are
// no message are none of its business: the decoder refuses them.
SB_MUST_CHECK
enum err wire_scan(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                   struct fault *fault);

#endif
