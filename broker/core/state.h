// The core's state, for its own files alone.
#ifndef SYNCBUS_BROKER_CORE_STATE_H
#define SYNCBUS_BROKER_CORE_STATE_H

#include "broker/core/core.h"
#include "broker/core/limits.h"
#include "proto/base/histogram.h"

#include "store.pb-c.h"

// A topic's counter (I11): seq, and the beat within which it last changed.
struct topic {
    uint64_t seq;
    uint64_t beat;
};

// Numbers that are given out in blocks.
struct numbers {
    uint64_t next;     // to give out
    uint64_t end;      // of what is stored durably
    uint64_t reserved; // end of what was asked to be stored
};

// One run: open in job.current, waiting behind it in job.further, or the last one that ended.
struct run {
    uint64_t number;      // 0: there is none
    int64_t slot_ms;      // 0: of no slot
    Sb__Cause cause;      // why it came
    Sb__Stage stage;      // where it stands; FAILED or LOST with retry_boot: between two attempts
    uint32_t attempt;     // from 1
    uint32_t yields;      // so far
    int64_t due_ms;       // Unix ms when it became due
    int64_t due_boot;     // the same in BOOTTIME: its age in the queue
    int64_t ended_ms;     // Unix ms; 0 while open
    int64_t queued_since; // BOOTTIME when it last began to wait for a turn; 0: not waiting
    uint64_t queued_ms;   // waited in all
    uint64_t done, total; // progress as last told
    uint64_t instance;    // that took it; 0: nobody
    int64_t seen_boot;    // when that instance was last known to live
    int64_t retry_boot;   // BOOTTIME of the next attempt; 0: none
    char service[NAME_MAX_SIZE + 1];
    char detail[TEXT_MAX_SIZE + 1];
    char why[TEXT_MAX_SIZE + 1]; // of its last attempt's end, unless it was good
};

struct job {
    struct core_job_config config; // its name points to name
    char name[NAME_MAX_SIZE + 1];
    struct run current;     // the open one
    struct run further;     // asked for while another was under way
    struct run last;        // the last that ended
    Sb__Result last_result; // of it; its error points to last_error
    char last_error[TEXT_MAX_SIZE + 1];
    bool has_result;         // the last run had one
    bool mended;             // the last run was LOST and then reported well
    int64_t last_slot_ms;    // the last slot that was recorded; 0: none
    int64_t next_slot_ms;    // the next one
    bool is_new;             // the journal does not know it yet
    bool is_starting;        // what its start makes due was not looked at yet
    int64_t last_due_boot;   // BOOTTIME of the last due run: the pace while the wall clock stands back
    int64_t last_success_ms; // Unix ms
    uint64_t runs, failures; // counts, as in JobState
    uint32_t failing_in_a_row;
    uint64_t overlaps, skipped, coalesced, missed;
    uint64_t seen, unchanged; // records, over all good runs
    struct histogram duration, queued, blocked_others;
    uint64_t held_ms, held_count; // of shared leases that were not cut short, for ETAs
    struct topic tick, run, change;
};

enum pause_phase { PAUSE_NONE, PAUSE_DRAINING, PAUSE_EXCLUSIVE };

struct resource {
    struct core_resource_config config; // its name points to name
    char name[NAME_MAX_SIZE + 1];
    int64_t recovering_until; // BOOTTIME; 0: not recovering
    enum pause_phase phase;
    uint64_t pause;         // the pause's number
    int64_t pause_since;    // BOOTTIME
    int64_t pause_since_ms; // Unix ms
    int64_t drain_since;    // BOOTTIME when draining for the present waiter began
    int64_t streak_since;   // BOOTTIME when the pauses in a row began
    bool guard;             // syncs that are stale get a turn before the next pause
    int64_t refused_until;  // BOOTTIME before which no pause starts after one that failed; 0: none
    uint64_t exclusive_held_ms, exclusive_count; // for ETAs
    struct topic pause_topic, resume_topic, lease_topic;
};

struct lease {
    uint64_t token;
    uint32_t resource; // index
    Sb__Mode mode;
    uint32_t job; // index, JOB_NONE for an exclusive lease
    uint64_t run;
    uint32_t attempt;
    uint64_t claim;
    uint64_t instance;    // of the holder
    int64_t granted_boot; // BOOTTIME
    int64_t end_boot;     // BOOTTIME by which it ends unless renewed
    int64_t settle_ms;    // added to grant_delay unless it is given back
    int64_t moved_boot;   // BOOTTIME when `done` last moved
    uint64_t done, total;
    int64_t waited_ms;
    bool refused; // not renewed any more
    bool guarded; // a turn of the streak's guard: not asked to yield
    bool stored;  // it lies in the journal
    char holder[NAME_MAX_SIZE + 1];
    char reason[TEXT_MAX_SIZE + 1];
};

