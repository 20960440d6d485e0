// Whose turn it is, and what becomes of runs: with another resource beside, with a config that changes, and
// while the journal stands.
#include "tests/unit/core/rig.h"

#include <string.h>

enum { CLAIM = 77, MANY = 70000 };

// The jobs' runs that were due at the start end well, so that their data are fresh.
static void succeed(struct rig *self, const struct rig_client *sync)
{
    for (size_t i = 0; i < RIG_JOBS; i++)
        assert_int_equal(rig_report(self, sync, i, self->runs[i], self->attempts[i], true),
                         SB__CODE__CODE_OK);
}

// ---------------------------------------------------------------- the guard of a streak

// Orders without a gap for longer than max_exclusive_streak; the token of the last one that is held.
static uint64_t streak(struct rig *self, const struct rig_client *order, uint64_t *claim)
{
    uint64_t token = rig_granted(self, order, rig_order(self, ERP, *claim));
    for (int64_t passed = 0; passed <= self->resources[ERP].max_exclusive_streak_ms; passed += 5000) {
        Sb__Acquire next = rig_order(self, ERP, ++*claim);
        next.poll_ms = 2000;
        rig_pass(self, 5000);
        assert_null(rig_acquire(self, order, next));
        rig_release(self, order, token, false);
        token = rig_granted(self, order, next);
    }
    return token;
}

static void under_the_guard_a_fresh_sync_has_no_turn_and_a_stale_one_has(void **state)
{
    struct rig *self = *state;
    uint64_t claim = CLAIM;
    self->resources[ERP].max_exclusive_streak_ms = 60000;
    self->jobs[STOCKS].fresh_within_ms = 30000; // prices are fresh for a quarter of an hour
    rig_begin(self);
    succeed(self, &self->sync);
    (void)rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_MANUAL);
    (void)rig_trigger(self, NULL, STOCKS, SB__CAUSE__CAUSE_MANUAL);
    const uint64_t token = streak(self, &self->order, &claim);
    Sb__Acquire prices = rig_turn(self, PRICES, 5);
    Sb__Acquire stocks = rig_turn(self, STOCKS, 6);
    Sb__Acquire next = rig_order(self, ERP, 7);
    prices.poll_ms = stocks.poll_ms = next.poll_ms = 2000;
    assert_null(rig_acquire(self, &self->sync, prices));
    assert_null(rig_acquire(self, &self->sync, stocks));
    assert_null(rig_acquire(self, &self->order, next));
    rig_release(self, &self->order, token, false);
    assert_int_equal(self->stages[STOCKS], SB__STAGE__STAGE_FETCHING);
    assert_int_equal(self->stages[PRICES], SB__STAGE__STAGE_QUEUED);
    // It is not asked to yield; when it has ended, the order is next.
    const uint64_t turn = rig_granted(self, &self->sync, stocks);
    assert_false(rig_renew(self, &self->sync, stocks, turn)->renewed->yield);
    rig_release(self, &self->sync, turn, false);
    assert_int_not_equal(rig_resource(self, ERP)->token, 0);
}

static void the_guard_waits_for_nobody_who_has_gone(void **state)
{
    struct rig *self = *state;
    uint64_t claim = CLAIM;
    self->resources[ERP].max_exclusive_streak_ms = 60000;
    rig_begin(self); // never succeeded: stale
    const uint64_t token = streak(self, &self->order, &claim);
    Sb__Acquire next = rig_order(self, ERP, 7);
    next.poll_ms = 2500;
    assert_int_equal(rig_acquire(self, &self->sync, rig_turn(self, PRICES, 5))->body_case,
                     SB__REPLY__BODY_WAITING);
    assert_null(rig_acquire(self, &self->order, next));
    rig_release(self, &self->order, token, false);
    assert_int_equal(rig_resource(self, ERP)->token, 0); // the sync's turn, when it asks again
    assert_null(rig_acquire(self, &self->order, next));  // which an order's asking does not change
    assert_int_equal(rig_resource(self, ERP)->token, 0);
    rig_pass(self, 2100); // it does not
    assert_int_not_equal(rig_resource(self, ERP)->token, 0);
}

