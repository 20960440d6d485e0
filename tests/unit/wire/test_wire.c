#include "proto/wire.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define BYTES(text) (text), sizeof(text) - 1

static struct buffer packed(const ProtobufCMessage *message)
{
    struct buffer buffer;
    buffer_init(&buffer, 64 * WIRE_FRAME_MAX);
    assert_int_equal(wire_pack(message, &buffer), ERR_OK);
    return buffer;
}

// The request is refused, and the reason says this.
static void refused(const void *data, size_t size, const char *reason)
{
    Sb__Request *request = NULL;
    struct fault fault = {0};
    assert_int_equal(wire_request(data, size, &request, &fault), ERR_INVALID);
    assert_null(request);
    if (strstr(fault.text, reason) == NULL)
        fail_msg("not said: %s; but: %s", reason, fault.text);
}

static void refused_hello(const Sb__Hello *hello, const char *reason)
{
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_HELLO;
    request.hello = (Sb__Hello *)(uintptr_t)hello;
    struct buffer buffer = packed(&request.base);
    refused(buffer.data, buffer.size, reason);
    buffer_free(&buffer);
}

// A text of `size` letters; static, until the next call.
static char *letters(size_t size)
{
    static char text[WIRE_TEXT_MAX + 2];
    assert_true(size < sizeof text);
    memset(text, 'n', size);
    text[size] = '\0';
    return text;
}

static void a_request_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = "erp";
    acquire.mode = SB__MODE__MODE_EXCLUSIVE;
    acquire.claim = UINT64_C(0xfedcba9876543210);
    acquire.reason = "Bestellung f\xc3\xbcr M\xc3\xbcller";
    Sb__Request request = SB__REQUEST__INIT;
    request.id = 7;
    request.session = UINT64_MAX;
    request.body_case = SB__REQUEST__BODY_ACQUIRE;
    request.acquire = &acquire;
    struct buffer buffer = packed(&request.base);
    Sb__Request *back = NULL;
    assert_int_equal(wire_request(buffer.data, buffer.size, &back, NULL), ERR_OK);
    assert_int_equal(back->id, 7);
    assert_true(back->session == UINT64_MAX);
    assert_int_equal(back->body_case, SB__REQUEST__BODY_ACQUIRE);
    assert_true(back->acquire->claim == acquire.claim);
    assert_string_equal(back->acquire->reason, acquire.reason);
    sb__request__free_unpacked(back, NULL);
    buffer_free(&buffer);
}

static void an_empty_frame_is_no_request(void **state)
{
    (void)state;
    refused("", 0, "says what it wants");
    refused(BYTES("\x08\x01\x10\x02"), "says what it wants"); // id and session alone
}

static void bytes_that_are_no_message_are_refused(void **state)
{
    (void)state;
    refused(BYTES("GET / HTTP/1.1\r\n\r\n"), "are not a message");
    refused(BYTES("{\"snapshot\":{}}"), "are not a message");
    refused(BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "are not a message");
    refused(BYTES("\x52\x7f"), "are not a message"); // a Hello of 127 bytes that are not there
}

static void a_frame_that_was_cut_anywhere_never_gives_half_a_hello(void **state)
{
    (void)state;
    Sb__Hello hello = SB__HELLO__INIT;
    char *jobs[] = {"prices", "ddt"};
    hello.name = "sync-prices";
    hello.jobs = jobs;
    hello.n_jobs = 2;
    hello.instance = 1;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_HELLO;
    request.hello = &hello;
    struct buffer buffer = packed(&request.base);
    for (size_t size = 0; size < buffer.size; size++) {
        Sb__Request *back = NULL;
        // An exact copy, so that a read past its end is seen by the sanitizer.
        void *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, buffer.data, size);
        assert_int_equal(wire_request(copy, size, &back, NULL), ERR_INVALID);
        assert_null(back);
        free(copy);
    }
    buffer_free(&buffer);
}

static void names_and_lines_have_their_lengths(void **state)
{
    (void)state;
    Sb__Request *back = NULL;
    Sb__Hello hello = SB__HELLO__INIT;
    hello.name = letters(WIRE_NAME_MAX + 1);
    refused_hello(&hello, "field name has 65 bytes; at most 64");
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_ACQUIRE;
    request.acquire = &acquire;
    acquire.reason = letters(WIRE_TEXT_MAX);
    struct buffer buffer = packed(&request.base);
    assert_int_equal(wire_request(buffer.data, buffer.size, &back, NULL), ERR_OK);
    sb__request__free_unpacked(back, NULL);
    buffer_free(&buffer);
    acquire.reason = letters(WIRE_TEXT_MAX + 1);
    buffer = packed(&request.base);
    refused(buffer.data, buffer.size, "field reason has 1025 bytes");
    buffer_free(&buffer);
}