struct waiter {
    uint64_t claim;
    uint64_t ticket;
    uint32_t resource; // index
    Sb__Mode mode;
    uint32_t job; // index, JOB_NONE for an exclusive one
    uint64_t run;
    uint32_t attempt;
    uint64_t instance;
    uint64_t session;
    int64_t since_boot;  // BOOTTIME: of the run's DUE for shared ones, of the first asking for others
    int64_t asked_boot;  // BOOTTIME of the first asking
    int64_t until_boot;  // gives up then; INT64_MAX: never
    int64_t poll_ms;     // as asked, at most ttl/4
    int64_t answer_boot; // while a request is pending: when it is answered with Waiting
    int64_t drop_boot;   // while none is: when the place is lost
    uint64_t peer;       // of the pending request
    uint64_t request;    // its id
    bool pending;        // a request of it is unanswered
    bool timed_out;      // the pause failed between two of its requests: the next one is told so
    int64_t settle_ms;
    char holder[NAME_MAX_SIZE + 1];
    char reason[TEXT_MAX_SIZE + 1];
};

// A reply to repeat.
struct kept_reply {
    uint64_t request; // id; 0: none
    Sb__Code code;    // as it was answered
    uint64_t run;     // of a trigger; 0: another change
    bool merged;      // of a trigger
};

struct session {
    uint64_t number; // 0: free
    uint64_t peer;   // 0: not reachable at present
    uint64_t instance, process, host;
    int64_t seen_boot;
    int64_t seen_ms; // Unix ms
    uint32_t jobs[SESSION_JOBS_MAX];
    size_t job_count;
    char serves[SESSION_SERVES_MAX][NAME_MAX_SIZE + 1];
    size_t serve_count;
    struct kept_reply kept[SESSION_REPLIES];
    size_t kept_next;
    char name[NAME_MAX_SIZE + 1];
    char version[NAME_MAX_SIZE + 1];
};

struct owner {
    char name[NAME_MAX_SIZE + 1]; // entity or call name; "": free
    uint64_t instance;
    char holder[NAME_MAX_SIZE + 1];
};

struct call {
    uint64_t number;
    uint64_t peer, request; // of the caller
    uint64_t session;       // that answers it
    int64_t until_boot;
    char service[NAME_MAX_SIZE + 1];
};

enum { JOB_NONE = 0xffffffff };

// Memory of one step.
struct arena {
    char *data;
    size_t used;
};

struct core {
    struct core_config config; // as given; its strings were copied
    char version[NAME_MAX_SIZE + 1];
    char profile[NAME_MAX_SIZE + 1];

    int64_t boot_ms, wall_ms; // of the event under way
    uint64_t durable;         // as the event says
    uint64_t update_number;   // of the update under way
    uint64_t epoch;
    uint64_t session_count_ever;
    uint64_t call_count_ever;
    uint64_t pause_count_ever;
    int64_t started_ms;
    int64_t ttl_before_ms; // recovering: the longest that a lease of an earlier epoch can live
    int64_t next_beat;     // BOOTTIME
    uint64_t beat;
    bool started, stopping;
    bool is_behind;          // the last TIME had more to do than fits into a step
    uint64_t stop_update;    // the update that stores the clean stop
    uint64_t numbers_update; // the update that stores the last reservation
    struct numbers tokens, runs, tickets;
    uint64_t tokens_first;  // the first token of this epoch
    uint64_t tickets_first; // and the first ticket

    struct resource *resources;
    struct job *jobs;
    struct session *sessions; // a session's place is its number modulo sessions_max
    uint32_t *present;        // the places in use, the first present_count
    size_t present_count;
    struct waiter *waiters; // the first waiter_count are in use
    size_t waiter_count;
    struct lease *leases; // the first lease_count are in use
    size_t lease_count, lease_max;
    struct call *calls; // the first call_count are in use
    size_t call_count;
    struct owner *owners; // the first owner_count are in use
    size_t owner_count, owner_max;
    struct topic order_topics[SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON + 1];
    struct topic beat_topic;

