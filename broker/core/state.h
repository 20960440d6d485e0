// The core's state, for its own files alone; parts.h has what they ask of each other.
#ifndef SYNCBUS_BROKER_CORE_STATE_H
#define SYNCBUS_BROKER_CORE_STATE_H

#include "broker/core/core.h"
#include "broker/core/limits.h"
#include "proto/base/heap.h"
#include "proto/base/histogram.h"
#include "proto/base/list.h"
#include "proto/base/names.h"
#include "proto/base/random.h"

#include "store.pb-c.h"

// A topic's counter (I11): seq, and the beat within which it last changed.
struct topic {
    uint64_t seq;
    uint64_t beat;
    const char *kind;    // its first word
    const char *name;    // its second word; "": none
    struct link changed; // in core.changed, the last one to change first
};

// Numbers that are given out in blocks.
struct numbers {
    uint64_t next;     // to give out
    uint64_t end;      // of what is stored durably
    uint64_t reserved; // end of what was asked to be stored
};

// What can be wrong. Each has its topic, alert.<word>.
enum alert_kind {
    ALERT_FAILING,        // a job fails in a row
    ALERT_STALE,          // its data are older than fresh_within
    ALERT_HUNG,           // a run takes longer than max_duration
    ALERT_NO_SERVICE,     // nobody took a run by the next slot
    ALERT_WITHHELD,       // the delete guard withheld deletions
    ALERT_REJECTS,        // a run failed because of too many rejected rows
    ALERT_CLOCK,          // the wall clock stands before the last slot
    ALERT_PAUSE_TIMEOUT,  // a pause of a resource failed
    ALERT_LEASE_EXPIRED,  // a job, or a client of a resource, did not give its lease back
    ALERT_ORDER,          // an order needs a person
    ALERT_ORDERS_STOPPED, // the ERP refuses every order
    ALERT_CONFLICT,       // two want to be the same service
    ALERT_FULL,           // others have no place, and are not told of
    ALERT_KIND_COUNT
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
    int64_t quiet_boot;   // BOOTTIME until which more triggers may merge with it; 0: it does not wait
    int64_t quiet_end;    // and the latest for that
    int64_t began_boot;   // BOOTTIME of the attempt's first grant; 0: none yet
    Sb__Stage before;     // how the attempt before ended
    bool is_unknown;      // its service does not know it any more: it is lost
    bool was_queued; // its slot came while another run was under way: its time is from when it became due
    char service[NAME_MAX_SIZE + 1];
    char detail[TEXT_MAX_SIZE + 1];
    char why[TEXT_MAX_SIZE + 1]; // of its last attempt's end, unless it was good
};

// A run that was LOST: a late report can mend it, once. The number is 0 if there is none.
struct lost_run {
    uint64_t number;
    int64_t slot_ms, due_ms;
    uint32_t attempt;
    Sb__Cause cause;
    uint32_t failing; // failing_in_a_row as of it; 0: a good run came since
};

// How long a job's runs took. They lie beside the jobs, at the same places: what never ran takes no memory of
// the system's.
struct figures {
    struct histogram duration;       // of good runs
    struct histogram queued;         // that they waited for their turns
    struct histogram blocked_others; // that a pause waited for them
};

// A job's place in its table.
enum job_presence { JOB_ABSENT, JOB_CONFIGURED, JOB_RETIRING };

struct job {
    enum job_presence presence;    // ABSENT: the place is free; RETIRING: only what is under way goes on
    bool is_named;                 // by the config that is being taken over
    bool is_touched;               // its deadlines are looked at anew at the end of the step
    struct core_job_config config; // its name points to name
    struct core_job_config terms;  // those of the run in `current`: a run keeps the config it began with
    char name[NAME_MAX_SIZE + 1];
    struct run current;     // the open one
    struct run further;     // asked for while another was under way, or waits for its quiet window to end
    struct run last;        // the last that ended
    Sb__Result last_result; // of it; its error points to last_error
    char last_error[TEXT_MAX_SIZE + 1];
    char last_note[TEXT_MAX_SIZE + 1]; // and its note to this
    bool has_result;                   // the last run had one
    struct lost_run lost;              // the last one that was LOST
    int64_t last_slot_ms;    // slots up to then are told: the last one, or when its grid came; 0: none
    int64_t next_slot_ms;    // the next one
    bool is_new;             // the journal does not know it yet
    bool is_starting;        // what its start makes due was not looked at yet
    bool is_moved;           // its grid changed, and the journal does not know its new place yet
    int64_t paced_boot;      // BOOTTIME of the last due run: the pace while the wall clock stands back
    int64_t last_success_ms; // Unix ms
    int64_t known_since_ms;  // Unix ms since when the broker knows it: what never succeeded is as old as that
    uint32_t holds;          // that lie on it
    bool is_stale, is_hung;  // the alert was raised
    struct link due;         // in core.due while nobody asks for its run's turn
    uint64_t runs, failures; // counts, as in JobState
    uint32_t failing_in_a_row;
    uint64_t overlaps, skipped, coalesced, missed;
    uint64_t seen, unchanged;     // records, over all good runs
    uint64_t held_ms, held_count; // of shared leases that were not cut short, for ETAs
    struct topic tick, run, change;
};

