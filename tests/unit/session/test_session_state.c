// Broadcasts are state: what is missed is seen and repaired.
#include "tests/unit/session/world.h"

static Sb__Event event_of(const struct world *world, uint64_t seq)
{
    Sb__Event event = SB__EVENT__INIT;
    event.epoch = world->epoch;
    event.seq = seq;
    return event;
}

static void tick(struct world *world, const char *topic, uint64_t seq, const char *job, uint64_t run)
{
    Sb__Event event = event_of(world, seq);
    Sb__Tick body = SB__TICK__INIT;
    body.job = (char *)job;
    body.run = run;
    body.attempt = 1;
    body.slot_ms = 600000;
    event.body_case = SB__EVENT__BODY_TICK;
    event.tick = &body;
    world_event(world, topic, &event);
}

static void beat(struct world *world, uint64_t seq, const char *topic, uint64_t topic_seq)
{
    Sb__Event event = event_of(world, seq);
    Sb__Beat body = SB__BEAT__INIT;
    Sb__Beat__SeqsEntry entry = SB__BEAT__SEQS_ENTRY__INIT;
    Sb__Beat__SeqsEntry *entries[] = {&entry};
    entry.key = (char *)topic;
    entry.value = topic_seq;
    body.n_seqs = topic != NULL ? 1 : 0;
    body.seqs = entries;
    event.body_case = SB__EVENT__BODY_BEAT;
    event.beat = &body;
    world_event(world, "beat", &event);
}

static void change(struct world *world, const char *topic, uint64_t seq)
{
    Sb__Event event = event_of(world, seq);
    Sb__Change body = SB__CHANGE__INIT;
    body.entity = (char *)"ddt";
    event.body_case = SB__EVENT__BODY_CHANGE;
    event.change = &body;
    world_event(world, topic, &event);
}

// Answers a Snapshot with how far a topic has come.
static void tell_seq(struct world *world, uint64_t id, const char *topic, uint64_t seq)
{
    Sb__State body = SB__STATE__INIT;
    Sb__State__SeqsEntry entry = SB__STATE__SEQS_ENTRY__INIT;
    Sb__State__SeqsEntry *entries[] = {&entry};
    entry.key = (char *)topic;
    entry.value = seq;
    body.n_seqs = 1;
    body.seqs = entries;
    world_state(world, id, &body);
}

static void a_tick_is_told_with_its_run_and_slot(void **state)
{
    (void)state;
    struct world world = world_joined();
    tick(&world, "tick.prices", 1, "prices", 5);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_TICK);
    assert_string_equal(notice.job, "prices");
    assert_int_equal(notice.run, 5);
    assert_int_equal(notice.attempt, 1);
    assert_int_equal(notice.slot_ms, 600000);
    world_end(&world);
}

static void a_topic_that_only_begins_alike_is_another_one(void **state)
{
    (void)state;
    struct world world = world_joined();
    tick(&world, "tick.prices2", 1, "prices2", 5);
    tick(&world, "tick.prices2", 2, "prices", 5);
    world_no_notice(&world);
    world_end(&world);
}

static void a_run_that_is_due_at_the_hello_is_a_tick(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    world_jump(&world, 0);
    Sb__State welcome = SB__STATE__INIT;
    Sb__JobState jobs[2] = {SB__JOB_STATE__INIT, SB__JOB_STATE__INIT};
    Sb__JobState *places[] = {&jobs[0], &jobs[1]};
    Sb__RunState due = SB__RUN_STATE__INIT;
    due.run = 8;
    due.attempt = 2;
    due.stage = SB__STAGE__STAGE_DUE;
    jobs[0].job = (char *)"ddt";
    jobs[0].current = &due;
    jobs[1].job = (char *)"prices";
    jobs[1].current = &due;
    welcome.n_jobs = 2;
    welcome.jobs = places;
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, &welcome);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_TICK);
    assert_int_equal(notice.run, 8);
    assert_int_equal(notice.attempt, 2);
    world_no_notice(&world);
    world_end(&world);
}

