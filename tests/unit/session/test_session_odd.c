// What a client does about what no broker should say, what no program should ask for, and what comes too
// late.
#include "tests/unit/session/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const no_names[] = {NULL};

static void welcome(struct world *world, uint64_t id, uint32_t beat_ms, uint32_t session_ttl_ms)
{
    Sb__Reply reply = world_reply(world, id, SB__CODE__CODE_OK);
    Sb__Welcome body = SB__WELCOME__INIT;
    body.session = world->number++;
    body.beat_ms = beat_ms;
    body.session_ttl_ms = session_ttl_ms;
    reply.body_case = SB__REPLY__BODY_WELCOME;
    reply.welcome = &body;
    world_give(world, &reply);
}

// ---------------------------------------------------------------- making

static void options_that_the_wire_would_not_carry_make_no_session(void **state)
{
    (void)state;
    char *name = world_text(WIRE_NAME_MAX + 1);
    const char *const names[] = {"prices", name, NULL};
    const char *const steering[] = {"prices\x1b[31m", NULL};
    const struct syncbus_options bad[] = {{.name = name},      {.version = name},  {.jobs = names},
                                          {.serves = names},   {.topics = names},  {.name = "sync\n"},
                                          {.version = "\x7f"}, {.jobs = steering}, {.name = "\xe2\x80\xae"},
                                          {.name = "caff\xe8"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct session_options options = {.client = &bad[i], .seed = 1};
        assert_null(session_new(&options, 0));
    }
    free(name);
    struct session *none = NULL;
    session_destroy(&none);
}

static void a_client_without_a_name_says_its_version_and_an_identity_of_its_own(void **state)
{
    (void)state;
    const struct syncbus_options client = {.version = "1.2"};
    struct world world = world_of(&client);
    world_jump(&world, 0);
    const Sb__Request *hello = world_request(&world, SB__REQUEST__BODY_HELLO);
    assert_string_equal(hello->hello->name, "");
    assert_string_equal(hello->hello->version, "1.2");
    assert_true(hello->hello->instance != 0);
    assert_null(session_topics(world.session));
    world_end(&world);
}

// ---------------------------------------------------------------- registration

// How long after a Welcome that says this the first ping goes out.
static int64_t first_ping_ms(uint32_t beat_ms, uint32_t session_ttl_ms)
{
    struct world world = world_begin(false);
    world_jump(&world, 0);
    welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, beat_ms, session_ttl_ms);
    const int64_t ping_ms = session_deadline(world.session) - world.now_ms;
    world_end(&world);
    return ping_ms;
}

static void pings_go_out_with_the_beat_or_oftener_where_a_session_may_be_silent_for_less(void **state)
{
    (void)state;
    assert_int_equal(first_ping_ms(800, 15000), 800);
    assert_int_equal(first_ping_ms(800, 0), 800);
    assert_int_equal(first_ping_ms(0, 15000), 1000);
    assert_int_equal(first_ping_ms(800, 2000), 500);
    assert_int_equal(first_ping_ms(800, 40), 100);
}

static void a_hello_that_is_answered_with_something_else_is_said_again_later(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    world_jump(&world, 0);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, SB__CODE__CODE_OK, "");
    assert_string_equal(world_notice(&world, SYNCBUS_DISCONNECTED).text,
                        "the broker refused to register this client");
    world_jump(&world, 2000);
    world.number = 0; // no session has this number
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, NULL);
    world_no_notice(&world);
    assert_int_equal(session_number(world.session), 0);
    world_jump(&world, 2000);
    world.number = 71;
    const uint64_t hello = world_request(&world, SB__REQUEST__BODY_HELLO)->id;
    world_answer(&world, hello - 1, SB__CODE__CODE_OK, ""); // of what was sent before: nobody waits for it
    world_welcome(&world, hello, NULL);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    world_welcome(&world, hello, NULL); // once more
    world_no_notice(&world);
    assert_int_equal(session_number(world.session), 71);
    world_end(&world);
}

