// Starts and steps that have more to record than there is room for: nothing is lost, and the next step, or
// the next start, goes on with it.
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

enum { MANY = 3000, LEASES = 1024, HOLDS = 256, JOBS = 1000 };

static char names[MANY][24];
static Sb__StoredAlert stored_alerts[MANY];
static Sb__Alert alerts[MANY];

// So many alerts of a kind, whose subjects are this and a number.
static void recover_alerts(struct rig *self, size_t count, const char *kind, const char *subject,
                           int64_t until_ms)
{
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s%04zu", subject, i);
        sb__alert__init(&alerts[i]);
        sb__stored_alert__init(&stored_alerts[i]);
        alerts[i].kind = rig_text(kind);
        alerts[i].subject = names[i];
        stored_alerts[i].alert = &alerts[i];
        stored_alerts[i].until_ms = until_ms;
        rig_recovers(self, CORE_TABLE_ALERT, names[i], &stored_alerts[i].base);
    }
}

static void have_room_for_alerts(struct rig *self)
{
    self->config.jobs_max = MANY;
}

static uint64_t alerts_left(struct rig *self)
{
    const Sb__State *state = rig_state(self, "", "", 0);
    return state->n_alerts + state->more_alerts;
}

// ---------------------------------------------------------------- starts

// Leases and holds of what left the config must be gone at once: they would come back to life with it.
static void a_start_forgets_every_lease_and_hold_though_a_thousand_jobs_left_the_config_too(void **state)
{
    static char jobs[JOBS][16];
    static Sb__StoredJob stored_jobs[JOBS];
    static Sb__StoredFigures figures[JOBS];
    static Sb__StoredLease leases[LEASES];
    static Sb__StoredHold stored_holds[HOLDS];
    static Sb__Hold holds[HOLDS];
    struct rig *self = *state;
    for (size_t i = 0; i < JOBS; i++) { // in the order of the tables, as a journal gives them
        (void)snprintf(jobs[i], sizeof jobs[i], "gone%zu", i);
        sb__stored_job__init(&stored_jobs[i]);
        sb__stored_figures__init(&figures[i]);
        stored_jobs[i].job = jobs[i];
        rig_recovers(self, CORE_TABLE_JOB, jobs[i], &stored_jobs[i].base);
        rig_recovers(self, CORE_TABLE_FIGURES, jobs[i], &figures[i].base);
    }
    for (size_t i = 0; i < LEASES; i++) {
        sb__stored_lease__init(&leases[i]);
        leases[i].token = leases[i].claim = i + 1;
        leases[i].resource = rig_text("erp");
        leases[i].mode = SB__MODE__MODE_SHARED;
        leases[i].job = rig_text("gone1");
        leases[i].ttl_ms = 10000;
        rig_recovers(self, CORE_TABLE_LEASE, "lease", &leases[i].base);
    }
    for (size_t i = 0; i < HOLDS; i++) {
        sb__stored_hold__init(&stored_holds[i]);
        sb__hold__init(&holds[i]);
        holds[i].hold = i + 1;
        holds[i].job = rig_text("gone1");
        stored_holds[i].hold = &holds[i];
        rig_recovers(self, CORE_TABLE_HOLD, "hold", &stored_holds[i].base);
    }
    rig_start_only(self);
    assert_int_equal(self->deleted[CORE_TABLE_LEASE], LEASES);
    assert_int_equal(self->deleted[CORE_TABLE_HOLD], HOLDS);
    assert_true(self->deleted[CORE_TABLE_JOB] > 0);
    assert_true(self->deleted[CORE_TABLE_JOB] < JOBS); // the others at the next start
    assert_int_equal(rig_resource(self, ERP)->phase, SB__PHASE__PHASE_RECOVERING);
}

static void alerts_of_jobs_that_left_the_config_end_as_many_as_fit_into_the_start(void **state)
{
    struct rig *self = *state;
    recover_alerts(self, MANY, "stale", "gone", 0);
    rig_start_only(self);
    assert_true(self->deleted[CORE_TABLE_ALERT] > MANY / 2);
    assert_true(self->deleted[CORE_TABLE_ALERT] < MANY); // the others at the next start
    assert_int_equal(alerts_left(self), 0);
}

