// Any message as JSON, driven by its descriptor: for --json and whatever shows messages to programs.
// Field names as in the .proto; 64-bit numbers as JSON numbers; enums as their names without the common
// prefix, in lower case (STAGE_DUE → "due"); bytes as base64, but fields of type fixed64 as 16 hex digits in
// a string; maps as objects; scalar fields are always there, absent messages and empty oneofs are left out.
#ifndef SYNCBUS_JSON_H
#define SYNCBUS_JSON_H

#include "proto/base/buffer.h"

#include <protobuf-c/protobuf-c.h>

// Appends the message as one JSON object without newline. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err json_message(const ProtobufCMessage *message, struct buffer *ret);

// Appends a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
SB_MUST_CHECK
enum err json_string(const char *text, size_t size, struct buffer *ret);

// The name of an enum's value as shown in JSON and tables ("fetching"), or "?".
const char *json_enum(const ProtobufCEnumDescriptor *type, int value);

#endif
