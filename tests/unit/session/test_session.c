// The registration, and asks: what a client does about a broker that is silent, new or unwilling.
#include "tests/unit/session/world.h"

#include <errno.h>
#include <string.h>

static void a_client_says_hello_at_once_and_is_told_when_it_stands(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    world_jump(&world, 0);
    const Sb__Request *request = world_request(&world, SB__REQUEST__BODY_HELLO);
    assert_int_equal(world.connects, 1);
    assert_int_equal(request->session, 0);
    assert_string_equal(request->hello->name, "sync-prices");
    assert_int_equal(request->hello->instance, 11);
    assert_int_equal(request->hello->process, 12);
    assert_int_equal(request->hello->host, 13);
    assert_int_equal(request->hello->n_jobs, 1);
    assert_string_equal(request->hello->serves[0], "prices");
    world_no_notice(&world);
    world_welcome(&world, request->id, NULL);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    assert_int_equal(session_number(world.session), 71);
    assert_int_equal(session_epoch(world.session), WORLD_EPOCH);
    world_end(&world);
}

static void it_pings_while_nothing_else_is_said_and_new_numbers_ascend(void **state)
{
    (void)state;
    struct world world = world_joined();
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        world_pass(&world, WORLD_BEAT_MS);
        const Sb__Request *ping = world_request(&world, SB__REQUEST__BODY_PING);
        assert_true(ping->id > last);
        assert_int_equal(ping->session, 71);
        last = ping->id;
        world_answer(&world, last, SB__CODE__CODE_OK, "");
        world_drop_requests(&world);
    }
    world_no_notice(&world);
    world_end(&world);
}

static void two_unanswered_pings_open_new_sockets_and_hello_waits_up_to_a_beat(void **state)
{
    (void)state;
    struct world world = world_joined();
    world_pass(&world, 2 * WORLD_BEAT_MS);
    assert_int_equal(world.connects, 1);
    world_no_notice(&world);
    world_pass(&world, WORLD_BEAT_MS);
    (void)world_notice(&world, SYNCBUS_DISCONNECTED);
    assert_int_equal(session_number(world.session), 0);
    world_pass(&world, WORLD_BEAT_MS);
    const Sb__Request *hello = world_request(&world, SB__REQUEST__BODY_HELLO);
    assert_int_equal(world.connects, 2);
    assert_int_equal(hello->hello->last_epoch, WORLD_EPOCH);
    world_welcome(&world, hello->id, NULL);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    world_end(&world);
}

static void a_hello_without_an_answer_is_said_again_on_new_sockets_and_told_once(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    world_pass(&world, 20000);
    struct session_output output;
    assert_true(session_output(world.session, &output));
    (void)world_notice(&world, SYNCBUS_DISCONNECTED);
    world_no_notice(&world);
    while (world_silent(&world))
        world_pass(&world, WORLD_BEAT_MS);
    assert_int_equal(world.request->body_case, SB__REQUEST__BODY_HELLO);
    world_welcome(&world, world.request->id, NULL);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    world_end(&world);
}

static void a_session_that_the_broker_does_not_know_is_registered_again(void **state)
{
    (void)state;
    struct world world = world_joined();
    world_pass(&world, WORLD_BEAT_MS);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_PING)->id, SB__CODE__CODE_NO_SESSION, "");
    world_pass(&world, WORLD_BEAT_MS);
    const Sb__Request *hello = world_request(&world, SB__REQUEST__BODY_HELLO);
    world.epoch++;
    world_welcome(&world, hello->id, NULL);
    assert_int_equal(session_epoch(world.session), WORLD_EPOCH + 1);
    assert_int_equal(session_number(world.session), 72);
    assert_int_equal(world.connects, 1);
    world_end(&world);
}

static void a_late_no_session_of_an_earlier_session_ends_nothing(void **state)
{
    (void)state;
    struct world world = world_joined();
    world_pass(&world, WORLD_BEAT_MS);
    const uint64_t old = world_request(&world, SB__REQUEST__BODY_PING)->id;
    world_answer(&world, old, SB__CODE__CODE_NO_SESSION, "");
    world_pass(&world, WORLD_BEAT_MS);
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, NULL);
    world_answer(&world, old, SB__CODE__CODE_NO_SESSION, "");
    assert_int_equal(session_number(world.session), 72);
    world_end(&world);
}

