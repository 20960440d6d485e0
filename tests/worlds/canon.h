// What of a world makes a difference, as one number: times count from now, and numbers that are only compared
// with each other (tokens, tickets, ids, sessions, runs) by their order, claims by their first appearance.
// Two worlds with the same number go on in the same ways.
#ifndef SYNCBUS_TESTS_WORLDS_CANON_H
#define SYNCBUS_TESTS_WORLDS_CANON_H

#include <stdint.h>

enum canon_kind {
    CANON_PLAIN, // the value itself
    CANON_TOKEN,
    CANON_TICKET,
    CANON_SESSION,
    CANON_RUN,
    CANON_PAUSE,
    CANON_EPOCH,
    CANON_DUE,   // times since which runs wait
    CANON_CLAIM, // by first appearance
    CANON_ID,    // of requests: one kind for each client, from here on
    CANON_KINDS = CANON_ID + 8
};

// The number of the world as it stands.
uint64_t canon_world(void);

// Adds a value; 0 stands for none in all kinds. A time: what lies further back than `past_ms` is all the
// same.
void canon_add(enum canon_kind kind, uint64_t value);
void canon_add_time(int64_t time_ms, int64_t past_ms);

// Their parts: what the core holds, what the sessions do.
void canon_core(void);
void canon_sessions(void);

#endif