static void without_aging_the_priority_alone_decides(void **state)
{
    struct rig *self = *state;
    self->resources[ERP].aging_ms = 0;
    self->jobs[STOCKS].priority = 4;
    rig_begin(self);
    const uint64_t token = rig_granted(self, &self->order, rig_order(self, ERP, CLAIM));
    rig_pass(self, 5000);
    Sb__Acquire stocks = rig_turn(self, STOCKS, 6);
    const Sb__Waiting *waiting = rig_acquire(self, &self->sync, rig_turn(self, PRICES, 5))->waiting;
    assert_int_equal(waiting->position, 1);
    assert_int_equal(rig_acquire(self, &self->sync, stocks)->waiting->position, 1);
    assert_int_equal(rig_acquire(self, &self->sync, rig_turn(self, PRICES, 5))->waiting->position, 2);
    rig_release(self, &self->order, token, false);
}

// ---------------------------------------------------------------- two resources

static void a_pause_that_fails_touches_no_lease_of_another_resource(void **state)
{
    struct rig *self = *state;
    self->resources[ERP].revokes = true;
    rig_begin(self);
    const Sb__Acquire people = rig_turn(self, PEOPLE, 5);
    const Sb__Acquire prices = rig_turn(self, PRICES, 6);
    const uint64_t elsewhere = rig_granted(self, &self->sync, people);
    const uint64_t token = rig_granted(self, &self->sync, prices);
    Sb__Acquire wish = rig_order(self, ERP, CLAIM);
    for (int i = 0; i < 41; i++) {
        (void)rig_acquire(self, &self->order, wish);
        (void)rig_renew(self, &self->sync, people, elsewhere);
        (void)rig_renew(self, &self->sync, prices, token);
        rig_pass(self, 1500);
    }
    assert_int_equal(rig_renew(self, &self->sync, prices, token)->code, SB__CODE__CODE_LEASE_LOST);
    assert_int_equal(rig_renew(self, &self->sync, people, elsewhere)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, PRICES)->blocked_others->count, 1);
    assert_int_equal(rig_job(self, PEOPLE)->blocked_others->count, 0);
}

static void a_pause_that_is_refused_blames_no_lease_of_another_resource(void **state)
{
    struct rig *self = *state;
    Sb__Revoke revoke = SB__REVOKE__INIT;
    self->jobs[PRICES].pause_timeout_ms = 5000;
    rig_begin(self);
    (void)rig_granted(self, &self->sync, rig_turn(self, PEOPLE, 5));
    revoke.token = rig_granted(self, &self->sync, rig_turn(self, PRICES, 6));
    assert_int_equal(RIG_ASK(self, NULL, revoke, REVOKE, &revoke)->code, SB__CODE__CODE_OK);
    Sb__Acquire wish = rig_order(self, ERP, CLAIM);
    for (int i = 0; i < 4; i++) { // the lease that an operator revoked lives longer than the pause may last
        (void)rig_acquire(self, &self->order, wish);
        rig_pass(self, 1500);
    }
    const Sb__Reply *reply = rig_acquire(self, &self->order, wish);
    assert_int_equal(reply->code, SB__CODE__CODE_PAUSE_TIMEOUT);
    assert_non_null(strstr(reply->text, "prices"));
    assert_null(strstr(reply->text, "people"));
    assert_int_equal(rig_job(self, PEOPLE)->blocked_others->count, 0);
}

static void a_job_that_moved_has_its_turn_beside_its_lease_of_the_old_resource(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const uint64_t old = rig_granted(self, &self->sync, rig_turn(self, PEOPLE, 5));
    assert_int_equal(rig_report(self, &self->sync, PEOPLE, self->runs[PEOPLE], 1, true), SB__CODE__CODE_OK);
    self->jobs[PEOPLE].resource = ERP;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    (void)rig_trigger(self, NULL, PEOPLE, SB__CAUSE__CAUSE_MANUAL);
    assert_true(rig_granted(self, &self->sync, rig_turn(self, PEOPLE, 6)) > old);
    assert_int_equal(rig_resource(self, CRM)->shared, 1);
    assert_int_equal(rig_resource(self, ERP)->shared, 1);
}

// ---------------------------------------------------------------- a config that changes

