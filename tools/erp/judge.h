// The judge: knows who uses the ERP at each moment, and counts every two who must not meet.
//
// Order work may meet neither an export nor other order work; exports may meet up to a capacity. An export
// whose client has gone ends at the next look, so that a cut counts from when it could be seen; one that is
// seen within 20 ms of an access that it would overlap counts as seen in time, be it the one that runs or the
// one that begins: a request that the system hands over late, when nobody waits for it any more, meets
// nobody. Any thread.
#ifndef SYNCBUS_ERP_JUDGE_H
#define SYNCBUS_ERP_JUDGE_H

#include <json-c/json.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { ACCESSES_KEPT = 1024 };

enum access_kind { ACCESS_EXPORT, ACCESS_ORDER };

// One use of the ERP.
struct access {
    uint64_t number;       // from 1, in order of beginning
    enum access_kind kind; // what it does
    char name[128];        // entity, or key of the order
    uint64_t token;        // fencing number that it carried, or 0
    int fd;                // its connection while it runs, or -1: a gone client does not end it
    int64_t start_ms;      // wall time
    int64_t end_ms;        // 0 while it runs
    uint32_t overlaps;     // with how many it met although it must not, as it began
};

// Counts; the names are those of /admin/judge.
struct counts {
    uint64_t accesses;               // uses of the ERP, exports and orders
    uint64_t orders;                 // orders made
    uint64_t order_sync_overlaps;    // order work that met an export
    uint64_t order_order_overlaps;   // order work that met other order work
    uint64_t sync_over_capacity;     // exports that began while as many as allowed were running
    uint64_t stale_tokens_presented; // requests with a token older than the newest of an order
    uint64_t stale_tokens_accepted;  // those of them that were served all the same
    uint64_t doubled_orders;         // orders made beyond the first of their key
};

struct judge {
    pthread_mutex_t lock;
    uint32_t capacity;                  // exports at once
    bool honours_tokens;                // refuses stale ones
    uint64_t newest;                    // greatest token that order work has shown
    struct counts counts;               // so far
    struct access *running;             // who uses the ERP now
    size_t running_count;               // in use of `running`
    size_t running_capacity;            // room in `running`
    struct access ended[ACCESSES_KEPT]; // the last ones that ended, a ring
    uint64_t ended_count;               // ever
};

// Begins empty.
void judge_init(struct judge *self, uint32_t capacity, bool honours_tokens);

// Frees what it holds; nothing may run.
void judge_free(struct judge *self);

// Looks at the token of a request (0: none). False: it is stale and must be refused.
bool judge_token(struct judge *self, enum access_kind kind, uint64_t token);

// Records that a use of the ERP begins now, and whom it meets. `fd` is the client's connection if its end
// also ends the use, else -1. Returns the number for judge_end.
uint64_t judge_begin(struct judge *self, enum access_kind kind, const char *name, uint64_t token, int fd);

// Records that it ended; 0 and one that has ended already are fine.
void judge_end(struct judge *self, uint64_t number);

// Counts an order that was made; `doubled` if its key had one already.
void judge_order(struct judge *self, bool doubled);

// The counts as an object that the caller owns.
json_object *judge_counts(struct judge *self);

// The last accesses and those that run, oldest first, as an array that the caller owns.
json_object *judge_accesses(struct judge *self);

#endif
