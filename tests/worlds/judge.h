// What the world knows of each lease from outside, whatever the core thinks of itself: what the broker has
// said, what its holders believe, what is at work. Shows I2, I3, I4, I5, I7 and I9.
#ifndef SYNCBUS_TESTS_WORLDS_JUDGE_H
#define SYNCBUS_TESTS_WORLDS_JUDGE_H

#include "broker/core/core.h"

enum { CLIENTS_MAX = 8, ACCOUNTS_MAX = 24, ASKS_MAX = 32 };

// A lease, as the broker has said.
struct account {
    uint64_t token;    // 0: the place is free
    uint64_t claim;    // for which
    size_t client;     // that has it
    bool exclusive;    // its mode
    bool told;         // its holder has heard of it
    bool given_back;   // its holder has done with it, and says so
    bool released;     // that has reached the broker
    bool comes_back;   // with the next life of the broker, which ended cleanly
    uint64_t life;     // of the broker that spoke of it last
    uint64_t update;   // that must be durable before its grant is told; 0: none
    int64_t end_ms;    // at which the broker takes it for ended
    int64_t settle_ms; // what its holder wants added to that
};

// A wish, as the broker has it.
struct ask {
    uint64_t claim;    // 0: the place is free
    size_t client;     // whose
    uint64_t id;       // of its last request
    bool exclusive;    // its mode
    bool unsure;       // it may have lost its place by its silence
    uint64_t life;     // of the broker that was asked last
    uint64_t ticket;   // its place in the line; 0: not told yet
    int64_t asked_ms;  // when it asked last
    int64_t poll_ms;   // it asks again after
    int64_t settle_ms; // as in the account
};

struct judge {
    struct account accounts[ACCOUNTS_MAX];
    struct ask asks[ASKS_MAX];
    uint64_t process[CLIENTS_MAX]; // of each client, as its last Hello said
    uint64_t token_max;            // ever granted
    bool paused;                   // a pause began and has not ended
};

// The broker begins a life; it ended in a crash, and what its update `lost` said never was (0: none such), or
// cleanly. What the journal has of its leases comes back with a full ttl.
void judge_broker_started(void);
void judge_broker_crashed(uint64_t lost);
void judge_broker_stopped(void);

// The core has taken an event, of the client's request if it is one, and decided.
void judge_step(const struct core_event *event, const struct core_update *update, uint64_t number);

// A client was told of its lease; it has done with it.
void judge_told(uint64_t token);
void judge_given_back(uint64_t token);

// Looks at what all believe now.
void judge_look(void);

// Forgets what cannot matter any more.
void judge_forget(void);

// The invariant that was broken and how; NULL: none.
const char *judge_verdict(void);

#endif
