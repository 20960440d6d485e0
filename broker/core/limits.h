// Every limit of the core, and how they hang together.
#ifndef SYNCBUS_BROKER_CORE_LIMITS_H
#define SYNCBUS_BROKER_CORE_LIMITS_H

#include "broker/core/core.h"

#include <assert.h>

enum {
    INSTANCE_NAME_SIZE = 16 + 1,
    NAME_MAX_SIZE = 64,  // bytes of a name
    TEXT_MAX_SIZE = 160, // bytes of a line for people that the core keeps; longer ones are cut

    JOBS_MAX = 100000,
    RESOURCES_MAX = 256,
    SESSIONS_MAX = 65536,
    WAITERS_MAX = 65536,
    CALLS_MAX = 65536,
    LEASES_MAX = 1024,                // held at once, over all resources
    PAUSES_KEPT = 64,                 // for the history, between two beats
    HOLDS_MAX = 256,                  // that lie at once
    ALERTS_BESIDE_JOBS = 1024,        // raised at once, beside one for each job
    ALERTS_FREE_AGAIN = 64,           // places that a full table of alerts has when it is full no more
    ALERT_ID_SIZE = 20 + 1 + 160 + 1, // bytes: kind, ".", subject, 0

    PROCESSES_A_SESSION = 2, // remembered, so that a late word of an earlier one is known as such
    SESSION_JOBS_MAX = 64,   // jobs that one session may run
    SESSION_SERVES_MAX = 8,  // calls that it may answer
    SESSION_REPLIES = 32,    // kept for repeats

    BEAT_TOPICS = 4096,  // whose seqs one beat repeats
    TICKS_A_BEAT = 64,   // due runs that are published again with a beat
    SNAPSHOT_JOBS = 200, // jobs in one State
    SNAPSHOT_SERVICES = 512,
    SNAPSHOT_ALERTS = 512,
    ETA_MAX_MS = 7 * 24 * 3600 * 1000, // a longer one is not known
    HISTORY_PAGE = 1000,               // runs or ledger entries in one reply
    BLOCKERS_TOLD = 16,                // in one message

    NUMBER_BLOCK = 65536,          // tokens, runs and tickets that are reserved at a time
    NUMBER_LOW = NUMBER_BLOCK / 2, // fewer left: the next block is reserved

    CALL_TIMEOUT_MS = 10000, // unless the call says
    CALL_TIMEOUT_MAX_MS = 60000,
    WAITER_SILENCE_MS = 2000,           // the least silence after which a waiter is dropped
    SETTLE_MAX_MS = 3600 * 1000,        // the longest that an ERP may go on after its lease
    TICKETS_HONOURED_MS = 120 * 1000,   // from a start, for waiters to come back to their place
    REFUSE_BACKOFF_MS = 5000,           // from a pause that failed to the next one
    LOOK_MS = 5,                        // between two looks whether something is stored that is waited for
    QUIET_MS = 2000,                    // in which more triggers of a webhook merge
    QUIET_END_MS = 10 * QUIET_MS,       // and no longer than this
    EXPIRED_TOLD_MS = 24 * 3600 * 1000, // how long a client's lease that was not given back is told of
    FAILING_RUNS = 3,                   // so many in a row raise an alert
    CLOCK_STEP_MS = 1000, // the wall clock was set if it moved by more than this against BOOTTIME
    CLOCK_AHEAD_MAX_MS = 24 * 3600 * 1000, // a clock that was further ahead of this one was wrong
    BEATS_REPEATED = 3,                    // a beat repeats the seqs of topics that changed within so many
    ATTEMPTS = 2,                          // of a run

    ARENA_SIZE = 4 * 1024 * 1024, // bytes for the messages of one step
    PUBLICATIONS_A_STEP = 2048,
    RECORDS_A_STEP = 2048,
    ROOM_A_JOB = 8, // publications or records that one job can make at once
};

static_assert((int)ALERT_ID_SIZE <= (int)CORE_KEY_MAX, "an alert's name is its key");
static_assert(LEASES_MAX + HOLDS_MAX + ROOM_A_JOB <= RECORDS_A_STEP,
              "a start can delete every lease and hold that the journal has");
static_assert(LEASES_MAX < RECORDS_A_STEP, "a clean stop stores every lease in one step");
static_assert(RESOURCES_MAX * ROOM_A_JOB / 2 <= PUBLICATIONS_A_STEP / 2,
              "a reload changes every resource at once");
static_assert(NUMBER_LOW < NUMBER_BLOCK, "a block is reserved before the last one is used up");
static_assert(TICKS_A_BEAT * ROOM_A_JOB <= PUBLICATIONS_A_STEP, "a beat's ticks fit into a step");

#endif
