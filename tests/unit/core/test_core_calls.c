// Calls, publications, holds and alerts, each by its single replies.
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_TIMEOUT_MAX_MS = 60000, HOLDS_MAX = 256, ALERTS_MAX = 1024 + 8 };

// ---------------------------------------------------------------- calls

static const Sb__Deliver *delivered(const struct rig *self)
{
    const Sb__Reply *reply = rig_reply(self, 0);
    assert_non_null(reply);
    return reply->deliver;
}

static const Sb__Reply *answer(struct rig *self, const struct rig_client *service, uint64_t number,
                               Sb__Code code, const char *body)
{
    Sb__Answer message = SB__ANSWER__INIT;
    message.call = number;
    message.code = code;
    message.text = rig_text(code == SB__CODE__CODE_OK ? "" : "no such record");
    message.body = (ProtobufCBinaryData){.len = strlen(body), .data = (uint8_t *)rig_text(body)};
    return RIG_ASK(self, service, answer, ANSWER, &message);
}

static void a_call_of_nobody_in_particular_takes_its_body_there_and_back(void **state)
{
    struct rig *self = *state;
    const struct rig_client stocks = rig_comes(self, 1, 0, 0, "stocks");
    const uint64_t id = rig_call(self, "stocks", "which", 2 * CALL_TIMEOUT_MAX_MS);
    assert_string_equal(delivered(self)->from, "");
    assert_int_equal(delivered(self)->timeout_ms, CALL_TIMEOUT_MAX_MS);
    assert_int_equal(delivered(self)->body.len, 5);
    assert_memory_equal(delivered(self)->body.data, "which", 5);
    (void)answer(self, &stocks, delivered(self)->call, SB__CODE__CODE_OK, "these");
    const Sb__Reply *reply = rig_reply(self, id);
    assert_int_equal(reply->code, SB__CODE__CODE_OK);
    assert_int_equal(reply->answered->body.len, 5);
    assert_memory_equal(reply->answered->body.data, "these", 5);
}

static void what_a_service_refuses_comes_back_with_its_reason_and_never_without_a_code(void **state)
{
    struct rig *self = *state;
    const struct rig_client stocks = rig_comes(self, 1, 0, 0, "stocks");
    uint64_t id = rig_call(self, "stocks", "", 0);
    (void)answer(self, &stocks, delivered(self)->call, SB__CODE__CODE_NOT_FOUND, "");
    assert_int_equal(rig_reply(self, id)->code, SB__CODE__CODE_NOT_FOUND);
    assert_string_equal(rig_reply(self, id)->text, "no such record");
    id = rig_call(self, "stocks", "", 0);
    (void)answer(self, &stocks, delivered(self)->call, SB__CODE__CODE_UNSPECIFIED, "");
    assert_int_equal(rig_reply(self, id)->code, SB__CODE__CODE_INTERNAL);
}

static void an_answer_counts_once_and_only_from_the_service_that_was_called(void **state)
{
    struct rig *self = *state;
    const struct rig_client stocks = rig_comes(self, 1, 0, 0, "stocks");
    const struct rig_client other = rig_comes(self, 2, 0, 0, "other");
    const uint64_t first = rig_call(self, "stocks", "", 0);
    const uint64_t first_call = delivered(self)->call;
    const uint64_t second = rig_call(self, "stocks", "", 0);
    assert_int_equal(answer(self, &other, first_call, SB__CODE__CODE_OK, "")->code, SB__CODE__CODE_OK);
    assert_null(rig_reply(self, first));
    Sb__Answer message = SB__ANSWER__INIT;
    message.call = first_call;
    message.code = SB__CODE__CODE_OK;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_ANSWER;
    request.answer = &message;
    assert_int_equal(rig_ask(self, &stocks, &request)->code, SB__CODE__CODE_OK);
    assert_non_null(rig_reply(self, first));
    assert_int_equal(rig_ask(self, &stocks, &request)->code,
                     SB__CODE__CODE_OK); // told again, under the same id
    assert_int_equal(self->update.reply_count, 1);
    assert_null(rig_reply(self, second));
}

