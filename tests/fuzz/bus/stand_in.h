// What the simulator's judges of leases and of the ledger ask the world for, in a world that an input steers:
// one clock for all, no network, clients that are told of at once what reaches them.
#ifndef SYNCBUS_TESTS_FUZZ_BUS_STAND_IN_H
#define SYNCBUS_TESTS_FUZZ_BUS_STAND_IN_H

#include "tests/sim/sim.h"

enum { BUS_CLIENTS = 4 };

// A client, as the judges see it: what it believes of its lease.
struct syncbus_client {
    uint64_t claim;   // of its wish or lease; 0: none
    int64_t until_ms; // the end of its lease by its own reckoning; 0: it has none
};

// A new world at that time: a broker, and clients of the peers 1 to BUS_CLIENTS.
void bus_world_begin(int64_t boot_ms, struct syncbus_client *const clients[BUS_CLIENTS]);

// The time is now this.
void bus_world_time(int64_t boot_ms);

// The config that the broker works by; not kept.
void bus_world_config(const struct config *config);

#endif
