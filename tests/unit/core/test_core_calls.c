// Calls, publications, holds and alerts, each by its single replies; and requests that come at odd moments.
#include "tests/unit/core/desk.h"

enum {
    CALL_TIMEOUT_MAX_MS = 60000,
    HOLDS_MAX = 256,
    ALERTS_MAX = 1024 + DESK_JOBS_MAX,
    ALERTS_TOLD = 512,
    NUMBERS_LOW = 32768
};

// ---------------------------------------------------------------- calls

static uint64_t call(struct desk *self, const char *service, const char *body, uint32_t timeout_ms)
{
    Sb__Call message = SB__CALL__INIT;
    message.service = desk_text(service);
    message.method = desk_text("get");
    message.body = (ProtobufCBinaryData){.len = strlen(body), .data = (uint8_t *)desk_text(body)};
    message.timeout_ms = timeout_ms;
    assert_null(DESK_ASK(self, call, CALL, &message));
    return self->id;
}

static const Sb__Deliver *delivered(const struct desk *self)
{
    const Sb__Reply *reply = desk_reply(self, 0);
    assert_non_null(reply);
    return reply->deliver;
}

static const Sb__Reply *answer(struct desk *self, uint64_t number, Sb__Code code, const char *body)
{
    Sb__Answer message = SB__ANSWER__INIT;
    message.call = number;
    message.code = code;
    message.text = desk_text(code == SB__CODE__CODE_OK ? "" : "no such record");
    message.body = (ProtobufCBinaryData){.len = strlen(body), .data = (uint8_t *)desk_text(body)};
    return DESK_ASK(self, answer, ANSWER, &message);
}

static void serve(struct desk *self, uint64_t instance, uint64_t process, const char *name)
{
    char *serves[] = {desk_text(name)};
    assert_int_equal(desk_hello(self, instance, process, NULL, 0, serves, 1)->code, SB__CODE__CODE_OK);
}

static void a_call_of_nobody_in_particular_takes_its_body_there_and_back(void **state)
{
    struct desk *self = *state;
    serve(self, 1, 1, "stock");
    const uint64_t session = self->session;
    self->session = 0;
    const uint64_t id = call(self, "stock", "which", 2 * CALL_TIMEOUT_MAX_MS);
    assert_string_equal(delivered(self)->from, "");
    assert_int_equal(delivered(self)->timeout_ms, CALL_TIMEOUT_MAX_MS);
    assert_int_equal(delivered(self)->body.len, 5);
    assert_memory_equal(delivered(self)->body.data, "which", 5);
    self->session = session;
    (void)answer(self, delivered(self)->call, SB__CODE__CODE_OK, "these");
    const Sb__Reply *reply = desk_reply(self, id);
    assert_int_equal(reply->code, SB__CODE__CODE_OK);
    assert_int_equal(reply->answered->body.len, 5);
    assert_memory_equal(reply->answered->body.data, "these", 5);
}

static void what_a_service_refuses_comes_back_with_its_reason_and_never_without_a_code(void **state)
{
    struct desk *self = *state;
    serve(self, 1, 1, "stock");
    uint64_t id = call(self, "stock", "", 0);
    (void)answer(self, delivered(self)->call, SB__CODE__CODE_NOT_FOUND, "");
    assert_int_equal(desk_reply(self, id)->code, SB__CODE__CODE_NOT_FOUND);
    assert_string_equal(desk_reply(self, id)->text, "no such record");
    id = call(self, "stock", "", 0);
    (void)answer(self, delivered(self)->call, SB__CODE__CODE_UNSPECIFIED, "");
    assert_int_equal(desk_reply(self, id)->code, SB__CODE__CODE_INTERNAL);
}

