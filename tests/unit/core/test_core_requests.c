// What the core answers to requests that are odd, wrong, somebody else's or come twice; and its lists in
// pages.
#include "tests/unit/core/asking.h"

// ---------------------------------------------------------------- who is there

static void a_hello_says_who_it_is_and_no_more_than_a_session_may(void **state)
{
    struct fixture *self = *state;
    char *many[65];
    char *none[] = {(char *)(uintptr_t) ""};
    char *unknown[] = {(char *)(uintptr_t) "nothing"};
    for (size_t i = 0; i < 65; i++)
        many[i] = PRICES;
    Sb__Hello bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = hello_of(9);
    bad[0].instance = 0;
    bad[1].process = 0;
    bad[2].host = 0;
    bad[3].name = none[0];
    bad[4].jobs = many;
    bad[4].n_jobs = 65;
    bad[5].serves = many;
    bad[5].n_serves = 9;
    bad[6].serves = none;
    bad[6].n_serves = 1;
    bad[7].jobs = unknown;
    bad[7].n_jobs = 1;
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(hello_as(self, NOBODY, &bad[i]), SB__CODE__CODE_INVALID);
    assert_int_equal(hello_as(self, NOBODY, &bad[7]), SB__CODE__CODE_NOT_FOUND);
}

// ---------------------------------------------------------------- holds

static void a_hold_says_on_what_by_whom_and_why(void **state)
{
    struct fixture *self = *state;
    Sb__Hold bad[7];
    for (size_t i = 0; i < 7; i++)
        bad[i] = hold_of();
    bad[0].job = PRICES; // and a resource
    bad[1].resource = (char *)(uintptr_t) "";
    bad[2].by = (char *)(uintptr_t) "";
    bad[3].reason = (char *)(uintptr_t) "";
    bad[4].job = PRICES;
    bad[4].resource = (char *)(uintptr_t) "";
    bad[4].orders_too = true;
    bad[5].until_ms = self->wall_ms;
    bad[6].resource = (char *)(uintptr_t) "nothing";
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(lay(self, &bad[i]), SB__CODE__CODE_INVALID);
    assert_int_equal(lay(self, &bad[6]), SB__CODE__CODE_NOT_FOUND);
    bad[6].job = bad[6].resource;
    bad[6].resource = (char *)(uintptr_t) "";
    assert_int_equal(lay(self, &bad[6]), SB__CODE__CODE_NOT_FOUND);
}

static void a_number_stands_for_one_hold(void **state)
{
    struct fixture *self = *state;
    Sb__Hold hold = hold_of();
    hold.hold = 7;
    hold.until_ms = self->wall_ms + 60000;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
    Sb__Hold others[5];
    for (size_t i = 0; i < 5; i++)
        others[i] = hold;
    others[0].resource = CRM;
    others[1].orders_too = true;
    others[2].by = (char *)(uintptr_t) "boss";
    others[3].reason = (char *)(uintptr_t) "another";
    others[4].resource = (char *)(uintptr_t) "";
    others[4].job = PRICES;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(lay(self, &others[i]), SB__CODE__CODE_CONFLICT);
}

static void too_many_holds_turn_the_newcomer_away_but_not_one_that_lies(void **state)
{
    struct fixture *self = *state;
    Sb__Hold hold = hold_of();
    for (hold.hold = 1; hold.hold <= HOLDS; hold.hold++)
        assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_BUSY);
    hold.hold = HOLDS;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
}

// Told with its subject: of another job nothing is told.
static void a_snapshot_of_one_job_tells_the_holds_that_concern_it(void **state)
{
    struct fixture *self = *state;
    Sb__Hold hold = hold_of();
    hold.resource = (char *)(uintptr_t) "";
    hold.job = PRICES;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    snapshot.job = PRICES;
    assert_int_equal(ask_as(self, STRANGER, REQUEST(SNAPSHOT, snapshot, &snapshot))->state->n_holds, 1);
    snapshot.job = DDT;
    assert_int_equal(ask_as(self, STRANGER, REQUEST(SNAPSHOT, snapshot, &snapshot))->state->n_holds, 0);
    hold = hold_of();
    hold.resource = CRM;
    hold.until_ms = self->wall_ms + 60000;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
    assert_int_equal(ask_as(self, STRANGER, REQUEST(SNAPSHOT, snapshot, &snapshot))->state->n_holds, 1);
    pass(self, 20 * 60000); // both grow stale: one job's snapshot tells of its own alert alone
    snapshot.job = PRICES;
    const Sb__State *told = ask_as(self, NOBODY, REQUEST(SNAPSHOT, snapshot, &snapshot))->state;
    for (size_t i = 0; i < told->n_alerts; i++)
        assert_string_equal(told->alerts[i]->subject, PRICES);
    assert_true(told->n_alerts > 0);
}

