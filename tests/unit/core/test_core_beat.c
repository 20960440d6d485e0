// What a beat repeats, so that who missed a publication hears of it all the same (I11).
#include "tests/unit/core/rig.h"

#include <string.h>

// The next beat, which is the only one within a second.
static const Sb__Beat *next_beat(struct rig *self)
{
    for (int64_t passed = 0; passed <= 2000; passed += 100) {
        rig_tick(self, 100);
        for (size_t i = 0; i < self->update.publication_count; i++) {
            const Sb__Event *event = self->update.publications[i].event;
            if (event->body_case == SB__EVENT__BODY_BEAT)
                return event->beat;
        }
    }
    fail();
    return NULL;
}

// The seq of that topic as the beat tells it; 0 if it does not.
static uint64_t seq_of(const Sb__Beat *beat, const char *topic)
{
    for (size_t i = 0; i < beat->n_seqs; i++) {
        if (strcmp(beat->seqs[i]->key, topic) == 0)
            return beat->seqs[i]->value;
    }
    return 0;
}

static void a_beat_repeats_the_seqs_of_the_last_three_beats(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    (void)next_beat(self);
    rig_release(self, &self->order, rig_granted(self, &self->order, rig_order(self, CRM, 1)), false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(seq_of(next_beat(self), "resume.crm"), 1);
    assert_int_equal(seq_of(next_beat(self), "resume.crm"), 0);
}

static void a_beat_repeats_the_resources_that_are_not_simply_open(void **state)
{
    struct rig *self = *state;
    rig_begin(self);
    assert_int_equal(next_beat(self)->n_resources, 0);
    const uint64_t token = rig_granted(self, &self->order, rig_order(self, CRM, 1));
    const Sb__Beat *beat = next_beat(self);
    assert_int_equal(beat->n_resources, 1);
    assert_string_equal(beat->resources[0]->resource, "crm");
    assert_int_equal(beat->resources[0]->phase, SB__PHASE__PHASE_EXCLUSIVE);
    rig_release(self, &self->order, token, false);
    assert_int_equal(next_beat(self)->n_resources, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_beat_repeats_the_seqs_of_the_last_three_beats),
        RIG_TEST(a_beat_repeats_the_resources_that_are_not_simply_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
