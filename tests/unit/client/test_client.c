// The client's sockets: whatever way messages come, none waits unseen, and none is lost for good.
#include "tests/unit/client/fake.h"

#include <errno.h>
#include <string.h>

static uint64_t ask_runs(syncbus_client_t *client)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Runs runs = SB__RUNS__INIT;
    uint8_t bytes[64];
    request.body_case = SB__REQUEST__BODY_RUNS;
    request.runs = &runs;
    return syncbus_ask(client, bytes, sb__request__pack(&request, bytes), 0);
}

// ---------------------------------------------------------------- the three ways to stall

static void a_program_that_waits_before_it_ever_reads_is_woken(void **state)
{
    (void)state;
    struct fake fake;
    struct syncbus_notice notice;
    fake_begin(&fake);
    syncbus_client_t *client = fake_client(&fake);
    // The Hello can only leave when the connection stands, and nobody but the descriptor tells of that.
    const uint64_t hello = fake_receive(&fake, client, SB__REQUEST__BODY_HELLO)->id;
    while (syncbus_next(client, &notice) == 1)
        continue;
    fake_welcome(&fake, hello);
    fake_await_wakeup(client);
    (void)fake_notice(&fake, client, SYNCBUS_CONNECTED);
    syncbus_destroy(&client);
    assert_null(client);
    fake_end(&fake);
}

static void a_send_after_a_message_came_does_not_hide_it(void **state)
{
    (void)state;
    struct fake fake;
    struct syncbus_notice notice;
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    while (syncbus_next(client, &notice) == 1)
        continue;
    fake_call(&fake, 9);
    fake_await_wakeup(client);
    (void)ask_runs(client); // swallows the wake-up
    assert_int_equal(syncbus_deadline_ms(client), 0);
    assert_int_equal(syncbus_next(client, &notice), 1);
    assert_int_equal(notice.kind, SYNCBUS_CALL);
    assert_int_equal(notice.call, 9);
    syncbus_destroy(&client);
    fake_end(&fake);
}

static void one_wake_up_for_two_messages_gives_both(void **state)
{
    (void)state;
    struct fake fake;
    struct syncbus_notice notice;
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    while (syncbus_next(client, &notice) == 1)
        continue;
    fake_call(&fake, 1);
    fake_call(&fake, 2);
    for (uint64_t call = 1; call <= 2; call++) {
        // Either the client says that there is more, or a descriptor does: nothing lies in between.
        if (syncbus_deadline_ms(client) != 0)
            fake_await_wakeup(client);
        while (syncbus_next(client, &notice) != 1)
            fake_await_wakeup(client);
        assert_int_equal(notice.kind, SYNCBUS_CALL);
        assert_int_equal(notice.call, call);
    }
    syncbus_destroy(&client);
    fake_end(&fake);
}

static void a_flood_on_one_socket_does_not_silence_the_other(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    for (uint64_t call = 1; call <= 5000; call++)
        fake_call(&fake, call);
    for (uint64_t call = 1; call <= 5000; call++)
        assert_int_equal(fake_notice(&fake, client, SYNCBUS_CALL).call, call);
    syncbus_destroy(&client);
    fake_end(&fake);
}

// ---------------------------------------------------------------- what gets lost

static void a_request_whose_answer_is_lost_is_sent_again_under_its_number(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    const uint64_t ask = ask_runs(client);
    assert_int_equal(fake_receive(&fake, client, SB__REQUEST__BODY_RUNS)->id, ask);
    assert_int_equal(fake_receive(&fake, client, SB__REQUEST__BODY_RUNS)->id, ask);
    fake_answer(&fake, ask, SB__CODE__CODE_OK);
    const struct syncbus_notice notice = fake_notice(&fake, client, SYNCBUS_REPLY);
    assert_int_equal(notice.ask, ask);
    assert_int_equal(notice.code, SYNCBUS_OK);
    syncbus_destroy(&client);
    fake_end(&fake);
}

static void garbage_from_the_broker_is_passed_over(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    const uint64_t ask = ask_runs(client);
    (void)fake_receive(&fake, client, SB__REQUEST__BODY_RUNS);
    Sb__Reply nameless = SB__REPLY__INIT;
    nameless.text = (char *)"\xff\xfe";
    fake_reply(&fake, &nameless);
    fake_answer(&fake, ask + 1000, SB__CODE__CODE_OK);
    fake_answer(&fake, ask, SB__CODE__CODE_OK);
    assert_int_equal(fake_notice(&fake, client, SYNCBUS_REPLY).ask, ask);
    syncbus_destroy(&client);
    fake_end(&fake);
}

static void a_broker_that_comes_back_finds_the_client_again_with_its_lease(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    const struct syncbus_wish wish = {.resource = "erp", .mode = SYNCBUS_EXCLUSIVE};
    const uint64_t claim = syncbus_acquire(client, &wish);
    fake_granted(&fake, fake_receive(&fake, client, SB__REQUEST__BODY_ACQUIRE)->id, 40, 60000);
    assert_int_equal(fake_notice(&fake, client, SYNCBUS_GRANTED).token, 40);
    fake_deaf(&fake);
    fake.epoch++;
    fake_listen(&fake);
    const Sb__Request *hello = fake_receive(&fake, client, SB__REQUEST__BODY_HELLO);
    assert_int_equal(hello->hello->last_epoch, 3);
    assert_int_equal(hello->hello->n_leases, 1);
    assert_int_equal(hello->hello->leases[0]->claim, claim);
    fake_welcome(&fake, hello->id);
    const Sb__Request *renew = fake_receive(&fake, client, SB__REQUEST__BODY_RENEW);
    assert_int_equal(renew->renew->token, 40);
    assert_int_equal(renew->renew->claim, claim);
    assert_int_equal(syncbus_epoch(client), 4);
    assert_true(syncbus_left_ms(client, claim) > 0);
    syncbus_destroy(&client);
    fake_end(&fake);
}