enum pause_phase { PAUSE_NONE, PAUSE_DRAINING, PAUSE_EXCLUSIVE };

struct resource {
    struct core_resource_config config; // its name points to name
    char name[NAME_MAX_SIZE + 1];
    int64_t recovering_until; // BOOTTIME; 0: not recovering
    enum pause_phase phase;
    uint64_t pause;             // the pause's number
    int64_t pause_since_ms;     // Unix ms
    int64_t drain_since;        // BOOTTIME when draining for the present waiter began
    int64_t streak_since;       // BOOTTIME when the pauses in a row began
    bool guard;                 // syncs that are stale get a turn before the next pause
    int64_t refused_until;      // BOOTTIME before which no pause starts after one that failed; 0: none
    bool revoked_some;          // this draining's blockers were revoked
    uint32_t capacity_max;      // the greatest that was in force
    bool removed;               // not configured any more: nothing new is granted
    uint64_t claimed;           // recovering: the greatest token that was taken over
    uint64_t claimed_exclusive; // and of an exclusive lease
    uint32_t holds;             // that lie on it
    uint32_t order_holds;       // those of them that stop priority operations, too
    int64_t ttl_ms;             // in force: a longer one only when the journal has it
    struct histogram wait;      // of the pauses that were granted
    uint64_t timed_out;         // pauses that failed
    uint64_t history_count;     // entries so far, to tell their keys apart
    bool is_counted;            // its figures changed since they were stored
    char blocked_by[TEXT_MAX_SIZE + 1];          // whom the present draining waited for
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
    uint64_t process;     // and its life
    int64_t granted_boot; // BOOTTIME
    int64_t end_boot;     // BOOTTIME by which it ends unless renewed
    int64_t ttl_ms;       // that its holder was told last
    int64_t delay_ms;     // the resource's grant_delay when it was granted
    int64_t settle_ms;    // added to it unless the lease is given back
    int64_t moved_boot;   // BOOTTIME when `done` last moved
    uint64_t done, total;
    uint64_t done_before; // what its first renewal told: of earlier turns of the run
    bool has_told;        // there was one
    int64_t waited_ms;
    bool refused; // not renewed any more
    bool revoked; // and that because somebody revoked it
    bool blocked; // a pause failed because of it
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
    uint64_t process;    // of the instance, when it last asked
    int64_t since_boot;  // BOOTTIME: of the run's DUE for shared ones, of the first asking for others
    int64_t asked_boot;  // BOOTTIME of the first asking
    int64_t until_boot;  // gives up then; INT64_MAX: never
    int64_t poll_ms;     // as asked, at most ttl/4
    int64_t answer_boot; // while a request is pending: when it is answered with Waiting
    int64_t drop_boot;   // while none is: when the place is lost
    uint64_t peer;       // of the pending request
    uint64_t request;    // its id
    bool pending;        // a request of it is unanswered
    Sb__Code
        verdict; // reached between two of its requests: the next one is told so, with the reason; 0: none
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
    char instance_name[INSTANCE_NAME_SIZE]; // the instance in digits: its name in core.instance_names
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

// A life of an instance.
struct process {
    uint64_t instance, process;
};

struct owner {
    char name[NAME_MAX_SIZE + 1]; // entity or call name; "": free
    uint64_t instance;
    char holder[NAME_MAX_SIZE + 1];
};

// A pause that was granted or failed.
struct pause {
    uint32_t resource; // index
    Sb__LeaseChange change;
    int64_t waited_ms;
    int64_t time_ms; // Unix ms
    char holder[NAME_MAX_SIZE + 1];
    char reason[TEXT_MAX_SIZE + 1];
    char blockers[TEXT_MAX_SIZE + 1]; // whom it waited for
};

// An operator's maintenance stop.
struct hold {
    uint64_t number;   // the operator's own
    uint32_t job;      // index, JOB_NONE: it lies on a resource
    uint32_t resource; // index, of the job's or its own
    int64_t since_ms;  // Unix ms
    int64_t until_ms;  // Unix ms; 0: until it is taken off
    bool orders_too;   // priority operations wait as well
    char by[NAME_MAX_SIZE + 1];
    char reason[TEXT_MAX_SIZE + 1];
};

// What is wrong with a subject, until it is not any more.
struct alert {
    enum alert_kind kind;
    int64_t since_ms;             // Unix ms
    int64_t until_ms;             // Unix ms when it is over by itself; 0: with its cause
    uint32_t count;               // how often its cause came
    char id[ALERT_ID_SIZE];       // kind, ".", subject: its name in core.alert_names
    char text[TEXT_MAX_SIZE + 1]; // for people
};

struct call {
    uint64_t number;
    uint64_t peer, request; // of the caller
    uint64_t session;       // that answers it
    int64_t until_boot;
    bool orphaned; // its service will not answer it any more
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
    int64_t wall_ahead_ms;    // wall_ms - boot_ms as of the last look at all jobs
    uint64_t durable;         // as the event says
    uint64_t update_number;   // of the update under way
    uint64_t epoch;
    uint64_t session_count_ever;
    uint64_t call_count_ever;
    uint64_t pause_count_ever;
    int64_t started_ms, started_boot;
    int64_t ttl_before_ms; // recovering: the longest that a lease of an earlier epoch can live
    int64_t life_max_ms;   // the longest that one of this epoch can, by any config that was in force
    int64_t slots_gone_ms; // the last slot of all jobs that left the config, Unix ms; 0: none did
    int64_t slots_told_ms; // slots of every job up to this Unix ms are told, though some moved; 0: none did
    int64_t next_beat;     // BOOTTIME
    uint64_t beat;
    bool started, stopping;
    bool is_behind;          // the last TIME had more to do than fits into a step
    uint64_t stop_update;    // the update that stores the clean stop
    uint64_t numbers_update; // the update that stores the last reservation
    uint64_t terms_update;   // the update that stores the longest ttl after a reload; 0: none is awaited
    struct numbers tokens, runs, tickets;
    uint64_t tokens_first;  // the first token of this epoch
    uint64_t tickets_first; // and the first ticket