static void a_longer_ttl_is_told_only_when_the_journal_has_it(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const Sb__Acquire wish = rig_order(self, ERP, CLAIM);
    const uint64_t token = rig_granted(self, &self->order, wish);
    self->journal_stands = true;
    self->resources[ERP].lease_ttl_ms = 20000;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_renew(self, &self->order, wish, token)->renewed->ttl_ms, 10000);
    assert_int_equal(rig_renew(self, &self->order, wish, token)->renewed->ttl_ms, 10000);
    self->journal_stands = false;
    self->durable = core_update_number(self->core);
    assert_int_equal(rig_renew(self, &self->order, wish, token)->renewed->ttl_ms, 20000);
}

static void a_reload_with_more_resources_than_there_is_room_for_is_refused(void **state)
{
    struct rig *self = *state;
    struct core_resource_config more[3];
    rig_start(self);
    more[0] = self->resources[ERP];
    more[1] = self->resources[CRM];
    more[2] = self->resources[CRM];
    more[2].name = "shop";
    self->config.resources = more;
    self->config.resource_count = 3;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_INVALID);
    self->config.resource_count = 2;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
}

static void a_job_whose_offset_changed_and_one_that_comes_back_have_their_next_slot(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const int64_t slot = rig_job(self, STOCKS)->next_ms;
    const uint64_t run = self->runs[PEOPLE];
    (void)rig_granted(self, &self->sync, rig_turn(self, PEOPLE, 5));
    self->jobs[STOCKS].offset_ms = 60000;
    self->config.job_count = 2;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, STOCKS)->next_ms, slot - 600000 + 60000);
    self->config.job_count = 3; // its run is still under way
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, PEOPLE)->current->run, run);
    assert_int_equal(rig_job(self, PEOPLE)->next_ms, slot);
}

static void a_removed_job_that_hangs_is_told_of_and_ends_with_its_run(void **state)
{
    struct rig *self = *state;
    self->jobs[PEOPLE].max_duration_ms = 30000;
    rig_begin(self);
    const Sb__Acquire turn = rig_turn(self, PEOPLE, 5);
    const uint64_t token = rig_granted(self, &self->sync, turn);
    self->config.job_count = 2;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    for (int i = 0; i < 8; i++) {
        rig_pass(self, 5000);
        assert_int_equal(rig_renew(self, &self->sync, turn, token)->code, SB__CODE__CODE_OK);
    }
    const uint64_t alerts = self->deleted[CORE_TABLE_ALERT];
    assert_int_equal(self->records[CORE_TABLE_ALERT], 1); // that it hangs
    rig_release(self, &self->sync, token, false);
    assert_int_equal(rig_report(self, &self->sync, PEOPLE, turn.run, 1, true), SB__CODE__CODE_OK);
    rig_pass(self, 0);
    assert_int_equal(self->deleted[CORE_TABLE_ALERT], alerts + 1);
    assert_int_equal(self->deleted[CORE_TABLE_JOB], 1);
}

static void a_removed_job_whose_lease_is_held_goes_when_the_lease_has_gone(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const Sb__Acquire turn = rig_turn(self, PEOPLE, 5);
    const uint64_t token = rig_granted(self, &self->sync, turn);
    assert_int_equal(rig_report(self, &self->sync, PEOPLE, turn.run, 1, true), SB__CODE__CODE_OK);
    assert_int_equal(rig_trigger(self, NULL, PEOPLE, SB__CAUSE__CAUSE_WEBHOOK)->code, SB__CODE__CODE_OK);
    self->config.job_count = 2;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    rig_pass(self, 3000); // what was asked for would be due
    assert_int_equal(self->deleted[CORE_TABLE_JOB], 0);
    rig_release(self, &self->sync, token, false);
    rig_pass(self, 0);
    assert_int_equal(self->deleted[CORE_TABLE_JOB], 1);
}

// A run that stepped aside, and a slot that waits behind it: neither goes on without the job.
static void the_runs_of_a_removed_job_end_and_so_does_the_slot_behind_them(void **state)
{
    struct rig *self = *state;
    self->jobs[PEOPLE].queues_overlap = true;
    rig_begin(self);
    const uint64_t run = self->runs[PEOPLE];
    rig_release(self, &self->sync, rig_granted(self, &self->sync, rig_turn(self, PEOPLE, 5)), true);
    const uint64_t next = rig_trigger(self, NULL, PEOPLE, SB__CAUSE__CAUSE_MANUAL)->triggered->run;
    assert_true(next > run);
    rig_pass(self, 600000); // its slot takes the run that was asked for
    assert_int_equal(self->stages[PEOPLE], SB__STAGE__STAGE_YIELDED);
    const uint64_t entries = self->records[CORE_TABLE_LEDGER];
    self->config.job_count = 2;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    rig_pass(self, 0);
    assert_int_equal(self->records[CORE_TABLE_LEDGER], entries + 1);
    assert_int_equal(self->outcome, SB__STAGE__STAGE_MISSED);
    assert_int_equal(self->deleted[CORE_TABLE_JOB], 1);
}

