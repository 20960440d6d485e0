// Any messages from any identities, and any subscriptions, are told apart as the broker's shell does, never a
// crash: who was met last is known, and only a message of the right frames is a request.
//
// A byte says what comes, one how many frames it has; each frame is a byte of its size and so many bytes.
#include "broker/envelope.h"
#include "broker/peers.h"
#include "broker/subscriptions.h"
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT = 4, STEPS_MAX = 64, FRAMES_MOST = 8 };

struct frame {
    const uint8_t *data;
    size_t size;
};

struct shell {
    const uint8_t *data; // what is left of the input
    size_t size;         // bytes of it
    struct peers *peers;
    struct subscriptions json;
    struct frame last[KEPT]; // identities, the one met last first
    uint64_t numbers[KEPT];  // theirs; 0: nobody
};

static uint8_t next(struct shell *self)
{
    if (self->size == 0)
        return 0;
    self->size--;
    return *self->data++;
}

static struct frame next_frame(struct shell *self)
{
    const size_t wanted = next(self);
    struct frame frame = {.data = self->data, .size = wanted < self->size ? wanted : self->size};
    self->data += frame.size;
    self->size -= frame.size;
    return frame;
}

// The identities met last, each once, are known by their numbers; no other is in their place.
static void check_met(struct shell *self, struct frame identity, uint64_t number)
{
    size_t place = 0;
    while (place < KEPT - 1 && !(self->last[place].size == identity.size &&
                                 memcmp(self->last[place].data, identity.data, identity.size) == 0))
        place++;
    const bool known = self->numbers[place] != 0 && self->last[place].size == identity.size &&
                       memcmp(self->last[place].data, identity.data, identity.size) == 0;
    assert(!known || self->numbers[place] == number);
    for (size_t i = 0; i < KEPT; i++)
        assert((known && i == place) || self->numbers[i] != number);
    memmove(&self->last[1], &self->last[0], place * sizeof self->last[0]);
    memmove(&self->numbers[1], &self->numbers[0], place * sizeof self->numbers[0]);
    self->last[0] = identity;
    self->numbers[0] = number;
    for (size_t i = 0; i < KEPT && self->numbers[i] != 0; i++) {
        const struct peer *peer = peers_find(self->peers, self->numbers[i]);
        assert(peer != NULL);
        assert(peer->identity_size == self->last[i].size);
        assert(memcmp(peer->identity, self->last[i].data, peer->identity_size) == 0);
    }
}

static void take_message(struct shell *self)
{
    struct frame frames[FRAMES_MOST];
    size_t sizes[ENVELOPE_FRAMES_MAX] = {0};
    struct envelope envelope;
    const size_t count = next(self) % (FRAMES_MOST + 1);
    for (size_t i = 0; i < count; i++) {
        frames[i] = next_frame(self);
        if (i < ENVELOPE_FRAMES_MAX)
            sizes[i] = frames[i].size;
    }
    if (envelope_read(sizes, count, &envelope) != ERR_OK) {
        assert(count == 0 || frames[0].size == 0);
        return;
    }
    struct peer *peer = peers_meet(self->peers, frames[0].data, frames[0].size);
    peer->delimiter = envelope.delimiter;
    check_met(self, frames[0], peer->number);
    assert(envelope.malformed == !(count == 2 || (count == 3 && frames[1].size == 0)));
    assert(!envelope.delimiter || frames[1].size == 0);
    if (envelope.malformed)
        return;
    assert(envelope.body == count - 1);
    Sb__Request *request = NULL;
    if (wire_request(frames[envelope.body].data, frames[envelope.body].size, &request, NULL) == ERR_OK)
        sb__request__free_unpacked(request, NULL);
    (void)wire_request_id(frames[envelope.body].data, frames[envelope.body].size);
}

// The one met last but `which` is gone: its place is free, and nobody has its number.
static void forget(struct shell *self, size_t which)
{
    const uint64_t number = self->numbers[which];
    peers_forget(self->peers, number);
    assert(peers_find(self->peers, number) == NULL);
    if (number == 0)
        return;
    memmove(&self->last[which], &self->last[which + 1], (KEPT - 1 - which) * sizeof self->last[0]);
    memmove(&self->numbers[which], &self->numbers[which + 1], (KEPT - 1 - which) * sizeof self->numbers[0]);
    self->last[KEPT - 1] = (struct frame){.size = 0};
    self->numbers[KEPT - 1] = 0;
}

static void take_subscription(struct shell *self)
{
    static const char prefix[] = WIRE_JSON_TOPIC;
    char bytes[1 + sizeof prefix + UINT8_MAX];
    char topic[TOPIC_SIZE_MAX + 1] = "";
    const uint8_t how = next(self);
    const struct frame frame = next_frame(self);
    if ((how & 2U) != 0) { // as it stands
        subscriptions_take(&self->json, frame.data, frame.size);
        return;
    }
    bytes[0] = (char)(how & 1U);
    memcpy(bytes + 1, prefix, strlen(prefix));
    memcpy(bytes + 1 + strlen(prefix), frame.data, frame.size);
    subscriptions_take(&self->json, bytes, 1 + strlen(prefix) + frame.size);
    if (frame.size > TOPIC_SIZE_MAX || memchr(frame.data, '\0', frame.size) != NULL)
        return;
    memcpy(topic, frame.data, frame.size);
    assert((how & 1U) == 0 || subscriptions_want(&self->json, topic));
    assert(self->json.count <= SUBSCRIPTIONS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shell self = {.data = data, .size = size};
    const enum err err = peers_new(KEPT, &self.peers);
    assert(err == ERR_OK);
    for (int i = 0; i < STEPS_MAX && self.size > 0; i++) {
        const uint8_t what = next(&self);
        if (what % 4 == 0)
            take_subscription(&self);
        else if (what % 4 == 1)
            forget(&self, what >> 2 & (KEPT - 1));
        else
            take_message(&self);
    }
    peers_destroy(&self.peers);
    return 0;
}