static void three_beats_missed_make_a_snapshot_whose_due_run_is_a_tick(void **state)
{
    (void)state;
    struct world world = world_joined();
    for (int i = 0; i < 3; i++) {
        world_pass(&world, WORLD_BEAT_MS);
        world_answer(&world, world_request(&world, SB__REQUEST__BODY_PING)->id, SB__CODE__CODE_OK, "");
    }
    world_pass(&world, WORLD_BEAT_MS / 2);
    const Sb__Request *snapshot = world_request(&world, SB__REQUEST__BODY_SNAPSHOT);
    assert_string_equal(snapshot->snapshot->job, ""); // it listens to topics of other jobs too
    Sb__State body = SB__STATE__INIT;
    Sb__JobState job = SB__JOB_STATE__INIT;
    Sb__JobState *jobs[] = {&job};
    Sb__RunState due = SB__RUN_STATE__INIT;
    due.run = 9;
    due.stage = SB__STAGE__STAGE_DUE;
    job.job = (char *)"prices";
    job.current = &due;
    body.n_jobs = 1;
    body.jobs = jobs;
    world_state(&world, snapshot->id, &body);
    assert_int_equal(world_notice(&world, SYNCBUS_TICK).run, 9);
    world_end(&world);
}

static void beats_that_come_make_no_snapshot(void **state)
{
    (void)state;
    struct world world = world_joined();
    for (uint64_t i = 1; i <= 10; i++) {
        world_pass(&world, WORLD_BEAT_MS);
        world_answer(&world, world_request(&world, SB__REQUEST__BODY_PING)->id, SB__CODE__CODE_OK, "");
        beat(&world, i, NULL, 0);
        assert_true(world_silent(&world));
    }
    world_end(&world);
}

static void a_gap_in_a_topic_is_told_and_the_state_is_asked_for(void **state)
{
    (void)state;
    struct world world = world_joined();
    change(&world, "change.ddt", 4);
    assert_string_equal(world_notice(&world, SYNCBUS_PUBLICATION).topic, "change.ddt");
    assert_true(world_silent(&world));
    change(&world, "change.ddt", 7);
    const struct syncbus_notice gap = world_notice(&world, SYNCBUS_GAP);
    assert_string_equal(gap.topic, "change.ddt");
    assert_int_equal(gap.missed, 2);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    (void)world_request(&world, SB__REQUEST__BODY_SNAPSHOT);
    world_end(&world);
}

static void a_beat_tells_of_events_that_never_came(void **state)
{
    (void)state;
    struct world world = world_joined();
    change(&world, "change.ddt", 4);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    beat(&world, 1, "change.ddt", 4);
    assert_true(world_silent(&world));
    beat(&world, 2, "change.ddt", 5);
    assert_int_equal(world_notice(&world, SYNCBUS_GAP).missed, 1);
    (void)world_request(&world, SB__REQUEST__BODY_SNAPSHOT);
    // A tick that was never seen at all is no gap, but the state has it.
    beat(&world, 3, "tick.prices", 1);
    world_no_notice(&world);
    (void)world_request(&world, SB__REQUEST__BODY_SNAPSHOT);
    world_end(&world);
}

static void the_state_after_missed_beats_tells_a_listener_what_it_missed(void **state)
{
    (void)state;
    struct world world = world_joined();
    beat(&world, 1, NULL, 0);
    change(&world, "change.ddt", 4);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    beat(&world, 6, NULL, 0);
    tell_seq(&world, world_request(&world, SB__REQUEST__BODY_SNAPSHOT)->id, "change.ddt", 6);
    const struct syncbus_notice gap = world_notice(&world, SYNCBUS_GAP);
    assert_string_equal(gap.topic, "change.ddt");
    assert_int_equal(gap.missed, 2);
    // One of them was only slow.
    change(&world, "change.ddt", 6);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    change(&world, "change.ddt", 7);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    world_no_notice(&world);
    world_end(&world);
}