static void an_answer_counts_once_and_only_from_the_service_that_was_called(void **state)
{
    struct desk *self = *state;
    serve(self, 1, 1, "stock");
    const uint64_t session = self->session;
    const uint64_t first = call(self, "stock", "", 0);
    const uint64_t first_call = delivered(self)->call;
    const uint64_t second = call(self, "stock", "", 0);
    serve(self, 2, 2, "other");
    assert_int_equal(answer(self, first_call, SB__CODE__CODE_OK, "")->code, SB__CODE__CODE_OK);
    assert_null(desk_reply(self, first));
    self->session = session;
    Sb__Answer message = SB__ANSWER__INIT;
    message.call = first_call;
    message.code = SB__CODE__CODE_OK;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_ANSWER;
    request.answer = &message;
    assert_int_equal(desk_ask(self, &request)->code, SB__CODE__CODE_OK);
    assert_non_null(desk_reply(self, first));
    assert_int_equal(desk_ask(self, &request)->code, SB__CODE__CODE_OK); // told again, under the same id
    assert_int_equal(self->update.reply_count, 1);
    assert_null(desk_reply(self, second));
}

static void the_call_whose_time_is_over_first_is_the_first_to_end(void **state)
{
    struct desk *self = *state;
    serve(self, 1, 1, "stock");
    (void)call(self, "stock", "", 700);
    const uint64_t sooner = call(self, "stock", "", 300);
    (void)call(self, "stock", "", 600);
    assert_int_equal(core_deadline(self->core), self->boot_ms + 300);
    desk_pass(self, 299);
    assert_null(desk_reply(self, sooner));
    desk_pass(self, 1);
    assert_int_equal(desk_reply(self, sooner)->code, SB__CODE__CODE_TIMEOUT);
    assert_int_equal(self->update.reply_count, 1);
}

static void a_service_that_says_hello_again_still_answers_its_calls(void **state)
{
    struct desk *self = *state;
    serve(self, 2, 2, "other");
    (void)call(self, "other", "", 0);
    serve(self, 1, 1, "stock");
    const uint64_t id = call(self, "stock", "", 0);
    const uint64_t number = delivered(self)->call;
    serve(self, 1, 1, "stock");
    (void)answer(self, number, SB__CODE__CODE_OK, "");
    assert_int_equal(desk_reply(self, id)->code, SB__CODE__CODE_OK);
}

static void another_process_of_a_service_answers_no_call_of_the_one_before(void **state)
{
    struct desk *self = *state;
    serve(self, 2, 2, "other");
    const uint64_t kept = call(self, "other", "", 0);
    serve(self, 1, 1, "stock");
    const uint64_t id = call(self, "stock", "", 0);
    const uint64_t number = delivered(self)->call;
    serve(self, 1, 99, "stock");
    (void)answer(self, number, SB__CODE__CODE_OK, "");
    assert_null(desk_reply(self, id));
    desk_time(self);
    assert_int_equal(desk_reply(self, id)->code, SB__CODE__CODE_NO_SERVICE);
    assert_null(desk_reply(self, kept));
}

// ---------------------------------------------------------------- publications

static const Sb__Reply *publish_order(struct desk *self, const char *key, Sb__OrderStatus status,
                                      bool stopped)
{
    Sb__OrderState order = SB__ORDER_STATE__INIT;
    Sb__Publish message = SB__PUBLISH__INIT;
    order.key = desk_text(key);
    order.status = status;
    order.stopped = stopped;
    message.body_case = SB__PUBLISH__BODY_ORDER;
    message.order = &order;
    return DESK_ASK(self, publish, PUBLISH, &message);
}

static Sb__Code publish_change(struct desk *self, const char *entity, uint64_t id)
{
    Sb__Change change = SB__CHANGE__INIT;
    Sb__Publish message = SB__PUBLISH__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    change.entity = desk_text(entity);
    message.body_case = SB__PUBLISH__BODY_CHANGE;
    message.change = &change;
    request.id = id;
    request.body_case = SB__REQUEST__BODY_PUBLISH;
    request.publish = &message;
    return desk_ask(self, &request)->code;
}

