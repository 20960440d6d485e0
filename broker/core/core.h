// The broker's decisions: one pure state machine.
//
//   event (time, request, config, what was stored) ──► core_step ──► update (replies, publications, records,
//   reads)
//
// It reads no clock, does no I/O and allocates nothing after core_init: its memory is given to it, each table
// with the capacity that the config names. Whoever runs it (net and journal in the broker, the simulator in
// the tests) keeps this contract:
//   1. Events come with times that never fall (boot_ms) and with the number of the last batch of records that
//   is
//      durable. After the START event nothing may be sent before its records are durable.
//   2. Records of one update are stored together, in the order of updates, any number of updates in one
//   transaction.
//   3. A reply or publication marked `durable` is sent only when the records of its own update are durable; a
//   reply that
//      is not goes out at once. Publications of one topic kind (the word before the dot) are all marked alike
//      and stay in order, so that a client never sees a seq out of turn.
//   4. What an update points to belongs to the core and is valid until the next call.
#ifndef SYNCBUS_BROKER_CORE_H
#define SYNCBUS_BROKER_CORE_H

#include "proto/base/err.h"

#include "store.pb-c.h"
#include "syncbus.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;

// A resource, as configured; see proto/io/config.h for the words. Names are at most 64 bytes and are copied.
struct core_resource_config {
    const char *name;
    uint32_t capacity;
    int64_t lease_ttl_ms;
    int64_t grant_delay_ms;
    int64_t max_exclusive_ms;
    int64_t max_exclusive_streak_ms;
    int64_t aging_ms;
    bool revokes; // a pause that cannot complete revokes the leases in its way; false: it is refused
};

// A job, as configured.
struct core_job_config {
    const char *name;
    uint32_t resource; // index into the resources
    int64_t every_ms;
    int64_t offset_ms;
    uint32_t priority;
    int64_t pause_timeout_ms;
    uint32_t max_yields;
    bool yields; // false: policy `finish`, the run is never asked to yield and its lease is waited for
    int64_t stall_ms;
    int64_t settle_ms;
    int64_t retry_after_ms;
    int64_t fresh_within_ms;
    int64_t max_duration_ms;
    bool queues_overlap; // a slot in the job's own run waits behind it; false: it is skipped
    bool catches_up;     // slots missed while the broker was down get one run; false: none
};

struct core_config {
    const struct core_resource_config *resources;
    size_t resource_count;
    const struct core_job_config *jobs;
    size_t job_count;
    uint32_t jobs_max; // room for those of a reload; at least job_count
    uint32_t resources_max;
    int64_t beat_ms;
    int64_t session_ttl_ms;
    uint32_t sessions_max;
    uint32_t waiters_max; // over all resources
    uint32_t calls_max;   // pending at once
    const char *version;
    const char *profile;
};

// Tables of the journal. The key of each is bytes; the value a message of store.proto.
enum core_table {
    CORE_TABLE_META,     // "meta" → StoredMeta: epoch, blocks of numbers, clean stop, largest ttl
    CORE_TABLE_JOB,      // job name → StoredJob: last slot, figures
    CORE_TABLE_RUN,      // number → StoredRun: open and ended runs
    CORE_TABLE_LEDGER,   // job name, 0, big-endian slot → StoredLedgerEntry
    CORE_TABLE_OWNER,    // entity or call name → StoredOwner
    CORE_TABLE_LEASE,    // big-endian token → StoredLease
    CORE_TABLE_HOLD,     // big-endian number → StoredHold
    CORE_TABLE_ALERT,    // kind, ".", subject → StoredAlert
    CORE_TABLE_RESOURCE, // resource name → StoredResource
    CORE_TABLE_FIGURES,  // job name → StoredFigures
    CORE_TABLE_PAUSE,    // resource name, 0, big-endian time in 1/1024 ms → StoredPause
    CORE_TABLE_COUNT
};

enum { CORE_KEY_MAX = 192 };

// One change of the journal.
struct core_record {
    enum core_table table;
    uint8_t key[CORE_KEY_MAX];
    size_t key_size;
    const ProtobufCMessage *value; // NULL: delete
};

