// The processes of the syncs: the real service, machine and news, over a simulated ERP and store.
#ifndef SYNCBUS_TESTS_SIM_SYNC_NODE_H
#define SYNCBUS_TESTS_SIM_SYNC_NODE_H

#include "tests/sim/sim.h"

// A node, down at first, that serves the job of that name; one that starts while sim->config has no such job
// does nothing. A config that a life began with must outlive that life.
struct node *sync_node_add(const char *job);

// To be called when sim->config is another one: from now on the ERP keeps what that promises of it, too, and
// services of jobs that are back are started before long.
void sync_node_configured(void);

// At the world's end, when all was healed and had its time: every stored result was acknowledged, and no run
// stands still.
void sync_node_check_end(void);

// Frees what the nodes of all syncs have on their disks. They must be down.
void sync_node_free(void);

#endif