static void an_alert_of_a_client_is_one_of_its_resource_and_not_of_one_with_a_longer_name(void **state)
{
    struct rig *self = *state;
    recover_alerts(self, 1, "lease_expired", "erp", self->wall_ms + 60000);
    rig_start_only(self);
    assert_int_equal(self->deleted[CORE_TABLE_ALERT], 1);
}

// One more lease than there can be is not taken over, though its holder renews it in time.
static void a_lease_that_finds_no_place_is_not_taken_over(void **state)
{
    enum { OLD_TOKENS = 5000 };
    static Sb__StoredLease leases[LEASES];
    struct rig *self = *state;
    Sb__StoredMeta meta = SB__STORED_META__INIT;
    meta.epoch = 4;
    meta.tokens_end = meta.runs_end = meta.tickets_end = OLD_TOKENS;
    for (size_t taken = LEASES - 1; taken <= LEASES; taken++) {
        self->start_count = 0;
        rig_recovers(self, CORE_TABLE_META, "meta", &meta.base);
        for (size_t i = 0; i < taken; i++) {
            sb__stored_lease__init(&leases[i]);
            leases[i].token = leases[i].claim = i + 1;
            leases[i].resource = rig_text("erp");
            leases[i].mode = SB__MODE__MODE_SHARED;
            leases[i].job = rig_text("prices");
            leases[i].ttl_ms = 10000;
            rig_recovers(self, CORE_TABLE_LEASE, "lease", &leases[i].base);
        }
        rig_start(self);
        const struct rig_client sync = rig_comes(self, 1, PRICES, 1, NULL);
        const Sb__Reply *reply = rig_renew(self, &sync, rig_turn(self, PRICES, OLD_TOKENS), OLD_TOKENS - 1);
        assert_int_equal(reply->code, taken < LEASES ? SB__CODE__CODE_OK : SB__CODE__CODE_LEASE_LOST);
    }
}

// ---------------------------------------------------------------- steps

static void alerts_that_are_over_at_the_same_time_end_step_by_step(void **state)
{
    struct rig *self = *state;
    have_room_for_alerts(self);
    recover_alerts(self, MANY, "lease_expired", "erp/a", self->wall_ms + 60000);
    rig_start(self);
    assert_int_equal(alerts_left(self), MANY);
    rig_tick(self, 60000);
    assert_true(self->deleted[CORE_TABLE_ALERT] > MANY / 2);
    assert_true(self->deleted[CORE_TABLE_ALERT] < MANY);
    assert_int_equal(core_deadline(self->core), self->boot_ms); // at once
    rig_tick(self, 0);
    assert_int_equal(self->deleted[CORE_TABLE_ALERT], MANY);
    assert_int_equal(alerts_left(self), 0);
}

static void alerts_of_a_resource_that_leaves_the_config_end_with_it_step_by_step(void **state)
{
    struct rig *self = *state;
    Sb__Alert pauses[2] = {SB__ALERT__INIT, SB__ALERT__INIT};
    Sb__StoredAlert stored[2] = {SB__STORED_ALERT__INIT, SB__STORED_ALERT__INIT};
    const char *const resources[2] = {"erp", "crm"};
    have_room_for_alerts(self);
    self->config.job_count = 2; // none of crm
    for (size_t i = 0; i < 2; i++) {
        pauses[i].kind = rig_text("pause_timeout");
        pauses[i].subject = rig_text(resources[i]);
        stored[i].alert = &pauses[i];
        rig_recovers(self, CORE_TABLE_ALERT, resources[i], &stored[i].base);
    }
    recover_alerts(self, MANY, "lease_expired", "crm/a", self->wall_ms + 3600000);
    rig_start(self);
    assert_int_equal(alerts_left(self), MANY + 2);
    self->config.resource_count = 1;
    assert_int_equal(rig_reload(self)->code, SB__CODE__CODE_OK);
    assert_true(self->deleted[CORE_TABLE_ALERT] < MANY);
    rig_pass(self, 10);
    const Sb__State *look = rig_state(self, "", "", 0);
    assert_int_equal(look->n_alerts, 1);
    assert_string_equal(look->alerts[0]->subject, "erp");
}