static void a_tick_that_is_older_than_the_state_is_not_told(void **state)
{
    (void)state;
    struct world world = world_joined();
    beat(&world, 1, NULL, 0);
    beat(&world, 3, NULL, 0);
    tell_seq(&world, world_request(&world, SB__REQUEST__BODY_SNAPSHOT)->id, "tick.prices", 2);
    tick(&world, "tick.prices", 2, "prices", 5);
    world_no_notice(&world);
    tick(&world, "tick.prices", 3, "prices", 6);
    assert_int_equal(world_notice(&world, SYNCBUS_TICK).run, 6);
    world_end(&world);
}

static void what_an_epoch_said_before_its_listener_was_back_is_a_gap(void **state)
{
    (void)state;
    struct world world = world_joined();
    change(&world, "change.ddt", 4);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    world_pass(&world, WORLD_BEAT_MS);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_PING)->id, SB__CODE__CODE_NO_SESSION, "");
    world_pass(&world, WORLD_BEAT_MS);
    world.epoch++;
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, NULL);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    Sb__Event event = event_of(&world, 3);
    Sb__Change body = SB__CHANGE__INIT;
    event.epoch = world.epoch;
    event.body_case = SB__EVENT__BODY_CHANGE;
    event.change = &body;
    world_event(&world, "change.ddt", &event);
    assert_int_equal(world_notice(&world, SYNCBUS_GAP).missed, 2);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    world_end(&world);
}

static void a_welcome_of_an_epoch_before_that_of_an_event_is_not_followed(void **state)
{
    (void)state;
    struct world world = world_joined();
    world.epoch++;
    beat(&world, 1, NULL, 0);
    world.epoch--;
    world_pass(&world, WORLD_BEAT_MS);
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, NULL);
    (void)world_notice(&world, SYNCBUS_DISCONNECTED);
    assert_int_equal(session_number(world.session), 0);
    world_end(&world);
}

static void a_state_of_many_jobs_is_asked_for_page_by_page(void **state)
{
    (void)state;
    struct world world = world_joined();
    beat(&world, 1, NULL, 0);
    beat(&world, 3, NULL, 0);
    Sb__State body = SB__STATE__INIT;
    Sb__JobState job = SB__JOB_STATE__INIT;
    Sb__JobState *jobs[] = {&job};
    job.job = (char *)"customers";
    body.n_jobs = 1;
    body.jobs = jobs;
    body.more = true;
    world_state(&world, world_request(&world, SB__REQUEST__BODY_SNAPSHOT)->id, &body);
    const Sb__Request *next = world_request(&world, SB__REQUEST__BODY_SNAPSHOT);
    assert_string_equal(next->snapshot->after, "customers");
    tell_seq(&world, next->id, "change.ddt", 1);
    assert_true(world_silent(&world));
    world_end(&world);
}

static void an_anonymous_listener_asks_for_the_state_after_missed_beats(void **state)
{
    (void)state;
    struct world world = world_begin(true);
    change(&world, "change.ddt", 4);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    beat(&world, 7, NULL, 0);
    beat(&world, 9, NULL, 0);
    const Sb__Request *ask = world_request(&world, SB__REQUEST__BODY_SNAPSHOT);
    assert_int_equal(ask->session, 0);
    tell_seq(&world, ask->id, "change.ddt", 5);
    assert_int_equal(world_notice(&world, SYNCBUS_GAP).missed, 1);
    world_end(&world);
}

static void an_event_that_is_older_than_what_is_known_is_dropped(void **state)
{
    (void)state;
    struct world world = world_joined();
    tick(&world, "tick.prices", 3, "prices", 5);
    (void)world_notice(&world, SYNCBUS_TICK);
    tick(&world, "tick.prices", 2, "prices", 4);
    world_no_notice(&world);
    world_end(&world);
}

