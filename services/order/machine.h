// What happens next to one order, from its acceptance to its end, as a pure state machine.
//
//   ACCEPTED ──► QUEUED ──► SENDING ──► PLACED
//      ▲  ▲        │           │ │ └───► REJECTED
//      │  └────────┘           │ └─────► ACCEPTED   (definitely not placed: again later)
//      │   (refused)           ▼
//      │                    ASKING ◄──► HOLDING     (a request that was cut may be at work: the lease is
//      kept) │                      ▲ │ │    UNKNOWN ──► ASK_QUEUED │       ▲                │ │       └──
//      not known yet┤ └── not there, and the   ├──► PLACED | REJECTED
//          ERP honours keys     └──► NEEDS_PERSON (never sent again by itself)
//
// CANCELLED is reached from ACCEPTED and QUEUED, while every attempt so far definitely failed. A person can
// end UNKNOWN, ASK_QUEUED and NEEDS_PERSON. The exclusive lease is held in SENDING, ASKING and HOLDING only.
//
// Pure: no clock, no I/O, no memory of its own. One thread.
#ifndef SYNCBUS_SERVICES_ORDER_MACHINE_H
#define SYNCBUS_SERVICES_ORDER_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum order_state {
    ORDER_ACCEPTED, // waits for its time to stand in line
    ORDER_QUEUED,   // its wish stands in line
    ORDER_SENDING,
    ORDER_UNKNOWN, // waits for its time to be asked about
    ORDER_ASK_QUEUED,
    ORDER_ASKING,
    ORDER_HOLDING, // keeps the lease between two questions
    ORDER_PLACED,
    ORDER_REJECTED,
    ORDER_CANCELLED,
    ORDER_NEEDS_PERSON,
    ORDER_STATE_COUNT
};

enum {
    ORDER_BACKOFF_MS = 1000,                   // after the first failure; doubled with each further one
    ORDER_BACKOFF_MAX_MS = 60 * 1000,          // and no more than this
    ORDER_RETRY_AFTER_MAX_MS = 60 * 60 * 1000, // of what the ERP asks for
};

enum order_event_kind {
    ORDER_EVENT_TIME,      // order_machine_deadline has come
    ORDER_EVENT_GRANTED,   // token, ample
    ORDER_EVENT_REFUSED,   // the wish failed: PAUSE_TIMEOUT and the like
    ORDER_EVENT_LOST,      // the lease is over
    ORDER_EVENT_SENT,      // the attempt has ended: what is known of it is in `sent` and the fields after it
    ORDER_EVENT_FOUND,     // the ERP has an order of this key
    ORDER_EVENT_NOT_FOUND, // it has none
    ORDER_EVENT_NOT_TOLD,  // it could not be asked
    ORDER_EVENT_CANCEL,    // by a person
    ORDER_EVENT_RESOLVE,   // by a person: placed or not
    ORDER_EVENT_LEAVE,     // the line is given up: sending stops, or the process ends
};

struct order_event {
    enum order_event_kind kind;
    int64_t now_ms;         // BOOTTIME
    uint64_t token;         // GRANTED
    bool ample;             // GRANTED, SENDING's start: more than half of the ttl is left
    bool sent;              // SENT, LOST, NOT_TOLD: a first byte may have left
    int64_t sent_ms;        // the same: BOOTTIME at which it left
    int status;             // SENT: of the answer; 0: none came
    bool answered;          // SENT: the whole answer came: of the ERP, or of a gateway before it
    bool has_id;            // SENT: the answer named the ERP's order
    int64_t retry_after_ms; // SENT: as the ERP asked; 0: it did not
    bool placed;            // RESOLVE
};

// What the shell must do, in the order given.
enum order_action {
    ORDER_ACTION_STORE,    // commit the new status and tell of it; only then go on
    ORDER_ACTION_ACQUIRE,  // a new claim for an exclusive lease
    ORDER_ACTION_WITHDRAW, // the claim
    ORDER_ACTION_SEND,     // the order
    ORDER_ACTION_ASK,      // for the key
    ORDER_ACTION_CUT,      // whatever is under way, at once
    ORDER_ACTION_RELEASE,  // the lease
    ORDER_ACTION_HALT,     // no order is sent any more until the config was mended
};

enum { ORDER_ACTIONS_MAX = 6 };

struct order_update {
    enum order_action actions[ORDER_ACTIONS_MAX];
    size_t count;
};

// How orders are configured.
struct order_options {
    bool honours_keys;         // the same key twice makes one order
    int64_t timeout_ms;        // how long a request may be at work in the ERP
    int64_t visibility_lag_ms; // how long a new order may stay invisible to the search
};

struct order_machine {
    struct order_options options;
    enum order_state state;
    uint64_t token;     // of the last lease; 0: none yet
    uint32_t attempts;  // requests begun
    bool uncertain;     // some attempt did not definitely fail: it may be in the ERP
    bool refused;       // the ERP refused it after that: so it is rejected if it is not found
    uint32_t failures;  // in a row, for the backoff
    int64_t retry_ms;   // ACCEPTED, UNKNOWN, HOLDING: when to go on
    int64_t hold_ms;    // a request that was cut may be at work until then; 0: none
    int64_t certain_ms; // "not found" counts from then on
    int64_t asked_ms;   // when the question under way was asked
};

// What an answer means, by its status alone and what is known of the attempt.
enum order_verdict {
    ORDER_VERDICT_PLACED,
    ORDER_VERDICT_NOT_SENT,      // no byte left
    ORDER_VERDICT_LATER,         // definitely not placed; again later
    ORDER_VERDICT_SAME_KEY,      // perhaps placed; again later, since the same key makes one order
    ORDER_VERDICT_MISCONFIGURED, // definitely not placed, nor would any other be
    ORDER_VERDICT_REFUSED,       // the ERP does not want it
    ORDER_VERDICT_UNCLEAR,
};
enum order_verdict order_judge(const struct order_event *event, bool honours_keys);

// A new order, due at once.
void order_machine_init(struct order_machine *self, const struct order_options *options, int64_t now_ms);

// After order_machine_init: an order that the store has as ACCEPTED, SENDING (the process ended in
// mid-attempt, so the outcome is not known) or UNKNOWN. What was sent may have been sent just now.
void order_machine_restore(struct order_machine *self, enum order_state stored, uint32_t attempts,
                           bool uncertain, bool refused, int64_t now_ms);

// Takes one event; what is to be done comes in `ret`. Returns false, and does nothing, for an event that does
// not fit the state.
bool order_machine_step(struct order_machine *self, const struct order_event *event,
                        struct order_update *ret);

// BOOTTIME ms of the next TIME event; INT64_MAX: none.
int64_t order_machine_deadline(const struct order_machine *self);

// Whether the order can be cancelled, and whether a person may say how it ended.
bool order_machine_can_cancel(const struct order_machine *self);
bool order_machine_can_resolve(const struct order_machine *self);

// True in PLACED, REJECTED, CANCELLED and NEEDS_PERSON: the machine does nothing more by itself.
bool order_machine_ended(const struct order_machine *self);

// True while the order holds the lease.
bool order_machine_holds(const struct order_machine *self);

// The state's name for the log.
const char *order_state_name(enum order_state state);

#endif
