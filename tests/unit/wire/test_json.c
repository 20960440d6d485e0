#include "proto/json.h"

#include "syncbus.pb-c.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void shown_as(const ProtobufCMessage *message, const char *json)
{
    struct buffer buffer;
    buffer_init(&buffer, 65536);
    assert_int_equal(json_message(message, &buffer), ERR_OK);
    assert_int_equal(buffer_add_byte(&buffer, '\0'), ERR_OK);
    assert_string_equal(buffer.data, json);
    buffer_free(&buffer);
}

static void scalars_are_always_there_and_keep_their_whole_value(void **state)
{
    (void)state;
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = "erp";
    acquire.mode = SB__MODE__MODE_SHARED;
    acquire.run = UINT64_MAX;
    acquire.claim = 0xab;
    shown_as(&acquire.base,
             "{\"resource\":\"erp\",\"mode\":\"shared\",\"run\":18446744073709551615,\"job\":\"\","
             "\"attempt\":0,\"wait_ms\":0,\"poll_ms\":0,\"reason\":\"\",\"ticket\":0,"
             "\"claim\":\"00000000000000ab\",\"settle_ms\":0}");
}

static void absent_messages_and_unset_alternatives_are_left_out(void **state)
{
    (void)state;
    Sb__Event event = SB__EVENT__INIT;
    event.epoch = 3;
    event.time_ms = -1;
    shown_as(&event.base, "{\"epoch\":3,\"seq\":0,\"time_ms\":-1}");
    Sb__Change change = SB__CHANGE__INIT;
    change.entity = "prices";
    event.body_case = SB__EVENT__BODY_CHANGE;
    event.change = &change;
    shown_as(&event.base,
             "{\"epoch\":3,\"seq\":0,\"time_ms\":-1,\"change\":{\"entity\":\"prices\",\"run\":0,\"first\":0,"
             "\"last\":0,\"created\":0,\"changed\":0,\"deleted\":0,\"feed\":\"0000000000000000\"}}");
}

static void maps_become_objects_and_lists_arrays(void **state)
{
    (void)state;
    Sb__Beat__SeqsEntry one = SB__BEAT__SEQS_ENTRY__INIT;
    one.key = "tick.prices";
    one.value = 4;
    Sb__Beat__SeqsEntry other = SB__BEAT__SEQS_ENTRY__INIT;
    other.key = "a\"b";
    Sb__Beat__SeqsEntry *seqs[] = {&one, &other};
    Sb__Beat beat = SB__BEAT__INIT;
    beat.seqs = seqs;
    beat.n_seqs = 2;
    beat.stopping = 1;
    shown_as(&beat.base,
             "{\"resources\":[],\"seqs\":{\"tick.prices\":4,\"a\\\"b\":0},\"beat\":0,\"stopping\":true}");
    char *parts[] = {"1", "due"};
    Sb__RecordKey key = SB__RECORD_KEY__INIT;
    key.key = parts;
    key.n_key = 2;
    shown_as(&key.base, "{\"key\":[\"1\",\"due\"]}");
}

static void bytes_are_base64_of_any_length(void **state)
{
    (void)state;
    static const char *const encoded[] = {"", "/w==", "//4=", "//79", "//79/A=="};
    uint8_t bytes[] = {0xff, 0xfe, 0xfd, 0xfc};
    for (size_t size = 0; size < 5; size++) {
        Sb__Answered answered = SB__ANSWERED__INIT;
        answered.body = (ProtobufCBinaryData){.data = bytes, .len = size};
        struct buffer buffer;
        buffer_init(&buffer, 100);
        assert_int_equal(json_message(&answered.base, &buffer), ERR_OK);
        assert_int_equal(buffer_add_byte(&buffer, '\0'), ERR_OK);
        assert_non_null(strstr(buffer.data, encoded[size]));
        assert_int_equal(strlen(buffer.data), strlen("{\"body\":\"\"}") + strlen(encoded[size]));
        buffer_free(&buffer);
    }
}

static void numbers_with_a_point_stay_json(void **state)
{
    (void)state;
    Sb__Quantiles quantiles = SB__QUANTILES__INIT;
    quantiles.avg_ms = 12.5;
    shown_as(&quantiles.base,
             "{\"count\":0,\"avg_ms\":12.5,\"p50_ms\":0,\"p95_ms\":0,\"p99_ms\":0,\"max_ms\":0}");
    quantiles.avg_ms = __builtin_nan("");
    shown_as(&quantiles.base,
             "{\"count\":0,\"avg_ms\":null,\"p50_ms\":0,\"p95_ms\":0,\"p99_ms\":0,\"max_ms\":0}");
}

static void strings_are_escaped_and_always_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *json;
    } cases[] = {{"", 0, "\"\""},
                 {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
                 {"\n\r\t\x01\x7f", 5, "\"\\n\\r\\t\\u0001\\u007f\""},
                 {"a\0b", 3, "\"a\\u0000b\""},
                 {"caff\xc3\xa8", 6, "\"caff\xc3\xa8\""},
                 {"caff\xe8!", 6, "\"caff\xef\xbf\xbd!\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer buffer;
        buffer_init(&buffer, 100);
        assert_int_equal(json_string(cases[i].text, cases[i].size, &buffer), ERR_OK);
        assert_int_equal(buffer.size, strlen(cases[i].json));
        assert_memory_equal(buffer.data, cases[i].json, buffer.size);
        buffer_free(&buffer);
    }
}

static void enums_are_named_as_people_say_them(void **state)
{
    (void)state;
    assert_string_equal(json_enum(&sb__stage__descriptor, SB__STAGE__STAGE_DUE), "due");
    assert_string_equal(json_enum(&sb__code__descriptor, SB__CODE__CODE_PAUSE_TIMEOUT), "pause_timeout");
    assert_string_equal(json_enum(&sb__order_status__descriptor, SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON),
                        "needs_person");
    assert_string_equal(json_enum(&sb__code__descriptor, 99), "?");
}

static void several_names_stay_valid_in_one_line(void **state)
{
    (void)state;
    const char *first = json_enum(&sb__stage__descriptor, SB__STAGE__STAGE_DUE);
    const char *second = json_enum(&sb__phase__descriptor, SB__PHASE__PHASE_OPEN);
    assert_string_equal(first, "due");
    assert_string_equal(second, "open");
}

static void a_full_buffer_is_said_and_never_passed(void **state)
{
    (void)state;
    Sb__Quantiles quantiles = SB__QUANTILES__INIT;
    for (size_t max = 1; max < 60; max++) {
        struct buffer buffer;
        buffer_init(&buffer, max);
        assert_int_equal(json_message(&quantiles.base, &buffer), ERR_FULL);
        assert_true(buffer.size <= max);
        buffer_free(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_always_there_and_keep_their_whole_value),
        cmocka_unit_test(absent_messages_and_unset_alternatives_are_left_out),
        cmocka_unit_test(maps_become_objects_and_lists_arrays),
        cmocka_unit_test(bytes_are_base64_of_any_length),
        cmocka_unit_test(numbers_with_a_point_stay_json),
        cmocka_unit_test(strings_are_escaped_and_always_utf8),
        cmocka_unit_test(enums_are_named_as_people_say_them),
        cmocka_unit_test(several_names_stay_valid_in_one_line),
        cmocka_unit_test(a_full_buffer_is_said_and_never_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