static void strings_must_be_utf8_however_deep_they_lie(void **state)
{
    (void)state;
    Sb__Hello hello = SB__HELLO__INIT;
    char *jobs[] = {"prices", "caff\xe8"};
    hello.jobs = jobs;
    hello.n_jobs = 2;
    refused_hello(&hello, "field jobs is not UTF-8");
    hello.n_jobs = 1;
    Sb__Result result = SB__RESULT__INIT;
    result.error = "\xc0\xaf";
    Sb__RunState run = SB__RUN_STATE__INIT;
    run.result = &result;
    Sb__RunState *runs[] = {&run};
    hello.runs = runs;
    hello.n_runs = 1;
    refused_hello(&hello, "field error is not UTF-8");
}

static void names_and_reasons_hold_nothing_that_steers_a_terminal(void **state)
{
    (void)state;
    Sb__Hello hello = SB__HELLO__INIT;
    hello.name = "sync\x1b[31m";
    refused_hello(&hello, "field name holds a control character");
    hello.name = "sync\xc2\x9b";
    refused_hello(&hello, "field name holds a control character");
    hello.name = "sync";
    Sb__Hold hold = SB__HOLD__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_HOLD;
    request.hold = &hold;
    hold.reason = "because\nsyncbus: all is well";
    struct buffer buffer = packed(&request.base);
    refused(buffer.data, buffer.size, "field reason holds a control character");
    buffer_free(&buffer);
    // What an ERP said is passed on whole, and shown with care.
    Sb__Result result = SB__RESULT__INIT;
    result.error = "it said \x1b[31m";
    Sb__RunState run = SB__RUN_STATE__INIT;
    run.result = &result;
    Sb__RunState *runs[] = {&run};
    hello.runs = runs;
    hello.n_runs = 1;
    request.body_case = SB__REQUEST__BODY_HELLO;
    request.hello = &hello;
    buffer = packed(&request.base);
    Sb__Request *back = NULL;
    assert_int_equal(wire_request(buffer.data, buffer.size, &back, NULL), ERR_OK);
    assert_string_equal(back->hello->runs[0]->result->error, result.error);
    sb__request__free_unpacked(back, NULL);
    buffer_free(&buffer);
}

// The decoder would take each of them for a shorter text.
static void a_string_that_holds_a_nul_is_refused_wherever_it_lies(void **state)
{
    (void)state;
    // A Trigger of a job, whole and with a NUL: at its start, in it, at its end.
    static const char *const cut[] = {"\xf2\x01\x06\x0a\x04\x00ric", "\xf2\x01\x06\x0a\x04p\x00ic",
                                      "\xf2\x01\x06\x0a\x04pri\x00"};
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++)
        refused(cut[i], 9, "field job holds a NUL byte");
    Sb__Request *request = NULL;
    assert_int_equal(wire_request(BYTES("\xf2\x01\x06\x0a\x04pric"), &request, NULL), ERR_OK);
    sb__request__free_unpacked(request, NULL);
    // One that a later one of the same field takes the place of, and an item of a list.
    refused(BYTES("\xf2\x01\x06\x0a\x01\x00\x0a\x01p"), "field job holds a NUL byte");
    refused(BYTES("\x52\x0a\x0a\x01n\x1a\x01p\x1a\x02q\x00"), "field jobs holds a NUL byte");
    // Deep in a Hello: of its runs the result's error.
    refused(BYTES("\x52\x09\x52\x07\x52\x05\x12\x03"
                  "a\x00"
                  "b"),
            "field error holds a NUL byte");
}

static void what_is_no_string_may_hold_a_nul(void **state)
{
    (void)state;
    uint8_t bytes[] = {0, 1, 0};
    Sb__Call call = SB__CALL__INIT;
    call.service = "order";
    call.body = (ProtobufCBinaryData){.data = bytes, .len = sizeof bytes};
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_CALL;
    request.call = &call;
    struct buffer buffer = packed(&request.base);
    Sb__Request *back = NULL;
    assert_int_equal(wire_request(buffer.data, buffer.size, &back, NULL), ERR_OK);
    assert_int_equal(back->call->body.len, sizeof bytes);
    sb__request__free_unpacked(back, NULL);
    buffer_free(&buffer);
    // Numbers of all widths, and a field of a later version.
    assert_int_equal(wire_request(BYTES("\x08\x00\xa2\x06\x02\x00\x00\xa9\x06\x00\x00\x00\x00\x00\x00\x00\x00"
                                        "\xad\x06\x00\x00\x00\x00\x62\x00"),
                                  &back, NULL),
                     ERR_OK);
    sb__request__free_unpacked(back, NULL);
}