static void a_newer_epoch_in_an_event_registers_the_client_anew_and_an_older_one_is_dropped(void **state)
{
    (void)state;
    struct world world = world_joined();
    world.epoch++;
    beat(&world, 1, NULL, 0);
    assert_int_equal(session_number(world.session), 0);
    world_pass(&world, WORLD_BEAT_MS);
    (void)world_request(&world, SB__REQUEST__BODY_HELLO);
    world.epoch--;
    tick(&world, "tick.prices", 9, "prices", 5);
    world_no_notice(&world);
    world_end(&world);
}

static void the_beats_state_of_a_draining_resource_asks_to_yield(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_hold(&world, SYNCBUS_SHARED, 40);
    Sb__Event event = event_of(&world, 1);
    Sb__Beat body = SB__BEAT__INIT;
    Sb__ResourceState erp = SB__RESOURCE_STATE__INIT, other = SB__RESOURCE_STATE__INIT;
    Sb__ResourceState *resources[] = {&other, &erp};
    other.resource = (char *)"erp2";
    other.phase = erp.phase = SB__PHASE__PHASE_DRAINING;
    other.pause = 8;
    erp.resource = (char *)"erp";
    erp.pause = 3;
    body.n_resources = 2;
    body.resources = resources;
    event.body_case = SB__EVENT__BODY_BEAT;
    event.beat = &body;
    world_event(&world, "beat", &event);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_YIELD);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.pause, 3);
    world_no_notice(&world);
    world_end(&world);
}

static void the_subscriptions_are_what_is_wanted_and_what_is_needed(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    const char *const *topics = session_topics(world.session);
    const char *const expected[] = {"change.", "tick.prices", "beat", "pause."};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_string_equal(topics[i], expected[i]);
    assert_null(topics[4]);
    world_end(&world);
}

static void an_anonymous_listener_opens_new_sockets_when_no_beat_comes(void **state)
{
    (void)state;
    struct world world = world_begin(true);
    change(&world, "change.ddt", 1);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    (void)world_notice(&world, SYNCBUS_PUBLICATION);
    world_pass(&world, 11 * WORLD_BEAT_MS);
    (void)world_notice(&world, SYNCBUS_DISCONNECTED);
    assert_true(world_silent(&world));
    assert_int_equal(world.connects, 1);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tick_is_told_with_its_run_and_slot),
        cmocka_unit_test(a_topic_that_only_begins_alike_is_another_one),
        cmocka_unit_test(a_run_that_is_due_at_the_hello_is_a_tick),
        cmocka_unit_test(three_beats_missed_make_a_snapshot_whose_due_run_is_a_tick),
        cmocka_unit_test(beats_that_come_make_no_snapshot),
        cmocka_unit_test(a_gap_in_a_topic_is_told_and_the_state_is_asked_for),
        cmocka_unit_test(a_beat_tells_of_events_that_never_came),
        cmocka_unit_test(the_state_after_missed_beats_tells_a_listener_what_it_missed),
        cmocka_unit_test(a_tick_that_is_older_than_the_state_is_not_told),
        cmocka_unit_test(what_an_epoch_said_before_its_listener_was_back_is_a_gap),
        cmocka_unit_test(a_welcome_of_an_epoch_before_that_of_an_event_is_not_followed),
        cmocka_unit_test(a_state_of_many_jobs_is_asked_for_page_by_page),
        cmocka_unit_test(an_anonymous_listener_asks_for_the_state_after_missed_beats),
        cmocka_unit_test(an_event_that_is_older_than_what_is_known_is_dropped),
        cmocka_unit_test(a_newer_epoch_in_an_event_registers_the_client_anew_and_an_older_one_is_dropped),
        cmocka_unit_test(the_beats_state_of_a_draining_resource_asks_to_yield),
        cmocka_unit_test(the_subscriptions_are_what_is_wanted_and_what_is_needed),
        cmocka_unit_test(an_anonymous_listener_opens_new_sockets_when_no_beat_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
