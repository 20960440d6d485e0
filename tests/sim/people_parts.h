// What all kinds of people have in common.
#ifndef SYNCBUS_TESTS_SIM_PEOPLE_PARTS_H
#define SYNCBUS_TESTS_SIM_PEOPLE_PARTS_H

#include "services/service.h"
#include "tests/sim/people.h"

#include "syncbus.pb-c.h"

struct person;

// What a kind of person does. All but `free` are called while its node is at work, or at the world's end.
struct person_kind {
    void (*begin)(struct person *self); // a life begins: its client is made
    void (*end)(struct person *self);   // it is over
    void (*notice)(struct person *self, const struct syncbus_notice *notice);
    void (*time)(struct person *self, int64_t boot_ms); // a turn
    int64_t (*deadline)(const struct person *self);     // BOOTTIME of the next one
    void (*stop)(struct person *self);                  // leave in good order
    void (*check_end)(const struct person *self);       // of all that it did
    void (*free)(struct person *self);                  // with all that it remembers
};

// What a person remembers through all lives of its process; the first member of each kind's own.
struct person {
    const struct person_kind *kind; // what it does
    struct node *node;              // where
    bool anonymous;                 // has no session
    bool stopping;                  // this life is to end
};

// The order service's node; whether the world heals.
struct node *people_order_node(void);
bool people_heals(void);

// Adds the node of a person, which is taken over and freed by its kind.
struct node *person_add(const char *name, struct person *self, const struct person_kind *kind);

// Calls the order service, or asks the broker; the answer comes as SYNCBUS_REPLY with this number (0: it
// could not be asked).
uint64_t person_call(struct person *self, const char *method, const ProtobufCMessage *body,
                     uint32_t timeout_ms);
uint64_t person_ask(struct person *self, const Sb__Request *request, uint32_t timeout_ms);

// The reply in a notice, or NULL; freed with sb__reply__free_unpacked.
Sb__Reply *person_reply(const struct syncbus_notice *notice);

// A time of waiting, from almost 0 to twice the mean.
int64_t person_pause_ms(int64_t mean_ms);

// So many ms between two of what comes so often an hour: from `least` to `most`, few as likely as many.
int64_t person_mean_ms(int64_t least_an_hour, int64_t most_an_hour);

#endif