static void what_clients_and_services_read_is_not_cut_at_a_nul_either(void **state)
{
    (void)state;
    struct fault fault = {0};
    Sb__Reply *reply = NULL;
    assert_int_equal(wire_reply(BYTES("\x22\x03"
                                      "a\x00"
                                      "b"),
                                &reply, &fault),
                     ERR_INVALID);
    assert_non_null(strstr(fault.text, "field text holds a NUL byte"));
    Sb__Event *event = NULL;
    assert_int_equal(wire_event(BYTES("\x52\x03\x0a\x01\x00"), &event, &fault), ERR_INVALID);
    assert_non_null(strstr(fault.text, "field job holds a NUL byte"));
    ProtobufCMessage *body = NULL;
    assert_int_equal(wire_unpack(&sb__order_key__descriptor, "\x0a\x05K-1\x00x", 7, &body, &fault),
                     ERR_INVALID);
    assert_non_null(strstr(fault.text, "field key holds a NUL byte"));
    assert_null(reply);
    assert_null(event);
    assert_null(body);
}

// Wherever a field cannot be read, the bytes are left to the decoder, which refuses them.
static void bytes_that_end_within_a_field_are_no_message(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cut[] = {
        {BYTES("\x62")},                                             // a size is missing
        {BYTES("\x62\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")}, // one without end
        {BYTES("\x62\x02\x00")},                                     // more than there is
        {BYTES("\x62\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},     // far more
        {BYTES("\x08")},                                             // a number is missing
        {BYTES("\x09\x00\x00\x00")},                                 // one of 8 bytes
        {BYTES("\x0d\x00")},                                         // one of 4 bytes
        {BYTES("\x0b\x0c")},                                         // a group
        {BYTES("\x80")},                                             // a key is cut
        {BYTES("\xfa\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x00")},     // the key of no field
    };
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++)
        refused(cut[i].bytes, cut[i].size, "are not a message");
}

static void lists_have_their_lengths(void **state)
{
    (void)state;
    enum { COUNT = WIRE_LIST_MAX + 1 };
    static Sb__Renew items[COUNT];
    static Sb__Renew *leases[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        sb__renew__init(&items[i]);
        leases[i] = &items[i];
    }
    Sb__Hello hello = SB__HELLO__INIT;
    hello.leases = leases;
    hello.n_leases = COUNT;
    refused_hello(&hello, "field leases has 1025 items; at most 1024");
}

static void the_body_of_a_call_has_its_length(void **state)
{
    (void)state;
    static uint8_t bytes[WIRE_BODY_MAX + 1];
    Sb__Call call = SB__CALL__INIT;
    call.body = (ProtobufCBinaryData){.data = bytes, .len = sizeof bytes};
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_CALL;
    request.call = &call;
    struct buffer buffer = packed(&request.base);
    refused(buffer.data, buffer.size, "field body has 262145 bytes");
    buffer_free(&buffer);
}

// Two bytes an item in the frame, a hundred and more in memory.
static void many_empty_items_in_a_small_frame_do_not_take_all_memory(void **state)
{
    (void)state;
    enum { ITEMS = 400 * 1000 };
    const size_t hello_size = 2 * ITEMS;
    uint8_t *frame = malloc(hello_size + 4);
    assert_non_null(frame);
    const uint8_t head[] = {0x52, (uint8_t)(hello_size | 0x80), (uint8_t)(hello_size >> 7 | 0x80),
                            (uint8_t)(hello_size >> 14)};
    memcpy(frame, head, sizeof head);
    for (size_t i = 0; i < ITEMS; i++) {
        frame[4 + 2 * i] = 0x52; // Hello.runs, of no bytes
        frame[5 + 2 * i] = 0;
    }
    refused(frame, hello_size + 4, "are not a message");
    free(frame);
}

static void a_oneof_that_is_said_twice_is_taken_once(void **state)
{
    (void)state;
    // Ping, then Bye, then Ping: the last one counts, and nothing leaks.
    Sb__Request *request = NULL;
    assert_int_equal(wire_request(BYTES("\x62\x00\x5a\x00\x62\x00"), &request, NULL), ERR_OK);
    assert_int_equal(request->body_case, SB__REQUEST__BODY_PING);
    sb__request__free_unpacked(request, NULL);
}

static void fields_of_a_later_version_are_passed_over(void **state)
{
    (void)state;
    Sb__Request *request = NULL;
    assert_int_equal(wire_request(BYTES("\x08\x05\xa2\x06\x03"
                                        "abc"
                                        "\x62\x00"),
                                  &request, NULL),
                     ERR_OK);
    assert_int_equal(request->id, 5);
    sb__request__free_unpacked(request, NULL);
}

static void a_field_that_no_version_can_have_is_refused(void **state)
{
    (void)state;
    refused(BYTES("\x62\x00\x80\x00\x05"), "has the number 0");
    refused(BYTES("\x62\x03\x80\x00\x05"), "a field of Ping has the number 0");
}

static void replies_and_events_may_be_long_but_must_be_utf8(void **state)
{
    (void)state;
    Sb__Reply reply = SB__REPLY__INIT;
    reply.text = letters(WIRE_TEXT_MAX + 1);
    struct buffer buffer = packed(&reply.base);
    Sb__Reply *back = NULL;
    assert_int_equal(wire_reply(buffer.data, buffer.size, &back, NULL), ERR_OK);
    sb__reply__free_unpacked(back, NULL);
    buffer_free(&buffer);
    back = NULL;
    reply.text = "caff\xe8";
    buffer = packed(&reply.base);
    assert_int_equal(wire_reply(buffer.data, buffer.size, &back, NULL), ERR_INVALID);
    assert_null(back);
    buffer_free(&buffer);

    Sb__Tick tick = SB__TICK__INIT;
    tick.job = "prices";
    Sb__Event event = SB__EVENT__INIT;
    event.body_case = SB__EVENT__BODY_TICK;
    event.tick = &tick;
    buffer = packed(&event.base);
    Sb__Event *said = NULL;
    assert_int_equal(wire_event(buffer.data, buffer.size, &said, NULL), ERR_OK);
    assert_string_equal(said->tick->job, "prices");
    sb__event__free_unpacked(said, NULL);
    buffer_free(&buffer);
}

static void the_body_of_a_call_is_read_by_its_type(void **state)
{
    (void)state;
    Sb__OrderKey key = SB__ORDER_KEY__INIT;
    key.key = "A-1";
    struct buffer buffer = packed(&key.base);
    ProtobufCMessage *back = NULL;
    assert_int_equal(wire_unpack(&sb__order_key__descriptor, buffer.data, buffer.size, &back, NULL), ERR_OK);
    assert_string_equal(((Sb__OrderKey *)back)->key, "A-1");
    protobuf_c_message_free_unpacked(back, NULL);
    buffer_free(&buffer);
    struct fault fault = {0};
    back = NULL;
    assert_int_equal(wire_unpack(&sb__order_key__descriptor, "\x0a\x09x", 3, &back, &fault), ERR_INVALID);
    assert_non_null(strstr(fault.text, "OrderKey"));
    assert_null(back);
}

static void a_message_that_is_too_long_for_its_buffer_is_not_packed(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 16);
    Sb__Reply reply = SB__REPLY__INIT;
    reply.text = letters(17);
    assert_int_equal(wire_pack(&reply.base, &buffer), ERR_FULL);
    assert_int_equal(buffer.size, 0);
    buffer_free(&buffer);
}