static void a_run_that_was_asked_for_behind_a_removed_jobs_own_is_dropped(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    rig_release(self, &self->sync, rig_granted(self, &self->sync, rig_turn(self, PEOPLE, 5)), true);
    (void)rig_trigger(self, NULL, PEOPLE, SB__CAUSE__CAUSE_MANUAL);
    const uint64_t entries = self->records[CORE_TABLE_LEDGER];
    self->config.job_count = 2;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    rig_pass(self, 0);
    assert_int_equal(self->records[CORE_TABLE_LEDGER], entries); // neither of them had a slot
    assert_int_equal(self->deleted[CORE_TABLE_JOB], 1);
}

static uint64_t seq_of(struct rig *self, const char *topic)
{
    const Sb__State *state = rig_state(self, "", "", 0);
    for (size_t i = 0; i < state->n_seqs; i++) {
        if (strcmp(state->seqs[i]->key, topic) == 0)
            return state->seqs[i]->value;
    }
    return 0;
}

static void the_topics_of_a_job_that_comes_back_count_on(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    rig_pass(self, 5000); // a tick with each beat
    const uint64_t ticks = seq_of(self, "tick.people"), runs = seq_of(self, "run.people");
    self->config.job_count = 2;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    rig_pass(self, 0);
    assert_int_equal(seq_of(self, "tick.people"), 0);
    self->config.job_count = 3;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    rig_pass(self, 0);
    assert_true(ticks > 5);
    assert_true(seq_of(self, "tick.people") > ticks);
    assert_true(seq_of(self, "run.people") > runs);
}

// ---------------------------------------------------------------- slots

static void the_first_slot_of_all_is_the_offset(void **state)
{
    struct rig *self = *state;
    self->wall_ms = 1000;
    self->jobs[PRICES].offset_ms = 300000;
    rig_start(self);
    assert_int_equal(rig_job(self, PRICES)->next_ms, 300000);
    assert_int_equal(rig_job(self, STOCKS)->next_ms, 600000);
}

static void what_never_succeeded_is_due_at_the_start_though_its_slots_were_missed(void **state)
{
    struct rig *self = *state;
    Sb__StoredJob job = SB__STORED_JOB__INIT;
    job.job = self->names[PRICES];
    job.last_slot_ms = self->wall_ms / 600000 * 600000 - 3 * 600000;
    self->jobs[PRICES].catches_up = false;
    rig_recovers(self, CORE_TABLE_JOB, "prices", &job.base);
    rig_start(self);
    assert_int_equal(rig_job(self, PRICES)->missed, 3);
    assert_int_equal(rig_job(self, PRICES)->current->slot_ms, 0);
    assert_int_equal(rig_job(self, PRICES)->current->cause, SB__CAUSE__CAUSE_CATCH_UP);
}

static void a_next_attempt_that_nobody_takes_for_as_long_as_the_job_comes_is_the_last(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    const uint64_t run = self->runs[PRICES];
    assert_int_equal(rig_report(self, &self->sync, PRICES, run, 1, false), SB__CODE__CODE_OK);
    rig_pass(self, 600000);
    assert_int_equal(self->attempts[PRICES], 2);
    assert_int_equal(rig_job(self, PRICES)->current->run, run); // due for less than `every` at its slot
    rig_pass(self, 600000);
    assert_int_equal(rig_job(self, PRICES)->last->run, run);
    assert_int_equal(rig_job(self, PRICES)->last->stage, SB__STAGE__STAGE_FAILED);
    assert_true(self->runs[PRICES] > run);
}

static void a_core_without_jobs_has_only_its_beats_to_wait_for(void **state)
{
    struct rig *self = *state;
    self->config.job_count = 0;
    rig_start(self);
    rig_pass(self, 5000);
    assert_int_equal(core_deadline(self->core), self->boot_ms + self->config.beat_ms);
}

// ---------------------------------------------------------------- a journal that stands

