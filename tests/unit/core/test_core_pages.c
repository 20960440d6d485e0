// Pages of the state while jobs leave the config, and what becomes of runs that were lost or came late.
#include "tests/unit/core/rig.h"

#include <string.h>

enum { EVERY_MS = 600000, DAY_MS = 86400000 };

// ---------------------------------------------------------------- pages

static void remove_stocks(struct rig *self)
{
    self->jobs[STOCKS] = self->jobs[PEOPLE];
    self->config.job_count = 2;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    rig_pass(self, 10);
}

static void a_page_after_a_job_that_was_removed_meanwhile_goes_on_behind_it(void **state)
{
    struct rig *self = *state;
    const Sb__State *page = rig_state(self, "", "", 2);
    assert_true(page->more);
    assert_string_equal(page->jobs[1]->job, "stocks");
    remove_stocks(self);
    page = rig_state(self, "", "stocks", 2);
    assert_int_equal(page->n_jobs, 1);
    assert_string_equal(page->jobs[0]->job, "people");
}

static void a_page_after_the_second_job_that_was_removed_meanwhile_is_the_last_one(void **state)
{
    struct rig *self = *state;
    self->config.job_count = 1;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    rig_pass(self, 10);
    assert_int_equal(rig_state(self, "", "stocks", 2)->n_jobs, 0);
    assert_int_equal(rig_state(self, "", "people", 2)->n_jobs, 0);
    assert_false(rig_state(self, "", "people", 2)->more);
}

static void a_page_after_a_job_whose_place_is_taken_by_another_is_refused(void **state)
{
    struct rig *self = *state;
    remove_stocks(self);
    self->config.job_count = 3;
    self->jobs[2] = self->jobs[0];
    self->jobs[2].name = "offers";
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    snapshot.after = rig_text("stocks");
    const Sb__Reply *reply = RIG_ASK(self, NULL, snapshot, SNAPSHOT, &snapshot);
    assert_int_equal(reply->code, SB__CODE__CODE_NOT_FOUND);
    assert_non_null(strstr(reply->text, "\"stocks\""));
}

// ---------------------------------------------------------------- runs

static bool fails(struct rig *self)
{
    const Sb__State *look = rig_state(self, "prices", "", 0);
    for (size_t i = 0; i < look->n_alerts; i++) {
        if (strcmp(look->alerts[i]->kind, "failing") == 0)
            return true;
    }
    return false;
}

// A run that its service took is lost with both of its attempts; its number.
static uint64_t lose_run(struct rig *self, struct rig_client *sync)
{
    for (size_t i = 0; i < 2; i++) {
        const uint64_t token = rig_granted(self, sync, rig_turn(self, PRICES, 100 + self->id));
        rig_release(self, sync, token, false);
        assert_int_equal(rig_hello_anew(self, sync, PRICES, 1)->code, SB__CODE__CODE_OK);
        rig_pass(self, 60000);
    }
    return self->runs[PRICES];
}

static void fail_run(struct rig *self, const struct rig_client *sync)
{
    assert_int_equal(rig_trigger(self, sync, PRICES, SB__CAUSE__CAUSE_MANUAL)->code, SB__CODE__CODE_OK);
    for (uint32_t attempt = 1; attempt <= 2; attempt++) {
        assert_int_equal(rig_report(self, sync, PRICES, self->runs[PRICES], attempt, false),
                         SB__CODE__CODE_OK);
        rig_pass(self, 60000);
    }
}

static void begin(struct rig *self, struct rig_client *sync)
{
    self->jobs[PRICES].every_ms = DAY_MS;
    rig_start(self);
    *sync = rig_comes(self, 1, PRICES, 1, NULL);
}

// Three failed since: that the one before them was good does not end their alert.
static void a_mended_run_does_not_end_the_alert_of_those_that_failed_after_it(void **state)
{
    struct rig *self = *state;
    struct rig_client sync;
    begin(self, &sync);
    const uint64_t lost = lose_run(self, &sync);
    assert_int_equal(rig_job(self, PRICES)->failing_in_a_row, 1);
    for (size_t i = 0; i < 3; i++)
        fail_run(self, &sync);
    assert_true(fails(self));
    assert_int_equal(rig_report(self, &sync, PRICES, lost, 2, true), SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, PRICES)->failing_in_a_row, 3);
    assert_int_equal(rig_job(self, PRICES)->failures, 3);
    assert_int_equal(rig_job(self, PRICES)->runs, 4);
    assert_true(fails(self));
}

static void a_mended_run_ends_the_alert_when_fewer_than_three_failed_after_it(void **state)
{
    struct rig *self = *state;
    struct rig_client sync;
    begin(self, &sync);
    const uint64_t lost = lose_run(self, &sync);
    for (size_t i = 0; i < 2; i++)
        fail_run(self, &sync);
    assert_true(fails(self));
    assert_int_equal(rig_report(self, &sync, PRICES, lost, 2, true), SB__CODE__CODE_OK);
    assert_int_equal(rig_job(self, PRICES)->failing_in_a_row, 2);
    assert_false(fails(self));
}

// It became due a second before the next slot, as the run before it took so long.
static void a_queued_slot_has_its_time_to_be_taken_though_the_next_slot_comes_at_once(void **state)
{
    struct rig *self = *state;
    self->jobs[PRICES].every_ms = EVERY_MS;
    self->jobs[PRICES].queues_overlap = true;
    rig_start(self);
    const struct rig_client sync = rig_comes(self, 1, PRICES, 1, NULL);
    const uint64_t token = rig_granted(self, &sync, rig_turn(self, PRICES, 100));
    rig_release(self, &sync, token, false);
    rig_pass(self, 2 * EVERY_MS - self->wall_ms % EVERY_MS - 1000); // one slot has passed meanwhile
    assert_int_equal(rig_report(self, &sync, PRICES, self->runs[PRICES], 1, true), SB__CODE__CODE_OK);
    const uint64_t queued = self->runs[PRICES];
    rig_pass(self, 2000);
    assert_int_equal(rig_job(self, PRICES)->current->run, queued);
    assert_int_equal(rig_job(self, PRICES)->missed, 0);
    rig_pass(self, EVERY_MS); // that was its time
    assert_int_equal(rig_job(self, PRICES)->missed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_page_after_a_job_that_was_removed_meanwhile_goes_on_behind_it),
        RIG_TEST(a_page_after_the_second_job_that_was_removed_meanwhile_is_the_last_one),
        RIG_TEST(a_page_after_a_job_whose_place_is_taken_by_another_is_refused),
        RIG_TEST(a_mended_run_does_not_end_the_alert_of_those_that_failed_after_it),
        RIG_TEST(a_mended_run_ends_the_alert_when_fewer_than_three_failed_after_it),
        RIG_TEST(a_queued_slot_has_its_time_to_be_taken_though_the_next_slot_comes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