static void calls_are_taken_only_while_the_session_stands(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    Sb__Reply reply = world_reply(&world, 0, SB__CODE__CODE_OK);
    Sb__Deliver deliver = SB__DELIVER__INIT;
    deliver.call = 9;
    reply.body_case = SB__REPLY__BODY_DELIVER;
    reply.deliver = &deliver;
    world_give(&world, &reply);
    world_no_notice(&world);
    assert_int_equal(session_answer(world.session, 9, SYNCBUS_OK, NULL, NULL, 0), -ENOTCONN);
    world_join(&world);
    world_give(&world, &reply);
    assert_int_equal(world_notice(&world, SYNCBUS_CALL).call, 9);
    world_answer(&world, 0, SB__CODE__CODE_OK, "nobody asked"); // neither a call nor an answer
    world_no_notice(&world);
    world_end(&world);
}

static void what_an_earlier_broker_answers_to_a_one_shot_is_passed_on_all_the_same(void **state)
{
    (void)state;
    static const uint8_t ping[] = {0x62, 0};
    struct world world = world_begin(true);
    world_jump(&world, 0);
    for (uint64_t epoch = WORLD_EPOCH; epoch >= WORLD_EPOCH - 1; epoch--) {
        const uint64_t ask = session_ask(world.session, world.now_ms, ping, sizeof ping, 0);
        (void)world_request(&world, SB__REQUEST__BODY_PING);
        world.epoch = epoch;
        world_answer(&world, ask, SB__CODE__CODE_OK, "");
        if (epoch == WORLD_EPOCH)
            (void)world_notice(&world, SYNCBUS_CONNECTED);
        assert_int_equal(world_notice(&world, SYNCBUS_REPLY).ask, ask);
        assert_int_equal(session_epoch(world.session), WORLD_EPOCH);
        world_answer(&world, ask, SB__CODE__CODE_OK, ""); // nobody waits for it any more
        world_no_notice(&world);
    }
    assert_int_equal(session_acquire(world.session, world.now_ms, &(struct syncbus_wish){.resource = "erp"}),
                     0);
    assert_int_equal(errno, EINVAL);
    world_end(&world);
}

static void runs_under_way_are_noted_once_and_only_so_many(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    char *name = world_text(WIRE_NAME_MAX + 1);
    assert_int_equal(session_run_begin(world.session, NULL, 1, 1), -EINVAL);
    assert_int_equal(session_run_begin(world.session, name, 1, 1), -EINVAL);
    assert_int_equal(session_run_begin(world.session, "prices", 0, 1), -EINVAL);
    assert_int_equal(session_run_begin(world.session, "prices\n", 1, 1), -EINVAL);
    free(name);
    uint64_t run = 1;
    while (session_run_begin(world.session, "prices", run, 1) == 0)
        run++;
    assert_int_equal(run, 257);
    assert_int_equal(session_run_begin(world.session, "prices", run, 1), -ENOBUFS);
    assert_int_equal(session_run_begin(world.session, "prices", 256, 2), 0);
    session_run_end(world.session, 1000); // not noted: nothing
    session_run_end(world.session, 255);
    assert_int_equal(session_run_begin(world.session, "prices", run, 1), 0);
    world_end(&world);
}

// ---------------------------------------------------------------- asks

static void asks_calls_and_answers_that_cannot_be_carried_are_refused(void **state)
{
    (void)state;
    static char body[WIRE_BODY_MAX + 1];
    struct world world = world_joined();
    struct session *session = world.session;
    char *text = world_text(WIRE_TEXT_MAX + 1);
    assert_int_equal(session_ask(session, world.now_ms, NULL, 0, 0), 0);
    assert_int_equal(session_call(session, world.now_ms, NULL, "list", NULL, 0, 0), 0);
    assert_int_equal(session_call(session, world.now_ms, "orders", NULL, NULL, 0, 0), 0);
    assert_int_equal(session_call(session, world.now_ms, "orders", "list", body, sizeof body, 0), 0);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(session_answer(session, 0, SYNCBUS_OK, NULL, NULL, 0), -EINVAL);
    assert_int_equal(session_answer(session, 9, SYNCBUS_OK, NULL, body, sizeof body), -EINVAL);
    assert_int_equal(session_answer(session, 9, SYNCBUS_OK, text, NULL, 0), -EINVAL);
    assert_true(world_silent(&world));
    assert_int_equal(session_answer(session, 9, SYNCBUS_NOT_FOUND, "no such record", NULL, 0), 0);
    const Sb__Request *answer = world_request(&world, SB__REQUEST__BODY_ANSWER);
    assert_string_equal(answer->answer->text, "no such record");
    free(text);
    world_end(&world);
}

