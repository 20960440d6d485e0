// What a sync does next: one run of one job, from its tick to its result, as a pure state machine.
//
//   IDLE ──► DUE ──► QUEUED ──► FETCHING ──► APPLYING ──► SUCCEEDED
//                    ▲  ▲  │        │  │         └──────► FAILED ◄── (fetch failed)
//                    │  │  └► DUE   │  └► QUEUED (lease lost)
//                    │  └─ YIELDED ◄┘ (at once, or when the page in hand has come)
//                    └─ (a new attempt begins at DUE from any state but APPLYING)
//
// A shared lease is held in FETCHING only. A run that has ended stays as SUCCEEDED or FAILED until the next
// tick, so that a repeated tick of it is known and ignored. Reports are the store's matter, not this
// machine's: they outlive the process.
//
// Pure: no clock, no I/O, no memory of its own. One thread.
#ifndef SYNCBUS_SERVICES_SYNC_MACHINE_H
#define SYNCBUS_SERVICES_SYNC_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sync_state {
    SYNC_IDLE, // no run was taken yet, or the broker took it back
    SYNC_DUE,  // a run is to be queued; waits out a refusal
    SYNC_QUEUED,
    SYNC_FETCHING,
    SYNC_YIELDED,
    SYNC_APPLYING,
    SYNC_SUCCEEDED,
    SYNC_FAILED,
    SYNC_STATE_COUNT
};

// How long a refused wish waits before the next one.
enum { SYNC_RETRY_MS = 1000 };

enum sync_event_kind {
    SYNC_EVENT_TICK,    // run, attempt
    SYNC_EVENT_GRANTED, // token
    SYNC_EVENT_REFUSED, // over: the run will never be granted here
    SYNC_EVENT_YIELD,   // a priority operation waits
    SYNC_EVENT_LOST,    // the lease is over
    SYNC_EVENT_PART,    // a page came, and there are more
    SYNC_EVENT_FETCHED, // ok
    SYNC_EVENT_APPLIED, // ok
    SYNC_EVENT_TIME,    // sync_machine_deadline has come
    SYNC_EVENT_STOP,    // the process is to end
};

struct sync_event {
    enum sync_event_kind kind;
    int64_t now_ms;   // BOOTTIME
    uint64_t run;     // TICK
    uint32_t attempt; // TICK
    uint64_t token;   // GRANTED
    bool over;        // REFUSED: the broker knows no such open run; false: ask again later
    bool ok;          // FETCHED, APPLIED
};

// What the shell must do, in the order given.
enum sync_action {
    SYNC_ACTION_BEGIN,    // the run (run, attempt) was taken: say so in each Hello, forget what was fetched
                          // before
    SYNC_ACTION_ACQUIRE,  // a new claim for a shared lease
    SYNC_ACTION_WITHDRAW, // give the claim up, with whatever it got
    SYNC_ACTION_FETCH,    // begin the next transfer, or go on where one was cut
    SYNC_ACTION_CUT,      // end the transfer at once and keep what can be resumed
    SYNC_ACTION_RELEASE,  // the lease, for good
    SYNC_ACTION_YIELD,    // the lease, to ask again
    SYNC_ACTION_APPLY,    // what was fetched
    SYNC_ACTION_RECORD,   // the fetch failed: store and report that result
    SYNC_ACTION_DROP,     // the run is not ours any more: nothing is to be reported
};

enum { SYNC_ACTIONS_MAX = 6 };

struct sync_update {
    enum sync_action actions[SYNC_ACTIONS_MAX];
    size_t count;
};

// What a fetch does when a priority operation waits.
enum sync_yield {
    SYNC_YIELD_NEVER, // ends first
    SYNC_YIELD_PART,  // lets the page in hand end, and steps aside before the next one
    SYNC_YIELD_CUT,   // steps aside at once
};

// How the job was configured.
struct sync_options {
    enum sync_yield yield;
    uint32_t max_yields; // then a run finishes its fetch
};

struct sync_machine {
    struct sync_options options;
    enum sync_state state;
    uint64_t run;          // the run in hand, or the last one; 0: none
    uint32_t attempt;      // its attempt
    uint64_t token;        // of its last lease; what the store's transaction carries
    uint32_t yields;       // of this attempt
    bool asked;            // FETCHING: a priority operation waits for the end of the page in hand
    int64_t retry_ms;      // DUE: when to queue (again)
    uint64_t next_run;     // a tick that came while APPLYING, 0: none
    uint32_t next_attempt; // its attempt
    bool stopping;         // no more runs are taken
};

// An idle machine. `run` and `attempt` name the last run that the store has a result of (0: none): its tick
// is no news.
void sync_machine_init(struct sync_machine *self, const struct sync_options *options, uint64_t run,
                       uint32_t attempt);

// Takes one event; what is to be done comes in `ret`. Events that do not fit the state (late ones) do
// nothing.
void sync_machine_step(struct sync_machine *self, const struct sync_event *event, struct sync_update *ret);

// BOOTTIME ms of the next TIME event; INT64_MAX: none.
int64_t sync_machine_deadline(const struct sync_machine *self);

// True when no run is in hand, so that a STOP would cut none.
bool sync_machine_is_idle(const struct sync_machine *self);

// True when after a STOP nothing is under way any more.
bool sync_machine_stopped(const struct sync_machine *self);

// The state's name, as in the wire's stages, in lower case.
const char *sync_state_name(enum sync_state state);

#endif