static void a_snapshot_comes_in_pages_of_jobs(void **state)
{
    struct fixture *self = *state;
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    snapshot.limit = 1;
    const Sb__State *told = ask_as(self, STRANGER, REQUEST(SNAPSHOT, snapshot, &snapshot))->state;
    assert_int_equal(told->n_jobs, 1);
    assert_true(told->more);
    snapshot.after = PRICES;
    snapshot.limit = 1000;
    told = ask_as(self, STRANGER, REQUEST(SNAPSHOT, snapshot, &snapshot))->state;
    assert_int_equal(told->n_jobs, 1);
    assert_string_equal(told->jobs[0]->job, DDT);
    assert_false(told->more);
}

// ---------------------------------------------------------------- history

static const struct core_read *look(struct fixture *self, Sb__Request *request)
{
    assert_null(ask_as(self, STRANGER, request));
    assert_int_equal(self->update.read_count, 1);
    return &self->update.reads[0];
}

static void looks_into_the_history_name_their_keys(void **state)
{
    struct fixture *self = *state;
    Sb__Runs runs = SB__RUNS__INIT;
    Sb__Ledger ledger = SB__LEDGER__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    const struct core_read *read = look(self, REQUEST(RUNS, runs, &runs));
    assert_int_equal(read->table, CORE_TABLE_RUN);
    assert_null(read->job);
    runs.job = PRICES;
    runs.before = 256;
    runs.limit = 5;
    read = look(self, REQUEST(RUNS, runs, &runs));
    assert_string_equal(read->job, PRICES);
    assert_int_equal(read->limit, 5);
    assert_memory_equal(read->to, "\0\0\0\0\0\0\1\0", 8);
    read = look(self, REQUEST(LEDGER, ledger, &ledger));
    assert_null(read->job);
    ledger.job = PRICES;
    ledger.from_ms = 1;
    ledger.to_ms = 2;
    ledger.limit = 5000;
    read = look(self, REQUEST(LEDGER, ledger, &ledger));
    assert_memory_equal(read->from, "prices\0\0\0\0\0\0\0\0\1", 15);
    assert_memory_equal(read->to, "prices\0\0\0\0\0\0\0\0\2", 15);
    assert_int_equal(read->limit, 1000);
    read = look(self, REQUEST(PAUSES, pauses, &pauses));
    assert_null(read->job);
    pauses.resource = CRM;
    read = look(self, REQUEST(PAUSES, pauses, &pauses));
    assert_string_equal(read->job, CRM);
}