static void a_broker_of_an_earlier_epoch_is_not_followed(void **state)
{
    (void)state;
    struct world world = world_joined();
    world_pass(&world, 4 * WORLD_BEAT_MS);
    (void)world_notice(&world, SYNCBUS_DISCONNECTED);
    world.epoch--;
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, NULL);
    world_no_notice(&world);
    assert_int_equal(session_number(world.session), 0);
    world_end(&world);
}

static void a_refused_hello_says_why_and_is_tried_again(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    world_jump(&world, 0);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, SB__CODE__CODE_CONFLICT,
                 "lives on another host");
    assert_string_equal(world_notice(&world, SYNCBUS_DISCONNECTED).text, "lives on another host");
    assert_true(world_silent(&world));
    world_pass(&world, 2000);
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, NULL);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    world_end(&world);
}

static void each_hello_lists_the_runs_under_way(void **state)
{
    (void)state;
    struct world world = world_joined();
    assert_int_equal(session_run_begin(world.session, "prices", 5, 1), 0);
    assert_int_equal(session_run_begin(world.session, "prices", 6, 1), 0);
    assert_int_equal(session_run_begin(world.session, "prices", 6, 2), 0);
    session_run_end(world.session, 5);
    assert_int_equal(session_run_begin(world.session, "prices", 0, 1), -EINVAL);
    world_pass(&world, 4 * WORLD_BEAT_MS);
    const Sb__Request *request = world_request(&world, SB__REQUEST__BODY_HELLO);
    assert_int_equal(request->hello->n_runs, 1);
    assert_int_equal(request->hello->runs[0]->run, 6);
    assert_int_equal(request->hello->runs[0]->attempt, 2);
    assert_string_equal(request->hello->runs[0]->job, "prices");
    world_end(&world);
}

// ---------------------------------------------------------------- asks

static uint64_t ask_runs(struct world *world, uint32_t timeout_ms)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Runs runs = SB__RUNS__INIT;
    uint8_t bytes[64];
    request.body_case = SB__REQUEST__BODY_RUNS;
    request.runs = &runs;
    const size_t size = sb__request__pack(&request, bytes);
    return session_ask(world->session, world->now_ms, bytes, size, timeout_ms);
}

static void an_ask_is_repeated_under_its_number_until_it_is_answered(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t ask = ask_runs(&world, 0);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_RUNS)->id, ask);
    // The broker starts anew and has never heard of it.
    world_pass(&world, 4 * WORLD_BEAT_MS);
    (void)world_notice(&world, SYNCBUS_DISCONNECTED);
    world.epoch++;
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, NULL);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    const Sb__Request *again = world_request(&world, SB__REQUEST__BODY_RUNS);
    assert_int_equal(again->id, ask);
    assert_int_equal(again->session, 72);
    world_answer(&world, ask, SB__CODE__CODE_NOT_FOUND, "no such job");
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_REPLY);
    assert_int_equal(notice.ask, ask);
    assert_int_equal(notice.code, SYNCBUS_NOT_FOUND);
    assert_string_equal(notice.text, "no such job");
    assert_int_not_equal(notice.body_size, 0);
    world_answer(&world, ask, SB__CODE__CODE_OK, "");
    world_no_notice(&world);
    world_end(&world);
}

static void an_ask_ends_when_its_time_is_over(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    const uint64_t ask = ask_runs(&world, 1500);
    world_jump(&world, 1499);
    world_no_notice(&world);
    world_jump(&world, 1);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_REPLY);
    assert_int_equal(notice.ask, ask);
    assert_int_equal(notice.code, SYNCBUS_TIMEOUT);
    assert_int_equal(notice.body_size, 0);
    world_end(&world);
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    struct world world = world_joined();
    errno = 0;
    assert_int_equal(session_ask(world.session, world.now_ms, "", 0, 0), 0);
    assert_int_equal(errno, EINVAL);
    assert_true(world_silent(&world));
    world_end(&world);
}

