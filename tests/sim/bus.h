// The clients' library over the simulated network: what proto/syncbus.h promises, with the real session.
#ifndef SYNCBUS_TESTS_SIM_BUS_H
#define SYNCBUS_TESTS_SIM_BUS_H

#include "proto/syncbus.h"
#include "tests/sim/sim.h"

#include "syncbus.pb-c.h"

// A client of the node, which is at work. The functions of proto/syncbus.h take it. It becomes node->client.
syncbus_client_t *bus_new(struct node *node, const struct syncbus_options *options);

// Frees it and sets the pointer to NULL; says goodbye if its process ends by itself.
void bus_destroy(syncbus_client_t **self_p);

// What the network brings to the node's client, if it is up. Bytes and message stay the caller's.
void bus_take_reply(struct node *node, const void *data, size_t size);
void bus_take_event(struct node *node, const char *topic, const Sb__Event *event, const void *data,
                    size_t size);

// Whether the client wants publications of the topic.
bool bus_wants(const struct node *node, const char *topic);

// Looks at the leases that the client believes in: I2, I9, I10. After each turn of its node.
void bus_check(const struct node *node);

#endif
