#include "tests/sim/net.h"

#include "proto/wire.h"
#include "tests/sim/broker.h"
#include "tests/sim/bus.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOPIC_MAX = 128,
    OVERTAKES_PPM = 50000,
    HALF_OPEN_PPM = 500000,
    KEPT_PPM = 300000,
    STALLS_PPM = 3000,
    STALL_MAX_MS = 8000,
};

// One end of a connection, as the broker knows it: its number is its place, from 1.
struct peer {
    struct node *node;   // at its other end
    uint64_t connection; // of that node
};

static struct {
    struct peer *peers; // owned
    size_t count;       // of them
    size_t capacity;    // room for so many
} net;

// A frame on its way.
struct frame {
    struct node *node;   // from whom, or to whom
    uint64_t peer;       // to the broker: from whom; 0: to the node
    uint64_t connection; // on which it goes
    uint64_t life;       // of the one it goes to
    size_t size;         // bytes of it
    char data[];         // they
};

// A publication on its way, to many.
struct publication {
    size_t copies;         // under way
    Sb__Event *event;      // read once, for all; NULL: not yet
    char topic[TOPIC_MAX]; // its topic
    size_t size;           // bytes of it
    char data[];           // they
};

// One copy of it.
struct copy {
    struct publication *publication; // shared
    struct node *node;               // to whom
    uint64_t connection;             // of the node
};

void net_init(void)
{
    net.count = 0;
}

void net_free(void)
{
    free(net.peers);
    memset(&net, 0, sizeof net);
}

void net_connect(struct node *self)
{
    self->link.connection++;
    self->link.peer = 0;
}

static uint64_t peer_of(struct node *self)
{
    if (self->link.peer != 0 && self->link.peer_life == sim->broker->life)
        return self->link.peer;
    if (net.count == net.capacity) {
        net.capacity = net.capacity == 0 ? 64 : 2 * net.capacity;
        net.peers = realloc(net.peers, net.capacity * sizeof *net.peers);
        assert(net.peers != NULL);
    }
    net.peers[net.count++] = (struct peer){.node = self, .connection = self->link.connection};
    self->link.peer = net.count;
    self->link.peer_life = sim->broker->life;
    return self->link.peer;
}

// When something sent now arrives; it overtakes nothing, unless that is one of the faults. A cut link may
// keep it until it is mended, or lose it: -1.
static int64_t arrival_us(struct node *self, int64_t cut_until_us, int64_t *last_us)
{
    int64_t at_us = sim_now_us() + self->link.delay_us;
    if (cut_until_us > sim_now_us()) {
        if (!sim_chance(KEPT_PPM))
            return -1;
        at_us = cut_until_us + self->link.delay_us;
    }
    if ((sim->faults & SIM_FAULT_DELAY) != 0) {
        at_us += sim_between(0, 3 * self->link.delay_us);
        if (sim_chance(STALLS_PPM)) // it was lost on its way, and is sent again by what carries it
            at_us += sim_between(1, STALL_MAX_MS) * SIM_MS_US;
        if (sim_chance(OVERTAKES_PPM))
            return at_us;
    }
    *last_us = at_us > *last_us ? at_us : *last_us;
    return *last_us;
}

// ---------------------------------------------------------------- requests and replies

static void arrive(void *arg, uint64_t number)
{
    struct frame *frame = arg;
    struct node *to = frame->peer != 0 ? sim->broker : frame->node;
    (void)number;
    if (node_lives(to, frame->life) && node_is_frozen(to)) {
        agenda_put(&sim->agenda, to->frozen_until_us, arrive, frame, 0);
        return;
    }
    if (!node_lives(to, frame->life))
        ; // its connection ended with it
    else if (frame->peer != 0)
        broker_take(frame->peer, frame->data, frame->size);
    else if (frame->connection == frame->node->link.connection)
        bus_take_reply(frame->node, frame->data, frame->size);
    free(frame);
}

