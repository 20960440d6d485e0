#include "broker/peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NOBODY = UINT32_MAX, SLOT_BITS = 20 };

static_assert(PEERS_MAX == 1 << SLOT_BITS, "a number holds its place in its low bits");

struct peers {
    struct peer *places; // capacity of them
    uint32_t *buckets;   // first place of each, by hash of the identity
    size_t bucket_count; // a power of two
    size_t capacity;     // places
    size_t used;         // places ever taken; those forgotten are kept in `free`
    uint32_t free;       // list, by `next`, of places that were forgotten
    uint32_t newest;     // ends of the order of last use
    uint32_t oldest;
    uint64_t count; // peers ever met: the high bits of the next number
};

enum err peers_new(size_t capacity, struct peers **ret)
{
    assert(capacity >= 1);
    assert(capacity <= PEERS_MAX);
    struct peers *self = calloc(1, sizeof *self);
    if (self == NULL)
        return ERR_NO_MEMORY;
    self->capacity = capacity;
    self->bucket_count = 1;
    while (self->bucket_count < capacity)
        self->bucket_count *= 2;
    self->free = self->newest = self->oldest = NOBODY;
    self->places = calloc(capacity, sizeof *self->places);
    self->buckets = malloc(self->bucket_count * sizeof *self->buckets);
    if (self->places == NULL || self->buckets == NULL) {
        peers_destroy(&self);
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < self->bucket_count; i++)
        self->buckets[i] = NOBODY;
    *ret = self;
    return ERR_OK;
}

void peers_destroy(struct peers **self_p)
{
    struct peers *self = *self_p;
    if (self == NULL)
        return;
    free(self->places);
    free(self->buckets);
    free(self);
    *self_p = NULL;
}

// FNV-1a: identities are the socket's own or the client's; a bad spread only costs time.
static uint32_t *bucket_of(const struct peers *self, const uint8_t *identity, size_t size)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ identity[i]) * UINT64_C(1099511628211);
    return &self->buckets[(hash ^ hash >> 32) & (self->bucket_count - 1)];
}

static void leave_order(struct peers *self, struct peer *peer)
{
    if (peer->newer == NOBODY)
        self->newest = peer->older;
    else
        self->places[peer->newer].older = peer->older;
    if (peer->older == NOBODY)
        self->oldest = peer->newer;
    else
        self->places[peer->older].newer = peer->newer;
}

static void become_newest(struct peers *self, uint32_t place)
{
    struct peer *peer = &self->places[place];
    peer->newer = NOBODY;
    peer->older = self->newest;
    if (self->newest == NOBODY)
        self->oldest = place;
    else
        self->places[self->newest].newer = place;
    self->newest = place;
}

static void forget_place(struct peers *self, uint32_t place)
{
    struct peer *peer = &self->places[place];
    uint32_t *link = bucket_of(self, peer->identity, peer->identity_size);
    while (*link != place) {
        assert(*link != NOBODY);
        link = &self->places[*link].next;
    }
    *link = peer->next;
    leave_order(self, peer);
    peer->number = 0;
    peer->next = self->free;
    self->free = place;
}

static uint32_t take_place(struct peers *self)
{
    if (self->free == NOBODY && self->used < self->capacity)
        return (uint32_t)self->used++;
    if (self->free == NOBODY)
        forget_place(self, self->oldest);
    uint32_t place = self->free;
    self->free = self->places[place].next;
    return place;
}

struct peer *peers_meet(struct peers *self, const void *identity, size_t size)
{
    assert(size >= 1);
    assert(size <= PEER_IDENTITY_MAX);
    uint32_t *bucket = bucket_of(self, identity, size);
    uint32_t place = *bucket;
    while (place != NOBODY && (self->places[place].identity_size != size ||
                               memcmp(self->places[place].identity, identity, size) != 0))
        place = self->places[place].next;
    if (place != NOBODY) {
        leave_order(self, &self->places[place]);
    } else {
        place = take_place(self);
        struct peer *peer = &self->places[place];
        peer->number = ++self->count << SLOT_BITS | place;
        memcpy(peer->identity, identity, size);
        peer->identity_size = (uint8_t)size;
        peer->next = *bucket;
        *bucket = place;
    }
    become_newest(self, place);
    return &self->places[place];
}

const struct peer *peers_find(const struct peers *self, uint64_t number)
{
    size_t place = number & (PEERS_MAX - 1);
    if (number == 0 || place >= self->used || self->places[place].number != number)
        return NULL;
    return &self->places[place];
}

void peers_forget(struct peers *self, uint64_t number)
{
    if (peers_find(self, number) != NULL)
        forget_place(self, (uint32_t)(number & (PEERS_MAX - 1)));
}
