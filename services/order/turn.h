// What is done for one open order: its machine is stepped, and what it decides is done with the bus, the ERP
// and the book. Private to line.c and turn.c.
#ifndef SYNCBUS_SERVICES_ORDER_TURN_H
#define SYNCBUS_SERVICES_ORDER_TURN_H

#include "proto/wire.h"
#include "services/order/erp.h"
#include "services/order/line.h"
#include "services/order/machine.h"

#include <sys/queue.h>

struct open_order {
    TAILQ_ENTRY(open_order) link; // in order of acceptance
    Sb__StoredOrder *stored;      // as the book has it; owned
    struct order_machine machine; // what to do next
    uint64_t claim;               // of its wish or lease; 0: none
    uint32_t position;            // among the exclusive wishes, from 1; 0: not known, or it does not wait
    int64_t eta_ms;               // until its turn; -1: not known
    Sb__Blocker blockers[LINE_BLOCKERS_MAX];                     // whom it waits for
    Sb__Blocker *blocker_list[LINE_BLOCKERS_MAX];                // the same, as messages want them
    char blocker_names[LINE_BLOCKERS_MAX][2][WIRE_NAME_MAX + 1]; // their jobs and holders
    size_t blocker_count;                                        // of them
    char note[256]; // why the last wish or question failed, or ""
};

TAILQ_HEAD(open_orders, open_order);

struct line {
    const struct config *config;  // the caller's
    struct service *service;      // loop, bus, transfers
    struct book *book;            // what is durable
    struct erp *erp;              // owned
    struct order_options options; // of every machine
    struct open_orders orders;    // in order of acceptance
    size_t count;                 // of them
    struct open_order *current;   // whose request is under way, or NULL
    char what[512];               // what happened, for the history: the reason of the next change
    char by[WIRE_NAME_MAX + 1];   // who did it, or ""
    char halted[640];             // why no order is sent any more, or ""
    bool stopping;                // the process is to end
    bool follows;                 // an action had an outcome at once:
    struct order_event next;      // this
    struct fault broken;          // why the service cannot go on
};

// The order's status on the wire and in the book.
Sb__OrderStatus turn_status_of(enum order_state state);

// The resource that orders take turns on.
const struct config_resource *turn_resource(const struct line *self);

// Whether more than half of the lease's ttl is left.
bool turn_is_ample(const struct line *self, const struct open_order *order);

// Whether its wish stands in line.
bool turn_waits(const struct open_order *order);

// What the next change of status says of itself; `by` is "" unless a person made it.
void turn_say(struct line *self, const char *what, const char *by);

// What the broker tells of the wait.
void turn_set_blockers(struct open_order *order, const struct syncbus_notice *notice);
void turn_forget_place(struct open_order *order);

// Commits what the machine has come to and tells of it.
void turn_store(struct line *self, struct open_order *order);

// Gives the machine an event (the time is filled in), does what it decides, and goes on with what follows
// from that.
void turn_step(struct line *self, struct open_order *order, struct order_event event);

#endif