// A reply to send. `peer` is the number under which the request came.
struct core_reply {
    uint64_t peer;
    bool durable;
    const Sb__Reply *reply;
};

// A publication to send.
struct core_publication {
    const char *topic;
    bool durable;
    const Sb__Event *event;
};

// A look into the journal on behalf of a peer (runs, ledger), so that the core holds no history:
// answer with the entries of `table` whose keys lie in [from, to), newest (greatest key) first, at most
// `limit`, made into a reply by core_read_reply.
struct core_read {
    uint64_t peer;
    uint64_t request;
    enum core_table table;
    uint8_t from[CORE_KEY_MAX];
    size_t from_size;
    uint8_t to[CORE_KEY_MAX];
    size_t to_size;
    const char *job; // keep only entries of this job, or resource; NULL for all
    uint32_t limit;
};

// Somebody asked for a reload: the shell reads the config again and gives it with a RELOAD event.
struct core_reload_wish {
    uint64_t peer;
    uint64_t request;
};

// What a step decided. Arrays belong to the core.
struct core_update {
    const struct core_reply *replies;
    size_t reply_count;
    const struct core_publication *publications;
    size_t publication_count;
    const struct core_record *records;
    size_t record_count;
    const struct core_read *reads;
    size_t read_count;
    const struct core_reload_wish *reload; // NULL: nobody asked
};

enum core_event_kind {
    CORE_EVENT_START,     // once, first: what the journal recovered
    CORE_EVENT_REQUEST,   // a request came
    CORE_EVENT_PEER_GONE, // a reply to this peer could not be delivered
    CORE_EVENT_TIME,      // core_deadline has come
    CORE_EVENT_RELOAD,    // the config was read again
    CORE_EVENT_STOP,      // a clean stop begins: no more grants, live leases are journalled
};

// What happened. Everything it points to belongs to the caller and is not kept.
struct core_event {
    enum core_event_kind kind;
    int64_t boot_ms;  // CLOCK_BOOTTIME
    int64_t wall_ms;  // Unix time
    uint64_t durable; // number of the last update (counted from 1 at START) whose records are durable
    union {
        struct {
            const struct core_record
                *records; // all of the tables but LEDGER and PAUSE; of RUN only those that are open
            size_t count;
            uint64_t entropy; // seeds what must be random
        } start;
        struct {
            uint64_t peer;
            const Sb__Request *request;
        } request;
        uint64_t peer_gone;
        struct {
            const struct core_config *config; // resources and jobs are taken from it; NULL: it is refused
            const char *why;                  // then: one line for a person
            struct core_reload_wish wish;     // of whom to answer; peer 0: nobody
            // Without an answer to it the config was not taken: it is asked for again.
        } reload;
    };
};

// Bytes of memory that core_init needs for this config; 0 if a limit of limits.h is passed (with the reason
// in `fault`).
size_t core_size(const struct core_config *config, struct fault *fault);

// Makes a core in `memory` (of core_size bytes, all of them 0, aligned for any type, owned by the caller and
// freed after use).
struct core *core_init(void *memory, const struct core_config *config);

// Takes one event and gives what follows from it in `*ret`, valid until the next call.
void core_step(struct core *self, const struct core_event *event, struct core_update *ret);

// BOOTTIME ms of the next TIME event to give; INT64_MAX for none. May lie in the past: then at once.
int64_t core_deadline(const struct core *self);

// Number of the update that the last step made (its records' batch), from 1.
uint64_t core_update_number(const struct core *self);

// After a STOP: true when nothing is left to wait for, and the process may end.
bool core_stopped(const struct core *self);

// Makes the reply to a read from the stored values found, newest first. Valid until the next call.
const Sb__Reply *core_read_reply(struct core *self, const struct core_read *read,
                                 const ProtobufCMessage *const *values, size_t count);

// Checks the invariants of the whole state (I1, I2, I5, I7 …); a broken one ends the process by assert. For
// tests, and cheap enough to be called after each step of a simulation.
void core_check(const struct core *self);

#endif