    struct arena arena;
    struct core_reply *replies;
    struct core_publication *publications;
    struct core_record *records;
    struct core_read *reads;
    size_t reply_count, reply_max, publication_count, record_count, read_count;
};

// ---------------------------------------------------------------- update.c: what a step gives

// Zeroed memory until the next step.
void *arena_take(struct core *self, size_t size);
char *arena_text(struct core *self, const char *text);
char *arena_print(struct core *self, const char *format, ...) SB_PRINTF(2, 3);

// Copies a text and cuts it, on a whole character, at size - 1 bytes.
void text_copy(char *ret, size_t size, const char *text);

// Whether one more job's worth of publications and records fits.
bool update_has_room(const struct core *self);

// Adds a reply with this id and code; gives the message for its body. `text` may be NULL.
Sb__Reply *reply_add(struct core *self, uint64_t peer, uint64_t request, Sb__Code code, const char *text);
// Makes the last reply wait for this step's records.
void reply_durable(struct core *self);

// Adds a publication on a topic of the given kind and counts it; gives the event for its body.
Sb__Event *publish(struct core *self, struct topic *topic, const char *kind, const char *name, bool durable);

// Adds a record; `value` NULL deletes.
void record_add(struct core *self, enum core_table table, const void *key, size_t key_size,
                const ProtobufCMessage *value);
size_t key_number(uint8_t key[CORE_KEY_MAX], uint64_t number);
size_t key_slot(uint8_t key[CORE_KEY_MAX], const char *job, int64_t slot_ms);

// ---------------------------------------------------------------- numbers.c: tokens, runs, tickets, META

// The next number, or 0 while none is stored durably.
uint64_t number_next(struct core *self, struct numbers *numbers);
// Reserves the next blocks if one runs low, and takes over what has become durable.
void numbers_keep(struct core *self);
void meta_store(struct core *self, bool clean);

// ---------------------------------------------------------------- schedule.c: slots

int64_t slot_after(const struct core_job_config *config, int64_t time_ms);
// Makes due what is due; true if nothing is left over for want of room.
bool schedule_begin(struct core *self);
bool schedule_advance(struct core *self);
int64_t schedule_deadline(const struct core *self);
void ledger_write(struct core *self, const struct job *job, int64_t slot_ms, uint64_t slots,
                  Sb__Stage outcome, uint64_t run, int64_t late_ms, const char *why);
void job_store(struct core *self, const struct job *job);

// ---------------------------------------------------------------- run.c: a run's life

struct job *job_find(const struct core *self, const char *name);
uint32_t job_index(const struct core *self, const struct job *job);
// True when the job has a run that has not ended, whatever its stage.
bool run_is_open(const struct job *job);
// Makes a run due now; nothing if no number is to be had yet (it is tried again).
bool run_begin(struct core *self, struct job *job, int64_t slot_ms, Sb__Cause cause, const char *detail);
void run_publish_tick(struct core *self, struct job *job);
void run_stage(struct core *self, struct job *job, Sb__Stage stage);
// Ends the open run with an outcome that is final.
void run_end(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result,
             const char *why);
// An attempt failed or was lost: the next one after retry_after, or the end.
void run_attempt_failed(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result,
                        const char *why);
void run_store(struct core *self, const struct job *job, const struct run *run);
// Takes what time brings: retries, runs whose service is gone.
bool runs_advance(struct core *self);
int64_t runs_deadline(const struct core *self);
void run_report(struct core *self, uint64_t peer, const struct session *session, const Sb__Request *request);
void run_trigger(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request);

// ---------------------------------------------------------------- lease.c, queue.c, pause.c: turns

struct resource *resource_find(const struct core *self, const char *name);
void lease_acquire(struct core *self, uint64_t peer, const struct session *session,
                   const Sb__Request *request);
void lease_renew(struct core *self, uint64_t peer, const struct session *session, const Sb__Request *request);
void lease_release(struct core *self, uint64_t peer, const struct session *session,
                   const Sb__Request *request);
// BOOTTIME until which renewals are accepted.
int64_t lease_renewable_boot(const struct core *self, const struct lease *lease);
void lease_refuse_other(struct core *self, uint64_t peer, const Sb__Request *request);
struct waiter *waiter_by_claim(const struct core *self, uint64_t claim);
void lease_withdraw(struct core *self, uint64_t peer, const struct session *session,
                    const Sb__Request *request);
