// The clients of the world: real sessions, and programs that do with them what a sync or the order service
// does.
#ifndef SYNCBUS_TESTS_WORLDS_CLIENTS_H
#define SYNCBUS_TESTS_WORLDS_CLIENTS_H

#include "tests/worlds/world.h"

// Whose connection it is; and a client's lasting identity.
size_t clients_of_peer(uint64_t peer);
uint64_t clients_instance(size_t client);

// A process of the client begins, or dies at once with what it was doing.
void clients_start(size_t client);
void clients_crash(size_t client);

// A reply comes to it.
void clients_reply(size_t client, const void *data, size_t size);

// What its program does by itself: wishes for its turn, gives up waiting, ends its work, steps aside.
void clients_wish(size_t client);
void clients_withdraw(size_t client);
void clients_end(size_t client, bool yielded);

// Whether somebody keeps this session of the broker alive.
bool clients_keep(uint64_t peer, uint64_t session);

// ms of its lease that are left, as it believes; 0: it has none.
int64_t clients_left_ms(const struct client *client);

// When a session must act, loudly or only to ask whether the broker lives; INT64_MAX: never.
int64_t clients_deadline(bool quiet);
// The time has come, for all of them.
void clients_time(void);

#endif
