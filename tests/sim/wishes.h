// The wishes for a lease as the broker has heard them, and the places that it has told: the line of I7, from
// outside.
#ifndef SYNCBUS_TESTS_SIM_WISHES_H
#define SYNCBUS_TESTS_SIM_WISHES_H

#include "broker/core/core.h"
#include "tests/sim/sim.h"

enum { WISHES_RESOURCES_MAX = 4 };

// A wish, as the broker has it. Times are those of its clock.
struct wish {
    uint64_t claim;    // 0: the place is free
    uint64_t peer, id; // of the last request
    bool exclusive;    // its mode
    uint32_t resource; // index
    uint64_t life;     // of the broker that was asked last
    int64_t asked_ms;  // when
    int64_t poll_ms;   // it asks again after
    int64_t until_ms;  // when it gives up; INT64_MAX: never
    uint64_t ticket;   // its place; 0: not known yet
    uint64_t told;     // number of the answer that said so
    uint64_t entered;  // number of the ask that put it into the line, if its place is not known
    bool unsure;       // it may have lost that place by its silence
    bool returns;      // it has that place from a life of the broker before
    int64_t settle_ms; // that the lease is to have
    struct node *node; // that asked
};

// Forgets all, at the beginning of a world.
void wishes_init(void);

// The broker begins a life, at this time of its clock: nobody has asked it for anything yet.
void wishes_broker_started(int64_t boot_ms);

// The number of a resource, by which the others know it, and its name.
uint32_t wishes_resource(const char *name);
const char *wishes_resource_name(uint32_t resource);

// The broker took an Acquire of that node.
void wishes_asked(const struct core_event *event, struct node *node);

// The wish that was asked for last by that request; NULL if there is none.
struct wish *wishes_of_request(uint64_t peer, uint64_t id);

// It was told its place, or was refused.
void wishes_told(struct wish *self, const Sb__Waiting *waiting);
void wishes_refused(struct wish *self);

// It is no wish any more: withdrawn; or all of a node, whose process has gone.
void wishes_withdrawn(uint64_t claim);
void wishes_forget(const struct node *node);

// It gets an exclusive lease now: I7, nobody who asked for the ERP before waits longer. Shared ones have no
// line.
void wishes_check_line(const struct wish *self, int64_t boot_ms);

// The claim of an exclusive wish that is asked for again and again and has its place; 0: there is none.
uint64_t wishes_first(int64_t boot_ms);

#endif
