// The core's contract with whoever runs it: what waits for the journal and what does not, deadlines, numbers,
// looks into the journal. What it decides is told in tests/scenario.
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 64, MANY = 70000, NUMBERS_LOW = 32768 };

static void a_config_past_a_limit_has_no_size_and_a_reason(void **state)
{
    struct rig *self = *state;
    struct fault fault = {0};
    self->config.waiters_max = UINT32_MAX;
    assert_int_equal(core_size(&self->config, &fault), 0);
    assert_int_equal(fault.err, ERR_FULL);
    assert_non_null(strstr(fault.text, "waiters"));
}

static void a_grant_waits_for_no_commit_unless_a_crash_must_not_forget_it(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    Sb__Acquire wish = rig_order(self, ERP, 1);
    const uint64_t token = rig_granted(self, &self->order, wish);
    assert_false(self->update.replies[0].durable);
    assert_int_equal(self->update.record_count, 0);
    rig_release(self, &self->order, token, false);
    wish.claim = 2;
    wish.settle_ms = 60000;
    (void)rig_granted(self, &self->order, wish);
    assert_true(self->update.replies[0].durable);
    assert_int_equal(self->update.records[0].table, CORE_TABLE_LEASE);
}

static void a_trigger_is_recorded_before_it_is_acknowledged(void **state)
{
    struct rig *self = *state;
    assert_int_equal(rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_MANUAL)->code, SB__CODE__CODE_OK);
    assert_true(self->update.replies[0].durable);
}

// What was published under a topic.
struct topic_seen {
    char name[80]; // the topic
    uint64_t seq;  // of the last event; 0: none
    bool durable;  // how they are marked
};

// The seq of each topic grows by one (I11), and what stands for one kind is marked alike.
static size_t look(const struct rig *self, struct topic_seen seen[TOPICS_MAX])
{
    size_t topics = 0;
    for (size_t i = 0; i < self->update.publication_count; i++) {
        const struct core_publication *told = &self->update.publications[i];
        size_t at = 0;
        while (seen[at].seq != 0 && strcmp(seen[at].name, told->topic) != 0)
            assert_true(++at < TOPICS_MAX);
        if (seen[at].seq == 0) {
            (void)snprintf(seen[at].name, sizeof seen[at].name, "%s", told->topic);
            seen[at].seq = told->event->seq - 1;
            seen[at].durable = told->durable;
        }
        assert_int_equal(told->event->seq, ++seen[at].seq);
        assert_int_equal(told->durable, seen[at].durable);
    }
    while (topics < TOPICS_MAX && seen[topics].seq != 0)
        topics++;
    return topics;
}

static void each_topic_counts_its_events_without_gaps_and_a_kind_waits_alike(void **state)
{
    struct rig *self = *state;
    struct topic_seen seen[TOPICS_MAX] = {{.seq = 0}};
    size_t topics = 0;
    rig_begin(self);
    for (uint64_t i = 0; i < 200; i++) {
        if (i % 3 == 0) {
            const uint64_t token = rig_granted(self, &self->order, rig_order(self, ERP, 100 + i));
            (void)look(self, seen);
            rig_release(self, &self->order, token, false);
            (void)look(self, seen);
        }
        for (rig_tick(self, 7000); core_deadline(self->core) <= self->boot_ms; rig_tick(self, 0))
            (void)look(self, seen);
        topics = look(self, seen);
        if (i % 2 == 0) {
            (void)rig_hello(self, &self->sync, PRICES, 1);
            (void)look(self, seen);
        }
    }
    assert_true(topics >= 5);
}

static void no_number_is_given_out_before_its_block_is_durable(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    self->journal_stands = true;
    uint64_t last = 0;
    uint64_t claim = 0;
    for (int i = 0; i < MANY; i++) {
        const Sb__Reply *reply = rig_acquire(self, &self->order, rig_order(self, ERP, ++claim));
        if (reply->body_case != SB__REPLY__BODY_GRANTED)
            break;
        assert_true(reply->granted->token > last); // I3
        last = reply->granted->token;
        rig_release(self, &self->order, last, false);
    }
    assert_true(claim < MANY);
    // As soon as the journal goes on, so do the grants.
    self->journal_stands = false;
    self->durable = core_update_number(self->core);
    rig_tick(self, 10);
    (void)rig_granted(self, &self->order, rig_order(self, ERP, claim));
}

static void time_that_stood_still_makes_one_beat_not_a_burst(void **state)
{
    struct rig *self = *state;
    const uint64_t before = self->beats;
    self->boot_ms += 60000;
    self->wall_ms += 60000;
    rig_pass(self, 0);
    assert_int_equal(self->beats, before + 1);
    assert_true(core_deadline(self->core) > self->boot_ms);
}

static void a_clean_stop_ends_when_its_records_are_durable(void **state)
{
    struct rig *self = *state;
    self->journal_stands = true;
    rig_stop(self);
    assert_false(core_stopped(self->core));
    self->journal_stands = false;
    self->durable = core_update_number(self->core);
    rig_pass(self, 1000);
    assert_true(core_stopped(self->core));
}