    struct resource *resources; // the first resource_count are in use, some of them removed
    size_t resource_count;
    struct job *jobs;        // the first job_count are or were in use
    struct figures *figures; // of each of them
    size_t job_count, jobs_absent;
    size_t jobs_moved;        // those that are moved
    struct names job_names;   // of those that are not ABSENT
    struct heap job_wall;     // when each has something to do, Unix ms
    struct heap job_boot;     // and BOOTTIME
    uint32_t *touched;        // jobs whose deadlines may have changed in this step
    size_t touched_count;     // of them
    struct link due;          // jobs whose runs' ticks are repeated
    struct link changed;      // topics that changed, the last one first
    uint64_t seq_removed;     // the greatest seq of a topic whose job was removed: new ones go on from it
    struct session *sessions; // a session's place is its number modulo sessions_max
    uint32_t *present;        // the places in use, the first present_count
    size_t present_count;
    struct names instance_names; // places of the sessions, by instance
    struct process *processes;   // as they came, in a ring: the last process_max
    uint64_t process_count;      // that ever came
    size_t process_max;
    struct waiter *waiters; // the first waiter_count are in use
    size_t waiter_count;
    struct lease *leases; // the first lease_count are in use
    size_t lease_count;
    struct call *calls; // the first call_count are in use
    size_t call_count;
    struct owner *owners; // the first owner_count are in use
    size_t owner_count, owner_max;
    struct names owner_names;         // place of each
    struct pause pauses[PAUSES_KEPT]; // that are not in the history yet, the first pause_count
    size_t pause_count;
    struct hold holds[HOLDS_MAX]; // the first hold_count are in use
    size_t hold_count;
    struct alert *alerts; // the first alert_count are in use
    size_t alert_count, alert_max;
    int64_t alert_until_ms;   // Unix ms: none of them is over by itself before this
    struct names alert_names; // place of each
    struct random random;     // for numbers that nobody chose
    struct topic order_topics[SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON + 1];
    struct topic alert_topics[ALERT_KIND_COUNT];
    struct topic beat_topic;

    struct arena arena;
    struct core_reply *replies;
    struct core_publication *publications;
    struct core_record *records;
    struct core_read *reads;
    size_t reply_count, reply_max, publication_count, record_count, read_count;
    struct core_reload_wish reload; // asked for in this step, if wants_reload
    bool wants_reload;
    struct core_reload_wish late_reload; // waits for slots that have passed, if reload_waits
    bool reload_waits;
};

#endif
