// Wishes and leases: who counts from when, what is repeated, and what ends by itself.
#include "tests/unit/session/world.h"

#include <errno.h>

static void the_first_ask_wants_an_answer_at_once_and_each_poll_is_a_new_request_of_one_claim(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    const Sb__Request *request = world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    const uint64_t first = request->id;
    assert_int_equal(request->acquire->poll_ms, 0);
    assert_int_equal(request->acquire->claim, claim);
    assert_int_equal(request->acquire->mode, SB__MODE__MODE_EXCLUSIVE);
    assert_int_equal(request->acquire->settle_ms, 250);
    world_waiting(&world, first, 2);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_WAITING);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.position, 2);
    assert_int_equal(notice.eta_ms, 4000);
    assert_int_equal(notice.blocker_count, 1);
    assert_string_equal(notice.blockers[0].holder, "sync-ddt");
    request = world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    assert_true(request->id > first);
    assert_int_equal(request->acquire->poll_ms, 1000);
    assert_int_equal(request->acquire->claim, claim);
    assert_int_equal(request->acquire->ticket, 33);
    world_end(&world);
}

static void a_broker_that_answers_polls_at_once_is_not_asked_in_a_busy_loop(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    world_waiting(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, 1);
    world_waiting(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, 1);
    assert_true(world_silent(&world));
    world_jump(&world, 100);
    (void)world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    world_end(&world);
}

static void a_holder_renews_first_thing_and_then_three_times_a_ttl(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_hold(&world, SYNCBUS_SHARED, 40);
    const Sb__Request *renew = world_request(&world, SB__REQUEST__BODY_RENEW);
    assert_int_equal(renew->renew->token, 40);
    assert_int_equal(renew->renew->claim, claim);
    assert_int_equal(renew->renew->run, 5);
    assert_string_equal(renew->renew->job, "prices");
    world_renewed(&world, renew->id, false, 0);
    session_progress(world.session, claim, 10, 20);
    world_jump(&world, WORLD_TTL_MS / 3);
    renew = world_request(&world, SB__REQUEST__BODY_RENEW);
    assert_int_equal(renew->renew->done, 10);
    assert_int_equal(renew->renew->total, 20);
    world_end(&world);
}

static void the_holder_counts_from_the_first_sending_less_a_tenth(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    world_waiting(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, 1);
    // A poll without an answer, and its repetition: the lease counts from the earlier one.
    (void)world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    world_jump(&world, 2000);
    world_granted(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, 40);
    assert_int_equal(session_left_ms(world.session, world.now_ms, claim), WORLD_TTL_MS * 9 / 10 - 2000);
    // A renewal counts from its own sending.
    const uint64_t renewal = world_request(&world, SB__REQUEST__BODY_RENEW)->id;
    world_jump(&world, 500);
    world_renewed(&world, renewal, false, 0);
    assert_int_equal(session_left_ms(world.session, world.now_ms, claim), WORLD_TTL_MS * 9 / 10 - 500);
    assert_int_equal(session_ttl_ms(world.session, claim), WORLD_TTL_MS);
    assert_int_equal(session_ttl_ms(world.session, claim + 1), 0);
    world_end(&world);
}

static void a_lease_that_cannot_be_renewed_is_lost_before_its_ttl_is_over_and_not_given_back(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_hold(&world, SYNCBUS_EXCLUSIVE, 40);
    world_jump(&world, WORLD_TTL_MS * 9 / 10 - 1);
    world_no_notice(&world);
    assert_int_equal(session_left_ms(world.session, world.now_ms, claim), 1);
    assert_true(session_deadline(world.session) <= world.now_ms + 1);
    world_jump(&world, 1);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_LOST);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.token, 40);
    assert_int_equal(session_left_ms(world.session, world.now_ms, claim), 0);
    // Its work may still be stopping: only the broker's own wait makes room.
    while (!world_silent(&world))
        assert_int_not_equal(world.request->body_case, SB__REQUEST__BODY_RELEASE);
    world_end(&world);
}

