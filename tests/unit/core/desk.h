// A core with three jobs on two resources, and what tests ask of it: for those that look at single replies.
#ifndef SYNCBUS_TESTS_UNIT_CORE_DESK_H
#define SYNCBUS_TESTS_UNIT_CORE_DESK_H

#include "broker/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DESK_PEER = 7, DESK_JOBS = 3, DESK_JOBS_MAX = 8 };

struct desk {
    void *memory; // of the core
    struct core *core;
    struct core_config config;
    struct core_update update; // of the last step
    int64_t boot_ms, wall_ms;
    uint64_t peer, session, id; // of the next request
    uint64_t runs[DESK_JOBS];   // as last ticked
};

static const struct core_resource_config DESK_RESOURCES[] = {{.name = "erp",
                                                              .capacity = 20,
                                                              .lease_ttl_ms = 10000,
                                                              .grant_delay_ms = 1000,
                                                              .max_exclusive_ms = 600000,
                                                              .max_exclusive_streak_ms = 900000,
                                                              .aging_ms = 600000},
                                                             {.name = "shop",
                                                              .capacity = 1,
                                                              .lease_ttl_ms = 10000,
                                                              .grant_delay_ms = 1000,
                                                              .max_exclusive_ms = 600000,
                                                              .max_exclusive_streak_ms = 900000,
                                                              .aging_ms = 600000}};

#define DESK_JOB(job_name, on)                                                                               \
    {                                                                                                        \
        .name = (job_name), .resource = (on), .every_ms = 3600000, .priority = 3, .pause_timeout_ms = 60000, \
        .max_yields = 3, .yields = true, .stall_ms = 60000, .settle_ms = 250, .retry_after_ms = 30000,       \
        .fresh_within_ms = 7200000, .catches_up = true                                                       \
    }
static const struct core_job_config DESK_CONFIGURED[DESK_JOBS] = {DESK_JOB("prices", 0), DESK_JOB("stock", 0),
                                                                  DESK_JOB("goods", 1)};

static inline char *desk_text(const char *text)
{
    return (char *)(uintptr_t)text; // the messages have no const
}

static inline void desk_step(struct desk *self, struct core_event *event)
{
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = core_update_number(self->core);
    core_step(self->core, event, &self->update);
    for (size_t i = 0; i < self->update.publication_count; i++) {
        const Sb__Event *told = self->update.publications[i].event;
        for (size_t job = 0; told->body_case == SB__EVENT__BODY_TICK && job < DESK_JOBS; job++) {
            if (strcmp(told->tick->job, DESK_CONFIGURED[job].name) == 0)
                self->runs[job] = told->tick->run;
        }
    }
}

// Makes a new core that finds these records in its journal.
static inline void desk_start(struct desk *self, const struct core_record *records, size_t count)
{
    free(self->memory);
    self->memory = calloc(1, core_size(&self->config, NULL));
    assert_non_null(self->memory);
    self->core = core_init(self->memory, &self->config);
    self->boot_ms = 1000000;
    self->wall_ms = INT64_C(1700000000000);
    self->peer = DESK_PEER;
    self->session = 0;
    struct core_event event = {.kind = CORE_EVENT_START};
    event.start.records = records;
    event.start.count = count;
    event.start.entropy = 5;
    desk_step(self, &event);
}

static inline void desk_time(struct desk *self)
{
    desk_step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
}

// Takes all deadlines up to a time from now.
static inline void desk_pass(struct desk *self, int64_t duration_ms)
{
    const int64_t end = self->boot_ms + duration_ms;
    while (core_deadline(self->core) <= end) {
        const int64_t at = core_deadline(self->core);
        if (at > self->boot_ms) {
            self->wall_ms += at - self->boot_ms;
            self->boot_ms = at;
        }
        desk_time(self);
    }
    self->wall_ms += end - self->boot_ms;
    self->boot_ms = end;
    core_check(self->core);
}

// The last step's reply to a request; NULL if there is none.
static inline const Sb__Reply *desk_reply(const struct desk *self, uint64_t id)
{
    for (size_t i = 0; i < self->update.reply_count; i++) {
        if (self->update.replies[i].reply->id == id)
            return self->update.replies[i].reply;
    }
    return NULL;
}

