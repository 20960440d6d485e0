#include "tests/unit/core/asking.h"

char *const PRICES = (char *)(uintptr_t) "prices";
char *const DDT = (char *)(uintptr_t) "ddt";
char *const ERP = (char *)(uintptr_t) "erp";
char *const CRM = (char *)(uintptr_t) "crm";
char *const SOMEBODY = (char *)(uintptr_t) "op";

static void step(struct fixture *self, struct core_event *event)
{
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = core_update_number(self->core);
    core_step(self->core, event, &self->update);
    core_check(self->core);
    for (size_t i = 0; i < self->update.publication_count; i++) {
        const Sb__Event *told = self->update.publications[i].event;
        if (told->body_case == SB__EVENT__BODY_TICK && strcmp(told->tick->job, PRICES) == 0)
            self->run = told->tick->run;
    }
}

void pass(struct fixture *self, int64_t duration_ms)
{
    const int64_t end = self->boot_ms + duration_ms;
    do {
        const int64_t deadline = core_deadline(self->core);
        const int64_t next = deadline < self->boot_ms ? self->boot_ms : deadline < end ? deadline : end;
        self->wall_ms += next - self->boot_ms;
        self->boot_ms = next;
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
    } while (self->boot_ms < end || core_deadline(self->core) <= end);
}

// The answer to a request of a peer, or NULL while there is none.
const Sb__Reply *ask_as(struct fixture *self, uint64_t peer, Sb__Request *request)
{
    request->id = request->id != 0 ? request->id : ++self->id;
    request->session = self->sessions[peer];
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = peer;
    event.request.request = request;
    step(self, &event);
    for (size_t i = 0; i < self->update.reply_count; i++) {
        const Sb__Reply *reply = self->update.replies[i].reply;
        if (reply->id == request->id && self->update.replies[i].peer == peer)
            return reply;
    }
    return NULL;
}

Sb__Code hello_as(struct fixture *self, uint64_t peer, Sb__Hello *hello)
{
    self->sessions[peer] = 0;
    const Sb__Reply *reply = ask_as(self, peer, REQUEST(HELLO, hello, hello));
    if (reply->code == SB__CODE__CODE_OK)
        self->sessions[peer] = reply->welcome->session;
    return reply->code;
}

// A Hello of one's own: its strings are the caller's.
Sb__Hello hello_of(uint64_t number)
{
    Sb__Hello hello = SB__HELLO__INIT;
    hello.name = SOMEBODY;
    hello.instance = hello.process = hello.host = number;
    return hello;
}

static struct core_config config_of(const struct core_resource_config *resources,
                                    const struct core_job_config *jobs)
{
    return (struct core_config){.resources = resources,
                                .resource_count = 2,
                                .jobs = jobs,
                                .job_count = 2,
                                .jobs_max = 4,
                                .resources_max = 2,
                                .beat_ms = 1000,
                                .session_ttl_ms = 15000,
                                .sessions_max = 8,
                                .waiters_max = 8,
                                .calls_max = CALLS_MAX,
                                .version = "test",
                                .profile = "60m"};
}

int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    struct core_resource_config resources[2];
    struct core_job_config jobs[2];
    assert_non_null(self);
    for (size_t i = 0; i < 2; i++) {
        resources[i] = (struct core_resource_config){.name = i == 0 ? ERP : CRM,
                                                     .capacity = 1,
                                                     .lease_ttl_ms = 10000,
                                                     .grant_delay_ms = 1000,
                                                     .max_exclusive_ms = 600000,
                                                     .max_exclusive_streak_ms = 900000};
        jobs[i] = (struct core_job_config){.name = i == 0 ? PRICES : DDT,
                                           .resource = (uint32_t)i,
                                           .every_ms = 600000,
                                           .priority = 3,
                                           .pause_timeout_ms = 5000,
                                           .stall_ms = 60000,
                                           .retry_after_ms = 30000,
                                           .fresh_within_ms = 900000,
                                           .catches_up = true};
    }
    const struct core_config config = config_of(resources, jobs);
    self->memory = calloc(1, core_size(&config, NULL));
    assert_non_null(self->memory);
    self->core = core_init(self->memory, &config);
    self->boot_ms = 1000000;
    self->wall_ms = INT64_C(1700000000000);
    step(self, &(struct core_event){.kind = CORE_EVENT_START});
    Sb__Hello sync = hello_of(SYNC);
    Sb__Hello order = hello_of(ORDER);
    Sb__Hello stranger = hello_of(STRANGER);
    char *serves[] = {(char *)(uintptr_t) "order"};
    sync.jobs = (char **)(uintptr_t)&PRICES;
    sync.n_jobs = 1;
    order.serves = serves;
    order.n_serves = 1;
    assert_int_equal(hello_as(self, SYNC, &sync), SB__CODE__CODE_OK);
    assert_int_equal(hello_as(self, ORDER, &order), SB__CODE__CODE_OK);
    assert_int_equal(hello_as(self, STRANGER, &stranger), SB__CODE__CODE_OK);
    *state = self;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *self = *state;
    free(self->memory);
    free(self);
    return 0;
}

Sb__Hold hold_of(void)
{
    Sb__Hold hold = SB__HOLD__INIT;
    hold.resource = ERP;
    hold.by = SOMEBODY;
    hold.reason = (char *)(uintptr_t) "maintenance";
    return hold;
}

Sb__Code lay(struct fixture *self, Sb__Hold *hold)
{
    return ask_as(self, STRANGER, REQUEST(HOLD, hold, hold))->code;
}