static void looks_at_what_is_not_there_are_refused(void **state)
{
    struct fixture *self = *state;
    Sb__Runs runs = SB__RUNS__INIT;
    Sb__Ledger ledger = SB__LEDGER__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    runs.job = ledger.job = pauses.resource = (char *)(uintptr_t) "nothing";
    assert_int_equal(ask_as(self, STRANGER, REQUEST(RUNS, runs, &runs))->code, SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(ask_as(self, STRANGER, REQUEST(LEDGER, ledger, &ledger))->code,
                     SB__CODE__CODE_NOT_FOUND);
    assert_int_equal(ask_as(self, STRANGER, REQUEST(PAUSES, pauses, &pauses))->code,
                     SB__CODE__CODE_NOT_FOUND);
}

static void what_was_found_is_answered_and_a_value_without_its_message_left_out(void **state)
{
    struct fixture *self = *state;
    Sb__Runs runs = SB__RUNS__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    Sb__RunState run = SB__RUN_STATE__INIT;
    Sb__StoredRun whole = SB__STORED_RUN__INIT;
    Sb__StoredRun empty = SB__STORED_RUN__INIT;
    Sb__StoredPause pause = SB__STORED_PAUSE__INIT;
    const ProtobufCMessage *const found[] = {&whole.base, &empty.base};
    const ProtobufCMessage *const no_pause[] = {&pause.base};
    run.run = 9;
    whole.run = &run;
    struct core_read read = *look(self, REQUEST(RUNS, runs, &runs));
    const Sb__Reply *reply = core_read_reply(self->core, &read, found, 2);
    assert_int_equal(reply->run_list->n_runs, 1);
    assert_int_equal(reply->run_list->runs[0]->run, 9);
    pauses.resource = ERP;
    read = *look(self, REQUEST(PAUSES, pauses, &pauses));
    assert_int_equal(core_read_reply(self->core, &read, no_pause, 1)->pause_report->n_recent, 0);
}

// A pause of one resource is in its own report, and in that of all.
static void a_report_of_pauses_is_of_one_resource_or_of_all(void **state)
{
    struct fixture *self = *state;
    Sb__Acquire turn = SB__ACQUIRE__INIT;
    Sb__Acquire order = SB__ACQUIRE__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    turn.resource = order.resource = ERP;
    turn.mode = SB__MODE__MODE_SHARED;
    turn.job = PRICES;
    turn.run = self->run;
    turn.attempt = 1;
    turn.claim = 1;
    order.mode = SB__MODE__MODE_EXCLUSIVE;
    order.claim = 2;
    order.poll_ms = 2000;
    assert_int_equal(ask_as(self, SYNC, REQUEST(ACQUIRE, acquire, &turn))->body_case,
                     SB__REPLY__BODY_GRANTED);
    assert_null(ask_as(self, STRANGER, REQUEST(ACQUIRE, acquire, &order)));
    pass(self, 2000);
    assert_null(ask_as(self, STRANGER, REQUEST(ACQUIRE, acquire, &order)));
    pass(self, 2000);
    assert_null(ask_as(self, STRANGER, REQUEST(ACQUIRE, acquire, &order)));
    pass(self, 1000); // it fails
    struct {
        char *resource;
        uint64_t timed_out;
        size_t blockers;
    } const reports[] = {{(char *)(uintptr_t) "", 1, 1}, {ERP, 1, 1}, {CRM, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        pauses.resource = reports[i].resource;
        const struct core_read read = *look(self, REQUEST(PAUSES, pauses, &pauses));
        const Sb__PauseReport *report = core_read_reply(self->core, &read, NULL, 0)->pause_report;
        assert_int_equal(report->timed_out, reports[i].timed_out);
        assert_int_equal(report->n_blockers, reports[i].blockers);
    }
}

// ---------------------------------------------------------------- calls and publications

static Sb__Call call_of(void)
{
    Sb__Call call = SB__CALL__INIT;
    call.service = (char *)(uintptr_t) "order";
    call.method = (char *)(uintptr_t) "show";
    return call;
}

static uint64_t call_to_order(struct fixture *self, const char *body)
{
    Sb__Call call = call_of();
    call.body.data = (uint8_t *)(uintptr_t)body;
    call.body.len = strlen(body);
    call.timeout_ms = 600000; // longer than is allowed
    assert_null(ask_as(self, STRANGER, REQUEST(CALL, call, &call)));
    assert_int_equal(self->update.reply_count, 1);
    const Sb__Deliver *deliver = self->update.replies[0].reply->deliver;
    assert_int_equal(self->update.replies[0].peer, ORDER);
    assert_int_equal(deliver->timeout_ms, 60000);
    assert_int_equal(deliver->body.len, strlen(body));
    assert_string_equal(deliver->from, SOMEBODY);
    return deliver->call;
}

// What the caller hears when the service answers so.
static const Sb__Reply *heard(struct fixture *self, uint64_t peer, Sb__Answer *answer)
{
    (void)ask_as(self, peer, REQUEST(ANSWER, answer, answer));
    for (size_t i = 0; i < self->update.reply_count; i++) {
        if (self->update.replies[i].peer == STRANGER && peer != STRANGER)
            return self->update.replies[i].reply;
    }
    return NULL;
}

static void a_call_carries_its_body_there_and_back_and_only_its_service_answers(void **state)
{
    struct fixture *self = *state;
    Sb__Answer answer = SB__ANSWER__INIT;
    answer.call = call_to_order(self, "K-1");
    answer.code = SB__CODE__CODE_OK;
    answer.body.data = (uint8_t *)(uintptr_t) "done";
    answer.body.len = 4;
    assert_null(heard(self, SYNC, &answer)); // another's
    const Sb__Reply *reply = heard(self, ORDER, &answer);
    assert_memory_equal(reply->answered->body.data, "done", 4);
    assert_null(heard(self, ORDER, &answer)); // it was answered
}

static void an_answer_without_a_code_is_an_error_and_one_with_a_refusal_has_no_body(void **state)
{
    struct fixture *self = *state;
    Sb__Answer answer = SB__ANSWER__INIT;
    answer.call = call_to_order(self, "");
    assert_int_equal(heard(self, ORDER, &answer)->code, SB__CODE__CODE_INTERNAL);
    answer.call = call_to_order(self, "");
    answer.code = SB__CODE__CODE_NOT_FOUND;
    answer.text = (char *)(uintptr_t) "no such order";
    const Sb__Reply *reply = heard(self, ORDER, &answer);
    assert_int_equal(reply->code, SB__CODE__CODE_NOT_FOUND);
    assert_string_equal(reply->text, "no such order");
    assert_int_equal(reply->body_case, SB__REPLY__BODY__NOT_SET);
}

static void too_many_calls_turn_the_newcomer_away(void **state)
{
    struct fixture *self = *state;
    for (int i = 0; i < CALLS_MAX; i++)
        (void)call_to_order(self, "");
    Sb__Call call = call_of();
    assert_int_equal(ask_as(self, STRANGER, REQUEST(CALL, call, &call))->code, SB__CODE__CODE_BUSY);
}

static void only_those_whose_it_is_publish_and_a_repeat_has_one_effect(void **state)
{
    struct fixture *self = *state;
    Sb__Change change = SB__CHANGE__INIT;
    Sb__OrderState order = SB__ORDER_STATE__INIT;
    Sb__Publish nothing = SB__PUBLISH__INIT;
    Sb__Publish of_change = {.base = nothing.base, .body_case = SB__PUBLISH__BODY_CHANGE, .change = &change};
    Sb__Publish of_order = {.base = nothing.base, .body_case = SB__PUBLISH__BODY_ORDER, .order = &order};
    change.entity = PRICES;
    order.status = SB__ORDER_STATUS__ORDER_STATUS_REJECTED;
    assert_int_equal(ask_as(self, SYNC, REQUEST(PUBLISH, publish, &nothing))->code, SB__CODE__CODE_INVALID);
    assert_int_equal(ask_as(self, ORDER, REQUEST(PUBLISH, publish, &of_change))->code,
                     SB__CODE__CODE_FORBIDDEN);
    assert_int_equal(ask_as(self, SYNC, REQUEST(PUBLISH, publish, &of_order))->code,
                     SB__CODE__CODE_FORBIDDEN);
    Sb__Request *once = REQUEST(PUBLISH, publish, &of_change);
    assert_int_equal(ask_as(self, SYNC, once)->code, SB__CODE__CODE_OK);
    assert_int_equal(self->update.publication_count, 1);
    assert_int_equal(ask_as(self, SYNC, once)->code, SB__CODE__CODE_OK);
    assert_int_equal(self->update.publication_count, 0); // I8
    assert_int_equal(ask_as(self, ORDER, REQUEST(PUBLISH, publish, &of_order))->code, SB__CODE__CODE_OK);
    order.status = (Sb__OrderStatus)99;
    assert_int_equal(ask_as(self, ORDER, REQUEST(PUBLISH, publish, &of_order))->code,
                     SB__CODE__CODE_FORBIDDEN);
    change.entity = (char *)(uintptr_t) "nothing";
    assert_int_equal(ask_as(self, SYNC, REQUEST(PUBLISH, publish, &of_change))->code,
                     SB__CODE__CODE_FORBIDDEN);
}

// ---------------------------------------------------------------- runs and leases

static void a_report_names_a_job_of_its_session_and_has_a_result(void **state)
{
    struct fixture *self = *state;
    Sb__Report report = SB__REPORT__INIT;
    Sb__Result result = SB__RESULT__INIT;
    report.job = (char *)(uintptr_t) "nothing";
    assert_int_equal(ask_as(self, SYNC, REQUEST(REPORT, report, &report))->code, SB__CODE__CODE_NOT_FOUND);
    report.job = PRICES;
    assert_int_equal(ask_as(self, SYNC, REQUEST(REPORT, report, &report))->code, SB__CODE__CODE_INVALID);
    report.result = &result;
    assert_int_equal(ask_as(self, ORDER, REQUEST(REPORT, report, &report))->code, SB__CODE__CODE_CONFLICT);
    report.run = 1; // one that is not known any more is acknowledged, and that is all
    assert_int_equal(ask_as(self, SYNC, REQUEST(REPORT, report, &report))->code, SB__CODE__CODE_OK);
    assert_int_equal(self->update.publication_count, 0);
}

static void a_trigger_that_is_repeated_in_a_session_is_the_same_run(void **state)
{
    struct fixture *self = *state;
    Sb__Trigger trigger = SB__TRIGGER__INIT;
    trigger.job = PRICES;
    trigger.cause = SB__CAUSE__CAUSE_RETRY;
    assert_int_equal(ask_as(self, STRANGER, REQUEST(TRIGGER, trigger, &trigger))->code,
                     SB__CODE__CODE_INVALID);
    trigger.cause = SB__CAUSE__CAUSE_UNSPECIFIED;
    Sb__Request *once = REQUEST(TRIGGER, trigger, &trigger);
    const uint64_t run = ask_as(self, STRANGER, once)->triggered->run;
    assert_int_equal(ask_as(self, STRANGER, once)->triggered->run, run);
}

static void a_token_is_revoked_under_the_name_of_its_resource(void **state)
{
    struct fixture *self = *state;
    Sb__Acquire order = SB__ACQUIRE__INIT;
    Sb__Revoke revoke = SB__REVOKE__INIT;
    order.resource = ERP;
    order.mode = SB__MODE__MODE_EXCLUSIVE;
    order.claim = 2;
    revoke.token = ask_as(self, STRANGER, REQUEST(ACQUIRE, acquire, &order))->granted->token;
    revoke.resource = CRM;
    assert_int_equal(ask_as(self, STRANGER, REQUEST(REVOKE, revoke, &revoke))->code,
                     SB__CODE__CODE_NOT_FOUND);
    revoke.resource = ERP;
    assert_int_equal(ask_as(self, STRANGER, REQUEST(REVOKE, revoke, &revoke))->code, SB__CODE__CODE_OK);
}

static void a_wish_is_for_a_mode_with_a_claim_and_for_a_job_of_that_resource(void **state)
{
    struct fixture *self = *state;
    Sb__Acquire wish = SB__ACQUIRE__INIT;
    wish.resource = ERP;
    wish.claim = 3;
    assert_int_equal(ask_as(self, SYNC, REQUEST(ACQUIRE, acquire, &wish))->code, SB__CODE__CODE_INVALID);
    wish.mode = SB__MODE__MODE_EXCLUSIVE;
    wish.claim = 0;
    assert_int_equal(ask_as(self, SYNC, REQUEST(ACQUIRE, acquire, &wish))->code, SB__CODE__CODE_INVALID);
    wish.claim = 3;
    wish.mode = SB__MODE__MODE_SHARED;
    wish.job = DDT;
    assert_int_equal(ask_as(self, SYNC, REQUEST(ACQUIRE, acquire, &wish))->code, SB__CODE__CODE_NOT_FOUND);
}

// A line for people is cut on a whole character.
static void a_long_text_is_cut_between_two_characters(void **state)
{
    struct fixture *self = *state;
    char reason[401] = "";
    for (size_t i = 0; i < 200; i++)
        memcpy(reason + 2 * i, "é", 2);
    Sb__Hold hold = hold_of();
    reason[0] = 'x';
    reason[1] = 'y';
    memmove(reason + 1, reason + 2, 398);
    reason[399] = '\0';
    hold.reason = reason;
    assert_int_equal(lay(self, &hold), SB__CODE__CODE_OK);
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    const Sb__State *told = ask_as(self, STRANGER, REQUEST(SNAPSHOT, snapshot, &snapshot))->state;
    assert_int_equal(strlen(told->holds[0]->reason), 159); // one byte and 79 characters of two
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hello_says_who_it_is_and_no_more_than_a_session_may),
        TEST(a_hold_says_on_what_by_whom_and_why),
        TEST(a_number_stands_for_one_hold),
        TEST(too_many_holds_turn_the_newcomer_away_but_not_one_that_lies),
        TEST(a_snapshot_of_one_job_tells_the_holds_that_concern_it),
        TEST(a_snapshot_comes_in_pages_of_jobs),
        TEST(looks_into_the_history_name_their_keys),
        TEST(looks_at_what_is_not_there_are_refused),
        TEST(what_was_found_is_answered_and_a_value_without_its_message_left_out),
        TEST(a_report_of_pauses_is_of_one_resource_or_of_all),
        TEST(a_call_carries_its_body_there_and_back_and_only_its_service_answers),
        TEST(an_answer_without_a_code_is_an_error_and_one_with_a_refusal_has_no_body),
        TEST(too_many_calls_turn_the_newcomer_away),
        TEST(only_those_whose_it_is_publish_and_a_repeat_has_one_effect),
        TEST(a_report_names_a_job_of_its_session_and_has_a_result),
        TEST(a_trigger_that_is_repeated_in_a_session_is_the_same_run),
        TEST(a_token_is_revoked_under_the_name_of_its_resource),
        TEST(a_wish_is_for_a_mode_with_a_claim_and_for_a_job_of_that_resource),
        TEST(a_long_text_is_cut_between_two_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
