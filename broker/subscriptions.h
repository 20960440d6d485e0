// Which topics somebody subscribes to as JSON, as the XPUB socket tells it: a publication is converted only
// for them. Pure, and of one size, whatever is subscribed to.
//
// What the table has no room for is only counted: while there is such a subscription every publication counts
// as wanted, and the socket still sends each subscriber only what matches. The socket tells of the first
// subscriber to a topic and of the last one's end, whether by word or by disconnection, but not of whose: a
// peer that takes back what it never subscribed to can take another's JSON away.
#ifndef SYNCBUS_BROKER_SUBSCRIPTIONS_H
#define SYNCBUS_BROKER_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOPIC_SIZE_MAX = 80,     // bytes of a topic: a kind, a dot, and a name
    SUBSCRIPTIONS_MAX = 256, // remembered one by one
};

// A beginning of topics; the prefix for JSON is left out.
struct subscription {
    uint8_t size;              // bytes
    char text[TOPIC_SIZE_MAX]; // not ended by 0
};

// Starts as all zeros.
struct subscriptions {
    size_t count;                                  // of `listed`
    uint64_t unlisted;                             // for which there was no room
    struct subscription listed[SUBSCRIPTIONS_MAX]; // in no order, none twice
};

// Takes what an XPUB socket gave: 1 or 0 and a topic, or any other bytes, which mean nothing.
void subscriptions_take(struct subscriptions *self, const void *data, size_t size);

// Whether somebody wants the publications of a topic (at most TOPIC_SIZE_MAX bytes) as JSON.
bool subscriptions_want(const struct subscriptions *self, const char *topic);

#endif