static void a_call_that_names_no_time_gets_ten_seconds_and_one_more(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t call = session_call(world.session, world.now_ms, "orders", "list", NULL, 0, 0);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_CALL)->call->timeout_ms, 0);
    world_jump(&world, 10999);
    world_no_notice(&world);
    world_jump(&world, 1);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_REPLY);
    assert_int_equal(notice.ask, call);
    assert_int_equal(notice.code, SYNCBUS_TIMEOUT);
    world_end(&world);
}

static void of_several_asks_the_next_time_to_act_is_that_of_the_first_in_time(void **state)
{
    (void)state;
    static const uint8_t ping[] = {0x62, 0};
    struct world world = world_begin(true);
    (void)session_ask(world.session, world.now_ms, ping, sizeof ping, 2000);
    (void)session_ask(world.session, world.now_ms, ping, sizeof ping, 5000);
    (void)session_ask(world.session, world.now_ms, ping, sizeof ping, 1000);
    assert_int_equal(session_deadline(world.session), world.now_ms + 1000);
    world_jump(&world, 1000);
    assert_int_equal(session_deadline(world.session), world.now_ms + 1000);
    world_jump(&world, 1000);
    assert_int_equal(session_deadline(world.session), world.now_ms + 1000); // of the last one: its repeat
    world_end(&world);
}

// ---------------------------------------------------------------- state and publications

static void a_client_of_few_jobs_asks_for_each_and_one_of_many_for_all(void **state)
{
    (void)state;
    static const char *const few[] = {"a", "b", "c", "d", NULL};
    static const char *const many[] = {"a", "b", "c", "d", "e", NULL};
    const struct syncbus_options clients[] = {{.events = "e", .jobs = few},
                                              {.events = "e", .jobs = many},
                                              {.jobs = few},
                                              {.events = "e", .topics = no_names}};
    static const unsigned wanted[] = {4, 1, 4, 0};
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        struct world world = world_of(&clients[i]);
        unsigned snapshots = 0;
        world_join(&world);
        world_jump(&world, 3 * WORLD_BEAT_MS + WORLD_BEAT_MS / 2);
        while (world_next(&world))
            snapshots += world.request->body_case == SB__REQUEST__BODY_SNAPSHOT;
        assert_int_equal(snapshots, wanted[i]);
        world_end(&world);
    }
}

