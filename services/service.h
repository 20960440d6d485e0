// What every service shares: its lock on the data directory, its session with the broker, its transfers and
// its signals, in one loop around curl_multi_poll. The domain lives in the service's machine; this only
// carries.
//
// SIGHUP: the configuration is read again. A wrong one is logged with its place and changes nothing; with a
// good one the service winds up as soon as it is idle, and its program begins another life with that. The
// lock of its directory is kept in between.
//
// One thread. The loop's order is what keeps it from stalling (zmq's descriptors are edge-triggered): perform
// curl, drain every notice until there is none, give the time, then sleep until the nearest deadline.
#ifndef SYNCBUS_SERVICES_SERVICE_H
#define SYNCBUS_SERVICES_SERVICE_H

#include "proto/base/err.h"
#include "proto/io/config.h"
#include "proto/io/directory.h"
#include "proto/syncbus.h"

#include <curl/curl.h>

struct service;

// What a service does with what happens. Every function is called from service_run, never nested.
struct service_handler {
    void (*notice)(void *arg, const struct syncbus_notice *notice); // from the bus
    void (*transfer)(void *arg, CURL *easy,
                     CURLcode result); // a transfer ended; it was removed from the multi
    void (*time)(void *arg, int64_t boot_ms, int64_t wall_ms); // called once each turn of the loop
    int64_t (*deadline)(void *arg); // BOOTTIME ms of the next turn; INT64_MAX: none
    bool (*idle)(void *arg);        // true when nothing is under way that winding up would cut
    void (*stop)(void *arg);        // SIGTERM or SIGINT came, or a new config and it is idle: wind up
    bool (*stopped)(void *arg);     // true when the loop may end: after stop, or when it cannot go on
};

// What one life of a service leaves to the next.
struct service_life {
    struct config *next;        // to begin anew with; NULL: it ended for good
    struct directory directory; // locked; its lock is -1 when none is
};

struct service_options {
    const struct config *config;
    const char *name;        // "sync-prices"
    const char *data;        // directory to lock
    const char *const *jobs; // as in syncbus_options
    const char *const *serves;
    bool standby;             // wait for the directory while another process has it
    struct directory *locked; // by an earlier life: taken over if it is; may be NULL
};

// Sets up signals (SIGTERM and SIGINT by signalfd, SIGPIPE ignored), locks the directory, joins the bus and
// sets up curl. The errors of directory_lock and directory_wait_take, or ERR_NO_MEMORY; ERR_STOPPED when a
// signal ended the wait of a standby. The caller destroys it.
SB_MUST_CHECK
enum err service_new(const struct service_options *options, struct service **ret, struct fault *fault);

// Frees everything and sets the pointer to NULL; NULL is fine.
void service_destroy(struct service **self_p);

// Runs until the handler has stopped. The service manager hears that it is ready when its session first
// stands (a standby: already when it stands by), and that the loop turns. A second signal ends it at once.
// ERR_IO when the loop itself cannot go on.
SB_MUST_CHECK
enum err service_run(struct service *self, const struct service_handler *handler, void *arg,
                     struct fault *fault);

// After service_run: what it leaves, which the caller destroys and unlocks.
void service_leave(struct service *self, struct service_life *ret);

// The session and the transfers: for the handler's use.
syncbus_client_t *service_client(struct service *self);
CURLM *service_transfers(struct service *self);

// Says in one line what the service is doing, for the service manager to show; cheap enough for each turn.
void service_status(struct service *self, const char *format, ...) SB_PRINTF(2, 3);

// Asks with a message (a Request without id and session), as syncbus_ask.
uint64_t service_ask(struct service *self, const void *request_message, uint32_t timeout_ms);

// Answers a call with a message as its body (NULL for none), as syncbus_answer.
void service_answer(struct service *self, uint64_t call, enum syncbus_code code, const char *text,
                    const void *body_message);

#endif
