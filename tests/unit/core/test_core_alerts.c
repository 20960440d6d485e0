// What the core keeps that is wrong, or on hold, and how it tells of it; and that a reload leaves no slot
// out.
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

enum { JOBS = 1100, ALERTS_TOLD = 512, ALERTS = 600, PAGES_OF = 50 };

static const int64_t YEAR_MS = INT64_C(365) * 24 * 3600 * 1000;

// ---------------------------------------------------------------- reload

// The slots of so many jobs do not fit into one step, and the grid of all of them is changed in that moment.
static void a_reload_waits_until_every_slot_that_has_passed_has_its_outcome(void **state)
{
    struct rig *self = *state;
    self->config.job_count = self->config.jobs_max = JOBS;
    for (size_t i = 0; i < JOBS; i++)
        self->jobs[i].every_ms = 3600000;
    rig_start(self);
    self->boot_ms += 3600000;
    self->wall_ms += 3600000; // the next slot has just passed
    for (size_t i = 0; i < JOBS; i++)
        self->jobs[i].offset_ms = 1800000;
    assert_null(rig_reload(self)); // it has no answer yet
    assert_null(self->update.reload);
    const uint64_t wish = self->id;
    for (int steps = 0; self->update.reload == NULL; steps++) {
        assert_true(steps < 10);
        rig_tick(self, 0);
    }
    assert_int_equal(self->update.reload->request, wish);
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    const uint64_t before = self->records[CORE_TABLE_LEDGER];
    rig_pass(self, 1800000 - 2000); // nobody took them until the first slot of the new grid
    assert_int_equal(self->records[CORE_TABLE_LEDGER] - before, 0);
    rig_pass(self, 2000);
    assert_int_equal(self->records[CORE_TABLE_LEDGER] - before, JOBS);
    assert_int_equal(self->outcome, SB__STAGE__STAGE_MISSED);
}

static void of_two_reloads_that_wait_for_slots_the_earlier_is_told_so(void **state)
{
    struct rig *self = *state;
    self->config.job_count = self->config.jobs_max = JOBS;
    for (size_t i = 0; i < JOBS; i++)
        self->jobs[i].every_ms = 3600000;
    rig_start(self);
    self->boot_ms += 3600000;
    self->wall_ms += 3600000;
    assert_null(rig_reload(self));
    const uint64_t first = self->id;
    assert_null(rig_reload(self));
    assert_int_equal(self->update.reply_count, 1);
    assert_int_equal(self->update.replies[0].reply->id, first);
    assert_int_equal(self->update.replies[0].reply->code, SB__CODE__CODE_BUSY);
}

// ---------------------------------------------------------------- holds

static void a_hold_cannot_be_laid_for_longer_than_ten_years(void **state)
{
    struct rig *self = *state;
    assert_int_equal(rig_hold(self, "prices", "", INT64_MAX, 1)->code, SB__CODE__CODE_INVALID);
    assert_int_equal(rig_hold(self, "prices", "", self->wall_ms + 11 * YEAR_MS, 1)->code,
                     SB__CODE__CODE_INVALID);
    assert_int_equal(rig_hold(self, "prices", "", INT64_MIN, 1)->code, SB__CODE__CODE_INVALID);
    assert_int_equal(rig_hold(self, "prices", "", self->wall_ms + 10 * YEAR_MS, 1)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_state(self, "", "", 0)->n_holds, 1);
    assert_true(core_deadline(self->core) <= self->boot_ms + 1000); // the next beat
    // Whoever repeats its number says another hold, whatever its end is: no arithmetic goes wrong with it.
    assert_int_equal(rig_hold(self, "prices", "", INT64_MIN, 1)->code, SB__CODE__CODE_CONFLICT);
    assert_int_equal(rig_hold(self, "prices", "", INT64_MAX, 1)->code, SB__CODE__CODE_CONFLICT);
}

static void a_hold_of_the_journal_that_never_ends_ends_in_ten_years(void **state)
{
    struct rig *self = *state;
    Sb__Hold hold = SB__HOLD__INIT;
    Sb__StoredHold stored = SB__STORED_HOLD__INIT;
    hold.job = rig_text("prices");
    hold.by = hold.reason = rig_text("op");
    hold.until_ms = INT64_MAX;
    hold.hold = 7;
    stored.hold = &hold;
    rig_recovers(self, CORE_TABLE_HOLD, "the core makes the key", &stored.base);
    rig_start(self);
    const Sb__State *told = rig_state(self, "", "", 0);
    assert_int_equal(told->n_holds, 1);
    assert_true(told->holds[0]->until_ms < self->wall_ms + 11 * YEAR_MS);
    assert_true(core_deadline(self->core) <= self->boot_ms + 1000);
}

