// A small world around the broker's core: a clock, a journal and clients that ask, renew and answer as real
// ones do. What happens in it is written down as lines that read as a story.
#ifndef SYNCBUS_TESTS_SCENARIO_WORLD_H
#define SYNCBUS_TESTS_SCENARIO_WORLD_H

#include "broker/core/core.h"

#include "proto/base/buffer.h"

enum { CLIENTS_MAX = 24, JOBS_MAX_TOLD = 12, ENTRIES_MAX = 4096, NUMBERS_MAX = 64, WISHES_MAX = 4 };

// One entry of the journal.
struct entry {
    enum core_table table;                  // of broker/core/core.h
    uint8_t key[CORE_KEY_MAX];              // its key
    size_t key_size;                        // bytes of it
    const ProtobufCMessageDescriptor *type; // of the value; NULL: the entry is free
    uint8_t *data;                          // the value as bytes, owned
    size_t size;                            // bytes of it
};

// A wish for a lease, from the first asking to its end.
struct wish {
    Sb__Acquire acquire;  // as it is asked each time; claim 0: free
    bool asks_again;      // after each Waiting, as a library does
    uint64_t request;     // id of the last asking
    uint64_t token;       // of the lease; 0 while waiting
    bool told_waiting;    // the first Waiting was written down
    bool told_yield;      // so was the wish that it yields
    int64_t granted_boot; // BOOTTIME of its grant
    uint64_t done, total; // progress that its renewals tell
};

struct client {
    char name[32];     // also what people see
    char jobs[4][32];  // that it runs
    char serves[32];   // "": answers no calls
    uint64_t instance; // lasting identity
    uint64_t process;  // grows with each life
    uint64_t host;     // where it lives
    uint64_t session;  // 0: none
    uint64_t next_id;  // of requests
    uint64_t call;     // the last one that was delivered to it
    uint64_t hold;     // the last one that it laid
    bool hangs;        // neither pings, renews nor asks again by itself
    bool alive;        // it said Hello
    struct wish wishes[WISHES_MAX];
    int64_t work_ms;   // it takes the ticks of its jobs by itself and fetches for so long; 0: it does not
    uint32_t orders;   // that it still places by itself
    int64_t pace_ms;   // between two of them
    int64_t next_boot; // BOOTTIME of the next one
};

// What happened in a long story, in numbers.
struct tally {
    uint64_t slots[JOBS_MAX_TOLD][SB__STAGE__STAGE_MISSED + 1]; // by job and outcome
    uint64_t orders, order_wait_ms, order_wait_max_ms; // granted to those who place them by themselves
};

// Numbers are written as the first, second … that the story saw.
struct numbering {
    uint64_t seen[NUMBERS_MAX]; // in the order of appearance
    size_t count;               // of them
};

struct world {
    struct core_resource_config resource;       // there is one: "erp"
    struct core_job_config jobs[JOBS_MAX_TOLD]; // their names are in job_names
    char job_names[JOBS_MAX_TOLD][32];          // of the jobs
    bool removed[JOBS_MAX_TOLD];                // not in the config any more
    struct {
        uint64_t run;
        uint32_t attempt;
        bool taken;                                // a service that works by itself has done it
    } due[JOBS_MAX_TOLD];                          // the last tick of each
    size_t job_count;                              // of them
    uint32_t waiters_max, calls_max, sessions_max; // limits of tables
    struct core *core;                             // NULL while the broker is down
    void *memory;                                  // of the core
    struct entry entries[ENTRIES_MAX];             // the journal
    int64_t boot_ms;                               // the clocks
    int64_t wall_ms;
    int64_t start_ms;                   // BOOTTIME at which the story began
    int64_t next_second;                // BOOTTIME at which clients act by themselves
    uint64_t durable;                   // updates are durable at once
    struct client clients[CLIENTS_MAX]; // the first client_count are in use
    size_t client_count;
    struct numbering tokens, runs;
    bool timed;  // lines say when
    bool silent; // what is asked without being told of
    bool quiet;  // nothing is written down, only counted
    struct tally tally;
    struct buffer trace; // lines since the last look
};

void world_init(struct world *self);
void world_free(struct world *self);

// Starts the broker on what the journal holds; ends it as a crash would, or cleanly.
void world_start(struct world *self);
void world_crash(struct world *self);
void world_stop(struct world *self);

// Gives the broker the config as it now stands, as a reload does; `client` asked for it, or NULL.
void world_reload(struct world *self, struct client *client);

// Lets time pass, with all that happens in it.
void world_pass(struct world *self, int64_t duration_ms);

// The client of that name; made at first.
struct client *world_client(struct world *self, const char *name);
size_t world_job(const struct world *self, const char *name);

// Sends a request of the client in its session, with the next id.
void world_send(struct world *self, struct client *client, Sb__Request *request);
void world_hello(struct world *self, struct client *client, const uint64_t *leases, size_t lease_count,
                 const uint64_t *runs, size_t run_count);
void world_ask(struct world *self, struct client *client, struct wish *wish, uint32_t poll_ms);
void world_renew(struct world *self, struct client *client, struct wish *wish);
void world_lose(struct world *self, struct client *client);
// A new wish of the client: for the exclusive lease, or for the turn of the job's run. Asked by the caller.
struct wish *world_wish(struct world *self, struct client *client, size_t job);
void world_give_back(struct world *self, struct client *client, struct wish *wish, bool yields);
void world_report(struct world *self, struct client *client, size_t job, Sb__Result *result);
struct wish *world_wish_of_token(struct client *client, uint64_t token);

#endif