static void no_run_is_made_before_its_number_is_durable(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    self->journal_stands = true;
    Sb__Code code = SB__CODE__CODE_OK;
    uint64_t last = self->runs[PRICES];
    int runs = 0;
    while (code == SB__CODE__CODE_OK && runs++ < MANY) {
        assert_int_equal(rig_report(self, &self->sync, PRICES, last, 1, true), SB__CODE__CODE_OK);
        const Sb__Reply *reply = rig_trigger(self, NULL, PRICES, SB__CAUSE__CAUSE_MANUAL);
        code = reply->code;
        if (code == SB__CODE__CODE_OK) {
            assert_true(reply->triggered->run > last);
            last = reply->triggered->run;
        }
    }
    assert_int_equal(code, SB__CODE__CODE_BUSY);
    assert_true(runs < MANY);
    // Nor does a slot get one; it is looked for again and again, and not lost.
    rig_pass(self, 600000);
    assert_int_equal(self->runs[PRICES], last);
    assert_true(core_deadline(self->core) > self->boot_ms);
    self->journal_stands = false;
    self->durable = core_update_number(self->core);
    rig_pass(self, 10);
    assert_true(self->runs[PRICES] > last);
    assert_int_equal(rig_job(self, PRICES)->current->slot_ms, self->wall_ms / 600000 * 600000);
}

// Their tickets are of an earlier epoch: only the tokens run out.
static void no_lease_is_granted_before_its_token_is_durable(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    self->journal_stands = true;
    uint64_t claim = CLAIM;
    const Sb__Reply *reply = NULL;
    do {
        Sb__Acquire wish = rig_order(self, ERP, ++claim);
        wish.ticket = 1;
        reply = rig_acquire(self, &self->order, wish);
        if (reply->body_case == SB__REPLY__BODY_GRANTED)
            rig_release(self, &self->order, reply->granted->token, false);
        else
            break;
    } while (claim < MANY);
    assert_true(claim < MANY);
    assert_int_equal(reply->body_case, SB__REPLY__BODY_WAITING);
    Sb__Acquire turn = rig_turn(self, PEOPLE, 5);
    assert_int_equal(rig_acquire(self, &self->sync, turn)->body_case, SB__REPLY__BODY_WAITING);
    self->journal_stands = false;
    self->durable = core_update_number(self->core);
    rig_pass(self, 1000);
    (void)rig_granted(self, &self->order, rig_order(self, ERP, claim));
    (void)rig_granted(self, &self->sync, turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(under_the_guard_a_fresh_sync_has_no_turn_and_a_stale_one_has),
        RIG_TEST(the_guard_waits_for_nobody_who_has_gone),
        RIG_TEST(without_aging_the_priority_alone_decides),
        RIG_TEST(a_pause_that_fails_touches_no_lease_of_another_resource),
        RIG_TEST(a_pause_that_is_refused_blames_no_lease_of_another_resource),
        RIG_TEST(a_job_that_moved_has_its_turn_beside_its_lease_of_the_old_resource),
        RIG_TEST(a_longer_ttl_is_told_only_when_the_journal_has_it),
        RIG_TEST(a_reload_with_more_resources_than_there_is_room_for_is_refused),
        RIG_TEST(a_job_whose_offset_changed_and_one_that_comes_back_have_their_next_slot),
        RIG_TEST(a_removed_job_that_hangs_is_told_of_and_ends_with_its_run),
        RIG_TEST(a_removed_job_whose_lease_is_held_goes_when_the_lease_has_gone),
        RIG_TEST(the_runs_of_a_removed_job_end_and_so_does_the_slot_behind_them),
        RIG_TEST(a_run_that_was_asked_for_behind_a_removed_jobs_own_is_dropped),
        RIG_TEST(the_topics_of_a_job_that_comes_back_count_on),
        RIG_TEST(the_first_slot_of_all_is_the_offset),
        RIG_TEST(what_never_succeeded_is_due_at_the_start_though_its_slots_were_missed),
        RIG_TEST(a_next_attempt_that_nobody_takes_for_as_long_as_the_job_comes_is_the_last),
        RIG_TEST(a_core_without_jobs_has_only_its_beats_to_wait_for),
        RIG_TEST(no_run_is_made_before_its_number_is_durable),
        RIG_TEST(no_lease_is_granted_before_its_token_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