static void a_change_is_published_once_and_only_by_the_service_that_runs_its_job(void **state)
{
    struct desk *self = *state;
    char *jobs[] = {desk_text("stock")};
    (void)desk_hello(self, 1, 1, jobs, 1, NULL, 0);
    assert_int_equal(publish_change(self, "stock", 900), SB__CODE__CODE_OK);
    assert_int_equal(self->update.publication_count, 1);
    assert_string_equal(self->update.publications[0].topic, "change.stock");
    assert_string_equal(self->update.publications[0].event->change->entity, "stock");
    assert_int_equal(publish_change(self, "stock", 900), SB__CODE__CODE_OK); // I8
    assert_int_equal(self->update.publication_count, 0);
    assert_int_equal(publish_change(self, "prices", 0), SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(publish_change(self, "nothing", 0), SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(self->update.publication_count, 0);
}

static void an_order_is_published_by_its_service_with_a_status_that_there_is(void **state)
{
    struct desk *self = *state;
    serve(self, 1, 1, "order");
    assert_int_equal(publish_order(self, "K-1", SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED, false)->code,
                     SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(publish_order(self, "K-1", (Sb__OrderStatus)99, false)->code, SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(self->update.publication_count, 0);
    assert_int_equal(publish_order(self, "K-1", SB__ORDER_STATUS__ORDER_STATUS_SENDING, true)->code,
                     SB__CODE__CODE_OK);
    assert_string_equal(self->update.publications[0].topic, "alert.orders_stopped");
    // An order that the ERP rejects is one that it looked at.
    assert_int_equal(publish_order(self, "K-1", SB__ORDER_STATUS__ORDER_STATUS_REJECTED, false)->code,
                     SB__CODE__CODE_OK);
    assert_true(self->update.publications[0].event->alert->cleared);
    assert_string_equal(self->update.publications[1].topic, "order.rejected");
    serve(self, 2, 2, "other");
    assert_int_equal(publish_order(self, "K-1", SB__ORDER_STATUS__ORDER_STATUS_PLACED, false)->code,
                     SB__CODE__CODE_FORBIDDEN);
}

static void a_publication_of_nothing_is_refused(void **state)
{
    struct desk *self = *state;
    Sb__Publish message = SB__PUBLISH__INIT;
    serve(self, 1, 1, "order");
    assert_int_equal(DESK_ASK(self, publish, PUBLISH, &message)->code, SB__CODE__CODE_INVALID);
}

// ---------------------------------------------------------------- holds

static Sb__Code lay(struct desk *self, const Sb__Hold *hold)
{
    Sb__Hold message = *hold;
    return DESK_ASK(self, hold, HOLD, &message)->code;
}

static void a_hold_that_makes_no_sense_is_refused(void **state)
{
    struct desk *self = *state;
    Sb__Hold good = SB__HOLD__INIT;
    good.job = desk_text("stock");
    good.by = desk_text("op");
    good.reason = desk_text("maintenance");
    Sb__Hold hold = good;
    hold.resource = desk_text("erp"); // both
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold.job = hold.resource = desk_text(""); // none
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.by = desk_text("");
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.reason = desk_text("");
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.orders_too = true;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.until_ms = self->wall_ms;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_INVALID);
    hold = good;
    hold.job = desk_text("nothing");
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(desk_look(self, "", "", 0)->n_holds, 0);
    assert_int_equal(lay(self, &good), SB__CODE__CODE_OK);
}

static void the_number_of_a_hold_stands_for_one_hold(void **state)
{
    struct desk *self = *state;
    Sb__Hold good = SB__HOLD__INIT;
    good.resource = desk_text("erp");
    good.by = desk_text("op");
    good.reason = desk_text("maintenance");
    good.hold = 5;
    assert_int_equal(lay(self, &good), SB__CODE__CODE_OK);
    assert_int_equal(lay(self, &good), SB__CODE__CODE_OK); // the same again
    Sb__Hold others[] = {good, good, good, good, good, good};
    others[0].resource = desk_text("shop");
    others[1].until_ms = self->wall_ms + 1;
    others[2].orders_too = true;
    others[3].by = desk_text("boss");
    others[4].reason = desk_text("a new release");
    others[5].resource = desk_text("");
    others[5].job = desk_text("stock");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(lay(self, &others[i]), SB__CODE__CODE_CONFLICT);
    assert_int_equal(desk_look(self, "", "", 0)->n_holds, 1);
}

static void a_full_table_of_holds_takes_no_new_one_and_confirms_those_that_lie(void **state)
{
    struct desk *self = *state;
    for (uint64_t i = 1; i <= HOLDS_MAX; i++)
        assert_int_equal(desk_hold(self, "stock", "", 0, i)->code, SB__CODE__CODE_OK);
    assert_int_equal(desk_hold(self, "stock", "", 0, HOLDS_MAX + 1)->code, SB__CODE__CODE_BUSY);
    const Sb__Reply *again = desk_hold(self, "stock", "", 0, HOLDS_MAX);
    assert_int_equal(again->code, SB__CODE__CODE_OK);
    assert_int_equal(again->held->hold, HOLDS_MAX);
    assert_int_equal(desk_look(self, "", "", 0)->n_holds, HOLDS_MAX);
}

static void holds_that_were_stored_lie_again_as_far_as_there_is_room_and_a_subject(void **state)
{
    struct desk *self = *state;
    static Sb__Hold holds[HOLDS_MAX + 2];
    static Sb__StoredHold stored[HOLDS_MAX + 2];
    static struct core_record records[HOLDS_MAX + 2];
    for (size_t i = 0; i < HOLDS_MAX + 2; i++) {
        sb__hold__init(&holds[i]);
        sb__stored_hold__init(&stored[i]);
        holds[i].job = desk_text(i == 0 ? "nothing" : "stock");
        holds[i].hold = i + 1;
        stored[i].hold = &holds[i];
        records[i] = (struct core_record){.table = CORE_TABLE_HOLD, .value = &stored[i].base};
    }
    desk_start(self, records, HOLDS_MAX + 2);
    const Sb__State *seen = desk_look(self, "", "", 0);
    assert_int_equal(seen->n_holds, HOLDS_MAX);
    assert_int_equal(seen->holds[0]->hold, 2);
}

static void an_order_is_told_of_the_hold_that_is_for_orders_too(void **state)
{
    struct desk *self = *state;
    Sb__Hold hold = SB__HOLD__INIT;
    hold.resource = desk_text("erp");
    hold.by = desk_text("op");
    hold.reason = desk_text("a new release");
    hold.orders_too = true;
    (void)desk_hold(self, "stock", "", 0, 1);
    (void)desk_hold(self, "", "shop", 0, 2);
    (void)desk_hold(self, "", "erp", 0, 3);
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
    (void)desk_hello(self, 1, 1, NULL, 0, NULL, 0);
    const Sb__Reply *reply = desk_acquire(self, 0, DESK_JOBS, 9);
    assert_int_equal(reply->code, SB__CODE__CODE_ON_HOLD);
    assert_string_equal(reply->text, "erp is on hold by op: a new release");
}

static void reload(struct desk *self, const struct core_resource_config *resources, size_t resource_count,
                   const struct core_job_config *jobs, size_t job_count)
{
    const struct core_config config = {
        .resources = resources, .resource_count = resource_count, .jobs = jobs, .job_count = job_count};
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    event.reload.config = &config;
    desk_step(self, &event);
    desk_pass(self, 0);
}

static void a_hold_goes_with_its_job_to_another_resource_and_out_of_the_config(void **state)
{
    struct desk *self = *state;
    struct core_job_config moved = DESK_CONFIGURED[1];
    moved.resource = 1;
    (void)desk_hold(self, "prices", "", 0, 1);
    (void)desk_hold(self, "stock", "", 0, 2);
    (void)desk_hold(self, "", "erp", 0, 3);
    reload(self, DESK_RESOURCES, 2, &moved, 1);
    const Sb__State *seen = desk_look(self, "", "", 0);
    assert_int_equal(seen->n_holds, 2); // that of prices went with it
    for (size_t i = 0; i < 2; i++)
        assert_true(seen->holds[i]->hold == 2 || seen->holds[i]->hold == 3);
    assert_string_equal(seen->jobs[0]->resource, "shop");
    assert_int_equal(desk_hold(self, "stock", "", 0, 2)->code, SB__CODE__CODE_OK); // the same as ever
}

// A run keeps the resource that it began with, and has its turn there as soon as the hold is gone.
static void a_run_of_a_job_that_was_moved_goes_on_when_its_hold_is_taken_off(void **state)
{
    struct desk *self = *state;
    struct core_job_config moved = DESK_CONFIGURED[1];
    char *jobs[] = {desk_text("stock")};
    moved.resource = 1;
    (void)desk_hold(self, "stock", "", 0, 2);
    (void)desk_hello(self, 1, 1, jobs, 1, NULL, 0);
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = desk_text("erp");
    acquire.mode = SB__MODE__MODE_SHARED;
    acquire.job = jobs[0];
    acquire.run = self->runs[1];
    acquire.attempt = 1;
    acquire.claim = 8;
    acquire.poll_ms = 2000;
    assert_null(DESK_ASK(self, acquire, ACQUIRE, &acquire));
    const uint64_t waiting = self->id;
    reload(self, DESK_RESOURCES, 2, &moved, 1);
    Sb__Unhold unhold = SB__UNHOLD__INIT;
    unhold.hold = 2;
    assert_int_equal(DESK_ASK(self, unhold, UNHOLD, &unhold)->code, SB__CODE__CODE_OK);
    assert_non_null(desk_reply(self, waiting));
    assert_int_equal(desk_reply(self, waiting)->body_case, SB__REPLY__BODY_GRANTED);
}

static void a_resource_that_left_the_config_takes_no_hold(void **state)
{
    struct desk *self = *state;
    reload(self, DESK_RESOURCES, 1, DESK_CONFIGURED, 2);
    assert_int_equal(desk_hold(self, "", "shop", 0, 1)->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(desk_hold(self, "", "erp", 0, 1)->code, SB__CODE__CODE_OK);
}

// ---------------------------------------------------------------- alerts

static void an_alert_that_finds_no_room_is_told_all_the_same(void **state)
{
    struct desk *self = *state;
    char key[16];
    serve(self, 1, 1, "order");
    for (int i = 0; i <= ALERTS_MAX; i++) {
        (void)snprintf(key, sizeof key, "K-%d", i);
        (void)publish_order(self, key, SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON, false);
        assert_string_equal(self->update.publications[0].topic, "alert.order");
        assert_int_equal(self->update.record_count, i < ALERTS_MAX ? 1 : 0);
    }
    assert_int_equal(desk_look(self, "", "", 0)->n_alerts, ALERTS_TOLD);
}

static void alerts_that_were_stored_stand_again_unless_nobody_knows_what_they_mean(void **state)
{
    struct desk *self = *state;
    static const char *const told[][2] = {
        {"hung", "stock"}, {"hung", "stock"}, {"haunted", "stock"}, {"hung", "nothing"}};
    enum { TOLD = 4, RECORDS = TOLD + ALERTS_MAX };
    static Sb__Alert alerts[RECORDS];
    static Sb__StoredAlert stored[RECORDS];
    static struct core_record records[RECORDS];
    static char keys[RECORDS][16];
    for (size_t i = 0; i < RECORDS; i++) {
        sb__alert__init(&alerts[i]);
        sb__stored_alert__init(&stored[i]);
        (void)snprintf(keys[i], sizeof keys[i], "K-%zu", i);
        alerts[i].kind = desk_text(i < TOLD ? told[i][0] : "order");
        alerts[i].subject = i < TOLD ? desk_text(told[i][1]) : keys[i];
        stored[i].alert = &alerts[i];
        records[i] = (struct core_record){.table = CORE_TABLE_ALERT, .value = &stored[i].base};
    }
    desk_start(self, records, TOLD);
    const Sb__State *seen = desk_look(self, "", "", 0);
    assert_int_equal(seen->n_alerts, 1);
    assert_string_equal(seen->alerts[0]->kind, "hung");
    assert_string_equal(seen->alerts[0]->subject, "stock");
    // One more than there is room for: the last is left out, and is told when its cause comes again.
    desk_start(self, records, RECORDS);
    serve(self, 1, 1, "order");
    (void)publish_order(self, keys[RECORDS - 2], SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON, false);
    assert_int_equal(self->update.publication_count, 1); // that of the order alone
    (void)publish_order(self, keys[RECORDS - 1], SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON, false);
    assert_int_equal(self->update.publication_count, 2);
}

// ---------------------------------------------------------------- requests

static void a_request_that_nobody_knows_is_refused(void **state)
{
    struct desk *self = *state;
    Sb__Request request = SB__REQUEST__INIT;
    (void)desk_hello(self, 1, 1, NULL, 0, NULL, 0);
    assert_int_equal(desk_ask(self, &request)->code, SB__CODE__CODE_INVALID);
}

static void a_session_whose_time_is_over_is_not_known_even_before_it_is_forgotten(void **state)
{
    struct desk *self = *state;
    Sb__Ping ping = SB__PING__INIT;
    (void)desk_hello(self, 1, 1, NULL, 0, NULL, 0);
    assert_int_equal(DESK_ASK(self, ping, PING, &ping)->code, SB__CODE__CODE_OK);
    self->boot_ms += self->config.session_ttl_ms;
    assert_int_equal(DESK_ASK(self, ping, PING, &ping)->code, SB__CODE__CODE_NO_SESSION);
    // A Hello needs none, whatever session it names.
    assert_int_equal(desk_hello(self, 1, 1, NULL, 0, NULL, 0)->code, SB__CODE__CODE_OK);
    assert_int_equal(DESK_ASK(self, ping, PING, &ping)->code, SB__CODE__CODE_OK);
}

static void a_core_that_was_not_started_waits_for_nothing(void **state)
{
    struct desk *self = *state;
    void *memory = calloc(1, core_size(&self->config, NULL));
    assert_non_null(memory);
    assert_true(core_deadline(core_init(memory, &self->config)) == INT64_MAX);
    free(memory);
    assert_false(core_stopped(self->core)); // nor has one stopped that was not asked to
}

static void a_pause_whose_last_waiter_left_while_the_broker_stops_is_told_without_one(void **state)
{
    struct desk *self = *state;
    char *jobs[] = {desk_text("stock")};
    (void)desk_hello(self, 1, 1, jobs, 1, NULL, 0);
    assert_int_equal(desk_acquire(self, 0, 1, 4)->body_case, SB__REPLY__BODY_GRANTED);
    (void)desk_acquire(self, 0, DESK_JOBS, 5);
    desk_step(self, &(struct core_event){.kind = CORE_EVENT_STOP});
    assert_string_equal(desk_look(self, "", "", 0)->resources[0]->holder, "sync");
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    withdraw.claim = 5;
    assert_int_equal(DESK_ASK(self, withdraw, WITHDRAW, &withdraw)->code, SB__CODE__CODE_OK);
    const Sb__ResourceState *seen = desk_look(self, "", "", 0)->resources[0];
    assert_int_equal(seen->phase, SB__PHASE__PHASE_DRAINING);
    assert_string_equal(seen->holder, "");
    assert_int_equal(seen->n_blockers, 1);
}

// ---------------------------------------------------------------- numbers

static bool stores_numbers(const struct desk *self)
{
    for (size_t i = 0; i < self->update.record_count; i++) {
        if (self->update.records[i].table == CORE_TABLE_META)
            return true;
    }
    return false;
}

// A wish that is withdrawn takes a ticket, and no token.
static void tickets_alone_that_run_low_make_the_next_blocks(void **state)
{
    struct desk *self = *state;
    (void)desk_hello(self, 1, 1, NULL, 0, NULL, 0);
    assert_int_equal(desk_acquire(self, 0, DESK_JOBS, 1)->body_case, SB__REPLY__BODY_GRANTED);
    uint64_t claim = 1;
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    do {
        withdraw.claim = ++claim;
        assert_int_equal(desk_acquire(self, 0, DESK_JOBS, claim)->body_case, SB__REPLY__BODY_WAITING);
        if (stores_numbers(self))
            break;
        assert_int_equal(DESK_ASK(self, withdraw, WITHDRAW, &withdraw)->code, SB__CODE__CODE_OK);
    } while (claim < 2 * NUMBERS_LOW);
    assert_in_range(claim, NUMBERS_LOW - 2, NUMBERS_LOW + 2);
}

// A run that is reported unfetched takes neither ticket nor token.
static void runs_alone_that_run_low_make_the_next_blocks(void **state)
{
    struct desk *self = *state;
    char *jobs[] = {desk_text("stock")};
    (void)desk_hello(self, 1, 1, jobs, 1, NULL, 0);
    Sb__Trigger trigger = SB__TRIGGER__INIT;
    Sb__Report report = SB__REPORT__INIT;
    Sb__Result result = SB__RESULT__INIT;
    trigger.job = report.job = jobs[0];
    result.ok = true;
    report.result = &result;
    report.attempt = 1;
    int runs = DESK_JOBS; // that the start made due
    while (runs < 2 * NUMBERS_LOW) {
        report.run = self->runs[1];
        assert_int_equal(DESK_ASK(self, report, REPORT, &report)->code, SB__CODE__CODE_OK);
        const Sb__Reply *reply = DESK_ASK(self, trigger, TRIGGER, &trigger);
        assert_int_equal(reply->code, SB__CODE__CODE_OK);
        assert_false(reply->triggered->merged);
        runs++;
        if (stores_numbers(self))
            break;
    }
    assert_in_range(runs, NUMBERS_LOW - 2, NUMBERS_LOW + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(a_call_of_nobody_in_particular_takes_its_body_there_and_back),
        DESK_TEST(what_a_service_refuses_comes_back_with_its_reason_and_never_without_a_code),
        DESK_TEST(an_answer_counts_once_and_only_from_the_service_that_was_called),
        DESK_TEST(the_call_whose_time_is_over_first_is_the_first_to_end),
        DESK_TEST(a_service_that_says_hello_again_still_answers_its_calls),
        DESK_TEST(another_process_of_a_service_answers_no_call_of_the_one_before),
        DESK_TEST(a_change_is_published_once_and_only_by_the_service_that_runs_its_job),
        DESK_TEST(an_order_is_published_by_its_service_with_a_status_that_there_is),
        DESK_TEST(a_publication_of_nothing_is_refused),
        DESK_TEST(a_hold_that_makes_no_sense_is_refused),
        DESK_TEST(the_number_of_a_hold_stands_for_one_hold),
        DESK_TEST(a_full_table_of_holds_takes_no_new_one_and_confirms_those_that_lie),
        DESK_TEST(holds_that_were_stored_lie_again_as_far_as_there_is_room_and_a_subject),
        DESK_TEST(an_order_is_told_of_the_hold_that_is_for_orders_too),
        DESK_TEST(a_hold_goes_with_its_job_to_another_resource_and_out_of_the_config),
        DESK_TEST(a_run_of_a_job_that_was_moved_goes_on_when_its_hold_is_taken_off),
        DESK_TEST(a_resource_that_left_the_config_takes_no_hold),
        DESK_TEST(an_alert_that_finds_no_room_is_told_all_the_same),
        DESK_TEST(alerts_that_were_stored_stand_again_unless_nobody_knows_what_they_mean),
        DESK_TEST(a_request_that_nobody_knows_is_refused),
        DESK_TEST(a_session_whose_time_is_over_is_not_known_even_before_it_is_forgotten),
        DESK_TEST(a_core_that_was_not_started_waits_for_nothing),
        DESK_TEST(a_pause_whose_last_waiter_left_while_the_broker_stops_is_told_without_one),
        DESK_TEST(tickets_alone_that_run_low_make_the_next_blocks),
        DESK_TEST(runs_alone_that_run_low_make_the_next_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
