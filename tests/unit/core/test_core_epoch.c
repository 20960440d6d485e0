// Numbers over the starts of a broker (I3, I10): none comes twice.
#include "tests/unit/core/rig.h"

static void a_new_journal_begins_its_numbers_past_those_of_any_earlier_one(void **state)
{
    struct rig *self = *state;
    const uint64_t seconds = (uint64_t)self->wall_ms / 1000;
    rig_begin(self);
    const Sb__Acquire first = rig_order(self, ERP, 1);
    const Sb__Acquire second = rig_order(self, ERP, 2);
    assert_int_equal(rig_granted(self, &self->order, first), (seconds << 20) + 1);
    assert_int_equal(self->runs[PRICES] >> 20, seconds);
    assert_int_equal(rig_acquire(self, &self->order, second)->waiting->ticket >> 20, seconds);
}

static void each_start_is_a_greater_epoch_with_greater_numbers(void **state)
{
    struct rig *self = *state;
    Sb__StoredMeta meta = SB__STORED_META__INIT;
    meta.epoch = 7;
    meta.tokens_end = 5000;
    meta.runs_end = 6000;
    meta.tickets_end = 7000;
    meta.clean = true;
    rig_recovers(self, CORE_TABLE_META, "meta", &meta.base);
    rig_begin(self);
    assert_int_equal(self->order.session >> 20, 8);
    const Sb__Acquire second = rig_order(self, ERP, 2);
    assert_true(rig_granted(self, &self->order, rig_order(self, ERP, 1)) > 5000);
    assert_true(self->runs[PRICES] > 6000);
    const Sb__Reply *reply = rig_acquire(self, &self->order, second);
    assert_true(reply->waiting->ticket > 7000);
    assert_int_equal(reply->epoch, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_new_journal_begins_its_numbers_past_those_of_any_earlier_one),
        RIG_TEST(each_start_is_a_greater_epoch_with_greater_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