static void the_call_whose_time_is_over_first_is_the_first_to_end(void **state)
{
    struct rig *self = *state;
    (void)rig_comes(self, 1, 0, 0, "stocks");
    (void)rig_call(self, "stocks", "", 700);
    const uint64_t sooner = rig_call(self, "stocks", "", 300);
    (void)rig_call(self, "stocks", "", 600);
    assert_int_equal(core_deadline(self->core), self->boot_ms + 300);
    rig_pass(self, 299);
    assert_null(rig_reply(self, sooner));
    rig_pass(self, 1);
    assert_int_equal(rig_reply(self, sooner)->code, SB__CODE__CODE_TIMEOUT);
    assert_int_equal(self->update.reply_count, 1);
}

static void a_service_that_says_hello_again_still_answers_its_calls(void **state)
{
    struct rig *self = *state;
    (void)rig_comes(self, 2, 0, 0, "other");
    (void)rig_call(self, "other", "", 0);
    struct rig_client stocks = rig_comes(self, 1, 0, 0, "stocks");
    const uint64_t id = rig_call(self, "stocks", "", 0);
    const uint64_t number = delivered(self)->call;
    assert_int_equal(rig_hello(self, &stocks, 0, 0)->code, SB__CODE__CODE_OK);
    (void)answer(self, &stocks, number, SB__CODE__CODE_OK, "");
    assert_int_equal(rig_reply(self, id)->code, SB__CODE__CODE_OK);
}

static void another_process_of_a_service_answers_no_call_of_the_one_before(void **state)
{
    struct rig *self = *state;
    (void)rig_comes(self, 2, 0, 0, "other");
    const uint64_t kept = rig_call(self, "other", "", 0);
    struct rig_client stocks = rig_comes(self, 1, 0, 0, "stocks");
    const uint64_t id = rig_call(self, "stocks", "", 0);
    const uint64_t number = delivered(self)->call;
    stocks.process = 99;
    assert_int_equal(rig_hello(self, &stocks, 0, 0)->code, SB__CODE__CODE_OK);
    (void)answer(self, &stocks, number, SB__CODE__CODE_OK, "");
    assert_null(rig_reply(self, id));
    rig_tick(self, 0);
    assert_int_equal(rig_reply(self, id)->code, SB__CODE__CODE_NO_SERVICE);
    assert_null(rig_reply(self, kept));
}

// ---------------------------------------------------------------- publications

static Sb__Code publish_order(struct rig *self, const struct rig_client *service, const char *key,
                              Sb__OrderStatus status, bool stopped)
{
    Sb__OrderState order = SB__ORDER_STATE__INIT;
    Sb__Publish message = SB__PUBLISH__INIT;
    order.key = rig_text(key);
    order.status = status;
    order.stopped = stopped;
    message.body_case = SB__PUBLISH__BODY_ORDER;
    message.order = &order;
    return RIG_ASK(self, service, publish, PUBLISH, &message)->code;
}

static Sb__Code publish_change(struct rig *self, const struct rig_client *service, const char *entity,
                               uint64_t id)
{
    Sb__Change change = SB__CHANGE__INIT;
    Sb__Publish message = SB__PUBLISH__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    change.entity = rig_text(entity);
    message.body_case = SB__PUBLISH__BODY_CHANGE;
    message.change = &change;
    request.id = id;
    request.body_case = SB__REQUEST__BODY_PUBLISH;
    request.publish = &message;
    return rig_ask(self, service, &request)->code;
}

