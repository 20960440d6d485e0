// A small world: the broker's core, a few clients with real sessions, and the messages between them. Nothing
// happens in it by itself; each thing that can happen next is a choice (choices.h).
#ifndef SYNCBUS_TESTS_WORLDS_WORLD_H
#define SYNCBUS_TESTS_WORLDS_WORLD_H

#include "broker/core/core.h"
#include "tests/worlds/judge.h"

enum {
    BOOT_START_MS = 1000000, // the time at which all begin
    TTL_MS = 3000,           // of a lease; a holder renews each 1000 ms and believes in it for 2700
    GRANT_DELAY_MS = 500,
    SYNC_SETTLE_MS = 500,
    ORDER_SETTLE_MS = 1500, // of the first order: longer than the delay, so that its lease is journalled
    PAUSE_TIMEOUT_MS = 2500,
    SESSION_TTL_MS = 2000,
    BEAT_MS = 1000,
};

// What a message says, as far as anybody goes by it: numbers by which it refers to others apart from the
// rest.
struct gist {
    const char *word;          // what it is, for people
    uint64_t id;               // of its request
    uint64_t session, epoch;   // that it was sent in; of a Welcome, that it tells
    uint64_t token, reserved;  // of the lease; of a Hello, the leases that it reserves
    uint64_t claim;            // of the wish
    uint64_t run;              // whose turn it is
    uint64_t ticket, pause;    // as told
    uint64_t kind, detail, ms; // the rest: the same when these are
};

// One message in flight.
struct message {
    struct message *next; // sent later on the same way
    struct gist gist;     // what it says
    uint64_t peer;        // the connection that it passes
    uint64_t update;      // of the core that must be durable before it leaves; 0: none
    size_t size;          // of `data`
    uint8_t data[];       // the message as bytes
};

enum work { WORK_NONE, WORK_WISHED, WORK_HELD, WORK_DONE };

// A program with its session: a sync that wants its turn, or an order that wants the ERP for itself.
struct client {
    struct session *session; // NULL: its process is dead
    bool is_order;           // else a sync
    bool is_cut;             // nothing passes between it and the broker
    bool must_yield;         // it was asked to step aside
    enum work work;          // where it stands
    uint64_t process;        // its life
    uint64_t peer;           // its connection, as the broker knows it
    uint64_t run;            // of a sync: its run
    uint32_t attempt;        // and attempt
    uint64_t claim, token;   // of its wish and lease
    int64_t settles_ms;      // until when what was cut short is still at work in the ERP; 0: nothing is
    struct message *sent;    // to the broker, the first one first
    struct message *coming;  // to the client
};

// One record on disk.
struct entry {
    struct entry *next;                     // any other
    enum core_table table;                  // of broker/core/core.h
    bool is_deleted;                        // of one that waits for its commit: it goes
    size_t key_size, size;                  // bytes of both
    uint8_t key[CORE_KEY_MAX];              // its key
    const ProtobufCMessageDescriptor *type; // of the value
    uint64_t token, run, claim, rest;       // what it says, as in a gist
    uint8_t data[];                         // the value as bytes
};

struct world {
    int64_t now_ms;                     // the one clock of all
    struct client clients[CLIENTS_MAX]; // syncs, then orders
    size_t client_count;                // of them
    struct core *core;                  // NULL: the broker is down
    uint64_t lives;                     // of the broker, so far
    struct entry *journal;              // what is on disk
    struct entry *waiting;              // what the last update with records wrote, not committed yet
    uint64_t waiting_update;            // that update
    bool waiting_told;                  // somebody has heard of it: it was committed
    uint32_t broker_crashes;            // that may still happen
    uint32_t client_crashes;
    uint32_t faults; // messages lost or doubled, clients cut off: so many may still be
    uint64_t events; // so much has happened that others may notice; to see that anything did
    bool telling;    // all that happens is written down
    struct judge judge;
};

// The one world that there is; memory.h copies it.
extern struct world *const world;

struct world_options {
    uint32_t syncs, orders; // how many of each
    uint32_t crashes;       // of the broker
    uint32_t kills;         // of clients
    uint32_t faults;        // of the net
};

// Makes it: the broker runs, all sessions stand, nobody wishes for anything yet.
void world_init(const struct world_options *options);

// The time of what must happen next without any message coming; INT64_MAX: nothing.
int64_t world_deadline(void);
// Lets time pass until then.
void world_pass(void);

// Writes a line of the story, if it is being told.
void world_tell(const char *format, ...) SB_PRINTF(1, 2);

// How people call a client.
const char *world_name(size_t client);

#endif