// To the broker from that peer, or to the node (peer 0).
static void send_frame(struct node *self, uint64_t peer, const void *data, size_t size)
{
    int64_t *last_us = peer != 0 ? &self->link.last_request_us : &self->link.last_reply_us;
    const int64_t cut_us = peer != 0 ? self->link.mute_until_us : self->link.deaf_until_us;
    const int64_t at_us = arrival_us(self, cut_us, last_us);
    if (at_us < 0 || sim_fault(SIM_FAULT_LOSS, self->link.loss_ppm))
        return;
    struct frame *frame = malloc(sizeof *frame + size);
    assert(frame != NULL);
    *frame = (struct frame){.node = self,
                            .peer = peer,
                            .connection = self->link.connection,
                            .life = peer != 0 ? sim->broker->life : self->life,
                            .size = size};
    memcpy(frame->data, data, size);
    agenda_put(&sim->agenda, at_us, arrive, frame, 0);
}

static void send_frames(struct node *self, uint64_t peer, const void *data, size_t size)
{
    send_frame(self, peer, data, size);
    if (sim_fault(SIM_FAULT_DUPLICATE, self->link.duplicate_ppm))
        send_frame(self, peer, data, size);
}

void net_request(struct node *self, const void *data, size_t size)
{
    if (!self->up || self->dying || !sim->broker->up)
        return;
    send_frames(self, peer_of(self), data, size);
}

struct node *net_node(uint64_t peer)
{
    assert(peer > 0 && peer <= net.count);
    return net.peers[peer - 1].node;
}

bool net_reply(uint64_t peer, const void *data, size_t size)
{
    assert(peer > 0 && peer <= net.count);
    const struct peer *to = &net.peers[peer - 1];
    if (sim->broker->dying)
        return true;
    if (to->connection != to->node->link.connection || !to->node->up)
        return sim_chance(HALF_OPEN_PPM); // it is not always noticed at once
    send_frames(to->node, 0, data, size);
    return true;
}

// ---------------------------------------------------------------- publications

static void release(struct publication *self)
{
    if (--self->copies > 0)
        return;
    if (self->event != NULL)
        sb__event__free_unpacked(self->event, NULL);
    free(self);
}

static void arrive_copy(void *arg, uint64_t number)
{
    struct copy *copy = arg;
    struct publication *publication = copy->publication;
    struct node *node = copy->node;
    (void)number;
    if (node->up && node->link.connection == copy->connection && node_is_frozen(node)) {
        agenda_put(&sim->agenda, node->frozen_until_us, arrive_copy, copy, 0);
        return;
    }
    if (node->up && node->link.connection == copy->connection) {
        if (publication->event == NULL)
            (void)!wire_event(publication->data, publication->size, &publication->event, NULL);
        assert(publication->event != NULL);
        bus_take_event(node, publication->topic, publication->event, publication->data, publication->size);
    }
    release(publication);
    free(copy);
}

static void send_copy(struct node *self, struct publication *publication)
{
    if (self->link.deaf_until_us > sim_now_us() ||
        sim_fault(SIM_FAULT_PUBLICATIONS, self->link.publication_loss_ppm))
        return;
    const int64_t at_us = arrival_us(self, 0, &self->link.last_event_us);
    struct copy *copy = malloc(sizeof *copy);
    assert(copy != NULL);
    *copy = (struct copy){.publication = publication, .node = self, .connection = self->link.connection};
    publication->copies++;
    agenda_put(&sim->agenda, at_us, arrive_copy, copy, 0);
}

void net_publish(const char *topic, const void *data, size_t size)
{
    if (sim->broker->dying)
        return;
    struct publication *publication = malloc(sizeof *publication + size);
    assert(publication != NULL);
    *publication = (struct publication){.copies = 1, .size = size};
    assert(strlen(topic) < sizeof publication->topic);
    memcpy(publication->topic, topic, strlen(topic) + 1);
    memcpy(publication->data, data, size);
    for (size_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i].up && bus_wants(&sim->nodes[i], topic))
            send_copy(&sim->nodes[i], publication);
    }
    release(publication);
}
