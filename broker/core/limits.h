// Every limit of the core, and how they hang together.
#ifndef SYNCBUS_BROKER_CORE_LIMITS_H
#define SYNCBUS_BROKER_CORE_LIMITS_H

#include <assert.h>

enum {
    NAME_MAX_SIZE = 64,  // bytes of a name
    TEXT_MAX_SIZE = 160, // bytes of a line for people that the core keeps; longer ones are cut

    JOBS_MAX = 100000,
    RESOURCES_MAX = 256,
    SESSIONS_MAX = 65536,
    WAITERS_MAX = 65536,
    CALLS_MAX = 65536,
    LEASES_MAX = 1024, // held at once, over all resources

    SESSION_JOBS_MAX = 64,  // jobs that one session may run
    SESSION_SERVES_MAX = 8, // calls that it may answer
    SESSION_REPLIES = 32,   // kept for repeats

    TICKS_A_BEAT = 64,   // due runs that are published again with a beat
    SNAPSHOT_JOBS = 200, // jobs in one State
    SNAPSHOT_SERVICES = 512,
    HISTORY_PAGE = 1000, // runs or ledger entries in one reply
    BLOCKERS_TOLD = 16,  // in one message

    NUMBER_BLOCK = 65536,          // tokens, runs and tickets that are reserved at a time
    NUMBER_LOW = NUMBER_BLOCK / 2, // fewer left: the next block is reserved

    CALL_TIMEOUT_MS = 10000, // unless the call says
    CALL_TIMEOUT_MAX_MS = 60000,
    WAITER_SILENCE_MS = 2000, // the least silence after which a waiter is dropped
    REFUSE_BACKOFF_MS = 5000, // from a pause that failed to the next one
    STOP_LOOK_MS = 5,         // between two looks whether a clean stop is stored
    BEATS_REPEATED = 3,       // a beat repeats the seqs of topics that changed within so many
    ATTEMPTS = 2,             // of a run

    ARENA_SIZE = 4 * 1024 * 1024, // bytes for the messages of one step
    PUBLICATIONS_A_STEP = 2048,
    RECORDS_A_STEP = 2048,
    ROOM_A_JOB = 8, // publications or records that one job can make at once
};

static_assert(LEASES_MAX < RECORDS_A_STEP, "a clean stop stores every lease in one step");
static_assert(NUMBER_LOW < NUMBER_BLOCK, "a block is reserved before the last one is used up");
static_assert(TICKS_A_BEAT * ROOM_A_JOB <= PUBLICATIONS_A_STEP, "a beat's ticks fit into a step");

#endif
