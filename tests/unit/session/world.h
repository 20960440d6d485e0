// A session beside a broker that says what the test wants, at times that the test gives.
#ifndef SYNCBUS_TESTS_SESSION_WORLD_H
#define SYNCBUS_TESTS_SESSION_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/session.h"
#include "proto/wire.h"

enum { WORLD_EPOCH = 7, WORLD_BEAT_MS = 1000, WORLD_TTL_MS = 10000, WORLD_START_MS = 1000000 };

struct world {
    struct session *session; // under test
    int64_t now_ms;          // the session's time
    Sb__Request *request;    // the last one that it sent
    uint64_t number;         // of the session that the next Welcome gives
    uint64_t epoch;          // of the broker
    unsigned connects;       // how often it opened its sockets
    void (*watch)(bool in);  // if not NULL: called when the world goes into the session, and out of it
};

// A client of these options, and one that the broker welcomes.
struct world world_of(const struct syncbus_options *client);
void world_join(struct world *self);
// A session of the job "prices" that has just been made, or an anonymous one; freed by world_end.
struct world world_begin(bool anonymous);
struct world world_joined(void);
void world_end(struct world *self);

// Lets time pass in one step, or timer by timer as a shell would.
void world_jump(struct world *self, int64_t ms);
void world_pass(struct world *self, int64_t ms);

// Takes the next request that the session sends now into `request`; false if there is none.
bool world_next(struct world *self);

// The next request that the session sends now but for pings, which must be of that kind; valid until the next
// call. And whether it sends none but pings.
const Sb__Request *world_request(struct world *self, Sb__Request__BodyCase kind);
bool world_silent(struct world *self);
void world_drop_requests(struct world *self);

// Replies to a request. The body is set by the caller where there is one.
Sb__Reply world_reply(const struct world *self, uint64_t id, Sb__Code code);
void world_give(struct world *self, const Sb__Reply *reply);
void world_answer(struct world *self, uint64_t id, Sb__Code code, const char *text);
void world_welcome(struct world *self, uint64_t id, Sb__State *state);
void world_state(struct world *self, uint64_t id, Sb__State *state);
void world_granted(struct world *self, uint64_t id, uint64_t token);
void world_waiting(struct world *self, uint64_t id, uint32_t position);
void world_renewed(struct world *self, uint64_t id, bool yield, uint64_t pause);

// A text of so many characters, freed by the caller.
char *world_text(size_t size);

// Publishes an event; epoch, seq and the body are the caller's.
void world_event(struct world *self, const char *topic, const Sb__Event *event);

// The next notice, which must be of that kind; and that there is none.
struct syncbus_notice world_notice(struct world *self, enum syncbus_notice_kind kind);
void world_no_notice(struct world *self);

// Wishes for a lease of "erp", exclusive or for run 5 of "prices"; the request that asks for it is checked
// and answered with a grant by world_hold.
uint64_t world_wish(struct world *self, enum syncbus_mode mode, uint32_t wait_ms);
uint64_t world_hold(struct world *self, enum syncbus_mode mode, uint64_t token);

#endif
