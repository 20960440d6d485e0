// What may be sent only once the journal has it: replies and publications that wait for their update's
// commit, in order. Pure.
#ifndef SYNCBUS_BROKER_OUTBOX_H
#define SYNCBUS_BROKER_OUTBOX_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One message that waits; owned by the outbox.
struct outbox_item {
    struct outbox_item *next; // sent after this
    uint64_t update;          // must be durable first
    uint64_t peer;            // whom a reply goes to; 0 for a publication
    char *topic;              // of a publication; NULL for a reply
    size_t size;              // bytes of data
    char data[];              // the packed message
};

// Starts as all zeros.
struct outbox {
    struct outbox_item *first; // sent next
    struct outbox_item *last;  // put last
    size_t bytes;              // of all data that waits
};

// Puts a copy of a message behind all others; `topic` is NULL for a reply to `peer`. ERR_NO_MEMORY.
SB_MUST_CHECK
enum err outbox_put(struct outbox *self, uint64_t update, uint64_t peer, const char *topic, const void *data,
                    size_t size);

// Whether a message may leave at once: its update is durable, and nothing waits that must leave before it. A
// beat that overtook the tick that it counts would make every listener believe that the tick was lost.
bool outbox_may_pass(const struct outbox *self, uint64_t update, uint64_t durable);

// Takes the next message whose update is at most `durable`; NULL when it or all must wait. The caller frees
// it with outbox_item_free.
struct outbox_item *outbox_take(struct outbox *self, uint64_t durable);
void outbox_item_free(struct outbox_item *item);

// Frees all that waits.
void outbox_clear(struct outbox *self);

#endif