static void a_client_that_the_broker_forgot_says_hello_again(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    (void)ask_runs(client);
    fake_answer(&fake, fake_receive(&fake, client, SB__REQUEST__BODY_RUNS)->id, SB__CODE__CODE_NO_SESSION);
    fake_welcome(&fake, fake_receive(&fake, client, SB__REQUEST__BODY_HELLO)->id);
    // What was asked in the forgotten session is asked in the new one.
    assert_int_equal(fake_receive(&fake, client, SB__REQUEST__BODY_RUNS)->session, 32);
    syncbus_destroy(&client);
    fake_end(&fake);
}

static void a_client_starts_before_its_broker(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake);
    fake_deaf(&fake);
    syncbus_client_t *client = fake_client(&fake);
    fake_listen(&fake);
    fake_welcome(&fake, fake_receive(&fake, client, SB__REQUEST__BODY_HELLO)->id);
    (void)fake_notice(&fake, client, SYNCBUS_CONNECTED);
    syncbus_destroy(&client);
    fake_end(&fake);
}

// ---------------------------------------------------------------- the rest

static void publications_come_by_topic_once_the_subscription_stands(void **state)
{
    (void)state;
    struct fake fake;
    struct syncbus_notice notice = {.kind = 0};
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    for (uint64_t seq = 1; notice.kind != SYNCBUS_PUBLICATION; seq++) {
        fake_publish(&fake, "change.ddt", seq);
        (void)syncbus_wait(client, 20, &notice);
    }
    assert_string_equal(notice.topic, "change.ddt");
    assert_int_not_equal(notice.body_size, 0);
    syncbus_destroy(&client);
    fake_end(&fake);
}

static void what_others_wanted_as_json_is_passed_over(void **state)
{
    (void)state;
    struct fake fake;
    struct syncbus_notice notice = {.kind = 0};
    static const char *const everything[] = {"", NULL};
    fake_begin(&fake);
    const struct syncbus_options options = {.requests = fake.requests,
                                            .events = fake.events,
                                            .name = "x",
                                            .topics = everything,
                                            .anonymous = true};
    syncbus_client_t *client = syncbus_new(&options);
    // Behind the first of the other topic there has been one of this: it would have been told before.
    for (uint64_t seq = 1; notice.kind != SYNCBUS_PUBLICATION || strcmp(notice.topic, "last") != 0; seq++) {
        fake_publish(&fake, "json.change.ddt", seq);
        fake_publish(&fake, "change.ddt", seq);
        fake_publish(&fake, seq > 3 ? "last" : "change.prices", seq);
        while (syncbus_wait(client, 20, &notice) == 1 &&
               (notice.kind != SYNCBUS_PUBLICATION || strcmp(notice.topic, "last") != 0)) {
            assert_int_not_equal(notice.kind, SYNCBUS_GAP);
            assert_true(notice.topic == NULL || strstr(notice.topic, "json") == NULL);
        }
    }
    syncbus_destroy(&client);
    fake_end(&fake);
}

static void the_last_words_leave_before_the_client_ends(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake);
    syncbus_client_t *client = fake_joined(&fake);
    const struct syncbus_wish wish = {.resource = "erp", .mode = SYNCBUS_EXCLUSIVE};
    const uint64_t claim = syncbus_acquire(client, &wish);
    fake_granted(&fake, fake_receive(&fake, client, SB__REQUEST__BODY_ACQUIRE)->id, 40, 60000);
    (void)fake_notice(&fake, client, SYNCBUS_GRANTED);
    syncbus_release(client, claim, false);
    syncbus_destroy(&client);
    syncbus_client_t *other = fake_client(&fake);
    assert_int_equal(fake_receive(&fake, other, SB__REQUEST__BODY_RELEASE)->release->token, 40);
    (void)fake_receive(&fake, other, SB__REQUEST__BODY_BYE);
    syncbus_destroy(&other);
    fake_end(&fake);
}

static void options_without_an_endpoint_or_with_a_wrong_one_make_no_client(void **state)
{
    (void)state;
    const struct syncbus_options none = {.name = "x"}, wrong = {.requests = "no-endpoint", .name = "x"};
    errno = 0;
    assert_null(syncbus_new(&none));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(syncbus_new(&wrong));
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_waits_before_it_ever_reads_is_woken),
        cmocka_unit_test(a_send_after_a_message_came_does_not_hide_it),
        cmocka_unit_test(one_wake_up_for_two_messages_gives_both),
        cmocka_unit_test(a_flood_on_one_socket_does_not_silence_the_other),
        cmocka_unit_test(a_request_whose_answer_is_lost_is_sent_again_under_its_number),
        cmocka_unit_test(garbage_from_the_broker_is_passed_over),
        cmocka_unit_test(a_broker_that_comes_back_finds_the_client_again_with_its_lease),
        cmocka_unit_test(a_client_that_the_broker_forgot_says_hello_again),
        cmocka_unit_test(a_client_starts_before_its_broker),
        cmocka_unit_test(publications_come_by_topic_once_the_subscription_stands),
        cmocka_unit_test(what_others_wanted_as_json_is_passed_over),
        cmocka_unit_test(the_last_words_leave_before_the_client_ends),
        cmocka_unit_test(options_without_an_endpoint_or_with_a_wrong_one_make_no_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
