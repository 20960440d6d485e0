// The way between a client and the broker: in order, as slow as can be, and now and then a message is lost or
// comes twice. Pings and questions for the state pass at once, or not at all while somebody is down or cut
// off: no lease follows from them.
#ifndef SYNCBUS_TESTS_WORLDS_NET_H
#define SYNCBUS_TESTS_WORLDS_NET_H

#include "tests/worlds/world.h"

// A frame of the client leaves; a reply to its connection `peer` does. A reply to a connection that is not
// there any more goes nowhere, and gives false.
void net_send(size_t client, const void *data, size_t size);
bool net_reply(uint64_t peer, const Sb__Reply *reply, uint64_t update);

// The first message on its way to the broker or to the client: arrives, and is taken off the way unless it
// comes again.
void net_arrive_request(size_t client, bool again);
void net_arrive_reply(size_t client, bool again);

// The first one of a way is lost. When the client's sockets close, nothing comes to it any more; what it has
// sent may still arrive, unless nobody is there to take it.
void net_lose(struct message **way);
void net_close(size_t client);

// Whether a reply may leave only when what waits for its commit is on disk.
bool net_waits(const struct message *message);

// The broker has died. Early: replies that wait have never left.
void net_broker_gone(bool early);

#endif