static void a_state_tells_a_worker_what_is_due_and_what_drains_and_no_more(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_hold(&world, SYNCBUS_SHARED, 40);
    world_drop_requests(&world);
    Sb__ResourceState resource = SB__RESOURCE_STATE__INIT;
    Sb__ResourceState *resources[] = {&resource};
    resource.resource = (char *)"erp";
    resource.phase = SB__PHASE__PHASE_DRAINING;
    resource.pause = 3;
    Sb__RunState runs[3] = {SB__RUN_STATE__INIT, SB__RUN_STATE__INIT, SB__RUN_STATE__INIT};
    Sb__JobState jobs[5] = {SB__JOB_STATE__INIT, SB__JOB_STATE__INIT, SB__JOB_STATE__INIT,
                            SB__JOB_STATE__INIT, SB__JOB_STATE__INIT};
    Sb__JobState *places[] = {&jobs[0], &jobs[1], &jobs[2], &jobs[3], &jobs[4]};
    for (size_t i = 0; i < 3; i++) {
        jobs[i].job = (char *)"prices";
        jobs[i].current = &runs[i];
        runs[i].run = i; // no run has the number 0
        runs[i].stage = i == 1 ? SB__STAGE__STAGE_QUEUED : SB__STAGE__STAGE_DUE;
    }
    jobs[3].job = (char *)"prices";
    jobs[4].job = (char *)"ddt";
    jobs[4].current = &runs[2];
    Sb__State__SeqsEntry entries[3] = {SB__STATE__SEQS_ENTRY__INIT, SB__STATE__SEQS_ENTRY__INIT,
                                       SB__STATE__SEQS_ENTRY__INIT};
    Sb__State__SeqsEntry *seqs[] = {&entries[0], &entries[1], &entries[2]};
    entries[0].key = (char *)"order.placed"; // not followed
    entries[1].key = (char *)"tick.prices";  // followed, but not wanted as a publication
    entries[2].key = (char *)"change.ddt";
    Sb__State body = SB__STATE__INIT;
    body.n_resources = 1;
    body.resources = resources;
    body.n_jobs = 5;
    body.jobs = places;
    body.n_seqs = 3;
    body.seqs = seqs;
    body.more = true;
    for (int i = 0; i < 2; i++) { // once more: nothing is new
        entries[0].value = entries[1].value = 4;
        world_state(&world, 999 + (uint64_t)i, &body);
        if (i == 0)
            assert_int_equal(world_notice(&world, SYNCBUS_YIELD).pause, 3);
        assert_int_equal(world_notice(&world, SYNCBUS_TICK).run, 2);
        world_no_notice(&world);
        assert_string_equal(world_request(&world, SB__REQUEST__BODY_SNAPSHOT)->snapshot->after, "ddt");
    }
    body.n_jobs = 0; // a page without jobs has nothing after it
    world_state(&world, 999, &body);
    assert_true(world_silent(&world));
    world_end(&world);
}

static void a_body_that_does_not_belong_to_its_topic_is_not_looked_at(void **state)
{
    (void)state;
    static const char *const all[] = {"change.", "run.", NULL};
    static const char *const jobs[] = {"prices", NULL};
    const struct syncbus_options client = {.events = "e", .jobs = jobs, .topics = all};
    struct world world = world_of(&client);
    world_join(&world);
    Sb__Tick tick = SB__TICK__INIT;
    tick.job = (char *)"prices";
    tick.run = 5;
    Sb__ResourceState resource = SB__RESOURCE_STATE__INIT;
    resource.resource = (char *)"erp";
    resource.phase = SB__PHASE__PHASE_DRAINING;
    resource.pause = 3;
    Sb__Beat beat = SB__BEAT__INIT;
    Sb__Event events[3] = {SB__EVENT__INIT, SB__EVENT__INIT, SB__EVENT__INIT};
    events[0].body_case = SB__EVENT__BODY_TICK;
    events[0].tick = &tick;
    events[1].body_case = SB__EVENT__BODY_RESOURCE;
    events[1].resource = &resource;
    events[2].body_case = SB__EVENT__BODY_BEAT;
    events[2].beat = &beat;
    for (uint64_t i = 0; i < 3; i++) {
        events[i].epoch = WORLD_EPOCH;
        events[i].seq = i + 1;
        world_event(&world, "run.prices", &events[i]);
        (void)world_notice(&world, SYNCBUS_PUBLICATION);
        world_no_notice(&world);
    }
    world_event(&world, "order.placed", &events[0]); // not subscribed to
    world_no_notice(&world);
    world_end(&world);
}

static void a_beats_word_on_a_topic_that_is_not_followed_asks_for_nothing(void **state)
{
    (void)state;
    struct world world = world_joined();
    Sb__Beat__SeqsEntry entry = SB__BEAT__SEQS_ENTRY__INIT;
    Sb__Beat__SeqsEntry *seqs[] = {&entry};
    Sb__Beat beat = SB__BEAT__INIT;
    beat.n_seqs = 1;
    beat.seqs = seqs;
    static const char *const topics[] = {"order.placed", "change.ddt"};
    for (uint64_t i = 0; i < 2; i++) {
        Sb__Event event = SB__EVENT__INIT;
        entry.key = (char *)topics[i];
        entry.value = 4;
        event.epoch = WORLD_EPOCH;
        event.seq = i + 1;
        event.body_case = SB__EVENT__BODY_BEAT;
        event.beat = &beat;
        world_event(&world, "beat", &event);
        if (i == 0)
            assert_true(world_silent(&world));
        else
            (void)world_request(&world, SB__REQUEST__BODY_SNAPSHOT);
    }
    world_end(&world);
}