static void a_late_renewed_is_answered_with_a_release(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_hold(&world, SYNCBUS_SHARED, 40);
    const uint64_t renewal = world_request(&world, SB__REQUEST__BODY_RENEW)->id;
    world.now_ms += WORLD_TTL_MS;
    world_renewed(&world, renewal, false, 0);
    (void)world_notice(&world, SYNCBUS_LOST);
    world_drop_requests(&world);
    world_jump(&world, 250);
    const Sb__Request *release = world_request(&world, SB__REQUEST__BODY_RELEASE);
    assert_int_equal(release->release->token, 40);
    world_end(&world);
}

static void a_reconnect_does_not_hasten_the_release_of_what_may_still_be_settling(void **state)
{
    (void)state;
    struct world world = world_joined();
    const struct syncbus_wish wish = {.resource = "erp", .mode = SYNCBUS_EXCLUSIVE, .settle_ms = 3000};
    assert_int_not_equal(session_acquire(world.session, world.now_ms, &wish), 0);
    world_granted(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, 40);
    (void)world_notice(&world, SYNCBUS_GRANTED);
    const uint64_t renewal = world_request(&world, SB__REQUEST__BODY_RENEW)->id;
    world.now_ms += WORLD_TTL_MS;
    const int64_t settled_ms = world.now_ms + 3000;
    world_renewed(&world, renewal, false, 0);
    (void)world_notice(&world, SYNCBUS_LOST);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_SNAPSHOT)->id, SB__CODE__CODE_NO_SESSION,
                 "");
    world_pass(&world, WORLD_BEAT_MS);
    world_welcome(&world, world_request(&world, SB__REQUEST__BODY_HELLO)->id, NULL);
    (void)world_notice(&world, SYNCBUS_CONNECTED);
    assert_true(world.now_ms < settled_ms);
    assert_true(world_silent(&world));
    world.now_ms = settled_ms - 1;
    session_time(world.session, world.now_ms);
    assert_true(world_silent(&world));
    world_jump(&world, 1);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_RELEASE)->release->token, 40);
    world_end(&world);
}

static void a_late_granted_is_given_back_and_the_wish_goes_on_under_a_new_claim(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    const uint64_t ask = world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id;
    // The process sleeps: the answer lies in the socket while the lease ends.
    world.now_ms += WORLD_TTL_MS * 9 / 10;
    world_granted(&world, ask, 40);
    world_no_notice(&world);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_RELEASE)->release->token, 40);
    const Sb__Request *again = world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    assert_int_not_equal(again->acquire->claim, claim);
    world_granted(&world, again->id, 41);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_GRANTED);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.token, 41);
    world_end(&world);
}

static void the_wish_to_yield_is_told_once_a_pause_by_whatever_way_it_comes(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_hold(&world, SYNCBUS_SHARED, 40);
    Sb__Event event = SB__EVENT__INIT;
    Sb__ResourceState resource = SB__RESOURCE_STATE__INIT;
    event.epoch = WORLD_EPOCH;
    event.seq = 1;
    event.body_case = SB__EVENT__BODY_RESOURCE;
    event.resource = &resource;
    resource.resource = (char *)"erp";
    resource.phase = SB__PHASE__PHASE_DRAINING;
    resource.pause = 3;
    world_event(&world, "pause.erp", &event);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_YIELD);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.pause, 3);
    world_renewed(&world, world_request(&world, SB__REQUEST__BODY_RENEW)->id, true, 3);
    world_no_notice(&world);
    world_jump(&world, WORLD_TTL_MS / 3);
    world_renewed(&world, world_request(&world, SB__REQUEST__BODY_RENEW)->id, true, 4);
    assert_int_equal(world_notice(&world, SYNCBUS_YIELD).pause, 4);
    session_release(world.session, world.now_ms, claim, true);
    const Sb__Request *release = world_request(&world, SB__REQUEST__BODY_RELEASE);
    assert_true(release->release->yielded);
    assert_int_equal(release->release->pause, 4);
    world_end(&world);
}

static void an_exclusive_lease_is_never_asked_to_yield(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_hold(&world, SYNCBUS_EXCLUSIVE, 40);
    world_renewed(&world, world_request(&world, SB__REQUEST__BODY_RENEW)->id, true, 3);
    world_no_notice(&world);
    world_end(&world);
}