static void a_change_is_published_once_and_only_by_the_service_that_runs_its_job(void **state)
{
    struct rig *self = *state;
    const struct rig_client sync = rig_comes(self, 1, STOCKS, 1, NULL);
    assert_int_equal(publish_change(self, &sync, "stocks", 900), SB__CODE__CODE_OK);
    assert_int_equal(self->update.publication_count, 1);
    assert_string_equal(self->update.publications[0].topic, "change.stocks");
    assert_string_equal(self->update.publications[0].event->change->entity, "stocks");
    assert_int_equal(publish_change(self, &sync, "stocks", 900), SB__CODE__CODE_OK); // I8
    assert_int_equal(self->update.publication_count, 0);
    assert_int_equal(publish_change(self, &sync, "prices", 0), SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(publish_change(self, &sync, "nothing", 0), SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(self->update.publication_count, 0);
}

static void an_order_is_published_by_its_service_with_a_status_that_there_is(void **state)
{
    struct rig *self = *state;
    const struct rig_client order = rig_comes(self, 1, 0, 0, "order");
    const struct rig_client other = rig_comes(self, 2, 0, 0, "other");
    assert_int_equal(publish_order(self, &order, "K-1", SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED, false),
                     SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(publish_order(self, &order, "K-1", (Sb__OrderStatus)99, false),
                     SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(self->update.publication_count, 0);
    assert_int_equal(publish_order(self, &order, "K-1", SB__ORDER_STATUS__ORDER_STATUS_SENDING, true),
                     SB__CODE__CODE_OK);
    assert_string_equal(self->update.publications[0].topic, "alert.orders_stopped");
    // An order that the ERP rejects is one that it looked at.
    assert_int_equal(publish_order(self, &order, "K-1", SB__ORDER_STATUS__ORDER_STATUS_REJECTED, false),
                     SB__CODE__CODE_OK);
    assert_true(self->update.publications[0].event->alert->cleared);
    assert_string_equal(self->update.publications[1].topic, "order.rejected");
    assert_int_equal(publish_order(self, &other, "K-1", SB__ORDER_STATUS__ORDER_STATUS_PLACED, false),
                     SB__CODE__CODE_FORBIDDEN);
}

static void a_publication_of_nothing_is_refused(void **state)
{
    struct rig *self = *state;
    Sb__Publish message = SB__PUBLISH__INIT;
    const struct rig_client order = rig_comes(self, 1, 0, 0, "order");
    assert_int_equal(RIG_ASK(self, &order, publish, PUBLISH, &message)->code, SB__CODE__CODE_INVALID);
}

// ---------------------------------------------------------------- holds

static Sb__Code lay(struct rig *self, const Sb__Hold *hold)
{
    Sb__Hold message = *hold;
    return RIG_ASK(self, NULL, hold, HOLD, &message)->code;
}

static void a_hold_that_makes_no_sense_is_refused(void **state)
{
    struct rig *self = *state;
    Sb__Hold good = SB__HOLD__INIT;
    good.job = rig_text("stocks");
    good.by = rig_text("op");
    good.reason = rig_text("maintenance");
    Sb__Hold hold = good;
    hold.resource = rig_text("erp"); // both
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold.job = hold.resource = rig_text(""); // none
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.by = rig_text("");
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.reason = rig_text("");
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.orders_too = true;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.until_ms = self->wall_ms;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.job = rig_text("nothing");
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(rig_state(self, "", "", 0)->n_holds, 0);
    assert_int_equal(lay(self, &good), SB__CODE__CODE_OK);
}

static void the_number_of_a_hold_stands_for_one_hold(void **state)
{
    struct rig *self = *state;
    Sb__Hold good = SB__HOLD__INIT;
    good.resource = rig_text("erp");
    good.by = rig_text("op");
    good.reason = rig_text("maintenance");
    good.hold = 5;
    assert_int_equal(lay(self, &good), SB__CODE__CODE_OK);
    assert_int_equal(lay(self, &good), SB__CODE__CODE_OK); // the same again
    Sb__Hold others[] = {good, good, good, good, good, good};
    others[0].resource = rig_text("crm");
    others[1].until_ms = self->wall_ms + 1;
    others[2].orders_too = true;
    others[3].by = rig_text("boss");
    others[4].reason = rig_text("a new release");
    others[5].resource = rig_text("");
    others[5].job = rig_text("stocks");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(lay(self, &others[i]), SB__CODE__CODE_CONFLICT);
    assert_int_equal(rig_state(self, "", "", 0)->n_holds, 1);
}

static void a_full_table_of_holds_takes_no_new_one_and_confirms_those_that_lie(void **state)
{
    struct rig *self = *state;
    for (uint64_t i = 1; i <= HOLDS_MAX; i++)
        assert_int_equal(rig_hold(self, "stocks", "", 0, i)->code, SB__CODE__CODE_OK);
    assert_int_equal(rig_hold(self, "stocks", "", 0, HOLDS_MAX + 1)->code, SB__CODE__CODE_BUSY);
    const Sb__Reply *again = rig_hold(self, "stocks", "", 0, HOLDS_MAX);
    assert_int_equal(again->code, SB__CODE__CODE_OK);
    assert_int_equal(again->held->hold, HOLDS_MAX);
    assert_int_equal(rig_state(self, "", "", 0)->n_holds, HOLDS_MAX);
}

static void holds_that_were_stored_lie_again_as_far_as_there_is_room_and_a_subject(void **state)
{
    struct rig *self = *state;
    static Sb__Hold holds[HOLDS_MAX + 2];
    static Sb__StoredHold stored[HOLDS_MAX + 2];
    for (size_t i = 0; i < HOLDS_MAX + 2; i++) {
        sb__hold__init(&holds[i]);
        sb__stored_hold__init(&stored[i]);
        holds[i].job = rig_text(i == 0 ? "nothing" : "stocks");
        holds[i].hold = i + 1;
        stored[i].hold = &holds[i];
        rig_recovers(self, CORE_TABLE_HOLD, "hold", &stored[i].base);
    }
    rig_start(self);
    const Sb__State *seen = rig_state(self, "", "", 0);
    assert_int_equal(seen->n_holds, HOLDS_MAX);
    assert_int_equal(seen->holds[0]->hold, 2);
}

static void an_order_is_told_of_the_hold_that_is_for_orders_too(void **state)
{
    struct rig *self = *state;
    Sb__Hold hold = SB__HOLD__INIT;
    hold.resource = rig_text("erp");
    hold.by = rig_text("op");
    hold.reason = rig_text("a new release");
    hold.orders_too = true;
    (void)rig_hold(self, "stocks", "", 0, 1);
    (void)rig_hold(self, "", "crm", 0, 2);
    (void)rig_hold(self, "", "erp", 0, 3);
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
    const struct rig_client order = rig_comes(self, 1, 0, 0, NULL);
    const Sb__Reply *reply = rig_acquire(self, &order, rig_order(self, ERP, 9));
    assert_int_equal(reply->code, SB__CODE__CODE_ON_HOLD);
    assert_string_equal(reply->text, "erp is on hold by op: a new release");
}

static void a_hold_goes_with_its_job_to_another_resource_and_out_of_the_config(void **state)
{
    struct rig *self = *state;
    (void)rig_hold(self, "prices", "", 0, 1);
    (void)rig_hold(self, "stocks", "", 0, 2);
    (void)rig_hold(self, "", "erp", 0, 3);
    self->config.jobs = &self->jobs[STOCKS];
    self->config.job_count = 1;
    self->jobs[STOCKS].resource = CRM;
    (void)rig_reload(self);
    rig_pass(self, 0);
    const Sb__State *seen = rig_state(self, "", "", 0);
    assert_int_equal(seen->n_holds, 2); // that of prices went with it
    for (size_t i = 0; i < 2; i++)
        assert_true(seen->holds[i]->hold == 2 || seen->holds[i]->hold == 3);
    assert_string_equal(seen->jobs[0]->resource, "crm");
    assert_int_equal(rig_hold(self, "stocks", "", 0, 2)->code, SB__CODE__CODE_OK); // the same as ever
}

// A run keeps the resource that it began with, and has its turn there as soon as the hold is gone.
static void a_run_of_a_job_that_was_moved_goes_on_when_its_hold_is_taken_off(void **state)
{
    struct rig *self = *state;
    const struct rig_client sync = rig_comes(self, 1, STOCKS, 1, NULL);
    (void)rig_hold(self, "stocks", "", 0, 2);
    Sb__Acquire turn = rig_turn(self, STOCKS, 8);
    turn.poll_ms = 2000;
    assert_null(rig_acquire(self, &sync, turn));
    const uint64_t waiting = self->id;
    self->jobs[STOCKS].resource = CRM;
    (void)rig_reload(self);
    Sb__Unhold unhold = SB__UNHOLD__INIT;
    unhold.hold = 2;
    assert_int_equal(RIG_ASK(self, NULL, unhold, UNHOLD, &unhold)->code, SB__CODE__CODE_OK);
    assert_non_null(rig_reply(self, waiting));
    assert_int_equal(rig_reply(self, waiting)->body_case, SB__REPLY__BODY_GRANTED);
}

static void a_resource_that_left_the_config_takes_no_hold(void **state)
{
    struct rig *self = *state;
    self->config.resource_count = 1;
    self->config.job_count = 2;
    (void)rig_reload(self);
    assert_int_equal(rig_hold(self, "", "crm", 0, 1)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(rig_hold(self, "", "erp", 0, 1)->code, SB__CODE__CODE_OK);
}

// ---------------------------------------------------------------- alerts

static void alerts_that_were_stored_stand_again_unless_nobody_knows_what_they_mean(void **state)
{
    struct rig *self = *state;
    static const char *const told[][2] = {
        {"hung", "stocks"}, {"hung", "stocks"}, {"haunted", "stocks"}, {"hung", "nothing"}};
    enum { TOLD = 4, RECORDS = TOLD + ALERTS_MAX };
    static Sb__Alert alerts[RECORDS];
    static Sb__StoredAlert stored[RECORDS];
    static char keys[RECORDS][16];
    for (size_t i = 0; i < RECORDS; i++) {
        sb__alert__init(&alerts[i]);
        sb__stored_alert__init(&stored[i]);
        (void)snprintf(keys[i], sizeof keys[i], "K-%zu", i);
        alerts[i].kind = rig_text(i < TOLD ? told[i][0] : "order");
        alerts[i].subject = i < TOLD ? rig_text(told[i][1]) : keys[i];
        stored[i].alert = &alerts[i];
    }
    for (size_t i = 0; i < TOLD; i++)
        rig_recovers(self, CORE_TABLE_ALERT, "alert", &stored[i].base);
    rig_start(self);
    const Sb__State *seen = rig_state(self, "", "", 0);
    assert_int_equal(seen->n_alerts, 1);
    assert_string_equal(seen->alerts[0]->kind, "hung");
    assert_string_equal(seen->alerts[0]->subject, "stocks");
    // One more than there is room for: the last is left out, and is not told though its cause comes again.
    for (size_t i = TOLD; i < RECORDS; i++)
        rig_recovers(self, CORE_TABLE_ALERT, "alert", &stored[i].base);
    rig_start(self);
    const struct rig_client order = rig_comes(self, 1, 0, 0, "order");
    (void)publish_order(self, &order, keys[RECORDS - 2], SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON, false);
    assert_int_equal(self->update.publication_count, 1);  // that of the order alone
    assert_int_equal(self->records[CORE_TABLE_ALERT], 1); // that there are too many
    (void)publish_order(self, &order, keys[RECORDS - 1], SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON, false);
    assert_int_equal(self->update.publication_count, 1);
    assert_int_equal(self->records[CORE_TABLE_ALERT], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_call_of_nobody_in_particular_takes_its_body_there_and_back),
        RIG_TEST(what_a_service_refuses_comes_back_with_its_reason_and_never_without_a_code),
        RIG_TEST(an_answer_counts_once_and_only_from_the_service_that_was_called),
        RIG_TEST(the_call_whose_time_is_over_first_is_the_first_to_end),
        RIG_TEST(a_service_that_says_hello_again_still_answers_its_calls),
        RIG_TEST(another_process_of_a_service_answers_no_call_of_the_one_before),
        RIG_TEST(a_change_is_published_once_and_only_by_the_service_that_runs_its_job),
        RIG_TEST(an_order_is_published_by_its_service_with_a_status_that_there_is),
        RIG_TEST(a_publication_of_nothing_is_refused),
        RIG_TEST(a_hold_that_makes_no_sense_is_refused),
        RIG_TEST(the_number_of_a_hold_stands_for_one_hold),
        RIG_TEST(a_full_table_of_holds_takes_no_new_one_and_confirms_those_that_lie),
        RIG_TEST(holds_that_were_stored_lie_again_as_far_as_there_is_room_and_a_subject),
        RIG_TEST(an_order_is_told_of_the_hold_that_is_for_orders_too),
        RIG_TEST(a_hold_goes_with_its_job_to_another_resource_and_out_of_the_config),
        RIG_TEST(a_run_of_a_job_that_was_moved_goes_on_when_its_hold_is_taken_off),
        RIG_TEST(a_resource_that_left_the_config_takes_no_hold),
        RIG_TEST(alerts_that_were_stored_stand_again_unless_nobody_knows_what_they_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
