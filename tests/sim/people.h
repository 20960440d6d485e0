// The people around the bus, each at a node: agents who order, users who take the ERP for themselves,
// operators who hold, trigger and revoke; and the node of the order service, which they turn to.
#ifndef SYNCBUS_TESTS_SIM_PEOPLE_H
#define SYNCBUS_TESTS_SIM_PEOPLE_H

#include "tests/sim/sim.h"

// The node of the order service, made before any person.
struct node *order_node_add(void);

// An agent's process: places orders under keys of its own, repeats each until it is answered, now and then
// cancels one, and looks after each until it has ended.
struct node *people_agent_add(const char *name);

// Whoever uses the ERP by hand, as `syncbus run` does: takes the exclusive lease, works for a while, gives it
// back; stops at once when it is lost.
struct node *people_user_add(const char *name);

// An operator: while SIM_FAULT_PEOPLE may happen, triggers, lays holds and takes them off, revokes leases,
// and says what became of orders that need a person.
struct node *people_operator_add(const char *name);

// The world heals: nobody begins anything new, and all holds are taken off.
void people_heal(void);

// Long after that: every order has ended as it truly is (O2, O3), and nobody waits (I6).
void people_check_end(void);

// Frees all of it, after the last node was killed.
void people_free(void);

#endif
