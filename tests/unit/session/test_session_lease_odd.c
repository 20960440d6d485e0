// Wishes and leases beside odd answers: what says nothing useful, and what comes too late.
#include "tests/unit/session/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------- wishes

static void a_wish_with_a_limit_tells_the_broker_how_long_is_left(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_wish(&world, SYNCBUS_EXCLUSIVE, 1500);
    const Sb__Request *request = world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    assert_int_equal(request->acquire->wait_ms, 1500);
    world_pass(&world, 1000);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_ACQUIRE)->acquire->wait_ms, 500);
    world_waiting(&world, world.request->id, 1);
    (void)world_notice(&world, SYNCBUS_WAITING);
    world_drop_requests(&world);
    world_jump(&world, 999); // a hair before the client's own end, which is later than the broker's
    world_waiting(&world, 0, 1);
    world_drop_requests(&world);
    world_jump(&world, 1);
    assert_int_equal(world_notice(&world, SYNCBUS_REFUSED).code, SYNCBUS_TIMEOUT);
    (void)world_request(&world, SB__REQUEST__BODY_WITHDRAW);
    world_end(&world);
}

static void a_poll_after_the_brokers_end_of_the_wait_still_asks_for_a_moment(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_wish(&world, SYNCBUS_EXCLUSIVE, 1000);
    (void)world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    world_jump(&world, 1200);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_ACQUIRE)->acquire->wait_ms, 1);
    world_end(&world);
}

static void answers_to_a_wish_that_say_nothing_useful_refuse_it(void **state)
{
    (void)state;
    struct world world = world_joined();
    uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, SB__CODE__CODE_OK, "");
    struct syncbus_notice notice = world_notice(&world, SYNCBUS_REFUSED);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.code, SYNCBUS_INTERNAL);
    claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    world_granted(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, 0); // no lease has this token
    notice = world_notice(&world, SYNCBUS_REFUSED);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.code, SYNCBUS_INTERNAL);
    world_end(&world);
}

static void a_wait_that_nobody_blocks_is_told_without_blockers_and_asked_for_again_at_once(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    for (int i = 0; i < 2; i++) {
        Sb__Reply reply =
            world_reply(&world, world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id, SB__CODE__CODE_OK);
        Sb__Waiting waiting = SB__WAITING__INIT;
        waiting.eta_ms = -1;
        reply.body_case = SB__REPLY__BODY_WAITING;
        reply.waiting = &waiting;
        world_jump(&world, 500); // the broker has held the poll for a while
        world_give(&world, &reply);
        assert_int_equal(world_notice(&world, SYNCBUS_WAITING).blocker_count, 0);
    }
    (void)world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    world_end(&world);
}

static void a_late_grant_that_cannot_be_given_back_lets_the_wish_go_on_all_the_same(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    const uint64_t late = world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id;
    while (session_acquire(world.session, world.now_ms,
                           &(struct syncbus_wish){.resource = "other", .mode = SYNCBUS_EXCLUSIVE}) != 0)
        world_drop_requests(&world);
    assert_int_equal(errno, ENOBUFS);
    world.now_ms += WORLD_TTL_MS;
    world_granted(&world, late, 40); // no place is left from which it could be given back
    const Sb__Request *request = world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    while (strcmp(request->acquire->resource, "erp") != 0)
        request = world_request(&world, SB__REQUEST__BODY_ACQUIRE);
    assert_true(request->acquire->claim != claim);
    world_granted(&world, request->id, 41);
    assert_int_equal(world_notice(&world, SYNCBUS_GRANTED).claim, claim);
    world_end(&world);
}

