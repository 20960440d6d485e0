// Who asked: the identities of connections as numbers, of which the least recently seen are forgotten. Pure.
//
// A number is never given twice, so one that was forgotten names nobody rather than somebody else.
#ifndef SYNCBUS_BROKER_PEERS_H
#define SYNCBUS_BROKER_PEERS_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEER_IDENTITY_MAX = 255, PEERS_MAX = 1 << 20 };

// One connection.
struct peer {
    uint64_t number;                     // 0: the place is free
    uint8_t identity[PEER_IDENTITY_MAX]; // what the socket routes by
    uint8_t identity_size;               // 1 to PEER_IDENTITY_MAX
    bool delimiter;                      // it sends, and wants, an empty frame before the body
    uint32_t newer;                      // neighbours in the order of last use
    uint32_t older;
    uint32_t next; // in the same bucket
};

struct peers;

// Room for `capacity` (1 to PEERS_MAX) peers, taken at once. ERR_NO_MEMORY.
SB_MUST_CHECK
enum err peers_new(size_t capacity, struct peers **ret);

// Frees it and sets the pointer to NULL; NULL is fine.
void peers_destroy(struct peers **self_p);

// The peer of that identity (1 to PEER_IDENTITY_MAX bytes), now the most recently used; a new one takes the
// place of the least recently used when all are taken.
struct peer *peers_meet(struct peers *self, const void *identity, size_t size);

// The peer of that number, or NULL if it was forgotten. Valid until the next call.
const struct peer *peers_find(const struct peers *self, uint64_t number);

// Forgets a peer; one that is not known is fine.
void peers_forget(struct peers *self, uint64_t number);

#endif
