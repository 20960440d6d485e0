// The core's contract with whoever runs it: what waits for the journal and what does not, deadlines, numbers,
// looks into the journal. What it decides is told in tests/scenario.
#include "broker/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PEER = 7, TOPICS_MAX = 64, MANY = 70000 };

// What was published under a topic.
struct topic_seen {
    char name[80]; // the topic
    uint64_t seq;  // of the last event
    bool durable;  // how they are marked
};

struct fixture {
    void *memory;                         // of the core
    struct core *core;                    // under test
    struct core_update update;            // of the last step
    int64_t boot_ms, wall_ms;             // clocks
    uint64_t durable;                     // as the journal would say
    bool journal_stands;                  // nothing becomes durable
    uint64_t session;                     // of the client
    uint64_t id;                          // of its last request
    struct topic_seen topics[TOPICS_MAX]; // the first topic_count are in use
    size_t topic_count;                   // of them
};

static const struct core_resource_config RESOURCE = {.name = "erp",
                                                     .capacity = 1,
                                                     .lease_ttl_ms = 10000,
                                                     .grant_delay_ms = 1000,
                                                     .max_exclusive_ms = 600000,
                                                     .max_exclusive_streak_ms = 900000,
                                                     .aging_ms = 600000};
static const struct core_job_config JOB = {.name = "prices",
                                           .every_ms = 600000,
                                           .priority = 5,
                                           .pause_timeout_ms = 60000,
                                           .max_yields = 3,
                                           .yields = true,
                                           .stall_ms = 60000,
                                           .settle_ms = 250,
                                           .retry_after_ms = 30000,
                                           .fresh_within_ms = 900000};

static struct core_config config_of(void)
{
    return (struct core_config){.resources = &RESOURCE,
                                .resource_count = 1,
                                .jobs = &JOB,
                                .job_count = 1,
                                .jobs_max = 8,
                                .resources_max = 4,
                                .beat_ms = 1000,
                                .session_ttl_ms = 15000,
                                .sessions_max = 8,
                                .waiters_max = 8,
                                .calls_max = 8,
                                .version = "test",
                                .profile = "60m"};
}

// The seq of each topic grows by one (I11), and what stands for one kind is marked alike.
static void look(struct fixture *self, const struct core_publication *publication)
{
    size_t at = 0;
    while (at < self->topic_count && strcmp(self->topics[at].name, publication->topic) != 0)
        at++;
    struct topic_seen *seen = &self->topics[at];
    if (at == self->topic_count) {
        assert_true(++self->topic_count < TOPICS_MAX);
        (void)snprintf(seen->name, sizeof seen->name, "%s", publication->topic);
        seen->durable = publication->durable;
    }
    assert_int_equal(publication->event->seq, ++seen->seq);
    assert_int_equal(publication->durable, seen->durable);
}

static void step(struct fixture *self, struct core_event *event)
{
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = self->durable;
    core_step(self->core, event, &self->update);
    core_check(self->core);
    for (size_t i = 0; i < self->update.publication_count; i++)
        look(self, &self->update.publications[i]);
    if (!self->journal_stands)
        self->durable = core_update_number(self->core);
}

static const Sb__Reply *ask(struct fixture *self, Sb__Request *request)
{
    request->id = ++self->id;
    request->session = self->session;
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = PEER;
    event.request.request = request;
    step(self, &event);
    return self->update.reply_count > 0 ? self->update.replies[0].reply : NULL;
}

static void pass(struct fixture *self, int64_t duration_ms)
{
    self->boot_ms += duration_ms;
    self->wall_ms += duration_ms;
    do
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
    while (core_deadline(self->core) <= self->boot_ms);
}

static void hello(struct fixture *self)
{
    Sb__Hello message = SB__HELLO__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    char *job = (char *)(uintptr_t)JOB.name;
    message.name = job;
    message.instance = message.process = message.host = 1;
    message.jobs = &job;
    message.n_jobs = 1;
    request.body_case = SB__REQUEST__BODY_HELLO;
    request.hello = &message;
    const Sb__Reply *reply = ask(self, &request);
    assert_int_equal(reply->code, SB__CODE__CODE_OK);
    self->session = reply->welcome->session;
}

