// The network between the nodes and the broker: it delays, loses, repeats and reorders what it carries, and
// is cut in one direction or both. Publications go their own way, and are lost without a trace.
#ifndef SYNCBUS_TESTS_SIM_NET_H
#define SYNCBUS_TESTS_SIM_NET_H

#include "tests/sim/sim.h"

#include "syncbus.pb-c.h"

// Forgets all connections, at the beginning of a world; and frees what it has.
void net_init(void);
void net_free(void);

// The node connects anew: what was under way on the connection before is lost on its way back.
void net_connect(struct node *self);

// From a node to the broker.
void net_request(struct node *self, const void *data, size_t size);

// From the broker to whom it knows by that number; false when it notices that nobody is there any more.
bool net_reply(uint64_t peer, const void *data, size_t size);

// Who is known by that number.
struct node *net_node(uint64_t peer);

// From the broker to all who want the topic.
void net_publish(const char *topic, const void *data, size_t size);

#endif
