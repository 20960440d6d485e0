// The broker of the world: the real core, and a journal that commits what one update wrote before the next
// one with records, or before time passes. A crash may come before that.
#ifndef SYNCBUS_TESTS_WORLDS_BROKER_H
#define SYNCBUS_TESTS_WORLDS_BROKER_H

#include "tests/worlds/world.h"

// Prepares for so many syncs, and takes the memory that the world needs.
void broker_init(size_t syncs);

// Begins a life on what is on disk.
void broker_start(void);

// Dies at once. Early: what the last update wrote is not on disk, and its replies that wait for that have not
// left. broker_may_lose says whether that can have happened.
void broker_crash(bool early);
bool broker_may_lose(void);

// Ends as it was asked to: its leases are journalled, and the next life begins with them.
void broker_stop(void);

// A request comes to it.
void broker_request(uint64_t peer, const Sb__Request *request);

// When it must do something by itself; INT64_MAX: never, or not within an hour.
int64_t broker_deadline(void);
void broker_time(void);

#endif
