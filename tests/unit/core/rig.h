// A started core with two resources and a few jobs, asked request by request: for tests of what no story can
// say.
#ifndef SYNCBUS_TESTS_UNIT_CORE_RIG_H
#define SYNCBUS_TESTS_UNIT_CORE_RIG_H

#include "broker/core/core.h"
#include "tests/lib/request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RIG_PEER = 7, RIG_JOBS_MAX = 4200, RIG_RECORDS_MAX = 4224, RIG_SESSION_JOBS = 64 };

// The resources; and the jobs that there are at first: the last one of "crm", the others of "erp".
enum { ERP, CRM };
enum { PRICES, STOCKS, PEOPLE, RIG_JOBS };

struct rig_client {
    uint64_t instance, process; // who it is
    const char *serves;         // the call that it answers; NULL: none
    uint64_t session;           // 0: it did not say Hello
};

struct rig {
    // What was seen since the start.
    uint64_t runs[RIG_JOBS_MAX];        // as last ticked
    uint32_t attempts[RIG_JOBS_MAX];    // of them
    uint64_t ticks[RIG_JOBS_MAX];       // of each job, repeats included, as they are counted
    Sb__Stage stages[RIG_JOBS_MAX];     // of the last run that was told of
    uint64_t records[CORE_TABLE_COUNT]; // stored, by table
    uint64_t deleted[CORE_TABLE_COUNT]; // deleted
    uint64_t answers[16];               // replies, by code
    uint64_t leases[8];                 // told of, by what became of them
    uint64_t beats;                     // so far
    size_t seqs;                        // that the last one repeated
    Sb__Stage outcome;                  // of the last entry in the ledger

    void *memory; // of the core
    struct core *core;
    struct core_update update;                // of the last step
    struct core_config config;                // what it starts with, or reads again
    struct core_resource_config resources[2]; // its resources
    struct core_job_config jobs[RIG_JOBS_MAX];
    char names[RIG_JOBS_MAX][16];                                                 // of the jobs
    int64_t boot_ms, wall_ms;                                                     // clocks
    uint64_t durable;                                                             // as the journal would say
    bool journal_stands;                                                          // nothing becomes durable
    void (*stores)(void *arg, const struct core_update *update, uint64_t number); // told of each; or NULL
    void *stores_arg;                                                             // for it
    uint64_t id;                                                                  // of the last request
    struct rig_client sync, order;                                                // those of rig_begin
    struct core_record start[RIG_RECORDS_MAX]; // what the journal recovers, the first start_count
    size_t start_count;                        // of them
};

// A test of a core that has started, with nobody there.
#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)
int rig_set_up(void **state);
int rig_tear_down(void **state);

// What the journal has. The value must live until the start; the key is `key`.
void rig_recovers(struct rig *self, enum core_table table, const char *key, const ProtobufCMessage *value);
// Starts anew, with the config and the journal as they are now; and then there come a sync that runs the
// first jobs, and one that only orders.
void rig_start(struct rig *self);
// No more than the first step of that.
void rig_start_only(struct rig *self);
void rig_begin(struct rig *self);
void rig_stop(struct rig *self);
// The config is read again; the answer.
const Sb__Reply *rig_reload(struct rig *self);

// One event; one look at what is due after so much time; and time that passes, step by step.
void rig_step(struct rig *self, struct core_event *event);
void rig_tick(struct rig *self, int64_t duration_ms);
void rig_pass(struct rig *self, int64_t duration_ms);

// Sends a request, under its id or else a new one, for a client or nobody; its reply, or NULL if there is
// none yet. Valid until the next step.
const Sb__Reply *rig_ask(struct rig *self, const struct rig_client *client, Sb__Request *request);
// The last step's reply to a request; NULL if there is none.
const Sb__Reply *rig_reply(const struct rig *self, uint64_t id);
// Sends `message` as the request's body of this kind.
#define RIG_ASK(self, client, kind, KIND, message) rig_ask((self), (client), REQUEST(kind, KIND, message))

// A Hello for these jobs, which knows all runs, or none; the answer. And a client that is welcome.
const Sb__Reply *rig_hello(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs);
const Sb__Reply *rig_hello_anew(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs);
struct rig_client rig_comes(struct rig *self, uint64_t instance, size_t first_job, size_t jobs,
                            const char *serves);

// A wish for the exclusive lease of a resource; and for a turn of a job's run as it was ticked last.
Sb__Acquire rig_order(struct rig *self, size_t resource, uint64_t claim);
Sb__Acquire rig_turn(struct rig *self, size_t job, uint64_t claim);
const Sb__Reply *rig_acquire(struct rig *self, const struct rig_client *client, Sb__Acquire wish);
// The token of a wish that is granted at once.
uint64_t rig_granted(struct rig *self, const struct rig_client *client, Sb__Acquire wish);
const Sb__Reply *rig_renew(struct rig *self, const struct rig_client *client, Sb__Acquire wish,
                           uint64_t token);
void rig_release(struct rig *self, const struct rig_client *client, uint64_t token, bool yields);
Sb__Code rig_report(struct rig *self, const struct rig_client *client, size_t job, uint64_t run,
                    uint32_t attempt, bool ok);
// What a trigger is answered; a hold of a job or of a resource; and a call, under the id that it gives.
const Sb__Reply *rig_trigger(struct rig *self, const struct rig_client *client, size_t job, Sb__Cause cause);
const Sb__Reply *rig_hold(struct rig *self, const char *job, const char *resource, int64_t until_ms,
                          uint64_t number);
uint64_t rig_call(struct rig *self, const char *service, const char *body, uint32_t timeout_ms);

// The state, of all jobs ("") or one; and of it the job, or the resource.
const Sb__State *rig_state(struct rig *self, const char *job, const char *after, uint32_t limit);
const Sb__JobState *rig_job(struct rig *self, size_t job);
const Sb__ResourceState *rig_resource(struct rig *self, size_t resource);

// The messages have no const.
static inline char *rig_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

#endif