// The broker's answer names the request that it refuses, as far as that can be read.
static void a_request_that_is_refused_has_its_id_all_the_same(void **state)
{
    (void)state;
    Sb__Request *request = NULL;
    // id 5, a Trigger whose job is no UTF-8
    static const char bad[] = "\x08\x05\xf2\x01\x03\x0a\x01\xff";
    assert_int_equal(wire_request(bad, sizeof bad - 1, &request, NULL), ERR_INVALID);
    assert_int_equal(wire_request_id(bad, sizeof bad - 1), 5);
    assert_int_equal(wire_request_id("\xff\xff", 2), 0);
    assert_int_equal(wire_request_id("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_is_refused_has_its_id_all_the_same),
        cmocka_unit_test(a_request_comes_back_as_it_was_sent),
        cmocka_unit_test(an_empty_frame_is_no_request),
        cmocka_unit_test(bytes_that_are_no_message_are_refused),
        cmocka_unit_test(a_frame_that_was_cut_anywhere_never_gives_half_a_hello),
        cmocka_unit_test(names_and_lines_have_their_lengths),
        cmocka_unit_test(strings_must_be_utf8_however_deep_they_lie),
        cmocka_unit_test(names_and_reasons_hold_nothing_that_steers_a_terminal),
        cmocka_unit_test(a_string_that_holds_a_nul_is_refused_wherever_it_lies),
        cmocka_unit_test(what_is_no_string_may_hold_a_nul),
        cmocka_unit_test(what_clients_and_services_read_is_not_cut_at_a_nul_either),
        cmocka_unit_test(bytes_that_end_within_a_field_are_no_message),
        cmocka_unit_test(lists_have_their_lengths),
        cmocka_unit_test(the_body_of_a_call_has_its_length),
        cmocka_unit_test(many_empty_items_in_a_small_frame_do_not_take_all_memory),
        cmocka_unit_test(a_oneof_that_is_said_twice_is_taken_once),
        cmocka_unit_test(fields_of_a_later_version_are_passed_over),
        cmocka_unit_test(a_field_that_no_version_can_have_is_refused),
        cmocka_unit_test(replies_and_events_may_be_long_but_must_be_utf8),
        cmocka_unit_test(the_body_of_a_call_is_read_by_its_type),
        cmocka_unit_test(a_message_that_is_too_long_for_its_buffer_is_not_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
