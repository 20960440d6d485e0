// What leaves the broker: replies and publications as bytes, at once or when the journal has what they tell
// of, publications also as JSON where somebody wants that. Peers that could not be reached are kept for the
// core.
#ifndef SYNCBUS_BROKER_POST_H
#define SYNCBUS_BROKER_POST_H

#include "broker/core/core.h"
#include "broker/net.h"
#include "broker/outbox.h"
#include "proto/base/buffer.h"

enum { POST_GONE_MAX = 256 };

struct post {
    struct net *net;              // the caller's
    struct outbox outbox;         // waits for the journal
    struct buffer packed;         // the message that is being sent
    uint64_t gone[POST_GONE_MAX]; // peers that a send just missed
    size_t gone_count;            // of them
    uint64_t converted;           // publications made into JSON
};

// Begins with nothing to send; freed by post_free.
void post_init(struct post *self, struct net *net);
void post_free(struct post *self);

// Sends what belongs to an update: at once, or, if it is marked durable, when `durable` (the last update that
// is) has reached it. A message that cannot be packed is logged and left out. ERR_NO_MEMORY.
SB_MUST_CHECK
enum err post_reply(struct post *self, const struct core_reply *reply, uint64_t update, uint64_t durable);
SB_MUST_CHECK
enum err post_event(struct post *self, const struct core_publication *publication, uint64_t update,
                    uint64_t durable);

// Sends what waited for this update.
void post_settle(struct post *self, uint64_t durable);

// Whether nothing waits any more.
bool post_is_empty(const struct post *self);

// Takes a peer that could not be reached; false when there is none left.
bool post_take_gone(struct post *self, uint64_t *ret_peer);

#endif
