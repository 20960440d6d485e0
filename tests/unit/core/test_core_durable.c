// What must be on disk before anybody hears of it.
#include "tests/unit/core/rig.h"

// Publications of this kind in the last step; each must wait for the records of its update.
static size_t durable_events(const struct rig *self, Sb__Event__BodyCase body)
{
    size_t count = 0;
    for (size_t i = 0; i < self->update.publication_count; i++) {
        if (self->update.publications[i].event->body_case != body)
            continue;
        assert_true(self->update.publications[i].durable);
        count++;
    }
    return count;
}

static size_t records_of(const struct rig *self, enum core_table table)
{
    size_t count = 0;
    for (size_t i = 0; i < self->update.record_count; i++)
        count += self->update.records[i].table == table;
    return count;
}

static void a_due_run_is_recorded_before_its_tick_goes_out(void **state)
{
    struct rig *self = *state;
    for (uint64_t before = self->runs[PRICES]; self->runs[PRICES] == before;) // until its next slot comes
        rig_tick(self, 1000);
    assert_true(durable_events(self, SB__EVENT__BODY_TICK) > 0);
    assert_true(records_of(self, CORE_TABLE_RUN) > 0);
    assert_true(records_of(self, CORE_TABLE_JOB) > 0); // and so is its slot
}

static void an_outcome_is_recorded_before_it_is_acknowledged_or_told(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    assert_int_equal(rig_report(self, &self->sync, PRICES, self->runs[PRICES], 1, true), SB__CODE__CODE_OK);
    assert_true(self->update.replies[0].durable);
    assert_true(durable_events(self, SB__EVENT__BODY_RUN) > 0);
    assert_true(records_of(self, CORE_TABLE_RUN) > 0);
}

static void a_maintenance_stop_is_recorded_before_it_is_acknowledged(void **state)
{
    struct rig *self = *state;
    Sb__Unhold unhold = SB__UNHOLD__INIT;
    const Sb__Reply *reply = rig_hold(self, self->names[PRICES], "", 0, 0);
    assert_int_equal(reply->body_case, SB__REPLY__BODY_HELD);
    assert_true(self->update.replies[0].durable);
    assert_int_equal(records_of(self, CORE_TABLE_HOLD), 1);
    unhold.hold = reply->held->hold;
    unhold.by = rig_text("op");
    assert_int_equal(RIG_ASK(self, NULL, unhold, UNHOLD, &unhold)->code, SB__CODE__CODE_OK);
    assert_true(self->update.replies[0].durable);
    assert_int_equal(records_of(self, CORE_TABLE_HOLD), 1);
}

static void an_owner_is_recorded_before_it_is_welcome(void **state)
{
    struct rig *self = *state;
    struct rig_client sync = {.instance = 1, .process = 1};
    assert_int_equal(rig_hello(self, &sync, PRICES, 1)->code, SB__CODE__CODE_OK);
    assert_int_equal(records_of(self, CORE_TABLE_OWNER), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_due_run_is_recorded_before_its_tick_goes_out),
        RIG_TEST(an_outcome_is_recorded_before_it_is_acknowledged_or_told),
        RIG_TEST(a_maintenance_stop_is_recorded_before_it_is_acknowledged),
        RIG_TEST(an_owner_is_recorded_before_it_is_welcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
