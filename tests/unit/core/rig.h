// A core with two resources and a few jobs, asked request by request: for tests of what no story can say.
#ifndef SYNCBUS_TESTS_UNIT_CORE_RIG_H
#define SYNCBUS_TESTS_UNIT_CORE_RIG_H

#include "broker/core/core.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RIG_JOBS_MAX = 1200, RIG_RECORDS_MAX = 4096 };

// The resources; and the jobs that there are at first: the last one of "crm", the others of "erp".
enum { ERP, CRM };
enum { PRICES, STOCKS, PEOPLE, RIG_JOBS };

// A client that said Hello.
struct rig_client {
    uint64_t instance, process; // who it is
    uint64_t session;           // 0: none
};

struct rig {
    void *memory;                             // of the core
    struct core *core;                        // NULL before the start
    struct core_update update;                // of the last step
    struct core_config config;                // what it starts with, or reads again
    struct core_resource_config resources[2]; // its resources
    struct core_job_config jobs[RIG_JOBS_MAX];
    char names[RIG_JOBS_MAX][16];              // of the jobs
    int64_t boot_ms, wall_ms;                  // clocks
    uint64_t durable;                          // as the journal would say
    bool journal_stands;                       // nothing becomes durable
    uint64_t id;                               // of the last request
    uint64_t runs[RIG_JOBS_MAX];               // as last ticked
    uint32_t attempts[RIG_JOBS_MAX];           // of them
    Sb__Stage stages[RIG_JOBS_MAX];            // of the last run that was told of
    uint64_t records[CORE_TABLE_COUNT];        // stored so far, by table
    uint64_t deleted[CORE_TABLE_COUNT];        // deleted so far
    uint64_t answers[16];                      // replies so far, by code
    Sb__Stage outcome;                         // of the last entry in the ledger
    struct core_record start[RIG_RECORDS_MAX]; // what the journal recovers, the first start_count
    size_t start_count;                        // of them
};

// For cmocka; the core is not started yet.
int rig_set_up(void **state);
int rig_tear_down(void **state);

// What the journal has. The value must live until the start; the key is `key`.
void rig_recovers(struct rig *self, enum core_table table, const char *key, const ProtobufCMessage *value);
void rig_start(struct rig *self);
void rig_stop(struct rig *self);
// The config is read again; the code of the answer.
Sb__Code rig_reload(struct rig *self);

// One look at what is due after so much time; and time that passes, step by step.
void rig_tick(struct rig *self, int64_t duration_ms);
void rig_pass(struct rig *self, int64_t duration_ms);

// Sends a request; its reply, or NULL if there is none yet. Valid until the next step.
const Sb__Reply *rig_ask(struct rig *self, const struct rig_client *client, Sb__Request *request);

// A Hello for these jobs, which knows their runs, or none of any job; the code of the answer.
Sb__Code rig_hello(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs);
Sb__Code rig_hello_anew(struct rig *self, struct rig_client *client, size_t first_job, size_t jobs);
// A wish for the exclusive lease of a resource; and for a turn of a job's run as it was ticked last.
Sb__Acquire rig_order(struct rig *self, size_t resource, uint64_t claim);
Sb__Acquire rig_turn(struct rig *self, size_t job, uint64_t claim);
const Sb__Reply *rig_acquire(struct rig *self, const struct rig_client *client, Sb__Acquire *acquire);
// The token of a wish that is granted at once.
uint64_t rig_granted(struct rig *self, const struct rig_client *client, Sb__Acquire acquire);
const Sb__Reply *rig_renew(struct rig *self, const struct rig_client *client, const Sb__Acquire *acquire,
                           uint64_t token);
void rig_release(struct rig *self, const struct rig_client *client, uint64_t token, bool yields);
Sb__Code rig_report(struct rig *self, const struct rig_client *client, size_t job, uint64_t run,
                    uint32_t attempt, bool ok);
// What a trigger is answered.
const Sb__Reply *rig_trigger(struct rig *self, const struct rig_client *client, size_t job, Sb__Cause cause);
// The job, or the resource, as a State shows it.
const Sb__JobState *rig_job(struct rig *self, size_t job);
const Sb__ResourceState *rig_resource(struct rig *self, size_t resource);

#endif