static const Sb__Reply *acquire(struct fixture *self, uint64_t claim, uint32_t settle_ms)
{
    Sb__Acquire message = SB__ACQUIRE__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.resource = (char *)(uintptr_t)RESOURCE.name;
    message.mode = SB__MODE__MODE_EXCLUSIVE;
    message.claim = claim;
    message.settle_ms = settle_ms;
    request.body_case = SB__REQUEST__BODY_ACQUIRE;
    request.acquire = &message;
    return ask(self, &request);
}

static void give_back(struct fixture *self, uint64_t token)
{
    Sb__Release message = SB__RELEASE__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.token = token;
    request.body_case = SB__REQUEST__BODY_RELEASE;
    request.release = &message;
    (void)ask(self, &request);
}

static int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    const struct core_config config = config_of();
    assert_non_null(self);
    self->memory = calloc(1, core_size(&config, NULL));
    assert_non_null(self->memory);
    self->core = core_init(self->memory, &config);
    self->boot_ms = 1000000;
    self->wall_ms = INT64_C(1700000000000);
    step(self, &(struct core_event){.kind = CORE_EVENT_START});
    hello(self);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    free(self->memory);
    free(self);
    return 0;
}

static void a_config_past_a_limit_has_no_size_and_a_reason(void **state)
{
    (void)state;
    struct core_config config = config_of();
    struct fault fault = {0};
    config.waiters_max = UINT32_MAX;
    assert_int_equal(core_size(&config, &fault), 0);
    assert_int_equal(fault.err, ERR_FULL);
    assert_non_null(strstr(fault.text, "waiters"));
}

static void a_grant_waits_for_no_commit_unless_a_crash_must_not_forget_it(void **state)
{
    struct fixture *self = *state;
    const uint64_t token = acquire(self, 1, 0)->granted->token;
    assert_false(self->update.replies[0].durable);
    assert_int_equal(self->update.record_count, 0);
    give_back(self, token);
    assert_int_equal(acquire(self, 2, 60000)->body_case, SB__REPLY__BODY_GRANTED);
    assert_true(self->update.replies[0].durable);
    assert_int_equal(self->update.records[0].table, CORE_TABLE_LEASE);
}

static void a_trigger_is_recorded_before_it_is_acknowledged(void **state)
{
    struct fixture *self = *state;
    Sb__Trigger message = SB__TRIGGER__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.job = (char *)(uintptr_t)JOB.name;
    message.cause = SB__CAUSE__CAUSE_MANUAL;
    request.body_case = SB__REQUEST__BODY_TRIGGER;
    request.trigger = &message;
    assert_int_equal(ask(self, &request)->code, SB__CODE__CODE_OK);
    assert_true(self->update.replies[0].durable);
}

static void each_topic_counts_its_events_without_gaps_and_a_kind_waits_alike(void **state)
{
    struct fixture *self = *state;
    for (uint64_t i = 0; i < 200; i++) {
        if (i % 3 == 0)
            give_back(self, acquire(self, 100 + i, 0)->granted->token);
        pass(self, 7000); // each step looks at what was published
        if (i % 2 == 0)
            hello(self);
    }
    assert_true(self->topic_count >= 5);
}

static void no_number_is_given_out_before_its_block_is_durable(void **state)
{
    struct fixture *self = *state;
    self->journal_stands = true;
    uint64_t last = 0;
    uint64_t claim = 0;
    for (int i = 0; i < MANY; i++) {
        const Sb__Reply *reply = acquire(self, ++claim, 0);
        if (reply->body_case != SB__REPLY__BODY_GRANTED)
            break;
        assert_true(reply->granted->token > last); // I3
        last = reply->granted->token;
        give_back(self, last);
    }
    assert_true(claim < MANY);
    // As soon as the journal goes on, so do the grants.
    self->journal_stands = false;
    self->durable = core_update_number(self->core);
    pass(self, 10);
    assert_int_equal(acquire(self, claim, 0)->body_case, SB__REPLY__BODY_GRANTED);
}

