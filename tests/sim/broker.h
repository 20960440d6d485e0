// The broker's process: the real core, with a journal that commits in groups, and sockets in tests/sim/net.h.
#ifndef SYNCBUS_TESTS_SIM_BROKER_H
#define SYNCBUS_TESTS_SIM_BROKER_H

#include "tests/sim/sim.h"

// Its node, which becomes sim->broker; one in a world. Freed with the world by broker_free.
struct node *broker_add(void);
void broker_free(void);

// A request came from that peer.
void broker_take(uint64_t peer, const void *data, size_t size);

// The config of the world has changed: it reads it again.
void broker_reload(void);

// The config that it works by, or did last.
const struct config *broker_config(void);

#endif