static void wishes_that_the_wire_would_not_carry_are_refused(void **state)
{
    (void)state;
    struct world world = world_joined();
    char *text = world_text(WIRE_TEXT_MAX + 1);
    const struct syncbus_wish bad[] = {{.mode = SYNCBUS_EXCLUSIVE},
                                       {.mode = SYNCBUS_EXCLUSIVE, .resource = text},
                                       {.mode = SYNCBUS_EXCLUSIVE, .resource = "erp", .job = text},
                                       {.mode = SYNCBUS_EXCLUSIVE, .resource = "erp", .reason = text},
                                       {.mode = SYNCBUS_EXCLUSIVE, .resource = "erp\r"},
                                       {.mode = SYNCBUS_EXCLUSIVE, .resource = "erp", .job = "a\x1b"},
                                       {.mode = SYNCBUS_EXCLUSIVE, .resource = "erp", .reason = "b\xc2\x9b"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        errno = 0;
        assert_int_equal(session_acquire(world.session, world.now_ms, &bad[i]), 0);
        assert_int_equal(errno, EINVAL);
    }
    assert_true(world_silent(&world));
    free(text);
    world_end(&world);
}

// ---------------------------------------------------------------- leases

static void each_refusal_of_a_renewal_ends_the_lease_and_other_answers_do_not(void **state)
{
    (void)state;
    static const Sb__Code lost[] = {SB__CODE__CODE_LEASE_LOST, SB__CODE__CODE_CONFLICT,
                                    SB__CODE__CODE_NOT_FOUND, SB__CODE__CODE_FORBIDDEN};
    static const Sb__Code kept[] = {SB__CODE__CODE_OK, SB__CODE__CODE_BUSY, SB__CODE__CODE_INTERNAL};
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        struct world world = world_joined();
        const uint64_t claim = world_hold(&world, SYNCBUS_EXCLUSIVE, 40);
        world_answer(&world, world_request(&world, SB__REQUEST__BODY_RENEW)->id, lost[i], "");
        const struct syncbus_notice notice = world_notice(&world, SYNCBUS_LOST);
        assert_int_equal(notice.claim, claim);
        assert_string_equal(notice.text, "the broker refused to renew it");
        world_end(&world);
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        struct world world = world_joined();
        const uint64_t claim = world_hold(&world, SYNCBUS_EXCLUSIVE, 40);
        world_answer(&world, world_request(&world, SB__REQUEST__BODY_RENEW)->id, kept[i], "");
        world_no_notice(&world);
        assert_true(session_left_ms(world.session, world.now_ms, claim) > 0);
        world_jump(&world, WORLD_TTL_MS / 3);
        (void)world_request(&world, SB__REQUEST__BODY_RENEW);
        world_end(&world);
    }
}

// How many requests that give this lease back the session sends now.
static unsigned releases_of(struct world *world, uint64_t token)
{
    unsigned count = 0;
    while (world_next(world))
        count +=
            world->request->body_case == SB__REQUEST__BODY_RELEASE && world->request->release->token == token;
    return count;
}

static void of_two_late_renewals_the_first_has_the_lease_given_back_once(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_hold(&world, SYNCBUS_EXCLUSIVE, 40);
    const uint64_t first = world_request(&world, SB__REQUEST__BODY_RENEW)->id;
    world_jump(&world, WORLD_TTL_MS / 3);
    const uint64_t second = world_request(&world, SB__REQUEST__BODY_RENEW)->id;
    world_jump(&world, WORLD_TTL_MS / 3);
    const uint64_t third = world_request(&world, SB__REQUEST__BODY_RENEW)->id;
    world_drop_requests(&world);
    world.now_ms += WORLD_TTL_MS;
    world_answer(&world, first, SB__CODE__CODE_BUSY, ""); // which is no word that the lease lives there
    (void)world_notice(&world, SYNCBUS_LOST);
    assert_int_equal(releases_of(&world, 40), 0);
    world_renewed(&world, second, false, 0);
    world_renewed(&world, third, false, 0);
    world_jump(&world, 250);
    assert_int_equal(releases_of(&world, 40), 1);
    world_end(&world);
}

static void a_yield_without_a_pause_or_for_another_resource_is_none(void **state)
{
    (void)state;
    struct world world = world_joined();
    (void)world_hold(&world, SYNCBUS_SHARED, 40);
    world_renewed(&world, world_request(&world, SB__REQUEST__BODY_RENEW)->id, true, 0);
    world_no_notice(&world);
    static const char *const resources[] = {"warehouse", "erp", "erp"};
    static const Sb__Phase phases[] = {SB__PHASE__PHASE_DRAINING, SB__PHASE__PHASE_EXCLUSIVE,
                                       SB__PHASE__PHASE_DRAINING};
    for (uint64_t i = 0; i < 3; i++) {
        Sb__Event event = SB__EVENT__INIT;
        Sb__ResourceState resource = SB__RESOURCE_STATE__INIT;
        world_no_notice(&world);
        resource.resource = (char *)resources[i];
        resource.phase = phases[i];
        resource.pause = 8;
        event.epoch = WORLD_EPOCH;
        event.seq = i + 1;
        event.body_case = SB__EVENT__BODY_RESOURCE;
        event.resource = &resource;
        world_event(&world, "pause.all", &event);
    }
    assert_int_equal(world_notice(&world, SYNCBUS_YIELD).pause, 8);
    world_end(&world);
}