static void a_release_is_repeated_until_it_is_answered(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_hold(&world, SYNCBUS_SHARED, 40);
    world_drop_requests(&world);
    session_release(world.session, world.now_ms, claim, false);
    const uint64_t first = world_request(&world, SB__REQUEST__BODY_RELEASE)->id;
    world_jump(&world, 1000);
    const uint64_t second = world_request(&world, SB__REQUEST__BODY_RELEASE)->id;
    assert_true(second > first);
    world_answer(&world, second, SB__CODE__CODE_OK, "");
    world_jump(&world, 1000);
    assert_true(world_silent(&world));
    world_end(&world);
}

static void a_wish_given_up_is_withdrawn_by_claim_and_heard_of_no_more(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    const uint64_t ask = world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id;
    world_waiting(&world, ask, 1);
    session_withdraw(world.session, world.now_ms, claim);
    world_no_notice(&world);
    (void)world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    const Sb__Request *withdraw = world_request(&world, SB__REQUEST__BODY_WITHDRAW);
    assert_int_equal(withdraw->withdraw->claim, claim);
    assert_string_equal(withdraw->withdraw->resource, "erp");
    world_end(&world);
}

static void a_grant_that_the_program_has_not_seen_yet_is_given_back_when_it_withdraws(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    world_granted(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, 40);
    (void)world_request(&world, SB__REQUEST__BODY_RENEW);
    session_withdraw(world.session, world.now_ms, claim);
    world_no_notice(&world);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_RELEASE)->release->token, 40);
    world_end(&world);
}

static void a_refusal_names_its_reason_and_its_blockers(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    Sb__Reply reply = SB__REPLY__INIT;
    Sb__Waiting waiting = SB__WAITING__INIT;
    Sb__Blocker blocker = SB__BLOCKER__INIT;
    Sb__Blocker *blockers[] = {&blocker};
    blocker.job = (char *)"prices";
    waiting.n_blockers = 1;
    waiting.blockers = blockers;
    reply.id = world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id;
    reply.code = SB__CODE__CODE_PAUSE_TIMEOUT;
    reply.text = (char *)"prices does not yield";
    reply.body_case = SB__REPLY__BODY_WAITING;
    reply.waiting = &waiting;
    world_give(&world, &reply);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_REFUSED);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.code, SYNCBUS_PAUSE_TIMEOUT);
    assert_string_equal(notice.text, "prices does not yield");
    assert_string_equal(notice.blockers[0].job, "prices");
    world_pass(&world, 900);
    assert_true(world_silent(&world));
    world_end(&world);
}

static void a_wait_ends_by_the_clients_own_clock_when_no_broker_answers(void **state)
{
    (void)state;
    struct world world = world_begin(false);
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 1000);
    world_jump(&world, 1500);
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_REFUSED);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.code, SYNCBUS_TIMEOUT);
    world_end(&world);
}

static void leases_outlive_a_reconnect_listed_in_hello_and_renewed_by_claim(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_hold(&world, SYNCBUS_EXCLUSIVE, 40);
    world_renewed(&world, world_request(&world, SB__REQUEST__BODY_RENEW)->id, false, 0);
    world_pass(&world, 1000);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_PING)->id, SB__CODE__CODE_NO_SESSION, "");
    world_pass(&world, WORLD_BEAT_MS);
    const Sb__Request *hello = world_request(&world, SB__REQUEST__BODY_HELLO);
    assert_int_equal(hello->hello->n_leases, 1);
    assert_int_equal(hello->hello->leases[0]->token, 40);
    assert_int_equal(hello->hello->leases[0]->claim, claim);
    world.epoch++;
    world_welcome(&world, hello->id, NULL);
    const Sb__Request *renew = world_request(&world, SB__REQUEST__BODY_RENEW);
    assert_int_equal(renew->renew->claim, claim);
    assert_int_equal(renew->session, 72);
    world_renewed(&world, renew->id, false, 0);
    assert_int_equal(session_left_ms(world.session, world.now_ms, claim), WORLD_TTL_MS * 9 / 10);
    world_end(&world);
}