static void asks_past_the_limit_are_refused(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    for (int i = 0; i < 1024; i++)
        assert_int_not_equal(ask_runs(&world, 0), 0);
    errno = 0;
    assert_int_equal(ask_runs(&world, 0), 0);
    assert_int_equal(errno, ENOBUFS);
    world_end(&world);
}

static void an_anonymous_client_asks_without_a_session_and_opens_new_sockets_for_a_lost_answer(void **state)
{
    (void)state;
    struct world world = world_begin(true);
    const uint64_t ask = ask_runs(&world, 0);
    world_jump(&world, 0);
    const Sb__Request *request = world_request(&world, SB__REQUEST__BODY_RUNS);
    assert_int_equal(request->id, ask);
    assert_int_equal(request->session, 0);
    world_pass(&world, 3000);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_RUNS)->id, ask);
    assert_int_equal(world.connects, 2);
    world_answer(&world, ask, SB__CODE__CODE_OK, "");
    (void)world_notice(&world, SYNCBUS_DISCONNECTED);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    (void)world_notice(&world, SYNCBUS_REPLY);
    world_end(&world);
}

static void a_call_comes_as_a_notice_and_its_answer_goes_back(void **state)
{
    (void)state;
    struct world world = world_joined();
    Sb__Reply reply = SB__REPLY__INIT;
    Sb__Deliver deliver = SB__DELIVER__INIT;
    deliver.call = 9;
    deliver.method = (char *)"get";
    deliver.from = (char *)"syncbus";
    deliver.timeout_ms = 5000;
    deliver.body.data = (uint8_t *)"body";
    deliver.body.len = 4;
    reply.code = SB__CODE__CODE_OK;
    reply.body_case = SB__REPLY__BODY_DELIVER;
    reply.deliver = &deliver;
    world_give(&world, &reply);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_CALL);
    assert_int_equal(notice.call, 9);
    assert_string_equal(notice.method, "get");
    assert_memory_equal(notice.body, "body", 4);
    assert_int_equal(session_answer(world.session, 9, SYNCBUS_OK, NULL, "answer", 6), 0);
    const Sb__Request *request = world_request(&world, SB__REQUEST__BODY_ANSWER);
    assert_int_equal(request->answer->call, 9);
    assert_int_equal(request->answer->code, SB__CODE__CODE_OK);
    assert_memory_equal(request->answer->body.data, "answer", 6);
    world_end(&world);
}

static void a_name_that_the_wire_would_not_carry_makes_no_session(void **state)
{
    (void)state;
    char name[WIRE_NAME_MAX + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const struct syncbus_options client = {.requests = "ipc://r", .name = name};
    const struct session_options options = {.client = &client};
    assert_null(session_new(&options, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_says_hello_at_once_and_is_told_when_it_stands),
        cmocka_unit_test(it_pings_while_nothing_else_is_said_and_new_numbers_ascend),
        cmocka_unit_test(two_unanswered_pings_open_new_sockets_and_hello_waits_up_to_a_beat),
        cmocka_unit_test(a_hello_without_an_answer_is_said_again_on_new_sockets_and_told_once),
        cmocka_unit_test(a_session_that_the_broker_does_not_know_is_registered_again),
        cmocka_unit_test(a_late_no_session_of_an_earlier_session_ends_nothing),
        cmocka_unit_test(a_broker_of_an_earlier_epoch_is_not_followed),
        cmocka_unit_test(a_refused_hello_says_why_and_is_tried_again),
        cmocka_unit_test(each_hello_lists_the_runs_under_way),
        cmocka_unit_test(an_ask_is_repeated_under_its_number_until_it_is_answered),
        cmocka_unit_test(an_ask_ends_when_its_time_is_over),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(asks_past_the_limit_are_refused),
        cmocka_unit_test(an_anonymous_client_asks_without_a_session_and_opens_new_sockets_for_a_lost_answer),
        cmocka_unit_test(a_call_comes_as_a_notice_and_its_answer_goes_back),
        cmocka_unit_test(a_name_that_the_wire_would_not_carry_makes_no_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
