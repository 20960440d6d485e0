// A client's session with the broker as a pure machine: it registers, keeps itself alive, waits for leases
// and renews them, ends them by its own clock, repairs missed publications, and repeats what was not
// answered.
//
//   reply, event, time, command ──► session ──► outputs (frames to send, new sockets) and notices
//
//   AWAY ──► GREETING ──► JOINED          AWAY: a moment of waiting before the next Hello
//    ▲ ▲        │ no answer, refused │    GREETING: a Hello is under way
//    │ └────────┘                    │    JOINED: the session stands
//    └───────────────────────────────┘ two pings unanswered, NO_SESSION, a newer epoch
//
// Time comes in as CLOCK_BOOTTIME ms that never falls, read before the step: what is sent counts from then,
// so the holder's view of a lease ends before the broker's (I9). Reads no clock, does no I/O. One thread.
#ifndef SYNCBUS_SESSION_H
#define SYNCBUS_SESSION_H

#include "proto/base/err.h"
#include "proto/syncbus.h"

#include "syncbus.pb-c.h"

struct session;

// Who joins.
struct session_options {
    const struct syncbus_options *client; // copied
    uint64_t process;                     // random, this process's life
    uint64_t host;                        // the same for all processes of a host
    uint64_t seed;                        // of claims, request numbers and jitter
};

enum session_output_kind {
    SESSION_OUTPUT_SEND,    // one frame to the broker
    SESSION_OUTPUT_CONNECT, // drop both sockets and open new ones, with all subscriptions
};

// What the shell must do next. `data` is valid until session_done or the next input.
struct session_output {
    enum session_output_kind kind;
    const void *data; // SEND: the frame
    size_t size;      // of `data`
};

// A session that is to connect at once. NULL when memory ends or a name is longer than the wire allows.
struct session *session_new(const struct session_options *options, int64_t now_ms);

// Frees it and sets the pointer to NULL; NULL is fine.
void session_destroy(struct session **self_p);

// A reply came. Takes the message over; `data` are its bytes, copied where needed.
void session_reply(struct session *self, int64_t now_ms, Sb__Reply *reply, const void *data, size_t size);

// A publication came; `data` are the event's bytes, copied where needed.
void session_event(struct session *self, int64_t now_ms, const char *topic, const Sb__Event *event,
                   const void *data, size_t size);

// Time passed: call when session_deadline has come, and before the outputs are looked at.
void session_time(struct session *self, int64_t now_ms);

// When session_time must be called next; INT64_MAX: never.
int64_t session_deadline(const struct session *self);

// The first thing to do, and that it was done (only then the next one is shown). False: nothing.
bool session_output(const struct session *self, struct session_output *ret);
void session_done(struct session *self);

// The next notice; false: none. What it points to is valid until the next call of this function.
bool session_notice(struct session *self, struct syncbus_notice *ret);
bool session_has_notice(const struct session *self);

// The prefixes to subscribe to, ended by NULL; NULL when no publications are wanted. Fixed for its life.
const char *const *session_topics(const struct session *self);

// The commands, as their namesakes in syncbus.h.
uint64_t session_acquire(struct session *self, int64_t now_ms, const struct syncbus_wish *wish);
void session_withdraw(struct session *self, int64_t now_ms, uint64_t claim);
void session_release(struct session *self, int64_t now_ms, uint64_t claim, bool yielded);
void session_progress(struct session *self, uint64_t claim, uint64_t done, uint64_t total);
int64_t session_left_ms(const struct session *self, int64_t now_ms, uint64_t claim);
int64_t session_ttl_ms(const struct session *self, uint64_t claim);
uint64_t session_number(const struct session *self);
uint64_t session_epoch(const struct session *self);
uint64_t session_ask(struct session *self, int64_t now_ms, const void *request, size_t size,
                     uint32_t timeout_ms);
uint64_t session_call(struct session *self, int64_t now_ms, const char *service, const char *method,
                      const void *body, size_t size, uint32_t timeout_ms);
int session_answer(struct session *self, uint64_t call, enum syncbus_code code, const char *text,
                   const void *body, size_t size);
int session_run_begin(struct session *self, const char *job, uint64_t run, uint32_t attempt);
void session_run_end(struct session *self, uint64_t run);

// Says goodbye; nothing but session_output, session_done and session_destroy may follow.
void session_bye(struct session *self);

#endif