// Sends a request under the id that it has, or under a new one.
static inline const Sb__Reply *desk_ask(struct desk *self, Sb__Request *request)
{
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    if (request->id == 0)
        request->id = ++self->id;
    request->session = self->session;
    event.request.peer = self->peer;
    event.request.request = request;
    desk_step(self, &event);
    return desk_reply(self, request->id);
}

// Sends `message` as the request's body of this kind.
#define DESK_ASK(self, kind, KIND, message)                                                                  \
    desk_ask((self), &(Sb__Request){PROTOBUF_C_MESSAGE_INIT(&sb__request__descriptor),                       \
                                    .body_case = SB__REQUEST__BODY_##KIND, .kind = (message)})

// Says Hello for jobs and calls, and goes on in that session.
static inline const Sb__Reply *desk_hello(struct desk *self, uint64_t instance, uint64_t process, char **jobs,
                                          size_t job_count, char **serves, size_t serve_count)
{
    Sb__Hello hello = SB__HELLO__INIT;
    hello.name = desk_text("sync");
    hello.instance = instance;
    hello.process = process;
    hello.host = 1;
    hello.jobs = jobs;
    hello.n_jobs = job_count;
    hello.serves = serves;
    hello.n_serves = serve_count;
    const Sb__Reply *reply = DESK_ASK(self, hello, HELLO, &hello);
    assert_non_null(reply);
    if (reply->code == SB__CODE__CODE_OK)
        self->session = reply->welcome->session;
    return reply;
}

static inline const Sb__Reply *desk_acquire(struct desk *self, size_t resource, size_t job, uint64_t claim)
{
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = desk_text(DESK_RESOURCES[resource].name);
    acquire.mode = job < DESK_JOBS ? SB__MODE__MODE_SHARED : SB__MODE__MODE_EXCLUSIVE;
    if (job < DESK_JOBS) {
        acquire.job = desk_text(DESK_CONFIGURED[job].name);
        acquire.run = self->runs[job];
        acquire.attempt = 1;
    }
    acquire.claim = claim;
    return DESK_ASK(self, acquire, ACQUIRE, &acquire);
}

// Asks for a hold of a job or of a resource.
static inline const Sb__Reply *desk_hold(struct desk *self, const char *job, const char *resource,
                                         int64_t until_ms, uint64_t number)
{
    Sb__Hold hold = SB__HOLD__INIT;
    hold.job = desk_text(job);
    hold.resource = desk_text(resource);
    hold.by = desk_text("op");
    hold.reason = desk_text("maintenance");
    hold.until_ms = until_ms;
    hold.hold = number;
    return DESK_ASK(self, hold, HOLD, &hold);
}

static inline const Sb__State *desk_look(struct desk *self, const char *job, const char *after,
                                         uint32_t limit)
{
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    snapshot.job = desk_text(job);
    snapshot.after = desk_text(after);
    snapshot.limit = limit;
    const Sb__Reply *reply = DESK_ASK(self, snapshot, SNAPSHOT, &snapshot);
    assert_int_equal(reply->body_case, SB__REPLY__BODY_STATE);
    return reply->state;
}

static inline int desk_set_up(void **state)
{
    struct desk *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->config = (struct core_config){.resources = DESK_RESOURCES,
                                        .resource_count = 2,
                                        .jobs = DESK_CONFIGURED,
                                        .job_count = DESK_JOBS,
                                        .jobs_max = DESK_JOBS_MAX,
                                        .resources_max = 4,
                                        .beat_ms = 1000,
                                        .session_ttl_ms = 15000,
                                        .sessions_max = 600,
                                        .waiters_max = 64,
                                        .calls_max = 64,
                                        .version = "test"};
    desk_start(self, NULL, 0);
    desk_pass(self, 0);
    *state = self;
    return 0;
}

static inline int desk_tear_down(void **state)
{
    struct desk *self = *state;
    free(self->memory);
    free(self);
    return 0;
}

#define DESK_TEST(test) cmocka_unit_test_setup_teardown(test, desk_set_up, desk_tear_down)

#endif