struct lease *lease_find(const struct core *self, uint64_t token);
struct lease *lease_by_claim(const struct core *self, uint64_t claim);
void lease_grant(struct core *self, size_t waiter);
// Takes the lease out of the table and tells of it.
void lease_end(struct core *self, size_t index, Sb__LeaseChange change);
// BOOTTIME from which nobody need mind the lease any more unless it is renewed.
int64_t lease_free_boot(const struct core *self, const struct lease *lease);
void lease_store(struct core *self, struct lease *lease);
bool leases_advance(struct core *self);
int64_t leases_deadline(const struct core *self);
void leases_of_instance_end(struct core *self, uint64_t instance, const Sb__Hello *hello);

void waiter_remove(struct core *self, size_t index);
// Drops the waiters of a run that has ended, and those of a process that is gone.
void waiters_of_run_end(struct core *self, uint32_t job, uint64_t run);
void waiters_of_instance_end(struct core *self, uint64_t instance);
// The pause failed: every exclusive waiter of the resource is refused with this reply, now or when it asks
// again.
void waiters_time_out(struct core *self, uint32_t resource, const char *text);
void waiter_answer_timed_out(struct core *self, uint64_t peer, uint64_t request, uint32_t resource,
                             const char *text);
void waiter_answer_waiting(struct core *self, struct waiter *waiter);
bool waiters_advance(struct core *self);
int64_t waiters_deadline(const struct core *self);
// The first in line of a mode, or SIZE_MAX; for SHARED only those that may be granted now.
size_t queue_first(const struct core *self, uint32_t resource, Sb__Mode mode);
uint32_t queue_position(const struct core *self, const struct waiter *waiter);
size_t queue_count(const struct core *self, uint32_t resource, Sb__Mode mode);

// Grants, starts and ends pauses: whatever the resource's state now allows.
void resource_advance(struct core *self, uint32_t resource);
void pauses_advance(struct core *self);
int64_t pauses_deadline(const struct core *self);
// BOOTTIME at which a draining pause fails; INT64_MAX if no sync is in its way.
int64_t pause_limit(const struct core *self, const struct resource *resource);
size_t leases_of(const struct core *self, uint32_t resource, Sb__Mode mode);
// Whether the holder of a shared lease is asked to give it back now.
bool lease_should_yield(const struct core *self, const struct lease *lease);

// ---------------------------------------------------------------- registry.c, route.c: who is there

struct session *session_find(const struct core *self, uint64_t number);
struct session *session_of_instance(const struct core *self, uint64_t instance);
struct session *session_serving(const struct core *self, const char *service);
bool session_has_job(const struct core *self, const struct session *session, const struct job *job);
void session_hello(struct core *self, uint64_t peer, const Sb__Request *request);
void session_bye(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request);
void sessions_expire(struct core *self);
void sessions_lose_peer(struct core *self, uint64_t peer);
struct owner *owner_find(const struct core *self, const char *name);

// The second word of the topic that tells of orders with this status.
const char *order_topic(Sb__OrderStatus status);
void route_call(struct core *self, uint64_t peer, const Sb__Request *request);
void route_answer(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request);
void route_publish(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request);
// The calls that a service will not answer any more.
void route_session_gone(struct core *self, uint64_t session);
void route_session_moved(struct core *self, uint64_t from, uint64_t to);
bool route_advance(struct core *self);
int64_t route_deadline(const struct core *self);

// ---------------------------------------------------------------- view.c: the state as messages

Sb__ResourceState *view_resource(struct core *self, const struct resource *resource);
Sb__RunState *view_run(struct core *self, const struct job *job, const struct run *run);
// Those who hold the resource, at most BLOCKERS_TOLD.
void view_blockers(struct core *self, uint32_t resource, Sb__Blocker ***ret, size_t *ret_count);
int64_t view_eta(const struct core *self, const struct waiter *waiter);
bool resource_is_open(const struct core *self, const struct resource *resource);
Sb__State *view_welcome(struct core *self, const struct session *session);
void view_snapshot(struct core *self, uint64_t peer, const Sb__Request *request);
void view_runs(struct core *self, uint64_t peer, const Sb__Request *request);
void view_ledger(struct core *self, uint64_t peer, const Sb__Request *request);

// ---------------------------------------------------------------- beat.c

void beat_advance(struct core *self);

// ---------------------------------------------------------------- recover.c: start and stop

void recover_start(struct core *self, const struct core_event *event);
void recover_stop(struct core *self);

#endif
