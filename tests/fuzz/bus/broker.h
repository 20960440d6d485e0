// The real core with a journal that commits when it is told to, and the simulator's judges beside it: after
// each step the core checks itself, and they check what it said, stored and gave out.
#ifndef SYNCBUS_TESTS_FUZZ_BUS_BROKER_H
#define SYNCBUS_TESTS_FUZZ_BUS_BROKER_H

#include "broker/core/core.h"
#include "tests/fuzz/bus/stand_in.h"

enum { BUS_JOBS = 3, BUS_RESOURCES = 2 };

extern const char *const bus_jobs[BUS_JOBS];
extern const char *const bus_resources[BUS_RESOURCES];

// The settle time of each job's turns.
enum { BUS_SETTLE_MS = 250 };

// What reached a client.
struct bus_news {
    uint64_t update;  // that must be durable first; 0: none
    size_t client;    // whom; BUS_CLIENTS: all
    uint64_t id;      // of the request that it answers
    bool waits;       // it is the answer to a wish that waits on
    uint64_t session; // of a welcome; 0: none
    uint64_t token;   // of a grant; 0: none
    bool renewed;     // a lease lives on
    int64_t ttl_ms;   // of a grant or renewal
    uint64_t ticket;  // of a wait
    bool no_session;  // the request was not heard: say hello first
    const char *job;  // of a tick; NULL: none
    uint64_t run;     // of it
    uint32_t attempt; // of it
};

// Called for each piece of news.
typedef void bus_hear(const struct bus_news *news);

// A new world with this config, begun at that time; ended by bus_end.
void bus_begin(uint8_t how, int64_t boot_ms, int64_t wall_ms,
               struct syncbus_client *const clients[BUS_CLIENTS], bus_hear *hear);
void bus_end(void);

// Gives the core one event, at the time that it is.
void bus_step(struct core_event *event);

// All that was decided is on disk now, and what waited for that is heard.
void bus_commit(void);

// Time passes, with all that happens by itself meanwhile.
void bus_pass(int64_t duration_ms);
// The wall clock jumps.
void bus_jump(int64_t ms);
int64_t bus_boot_ms(void);
int64_t bus_wall_ms(void);

// The broker is killed, and what it had not committed is gone; or ends cleanly. It starts again with a
// config.
void bus_kill(uint8_t how);
void bus_restart(uint8_t how);
void bus_reload(uint8_t how);

#endif