static void a_release_under_way_is_said_again_after_a_reconnect(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t claim = world_hold(&world, SYNCBUS_EXCLUSIVE, 40);
    const uint64_t forgotten = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    world_drop_requests(&world);
    session_withdraw(world.session, world.now_ms, forgotten);
    world_answer(&world, world_request(&world, SB__REQUEST__BODY_WITHDRAW)->id, SB__CODE__CODE_OK, "");
    session_release(world.session, world.now_ms, claim, false);
    (void)world_request(&world, SB__REQUEST__BODY_RELEASE);
    world_answer(&world, world.request->id + 1000, SB__CODE__CODE_NO_SESSION, "");
    world_jump(&world, WORLD_BEAT_MS);
    const Sb__Request *hello = world_request(&world, SB__REQUEST__BODY_HELLO);
    assert_int_equal(hello->hello->n_leases, 0);
    world_welcome(&world, hello->id, NULL);
    assert_int_equal(world_request(&world, SB__REQUEST__BODY_RELEASE)->release->token, 40);
    world_end(&world);
}

static void a_release_that_is_never_answered_is_forgotten_after_a_minute(void **state)
{
    (void)state;
    struct world world = world_joined();
    session_release(world.session, world.now_ms, world_hold(&world, SYNCBUS_EXCLUSIVE, 40), false);
    unsigned releases = 0;
    for (int i = 0; i < 100; i++) {
        world_jump(&world, 1000);
        while (world_next(&world)) {
            releases += world.request->body_case == SB__REQUEST__BODY_RELEASE;
            if (world.request->body_case == SB__REQUEST__BODY_PING)
                world_answer(&world, world.request->id, SB__CODE__CODE_OK, "");
        }
    }
    assert_in_range(releases, 50, 61);
    world_end(&world);
}

static void what_is_said_of_a_claim_that_is_over_or_waits_is_nothing(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t held = world_hold(&world, SYNCBUS_SHARED, 40);
    const uint64_t waits = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    session_progress(world.session, 12345, 1, 2);
    session_release(world.session, world.now_ms, 12345, true);
    session_release(world.session, world.now_ms, 0, true);
    assert_int_equal(session_left_ms(world.session, world.now_ms, 12345), 0);
    assert_int_equal(session_left_ms(world.session, world.now_ms, waits), 0);
    assert_true(session_left_ms(world.session, world.now_ms, held) > 0);
    assert_int_equal(session_left_ms(world.session, world.now_ms + WORLD_TTL_MS, held), 0);
    world_drop_requests(&world);
    session_release(world.session, world.now_ms, waits, true); // it waits, so it is withdrawn
    (void)world_request(&world, SB__REQUEST__BODY_WITHDRAW);
    world_end(&world);
}

static void a_withdrawal_takes_its_own_notices_away_and_no_others(void **state)
{
    (void)state;
    struct world world = world_joined();
    const uint64_t first = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    const uint64_t first_id = world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id;
    const uint64_t second = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
    const uint64_t second_id = world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id;
    world_waiting(&world, first_id, 1);
    world_waiting(&world, second_id, 2);
    session_withdraw(world.session, world.now_ms, first);
    assert_int_equal(world_notice(&world, SYNCBUS_WAITING).claim, second);
    world_no_notice(&world);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_with_a_limit_tells_the_broker_how_long_is_left),
        cmocka_unit_test(a_poll_after_the_brokers_end_of_the_wait_still_asks_for_a_moment),
        cmocka_unit_test(answers_to_a_wish_that_say_nothing_useful_refuse_it),
        cmocka_unit_test(a_wait_that_nobody_blocks_is_told_without_blockers_and_asked_for_again_at_once),
        cmocka_unit_test(a_late_grant_that_cannot_be_given_back_lets_the_wish_go_on_all_the_same),
        cmocka_unit_test(wishes_that_the_wire_would_not_carry_are_refused),
        cmocka_unit_test(each_refusal_of_a_renewal_ends_the_lease_and_other_answers_do_not),
        cmocka_unit_test(of_two_late_renewals_the_first_has_the_lease_given_back_once),
        cmocka_unit_test(a_yield_without_a_pause_or_for_another_resource_is_none),
        cmocka_unit_test(a_release_under_way_is_said_again_after_a_reconnect),
        cmocka_unit_test(a_release_that_is_never_answered_is_forgotten_after_a_minute),
        cmocka_unit_test(what_is_said_of_a_claim_that_is_over_or_waits_is_nothing),
        cmocka_unit_test(a_withdrawal_takes_its_own_notices_away_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
