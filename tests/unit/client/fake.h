// A broker that does nothing by itself: the test receives, answers and publishes for it, beside a real client
// on real sockets. Nothing here waits for time to pass; every wait is for something to come, with a limit.
#ifndef SYNCBUS_TESTS_CLIENT_FAKE_H
#define SYNCBUS_TESTS_CLIENT_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/syncbus.h"
#include "proto/wire.h"

enum { FAKE_LIMIT_MS = 20000, FAKE_IDENTITY_MAX = 64 };

struct fake {
    char folder[64];                     // of the ipc sockets
    char requests[96];                   // endpoint
    char events[96];                     // endpoint
    void *context;                       // of zmq
    void *router;                        // for requests
    void *publisher;                     // for events
    uint64_t epoch;                      // in every reply
    uint64_t session;                    // that the next Welcome gives
    uint64_t first_session;              // the oldest that it knows: its life began then
    uint8_t identity[FAKE_IDENTITY_MAX]; // of the client that asked last
    size_t identity_size;                // of it
    Sb__Request *request;                // the last one
};

// A broker with a folder of its own, and a client of the job "prices" at it; joined when the broker has said
// so and the client has told it.
void fake_begin(struct fake *self);
void fake_listen(struct fake *self);
void fake_deaf(struct fake *self); // closes its sockets: what was under way is lost
void fake_end(struct fake *self);
syncbus_client_t *fake_client(struct fake *self);
syncbus_client_t *fake_joined(struct fake *self);

// Runs the client until it sends a request of that kind; pings and snapshots that come before are answered or
// left. Valid until the next call.
const Sb__Request *fake_receive(struct fake *self, syncbus_client_t *client, Sb__Request__BodyCase kind);

// Sends a reply to whoever asked last; epoch is filled in.
void fake_reply(struct fake *self, Sb__Reply *reply);
void fake_answer(struct fake *self, uint64_t id, Sb__Code code);
void fake_welcome(struct fake *self, uint64_t id);
void fake_granted(struct fake *self, uint64_t id, uint64_t token, uint32_t ttl_ms);
void fake_call(struct fake *self, uint64_t call);
void fake_publish(struct fake *self, const char *topic, uint64_t seq);

// Runs the client, with the broker's pings answered, until a notice of that kind comes; others are dropped.
struct syncbus_notice fake_notice(struct fake *self, syncbus_client_t *client, enum syncbus_notice_kind kind);

// Waits, without touching the client, until one of its descriptors is ready.
void fake_await_wakeup(syncbus_client_t *client);

#endif
