// A world in one process: simulated time, hosts with clocks of their own, a network that loses and delays,
// processes that crash and freeze. In it run the broker's core, the clients' sessions and the services as
// they are; only what is below them (clock, sockets, disks, the ERP) is made here.
//
// All that happens follows from one seed. There is one world at a time, `sim`, because what stands in for a
// clock or a socket is called without a context.
#ifndef SYNCBUS_TESTS_SIM_SIM_H
#define SYNCBUS_TESTS_SIM_SIM_H

#include "proto/base/err.h"
#include "proto/base/random.h"
#include "proto/io/config.h"
#include "tests/sim/agenda.h"
#include "tests/sim/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_NODES_MAX = 32, SIM_NAME_MAX = 32, SIM_SECOND_US = 1000 * 1000, SIM_MS_US = 1000 };

// What may go wrong; a set of them is a mask.
enum sim_fault {
    SIM_FAULT_DELAY = 1 << 0,        // messages take long, and overtake each other
    SIM_FAULT_LOSS = 1 << 1,         // messages are lost
    SIM_FAULT_DUPLICATE = 1 << 2,    // messages come twice
    SIM_FAULT_PARTITION = 1 << 3,    // a node cannot be reached, or cannot reach, for a while
    SIM_FAULT_PUBLICATIONS = 1 << 4, // publications are lost, up to all of them
    SIM_FAULT_CRASH = 1 << 5,        // processes are killed, and started again
    SIM_FAULT_FREEZE = 1 << 6,       // processes stand still for a while
    SIM_FAULT_DRIFT = 1 << 7,        // clocks run up to 1 % too fast or too slow
    SIM_FAULT_JUMP = 1 << 8,         // wall clocks jump
    SIM_FAULT_DISK = 1 << 9,         // disks are slow, and fail
    SIM_FAULT_ERP = 1 << 10,         // the ERP is slow, fails, and loses answers after doing the work
    SIM_FAULT_RELOAD = 1 << 11,      // the config changes while all run
    SIM_FAULT_PEOPLE = 1 << 12,      // holds, triggers, revocations, cancellations
};
enum { SIM_FAULTS_ALL = (1 << 13) - 1 };

struct syncbus_client;
struct service_handler;
struct node;

// A process of the bus on a host of its own, through all its lives.
struct node {
    char name[SIM_NAME_MAX];
    uint32_t index;          // in sim->nodes
    uint64_t life;           // number of its present or last life; what was meant for an earlier one is void
    bool up;                 // it runs
    int64_t frozen_until_us; // it runs, but does nothing before: what comes waits
    bool dying;              // it was killed in the midst of what it does: nothing leaves it any more
    int64_t rate_ppm;        // how much faster than true its clocks run
    int64_t boot_zero_us;    // its BOOTTIME at the world's beginning
    int64_t wall_ahead_ms;   // of its wall clock, against the true time
    uint64_t instance;       // lasting identity
    struct syncbus_client *client;         // its session; NULL: none
    const struct service_handler *handler; // who takes what its loop brings; NULL: the broker
    void *arg;                             // of the handler
    void (*start)(struct node *self);      // begins a life; the node is up already
    void (*end)(struct node *self); // frees what the life that has just ended had, without a word to anybody
    void *own;                      // of the kind of node: lasts through its lives
    int64_t wake_us;                // when its next turn is due; INT64_MAX: never
    uint64_t wake_number;           // of the turn that is in the agenda
    struct {                        // how messages go between it and the broker
        int64_t delay_us;           // at least; up to four times as much with DELAY
        uint32_t loss_ppm;          // of requests and replies
        uint32_t duplicate_ppm;     // of requests and replies
        uint32_t publication_loss_ppm; // of publications
        int64_t deaf_until_us;         // nothing reaches it
        int64_t mute_until_us;         // nothing leaves it
        uint64_t connection;           // number of its present one
        uint64_t peer;                 // the broker's number of that; 0: it has none yet
        uint64_t peer_life;            // of the broker, in which that was given
        int64_t last_request_us;       // when the last one arrives: a connection keeps its order
        int64_t last_reply_us;         // the same of replies
        int64_t last_event_us;         // and of publications
    } link;
};

struct sim {
    uint64_t seed;         // of all
    struct random random;  // the only source of chance
    unsigned faults;       // that may happen now; 0 once all is healed
    struct agenda agenda;  // what happens next, and the true time
    struct config *config; // of all processes, as it is now
    uint32_t changes;      // of the config, so far
    struct node nodes[SIM_NODES_MAX];
    size_t node_count;
    struct node *broker;  // one of them
    struct node *current; // who is at work; NULL: the world itself
    int64_t healed_us;    // when the last faults ended; INT64_MAX: they may still happen
    bool silent;          // since then no publication reaches anybody: all must be well all the same (I11)
    bool over;            // the world ends: nothing new begins
    bool failed;          // an invariant was broken
    char broken[16];      // which
    uint64_t events;      // taken so far
};

extern struct sim *sim;

// ---------------------------------------------------------------- time and chance

// The true time of the world: µs since it began, and the wall clock in Unix ms.
int64_t sim_now_us(void);
int64_t sim_wall_ms(void);

// A node's own clocks, now; and the true time at which its BOOTTIME reaches `boot_ms`.
int64_t node_boot_ms(const struct node *self);
int64_t node_wall_ms(const struct node *self);
int64_t node_true_us(const struct node *self, int64_t boot_ms);

// A number from `least` to `most`, both included.
int64_t sim_between(int64_t least, int64_t most);

// True in `ppm` of a million cases; and the same, but only while that fault may happen.
bool sim_chance(uint32_t ppm);
bool sim_fault(enum sim_fault fault, uint32_t ppm);

// Calls `fn` after so many µs, whatever became of anybody meanwhile.
void sim_after(int64_t us, agenda_fn *fn, void *arg, uint64_t number);

// ---------------------------------------------------------------- nodes

// A new node that is down. Its name is copied.
struct node *node_add(const char *name);

void node_start(struct node *self);
// Kills it: no word leaves, what it has not stored is gone.
void node_kill(struct node *self);
// Lets it finish what can be finished and end by itself, as a signal does.
void node_stop(struct node *self);
// Stops it in its tracks for so many µs: what comes meanwhile is taken then.
void node_freeze(struct node *self, int64_t us);
bool node_is_frozen(const struct node *self);

// Called by what stands in for disks and sockets between two effects of a process: true if it was killed
// right here (by chance, while SIM_FAULT_CRASH may happen). Then and ever after nothing that it does has an
// effect, until it is started again.
bool node_falls(struct node *self, uint32_t ppm);

// Whether something of this life may still have an effect: it runs, in that life, and was not killed in its
// tracks.
bool node_lives(const struct node *self, uint64_t life);

// Runs a turn of its loop at once, or as soon as it is not frozen any more.
void node_wake(struct node *self);

// For what stands in for libcurl: the node behind a multi handle; and that a transfer of this life ended, to
// be told to its handler now or as soon as it is not frozen any more. `easy` is only compared by those who
// made it.
struct node *node_of_transfers(void *multi);
void node_transfer_ended(struct node *self, uint64_t life, void *easy, int result);

#endif
