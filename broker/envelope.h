// The frames that come around a request: who sent it, a delimiter or none, and the one frame that is the
// request. Pure and total: a message of any number of frames, of any size, is one or is malformed.
#ifndef SYNCBUS_BROKER_ENVELOPE_H
#define SYNCBUS_BROKER_ENVELOPE_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>

// So many frames of a message are looked at; more are only counted.
enum { ENVELOPE_FRAMES_MAX = 3 };

// How the frames of one message are to be taken. The first is its sender's identity.
struct envelope {
    size_t body;    // which frame is the request; of a malformed one it means nothing
    bool delimiter; // an empty frame stands before it, and wants one in the reply
    bool malformed; // there were more or other frames than one request has
};

// Reads the sizes of the first frames, of `count` in all. ERR_INVALID: the sender cannot be answered, since
// its identity is no name of a connection.
SB_MUST_CHECK
enum err envelope_read(const size_t sizes[ENVELOPE_FRAMES_MAX], size_t count, struct envelope *ret);

#endif
