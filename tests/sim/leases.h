// The leases as the world sees them: what the broker has said of each, and what its holder believes by its
// own clock. Shows I2 to I5, I7 and I9 from outside, whatever the core thinks of itself.
#ifndef SYNCBUS_TESTS_SIM_LEASES_H
#define SYNCBUS_TESTS_SIM_LEASES_H

#include "broker/core/core.h"
#include "tests/sim/sim.h"

// Forgets all, at the beginning of a world.
void leases_init(void);

// The broker begins a life: nobody has asked it for anything yet.
void leases_broker_started(void);

// Its life ends, in which updates up to `durable` were committed: what was to be said after a later one never
// was.
void leases_broker_ended(uint64_t durable);

// The broker's core has taken an event and decided; `number` is that of the update.
void leases_step(const struct core_event *event, const struct core_update *update, uint64_t number);

// A client of the node was told that its wish has that lease; all of them end with the client.
void leases_held(struct node *node, uint64_t claim, uint64_t token);
void leases_forget(struct node *node);

// It hears that a lease is over, or gives back what it has, of its own will and with nothing at work any
// more. A claim that it has no lease of is fine.
void leases_lost(const struct node *node, uint64_t claim);
void leases_given_back(const struct node *node, uint64_t claim);

// Whether the node has a lease, as far as it was told.
bool leases_in_hand(const struct node *node);

// The claim of an exclusive wish that is asked for again and again while nobody has a lease, by the broker's
// BOOTTIME; 0: there is none.
uint64_t leases_idle_wish(int64_t boot_ms);

// Looks at what the node believes to hold now.
void leases_check(const struct node *node);

// After the last faults have healed, and time has passed: no pause goes on for ever.
void leases_check_end(void);

#endif