static void a_look_at_the_ledger_names_its_keys_and_is_answered_with_what_was_found(void **state)
{
    struct rig *self = *state;
    Sb__Ledger ledger = SB__LEDGER__INIT;
    ledger.job = self->names[PRICES];
    ledger.from_ms = 5;
    ledger.limit = 3;
    assert_null(RIG_ASK(self, NULL, ledger, LEDGER, &ledger));
    assert_int_equal(self->update.reply_count, 0);
    assert_int_equal(self->update.read_count, 1);
    const struct core_read read = self->update.reads[0];
    assert_int_equal(read.peer, RIG_PEER);
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
    struct rig *self = *state;
    rig_begin(self);
    (void)rig_granted(self, &self->order, rig_order(self, ERP, 1));
    Sb__Acquire wish = rig_order(self, ERP, 2);
    wish.poll_ms = 60000; // more than a quarter of the ttl: cut to that
    assert_null(rig_acquire(self, &self->order, wish));
    const uint64_t id = self->id;
    int64_t waited = 0;
    for (; rig_reply(self, id) == NULL && waited < 10000; waited += 100)
        rig_pass(self, 100);
    assert_int_equal(waited, self->resources[ERP].lease_ttl_ms / 4);
    assert_int_equal(rig_reply(self, id)->body_case, SB__REPLY__BODY_WAITING);
}

static void a_core_that_was_not_started_waits_for_nothing(void **state)
{
    struct rig *self = *state;
    void *memory = calloc(1, core_size(&self->config, NULL));
    assert_non_null(memory);
    assert_true(core_deadline(core_init(memory, &self->config)) == INT64_MAX);
    free(memory);
    assert_false(core_stopped(self->core)); // nor has one stopped that was not asked to
}

static bool stores_numbers(const struct rig *self)
{
    for (size_t i = 0; i < self->update.record_count; i++) {
        if (self->update.records[i].table == CORE_TABLE_META)
            return true;
    }
    return false;
}

// A wish that is withdrawn takes a ticket, and no token.
static void tickets_alone_that_run_low_make_the_next_blocks(void **state)
{
    struct rig *self = *state;
    const struct rig_client order = rig_comes(self, 1, 0, 0, NULL);
    assert_int_equal(rig_acquire(self, &order, rig_order(self, ERP, 1))->body_case, SB__REPLY__BODY_GRANTED);
    uint64_t claim = 1;
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    do {
        withdraw.claim = ++claim;
        assert_int_equal(rig_acquire(self, &order, rig_order(self, ERP, claim))->body_case,
                         SB__REPLY__BODY_WAITING);
        if (stores_numbers(self))
            break;
        assert_int_equal(RIG_ASK(self, &order, withdraw, WITHDRAW, &withdraw)->code, SB__CODE__CODE_OK);
    } while (claim < 2 * NUMBERS_LOW);
    assert_in_range(claim, NUMBERS_LOW - 2, NUMBERS_LOW + 2);
}

// A run that is reported unfetched takes neither ticket nor token.
static void runs_alone_that_run_low_make_the_next_blocks(void **state)
{
    struct rig *self = *state;
    const struct rig_client sync = rig_comes(self, 1, STOCKS, 1, NULL);
    int runs = RIG_JOBS; // that the start made due
    while (runs < 2 * NUMBERS_LOW) {
        assert_int_equal(rig_report(self, &sync, STOCKS, self->runs[STOCKS], 1, true), SB__CODE__CODE_OK);
        const Sb__Reply *reply = rig_trigger(self, NULL, STOCKS, SB__CAUSE__CAUSE_MANUAL);
        assert_int_equal(reply->code, SB__CODE__CODE_OK);
        assert_false(reply->triggered->merged);
        runs++;
        if (stores_numbers(self))
            break;
    }
    assert_in_range(runs, NUMBERS_LOW - 2, NUMBERS_LOW + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_config_past_a_limit_has_no_size_and_a_reason),
        RIG_TEST(a_grant_waits_for_no_commit_unless_a_crash_must_not_forget_it),
        RIG_TEST(a_trigger_is_recorded_before_it_is_acknowledged),
        RIG_TEST(each_topic_counts_its_events_without_gaps_and_a_kind_waits_alike),
        RIG_TEST(no_number_is_given_out_before_its_block_is_durable),
        RIG_TEST(time_that_stood_still_makes_one_beat_not_a_burst),
        RIG_TEST(a_clean_stop_ends_when_its_records_are_durable),
        RIG_TEST(a_look_at_the_ledger_names_its_keys_and_is_answered_with_what_was_found),
        RIG_TEST(an_acquire_with_a_poll_is_answered_when_the_poll_is_over),
        RIG_TEST(a_core_that_was_not_started_waits_for_nothing),
        RIG_TEST(tickets_alone_that_run_low_make_the_next_blocks),
        RIG_TEST(runs_alone_that_run_low_make_the_next_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