static void time_that_stood_still_makes_one_beat_not_a_burst(void **state)
{
    struct fixture *self = *state;
    int beats = 0;
    self->boot_ms += 60000;
    self->wall_ms += 60000;
    while (core_deadline(self->core) <= self->boot_ms) {
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
        for (size_t i = 0; i < self->update.publication_count; i++)
            beats += strcmp(self->update.publications[i].topic, "beat") == 0;
    }
    assert_int_equal(beats, 1);
    assert_true(core_deadline(self->core) > self->boot_ms);
}

static void a_clean_stop_ends_when_its_records_are_durable(void **state)
{
    struct fixture *self = *state;
    self->journal_stands = true;
    step(self, &(struct core_event){.kind = CORE_EVENT_STOP});
    assert_false(core_stopped(self->core));
    self->journal_stands = false;
    self->durable = core_update_number(self->core);
    pass(self, 1000);
    assert_true(core_stopped(self->core));
}

static void a_look_at_the_ledger_names_its_keys_and_is_answered_with_what_was_found(void **state)
{
    struct fixture *self = *state;
    Sb__Ledger message = SB__LEDGER__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.job = (char *)(uintptr_t)JOB.name;
    message.from_ms = 5;
    message.limit = 3;
    request.body_case = SB__REQUEST__BODY_LEDGER;
    request.ledger = &message;
    (void)ask(self, &request);
    assert_int_equal(self->update.reply_count, 0);
    assert_int_equal(self->update.read_count, 1);
    const struct core_read read = self->update.reads[0];
    assert_int_equal(read.peer, PEER);
    assert_int_equal(read.table, CORE_TABLE_LEDGER);
    assert_int_equal(read.limit, 3);
    static const uint8_t from[] = "prices\0\0\0\0\0\0\0\0\5";
    assert_int_equal(read.from_size, sizeof from - 1);
    assert_memory_equal(read.from, from, read.from_size);
    assert_true(memcmp(read.to, read.from, read.from_size) > 0);
    Sb__StoredLedgerEntry stored = SB__STORED_LEDGER_ENTRY__INIT;
    Sb__LedgerEntry entry = SB__LEDGER_ENTRY__INIT;
    stored.entry = &entry;
    entry.slot_ms = 600000;
    const ProtobufCMessage *values[] = {&stored.base};
    const Sb__Reply *reply = core_read_reply(self->core, &read, values, 1);
    assert_int_equal(reply->id, self->id);
    assert_int_equal(reply->ledger_list->n_entries, 1);
    assert_int_equal(reply->ledger_list->entries[0]->slot_ms, 600000);
}

static void an_acquire_with_a_poll_is_answered_when_the_poll_is_over(void **state)
{
    struct fixture *self = *state;
    (void)acquire(self, 1, 0);
    Sb__Acquire message = SB__ACQUIRE__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.resource = (char *)(uintptr_t)RESOURCE.name;
    message.mode = SB__MODE__MODE_EXCLUSIVE;
    message.claim = 2;
    message.poll_ms = 60000; // more than a quarter of the ttl: cut to that
    request.body_case = SB__REQUEST__BODY_ACQUIRE;
    request.acquire = &message;
    assert_null(ask(self, &request));
    int64_t waited = 0;
    size_t answers = 0;
    while (answers == 0 && waited < 10000) {
        pass(self, 100);
        waited += 100;
        for (size_t i = 0; i < self->update.reply_count; i++)
            answers += self->update.replies[i].reply->body_case == SB__REPLY__BODY_WAITING;
    }
    assert_int_equal(waited, RESOURCE.lease_ttl_ms / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_past_a_limit_has_no_size_and_a_reason),
        cmocka_unit_test_setup_teardown(a_grant_waits_for_no_commit_unless_a_crash_must_not_forget_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_trigger_is_recorded_before_it_is_acknowledged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_topic_counts_its_events_without_gaps_and_a_kind_waits_alike,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_number_is_given_out_before_its_block_is_durable, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(time_that_stood_still_makes_one_beat_not_a_burst, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clean_stop_ends_when_its_records_are_durable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_look_at_the_ledger_names_its_keys_and_is_answered_with_what_was_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_acquire_with_a_poll_is_answered_when_the_poll_is_over, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
