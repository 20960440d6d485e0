// All that can happen next in the world.
#ifndef SYNCBUS_TESTS_WORLDS_CHOICES_H
#define SYNCBUS_TESTS_WORLDS_CHOICES_H

#include "tests/worlds/world.h"

enum choice_kind {
    CHOICE_REQUEST,       // the client's first request in flight comes to the broker
    CHOICE_REPLY,         // the first reply comes to the client
    CHOICE_REQUEST_AGAIN, // the same, and it will come once more
    CHOICE_REPLY_AGAIN,
    CHOICE_REQUEST_LOST,
    CHOICE_REPLY_LOST,
    CHOICE_CUT,      // nothing passes between the client and the broker from now on
    CHOICE_HEAL,     // it does again
    CHOICE_WISH,     // the client wishes for its lease
    CHOICE_WITHDRAW, // and gives that up
    CHOICE_END,      // its work is done
    CHOICE_YIELD,    // it steps aside, as it was asked to
    CHOICE_CLIENT_CRASHES,
    CHOICE_CLIENT_STARTS,
    CHOICE_BROKER_CRASHES,
    CHOICE_BROKER_CRASHES_EARLY, // before its last update was on disk
    CHOICE_BROKER_STOPS,         // cleanly
    CHOICE_BROKER_STARTS,
    CHOICE_TIME, // passes until something must happen by itself
};

struct choice {
    uint8_t kind;
    uint8_t client;
};

enum { CHOICES_MAX = 18 * CLIENTS_MAX };

// What there is to choose from; how many.
size_t choices_list(struct choice ret[CHOICES_MAX]);

// Lets it happen.
void choices_take(struct choice choice);

#endif
