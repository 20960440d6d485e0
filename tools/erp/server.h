// The ERP as a whole and its HTTP side: a thread a connection, requests handed to who answers them.
#ifndef SYNCBUS_ERP_SERVER_H
#define SYNCBUS_ERP_SERVER_H

#include "proto/base/buffer.h"
#include "tools/erp/catalogue.h"
#include "tools/erp/judge.h"
#include "tools/erp/mischief.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

enum { BODY_MAX = 1 << 20, ORDER_KEY_MAX = 128 };

// One order that was made.
struct sale {
    char key[ORDER_KEY_MAX]; // its Idempotency-Key or reference; empty if it had none
    int64_t made_ms;         // wall time
};

// How it was started.
struct options {
    const char *host;    // to listen on
    const char *port;    // 0: any
    const char *folder;  // of exports, or NULL: generated
    uint64_t rows;       // of each generated export
    uint64_t seed;       // of generated exports
    uint64_t head;       // lines above the first record of a CSV export
    int64_t latency_ms;  // before each answer
    int64_t lag_ms;      // until the search finds a new order
    uint64_t rate;       // bytes a second of an export's answer; 0: no limit
    uint32_t capacity;   // exports at once
    bool honours_keys;   // a repeated Idempotency-Key makes no second order
    bool honours_tokens; // refuses stale fencing tokens
};

struct erp {
    struct options options;
    struct catalogue catalogue; // what it exports
    struct judge judge;         // who met whom
    struct mischiefs mischiefs; // how to misbehave
    pthread_mutex_t sales_lock; // of the two below
    struct sale *sales;         // orders made; the first is E-1
    size_t sale_count;
    int stop; // eventfd: readable once it is to end
    struct MHD_Daemon *daemon;
};

// One request, from its headers to the end of its answer.
struct request {
    struct erp *erp;
    struct MHD_Connection *connection;
    const char *method;
    const char *path;
    int fd;             // its connection
    struct buffer body; // what was sent with it
    bool too_large;     // more than BODY_MAX
    uint64_t access;    // number with the judge, or 0
};

enum waited { WAITED, CLIENT_GONE, STOPPING };

// Now, Unix ms; for what people read.
int64_t wall_ms(void);

// Now, ms that never jump; for how long something takes.
int64_t steady_ms(void);

// Waits `ms` (negative: for ever), but no longer than until the ERP is to end or, with `fd` != -1, the client
// there is gone.
enum waited erp_wait(struct erp *self, int fd, int64_t ms);

// Starts to listen; ERR_IO with the reason. `ret_port` is the port in use.
SB_MUST_CHECK
enum err server_start(struct erp *self, uint16_t *ret_port, struct fault *fault);

// Ends all connections and waits for their threads.
void server_stop(struct erp *self);

#endif