static void a_client_without_publications_takes_none_and_asks_for_nothing(void **state)
{
    (void)state;
    const struct syncbus_options client = {.anonymous = true};
    struct world world = world_of(&client);
    Sb__Event event = SB__EVENT__INIT;
    event.epoch = WORLD_EPOCH;
    world_jump(&world, 0);
    world_event(&world, "beat", &event);
    world_no_notice(&world);
    assert_true(session_deadline(world.session) == INT64_MAX);
    world_end(&world);
    const struct syncbus_options member = {.name = "m"};
    world = world_of(&member);
    world_join(&world);
    Sb__State__SeqsEntry entry = SB__STATE__SEQS_ENTRY__INIT;
    Sb__State__SeqsEntry *seqs[] = {&entry};
    Sb__State body = SB__STATE__INIT;
    entry.key = (char *)"change.ddt";
    entry.value = 4;
    body.n_seqs = 1;
    body.seqs = seqs;
    world_state(&world, 999, &body);
    world_no_notice(&world);
    world_end(&world);
}

static void topics_past_the_limit_are_passed_on_and_not_counted(void **state)
{
    (void)state;
    enum { TOPICS_MAX = 4096 };
    struct world world = world_joined();
    for (unsigned i = 0; i <= TOPICS_MAX; i++) {
        char topic[32];
        Sb__Event event = SB__EVENT__INIT;
        Sb__Change change = SB__CHANGE__INIT;
        event.epoch = WORLD_EPOCH;
        event.seq = 1;
        event.body_case = SB__EVENT__BODY_CHANGE;
        event.change = &change;
        (void)snprintf(topic, sizeof topic, "change.%u", i);
        world_event(&world, topic, &event);
        (void)world_notice(&world, SYNCBUS_PUBLICATION);
        event.seq = 3;
        world_event(&world, topic, &event);
        if (i < TOPICS_MAX)
            assert_int_equal(world_notice(&world, SYNCBUS_GAP).missed, 1);
        (void)world_notice(&world, SYNCBUS_PUBLICATION);
        world_no_notice(&world);
        world_drop_requests(&world);
    }
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_the_wire_would_not_carry_make_no_session),
        cmocka_unit_test(a_client_without_a_name_says_its_version_and_an_identity_of_its_own),
        cmocka_unit_test(pings_go_out_with_the_beat_or_oftener_where_a_session_may_be_silent_for_less),
        cmocka_unit_test(a_hello_that_is_answered_with_something_else_is_said_again_later),
        cmocka_unit_test(calls_are_taken_only_while_the_session_stands),
        cmocka_unit_test(what_an_earlier_broker_answers_to_a_one_shot_is_passed_on_all_the_same),
        cmocka_unit_test(runs_under_way_are_noted_once_and_only_so_many),
        cmocka_unit_test(asks_calls_and_answers_that_cannot_be_carried_are_refused),
        cmocka_unit_test(a_call_that_names_no_time_gets_ten_seconds_and_one_more),
        cmocka_unit_test(of_several_asks_the_next_time_to_act_is_that_of_the_first_in_time),
        cmocka_unit_test(a_client_of_few_jobs_asks_for_each_and_one_of_many_for_all),
        cmocka_unit_test(a_state_tells_a_worker_what_is_due_and_what_drains_and_no_more),
        cmocka_unit_test(a_body_that_does_not_belong_to_its_topic_is_not_looked_at),
        cmocka_unit_test(a_beats_word_on_a_topic_that_is_not_followed_asks_for_nothing),
        cmocka_unit_test(a_client_without_publications_takes_none_and_asks_for_nothing),
        cmocka_unit_test(topics_past_the_limit_are_passed_on_and_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