// ---------------------------------------------------------------- orders that need a person

static Sb__Code say_persons(struct rig *self, const struct rig_client *desk, Sb__NeedsPerson *page)
{
    Sb__Publish publish = SB__PUBLISH__INIT;
    publish.body_case = SB__PUBLISH__BODY_NEEDS_PERSON;
    publish.needs_person = page;
    return RIG_ASK(self, desk, publish, PUBLISH, &publish)->code;
}

// Whoever was told BUSY says the same again.
static void very_many_orders_that_need_a_person_or_do_not_any_more_are_told_of_step_by_step(void **state)
{
    static Sb__OrderState orders[MANY];
    static Sb__OrderState *pointers[MANY];
    struct rig *self = *state;
    have_room_for_alerts(self);
    rig_start(self);
    const struct rig_client desk = rig_comes(self, 1, 0, 0, "order");
    Sb__NeedsPerson page = SB__NEEDS_PERSON__INIT;
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "K%04zu", i);
        sb__order_state__init(&orders[i]);
        orders[i].key = names[i];
        orders[i].why = rig_text("the ERP does not say");
        pointers[i] = &orders[i];
    }
    page.orders = pointers;
    page.n_orders = MANY;
    assert_int_equal(say_persons(self, &desk, &page), SB__CODE__CODE_BUSY);
    assert_int_equal(say_persons(self, &desk, &page), SB__CODE__CODE_OK);
    assert_int_equal(alerts_left(self), MANY);
    page.n_orders = 0;
    page.more = true; // a page of none says nothing of those behind it
    assert_int_equal(say_persons(self, &desk, &page), SB__CODE__CODE_OK);
    assert_int_equal(alerts_left(self), MANY);
    page.more = false;
    assert_int_equal(say_persons(self, &desk, &page), SB__CODE__CODE_BUSY);
    assert_int_equal(say_persons(self, &desk, &page), SB__CODE__CODE_OK);
    assert_int_equal(alerts_left(self), 0);
}

// A number is what tells a repeat: without one each is another.
static void a_change_without_a_number_is_never_a_repeat(void **state)
{
    struct rig *self = *state;
    const struct rig_client sync = rig_comes(self, 1, PRICES, 1, NULL);
    Sb__Change change = SB__CHANGE__INIT;
    Sb__Publish publish = SB__PUBLISH__INIT;
    Sb__Request *request = REQUEST(publish, PUBLISH, &publish);
    struct core_event event = {.kind = CORE_EVENT_REQUEST, .request = {.peer = RIG_PEER, .request = request}};
    change.entity = rig_text("prices");
    publish.body_case = SB__PUBLISH__BODY_CHANGE;
    publish.change = &change;
    request->session = sync.session;
    for (size_t i = 0; i < 2; i++) {
        rig_step(self, &event);
        assert_int_equal(self->update.publication_count, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_start_forgets_every_lease_and_hold_though_a_thousand_jobs_left_the_config_too),
        RIG_TEST(alerts_of_jobs_that_left_the_config_end_as_many_as_fit_into_the_start),
        RIG_TEST(an_alert_of_a_client_is_one_of_its_resource_and_not_of_one_with_a_longer_name),
        RIG_TEST(a_lease_that_finds_no_place_is_not_taken_over),
        RIG_TEST(alerts_that_are_over_at_the_same_time_end_step_by_step),
        RIG_TEST(alerts_of_a_resource_that_leaves_the_config_end_with_it_step_by_step),
        RIG_TEST(very_many_orders_that_need_a_person_or_do_not_any_more_are_told_of_step_by_step),
        RIG_TEST(a_change_without_a_number_is_never_a_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