static void a_waiter_comes_back_with_its_claim_and_its_ticket(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    world_waiting(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, 4);
    (void)world_notice(&world, SYNCBUS_WAITING);
    world_drop_requests(&world);
    world_pass(&world, 4 * WORLD_BEAT_MS);
    while (world_silent(&world) || world.request->body_case != SB__REQUEST__BODY_HELLO)
        world_pass(&world, WORLD_BEAT_MS);
    world_welcome(&world, world.request->id, NULL);
    const Sb__Request *ask = world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    assert_int_equal(ask->acquire->claim, claim);
    assert_int_equal(ask->acquire->ticket, 33);
    assert_int_equal(ask->acquire->poll_ms, 0);
    world_end(&world);
}

static void a_lease_that_the_broker_refuses_to_renew_is_lost(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_hold(&world, SYNCBUS_SHARED, 40);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_RENEW)->id, SB__CODE__CODE_LEASE_LOST,
                 "it was held for too long");
    const struct syncbus_notice notice = world_notice(&world, SYNCBUS_LOST);
    assert_int_equal(notice.claim, claim);
    assert_string_equal(notice.text, "it was held for too long");
    assert_int_equal(session_left_ms(world.session, world.now_ms, claim), 0);
    world_end(&world);
}

static void a_claim_whose_lease_ended_unseen_is_asked_for_anew(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, SB__CODE__CODE_LEASE_LOST,
                 "this claim had a lease");
    world_no_notice(&world);
    const Sb__Request *again = world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    assert_int_not_equal(again->acquire->claim, claim);
    world_granted(&world, again->id, 41);
    assert_int_equal(world_notice(&world, SYNCBUS_GRANTED).claim, claim);
    world_end(&world);
}

static void wishes_that_say_nothing_useful_or_are_too_many_are_refused(void **state)
{
    (void)state;
    struct world world = world_joined();
    const struct syncbus_wish wrong[] = {
        {.mode = SYNCBUS_EXCLUSIVE}, {.resource = "erp"}, {.resource = "erp", .mode = SYNCBUS_SHARED}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        errno = 0;
        assert_int_equal(session_acquire(world.session, world.now_ms, &wrong[i]), 0);
        assert_int_equal(errno, EINVAL);
    }
    const struct syncbus_wish wish = {.resource = "erp", .mode = SYNCBUS_EXCLUSIVE};
    while (session_acquire(world.session, world.now_ms, &wish) != 0)
        continue;
    assert_int_equal(errno, ENOBUFS);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_ask_wants_an_answer_at_once_and_each_poll_is_a_new_request_of_one_claim),
        cmocka_unit_test(a_broker_that_answers_polls_at_once_is_not_asked_in_a_busy_loop),
        cmocka_unit_test(a_holder_renews_first_thing_and_then_three_times_a_ttl),
        cmocka_unit_test(the_holder_counts_from_the_first_sending_less_a_tenth),
        cmocka_unit_test(a_lease_that_cannot_be_renewed_is_lost_before_its_ttl_is_over_and_not_given_back),
        cmocka_unit_test(a_late_renewed_is_answered_with_a_release),
        cmocka_unit_test(a_reconnect_does_not_hasten_the_release_of_what_may_still_be_settling),
        cmocka_unit_test(a_late_granted_is_given_back_and_the_wish_goes_on_under_a_new_claim),
        cmocka_unit_test(the_wish_to_yield_is_told_once_a_pause_by_whatever_way_it_comes),
        cmocka_unit_test(an_exclusive_lease_is_never_asked_to_yield),
        cmocka_unit_test(a_release_is_repeated_until_it_is_answered),
        cmocka_unit_test(a_wish_given_up_is_withdrawn_by_claim_and_heard_of_no_more),
        cmocka_unit_test(a_grant_that_the_program_has_not_seen_yet_is_given_back_when_it_withdraws),
        cmocka_unit_test(a_refusal_names_its_reason_and_its_blockers),
        cmocka_unit_test(a_wait_ends_by_the_clients_own_clock_when_no_broker_answers),
        cmocka_unit_test(leases_outlive_a_reconnect_listed_in_hello_and_renewed_by_claim),
        cmocka_unit_test(a_waiter_comes_back_with_its_claim_and_its_ticket),
        cmocka_unit_test(a_lease_that_the_broker_refuses_to_renew_is_lost),
        cmocka_unit_test(a_claim_whose_lease_ended_unseen_is_asked_for_anew),
        cmocka_unit_test(wishes_that_say_nothing_useful_or_are_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