static void holds_are_told_by_their_age_and_then_by_their_number(void **state)
{
    struct rig *self = *state;
    static const uint64_t numbers[] = {9, 4, 6};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(rig_hold(self, "prices", "", 0, numbers[i])->code, SB__CODE__CODE_OK);
    rig_pass(self, 10);
    assert_int_equal(rig_hold(self, "", "erp", 0, 1)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_hold(self, "stocks", "", 0, 2)->code, SB__CODE__CODE_OK);
    Sb__Unhold unhold = SB__UNHOLD__INIT;
    unhold.hold = 9;
    assert_int_equal(RIG_ASK(self, NULL, unhold, UNHOLD, &unhold)->code,
                     SB__CODE__CODE_OK); // the last takes its place
    static const uint64_t told[] = {4, 6, 1, 2};
    const Sb__State *look = rig_state(self, "", "", 0);
    assert_int_equal(look->n_holds, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(look->holds[i]->hold, told[i]);
    assert_int_equal(rig_state(self, "stocks", "", 0)->n_holds, 2); // its own, and its resource's
}

// ---------------------------------------------------------------- alerts

static char keys[ALERTS][8];

// A page of the orders that need a person, from the one with this number on.
static Sb__Code publish_page(struct rig *self, const struct rig_client *order, size_t first)
{
    Sb__OrderState orders[PAGES_OF];
    Sb__OrderState *pointers[PAGES_OF];
    Sb__NeedsPerson page = SB__NEEDS_PERSON__INIT;
    Sb__Publish publish = SB__PUBLISH__INIT;
    for (size_t i = 0; i < PAGES_OF; i++) {
        sb__order_state__init(&orders[i]);
        (void)snprintf(keys[first + i], sizeof keys[0], "K%03zu", first + i);
        orders[i].key = keys[first + i];
        orders[i].why = rig_text("the ERP does not say");
        pointers[i] = &orders[i];
    }
    page.after = first > 0 ? keys[first - 1] : page.after;
    page.orders = pointers;
    page.n_orders = PAGES_OF;
    page.more = true;
    publish.body_case = SB__PUBLISH__BODY_NEEDS_PERSON;
    publish.needs_person = &page;
    return RIG_ASK(self, order, publish, PUBLISH, &publish)->code;
}

static void alerts_are_told_by_their_age_the_oldest_first_and_how_many_more_there_are(void **state)
{
    struct rig *self = *state;
    const struct rig_client desk = rig_comes(self, 1, 0, 0, "order");
    const struct rig_client *order = &desk;
    (void)publish_page(self, order, 0); // the names of the keys, and the youngest of all in the end
    Sb__NeedsPerson none = SB__NEEDS_PERSON__INIT;
    Sb__Publish publish = SB__PUBLISH__INIT;
    publish.body_case = SB__PUBLISH__BODY_NEEDS_PERSON;
    publish.needs_person = &none;
    assert_int_equal(RIG_ASK(self, order, publish, PUBLISH, &publish)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_state(self, "", "", 0)->n_alerts, 0);
    for (size_t first = PAGES_OF; first < ALERTS; first += PAGES_OF) {
        (void)snprintf(keys[first - 1], sizeof keys[0], "K%03zu", first - 1);
        assert_int_equal(publish_page(self, order, first), SB__CODE__CODE_OK);
        rig_pass(self, 10);
    }
    assert_int_equal(publish_page(self, order, 0), SB__CODE__CODE_OK);
    const Sb__State *look = rig_state(self, "", "", 0);
    assert_int_equal(look->n_alerts, ALERTS_TOLD);
    assert_int_equal(look->more_alerts, ALERTS - ALERTS_TOLD);
    for (size_t i = 0; i < ALERTS_TOLD; i++)
        assert_string_equal(look->alerts[i]->subject, keys[i + PAGES_OF]);
    assert_int_equal(rig_state(self, "prices", "", 0)->more_alerts, 0);
    // One over: the last takes its place in the table, not in what is told.
    publish.body_case = SB__PUBLISH__BODY_ORDER;
    Sb__OrderState placed = SB__ORDER_STATE__INIT;
    placed.key = keys[PAGES_OF];
    placed.status = SB__ORDER_STATUS__ORDER_STATUS_PLACED;
    publish.order = &placed;
    assert_int_equal(RIG_ASK(self, order, publish, PUBLISH, &publish)->code, SB__CODE__CODE_OK);
    look = rig_state(self, "", "", 0);
    assert_int_equal(look->more_alerts, ALERTS - 1 - ALERTS_TOLD);
    assert_string_equal(look->alerts[0]->subject, keys[PAGES_OF + 1]);
}

static bool is_told(struct rig *self, const char *kind, const char *subject)
{
    const Sb__State *look = rig_state(self, "", "", 0);
    for (size_t i = 0; i < look->n_alerts; i++) {
        if (strcmp(look->alerts[i]->kind, kind) == 0 && strcmp(look->alerts[i]->subject, subject) == 0)
            return true;
    }
    return false;
}

// What a resource's alerts are about leaves the config with it, also where that is seen later.
static void a_lease_that_expires_after_its_resource_was_removed_is_told_of_no_more(void **state)
{
    struct rig *self = *state;
    self->config.job_count = 2; // none of crm
    rig_start(self);
    const struct rig_client agent = rig_comes(self, 5, 0, 0, NULL);
    (void)rig_granted(self, &agent, rig_order(self, ERP, 76));
    (void)rig_granted(self, &agent, rig_order(self, CRM, 77));
    self->config.resource_count = 1;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    rig_pass(self, 60000);
    assert_true(is_told(self, "lease_expired", "erp/sync"));
    assert_false(is_told(self, "lease_expired", "crm/sync"));
}

static void a_clients_lease_that_expired_is_told_of_for_a_day_though_the_clock_went_back_by_ten(void **state)
{
    enum { DAY_MS = 86400000 };
    struct rig *self = *state;
    const struct rig_client agent = rig_comes(self, 5, 0, 0, NULL);
    (void)rig_granted(self, &agent, rig_order(self, ERP, 76));
    rig_pass(self, 60000);
    const uint64_t stored = self->records[CORE_TABLE_ALERT];
    self->wall_ms -= INT64_C(10) * DAY_MS;
    rig_pass(self, 0);
    rig_tick(self, 1000);
    rig_tick(self, 1000);
    assert_int_equal(self->records[CORE_TABLE_ALERT], stored + 1); // a restart knows its end, too
    rig_pass(self, DAY_MS - 60000);
    assert_true(is_told(self, "lease_expired", "erp/sync"));
    rig_pass(self, 120000);
    assert_false(is_told(self, "lease_expired", "erp/sync"));
}

// So many orders, one after the other, need a person, or do not any more. How often a topic is told with
// that.
static size_t orders_are(struct rig *self, const struct rig_client *order, size_t orders,
                         Sb__OrderStatus status, const char *topic)
{
    size_t told = 0;
    char key[24];
    for (size_t i = 0; i < orders; i++) {
        Sb__OrderState state = SB__ORDER_STATE__INIT;
        Sb__Publish publish = SB__PUBLISH__INIT;
        (void)snprintf(key, sizeof key, "M%04zu", i);
        state.key = key;
        state.status = status;
        state.why = rig_text("the ERP does not say");
        publish.body_case = SB__PUBLISH__BODY_ORDER;
        publish.order = &state;
        assert_int_equal(RIG_ASK(self, order, publish, PUBLISH, &publish)->code, SB__CODE__CODE_OK);
        for (size_t k = 0; k < self->update.publication_count; k++)
            told += strcmp(self->update.publications[k].topic, topic) == 0 ? 1 : 0;
    }
    return told;
}

static void an_alert_that_finds_no_place_is_not_told_but_that_there_are_such_ones_is_once(void **state)
{
    enum { BESIDE_JOBS = 1024, TOO_MANY = 100, FREED = 64 };
    const Sb__OrderStatus stuck = SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON;
    const Sb__OrderStatus placed = SB__ORDER_STATUS__ORDER_STATUS_PLACED;
    struct rig *self = *state;
    const size_t places = self->config.jobs_max + BESIDE_JOBS;
    const struct rig_client order = rig_comes(self, 1, 0, 0, "order");
    assert_int_equal(orders_are(self, &order, places, stuck, "alert.full"), 0);
    assert_false(is_told(self, "full", "alerts"));
    assert_int_equal(orders_are(self, &order, places + TOO_MANY, stuck, "alert.order"), 0);
    assert_int_equal(orders_are(self, &order, places + TOO_MANY, stuck, "alert.full"), 0); // once is enough
    const Sb__State *look = rig_state(self, "", "", 0);
    assert_string_equal(look->alerts[0]->kind, "full");
    assert_int_equal(look->n_alerts + look->more_alerts, places + 1);
    // It is over when there are places again; what found none is told when it comes once more.
    assert_int_equal(orders_are(self, &order, FREED - 1, placed, "alert.order"), FREED - 1);
    rig_pass(self, 1000);
    assert_true(is_told(self, "full", "alerts"));
    assert_int_equal(orders_are(self, &order, FREED, placed, "alert.order"), 1);
    rig_pass(self, 1000);
    assert_false(is_told(self, "full", "alerts"));
    assert_int_equal(orders_are(self, &order, places, stuck, "alert.order"), FREED);
    assert_int_equal(orders_are(self, &order, places + 1, stuck, "alert.full"), 1);
}

// With fewer jobs the table is smaller than it was: what it has no place for ends, and that is told.
static void alerts_of_the_journal_that_find_no_place_end_at_the_start(void **state)
{
    enum { STORED = 1100 };
    static Sb__Alert alerts[STORED];
    static Sb__StoredAlert stored[STORED];
    static char names[STORED][24];
    struct rig *self = *state;
    const size_t places = self->config.jobs_max + 1024;
    for (size_t i = 0; i < STORED; i++) {
        sb__alert__init(&alerts[i]);
        sb__stored_alert__init(&stored[i]);
        (void)snprintf(names[i], sizeof names[i], "M%04zu", i);
        alerts[i].kind = rig_text("order");
        alerts[i].subject = names[i];
        stored[i].alert = &alerts[i];
        rig_recovers(self, CORE_TABLE_ALERT, "the core makes the key", &stored[i].base);
    }
    rig_start(self);
    assert_int_equal(self->deleted[CORE_TABLE_ALERT], STORED - places);
    assert_int_equal(self->records[CORE_TABLE_ALERT], 1);
    assert_true(is_told(self, "full", "alerts"));
}

// What the journal has of a job that is not configured any more goes, but for its ledger.
static void what_is_kept_of_a_job_that_left_over_a_restart_is_deleted(void **state)
{
    struct rig *self = *state;
    Sb__StoredJob job = SB__STORED_JOB__INIT, kept = SB__STORED_JOB__INIT;
    Sb__StoredFigures figures = SB__STORED_FIGURES__INIT;
    Sb__Alert stale = SB__ALERT__INIT, pause = SB__ALERT__INIT, lease = SB__ALERT__INIT,
              client = SB__ALERT__INIT;
    Sb__Alert *alerts[] = {&stale, &pause, &lease, &client};
    static const char *const kinds[] = {"stale", "pause_timeout", "lease_expired", "lease_expired"};
    static const char *const subjects[] = {"gone", "shop", "gone", "shop/anna"};
    Sb__StoredAlert stored[4];
    job.job = rig_text("gone");
    kept.job = rig_text("prices");
    rig_recovers(self, CORE_TABLE_JOB, "gone", &job.base);
    rig_recovers(self, CORE_TABLE_JOB, "prices", &kept.base);
    rig_recovers(self, CORE_TABLE_FIGURES, "gone", &figures.base);
    for (size_t i = 0; i < 4; i++) {
        sb__stored_alert__init(&stored[i]);
        alerts[i]->kind = rig_text(kinds[i]);
        alerts[i]->subject = rig_text(subjects[i]);
        stored[i].alert = alerts[i];
        rig_recovers(self, CORE_TABLE_ALERT, "the core makes the key", &stored[i].base);
    }
    rig_start(self);
    assert_int_equal(self->deleted[CORE_TABLE_JOB], 1);
    assert_int_equal(self->deleted[CORE_TABLE_FIGURES], 1);
    assert_int_equal(self->deleted[CORE_TABLE_ALERT], 4);
    assert_int_equal(self->deleted[CORE_TABLE_LEDGER] + self->deleted[CORE_TABLE_RUN], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_reload_waits_until_every_slot_that_has_passed_has_its_outcome),
        RIG_TEST(of_two_reloads_that_wait_for_slots_the_earlier_is_told_so),
        RIG_TEST(a_hold_cannot_be_laid_for_longer_than_ten_years),
        RIG_TEST(a_hold_of_the_journal_that_never_ends_ends_in_ten_years),
        RIG_TEST(holds_are_told_by_their_age_and_then_by_their_number),
        RIG_TEST(alerts_are_told_by_their_age_the_oldest_first_and_how_many_more_there_are),
        RIG_TEST(a_lease_that_expires_after_its_resource_was_removed_is_told_of_no_more),
        RIG_TEST(a_clients_lease_that_expired_is_told_of_for_a_day_though_the_clock_went_back_by_ten),
        RIG_TEST(an_alert_that_finds_no_place_is_not_told_but_that_there_are_such_ones_is_once),
        RIG_TEST(alerts_of_the_journal_that_find_no_place_end_at_the_start),
        RIG_TEST(what_is_kept_of_a_job_that_left_over_a_restart_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
