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

// ---------------------------------------------------------------- types that no message here has

// A message of one list, of whatever type a test gives it.
struct list {
    ProtobufCMessage base;
    size_t count;
    const void *items;
};

// A list of two values of this type is shown as this.
static void list_shown_as(ProtobufCType type, const void *descriptor, const void *items, const char *json)
{
    const ProtobufCFieldDescriptor field = {.name = "l",
                                            .label = PROTOBUF_C_LABEL_REPEATED,
                                            .type = type,
                                            .quantifier_offset = offsetof(struct list, count),
                                            .offset = offsetof(struct list, items),
                                            .descriptor = descriptor};
    const ProtobufCMessageDescriptor message = {.n_fields = 1, .fields = &field};
    const struct list list = {.base = {.descriptor = &message}, .count = 2, .items = items};
    shown_as(&list.base, json);
}

static void every_type_of_number_keeps_its_sign_and_size(void **state)
{
    (void)state;
    static const int32_t signed_4[] = {-1, INT32_MIN};
    static const uint32_t unsigned_4[] = {1, UINT32_MAX};
    static const int64_t signed_8[] = {-1, INT64_MIN};
    static const uint64_t unsigned_8[] = {1, UINT64_MAX};
    static const float floats[] = {0.5F, -2};
    static const double doubles[] = {0.5, -2};
    static const protobuf_c_boolean booleans[] = {0, 1};
    static const char *const texts[] = {"a", NULL};
    list_shown_as(PROTOBUF_C_TYPE_INT32, NULL, signed_4, "{\"l\":[-1,-2147483648]}");
    list_shown_as(PROTOBUF_C_TYPE_SINT32, NULL, signed_4, "{\"l\":[-1,-2147483648]}");
    list_shown_as(PROTOBUF_C_TYPE_SFIXED32, NULL, signed_4, "{\"l\":[-1,-2147483648]}");
    list_shown_as(PROTOBUF_C_TYPE_UINT32, NULL, unsigned_4, "{\"l\":[1,4294967295]}");
    list_shown_as(PROTOBUF_C_TYPE_FIXED32, NULL, unsigned_4, "{\"l\":[1,4294967295]}");
    list_shown_as(PROTOBUF_C_TYPE_INT64, NULL, signed_8, "{\"l\":[-1,-9223372036854775808]}");
    list_shown_as(PROTOBUF_C_TYPE_SINT64, NULL, signed_8, "{\"l\":[-1,-9223372036854775808]}");
    list_shown_as(PROTOBUF_C_TYPE_SFIXED64, NULL, signed_8, "{\"l\":[-1,-9223372036854775808]}");
    list_shown_as(PROTOBUF_C_TYPE_UINT64, NULL, unsigned_8, "{\"l\":[1,18446744073709551615]}");
    list_shown_as(PROTOBUF_C_TYPE_FIXED64, NULL, unsigned_8,
                  "{\"l\":[\"0000000000000001\",\"ffffffffffffffff\"]}");
    list_shown_as(PROTOBUF_C_TYPE_FLOAT, NULL, floats, "{\"l\":[0.5,-2]}");
    list_shown_as(PROTOBUF_C_TYPE_DOUBLE, NULL, doubles, "{\"l\":[0.5,-2]}");
    list_shown_as(PROTOBUF_C_TYPE_BOOL, NULL, booleans, "{\"l\":[false,true]}");
    list_shown_as(PROTOBUF_C_TYPE_STRING, NULL, texts, "{\"l\":[\"a\",\"\"]}");
}

static void bytes_in_a_list_lie_as_far_apart_as_they_are_large(void **state)
{
    (void)state;
    uint8_t bytes[] = {0xff, 0xfe, 0xfd};
    const ProtobufCBinaryData items[] = {{.data = bytes, .len = 3}, {.data = bytes, .len = 1}};
    list_shown_as(PROTOBUF_C_TYPE_BYTES, NULL, items, "{\"l\":[\"//79\",\"/w==\"]}");
}

static void a_type_that_json_does_not_know_is_refused(void **state)
{
    (void)state;
    static const int values[] = {0, 0};
    const ProtobufCFieldDescriptor field = {.name = "l",
                                            .label = PROTOBUF_C_LABEL_REPEATED,
                                            .type = (ProtobufCType)99,
                                            .quantifier_offset = offsetof(struct list, count),
                                            .offset = offsetof(struct list, items)};
    const ProtobufCMessageDescriptor type = {.n_fields = 1, .fields = &field};
    const struct list list = {.base = {.descriptor = &type}, .count = 2, .items = values};
    struct buffer buffer;
    buffer_init(&buffer, 100);
    assert_int_equal(json_message(&list.base, &buffer), ERR_INVALID);
    buffer_free(&buffer);
}

// A message of two texts, which is an entry of a map or is none.
struct pair {
    ProtobufCMessage base;
    const char *texts[2];
};

static void pairs_shown_as(const char *type, const char *first, const char *second, unsigned fields,
                           const char *json)
{
    const ProtobufCFieldDescriptor texts[2] = {
        {.name = first, .type = PROTOBUF_C_TYPE_STRING, .offset = offsetof(struct pair, texts)},
        {.name = second,
         .type = PROTOBUF_C_TYPE_STRING,
         .offset = offsetof(struct pair, texts) + sizeof(const char *)}};
    const ProtobufCMessageDescriptor descriptor = {.short_name = type, .n_fields = fields, .fields = texts};
    const struct pair pairs[2] = {{.base = {.descriptor = &descriptor}, .texts = {"a", "1"}},
                                  {.base = {.descriptor = &descriptor}, .texts = {"b", "2"}}};
    const struct pair *const items[2] = {&pairs[0], &pairs[1]};
    list_shown_as(PROTOBUF_C_TYPE_MESSAGE, &descriptor, items, json);
}

static void only_entries_of_a_key_and_a_value_make_an_object(void **state)
{
    (void)state;
    pairs_shown_as("SeqsEntry", "key", "value", 2, "{\"l\":{\"a\":\"1\",\"b\":\"2\"}}");
    pairs_shown_as("SeqsEntry", "key", "value", 1, "{\"l\":[{\"key\":\"a\"},{\"key\":\"b\"}]}");
    const char *const list = "{\"l\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":\"2\"}]}";
    pairs_shown_as("Entry", "key", "value", 2, list);
    pairs_shown_as("KeyAndValue", "key", "value", 2, list);
    pairs_shown_as("SeqsEntry", "name", "value", 2,
                   "{\"l\":[{\"name\":\"a\",\"value\":\"1\"},{\"name\":\"b\",\"value\":\"2\"}]}");
    pairs_shown_as("SeqsEntry", "key", "text", 2,
                   "{\"l\":[{\"key\":\"a\",\"text\":\"1\"},{\"key\":\"b\",\"text\":\"2\"}]}");
}

// The name that is shown of the second value of an enum.
static const char *second_name(const char *first, const char *second)
{
    const ProtobufCEnumValue values[] = {{.name = first, .value = 0}, {.name = second, .value = 1}};
    const ProtobufCIntRange ranges[] = {{.start_value = 0, .orig_index = 0},
                                        {.start_value = 0, .orig_index = 2}};
    const ProtobufCEnumDescriptor type = {.magic = PROTOBUF_C__ENUM_DESCRIPTOR_MAGIC,
                                          .n_values = 2,
                                          .values = values,
                                          .n_value_ranges = 1,
                                          .value_ranges = ranges};
    return json_enum(&type, 1);
}

static void a_name_loses_only_the_prefix_that_it_shares_and_what_is_too_long(void **state)
{
    (void)state;
    assert_string_equal(second_name("MODE_UNSPECIFIED", "MODE_SHARED"), "shared");
    assert_string_equal(second_name("MODE_UNSPECIFIED", "OTHER_SHARED"), "other_shared");
    assert_string_equal(second_name("UNSPECIFIED", "SHARED"), "shared");
    assert_string_equal(second_name("MODE_NONE", "MODE_SHARED"), "mode_shared");
    assert_string_equal(second_name("UNSPECIFIED", "ABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJ"),
                        "abcdefghijabcdefghijabcdefghijabcdefghijabcdefg");
}

// ---------------------------------------------------------------- limits

// In no size but its whole one is there room for the message.
static void full_until_its_size(const ProtobufCMessage *message)
{
    struct buffer whole;
    buffer_init(&whole, 65536);
    assert_int_equal(json_message(message, &whole), ERR_OK);
    for (size_t max = 1; max <= whole.size; max++) {
        struct buffer buffer;
        buffer_init(&buffer, max);
        assert_int_equal(json_message(message, &buffer), max < whole.size ? ERR_FULL : ERR_OK);
        assert_true(buffer.size <= max);
        buffer_free(&buffer);
    }
    buffer_free(&whole);
}

static void a_full_buffer_is_said_and_never_passed(void **state)
{
    (void)state;
    Sb__Quantiles quantiles = SB__QUANTILES__INIT;
    full_until_its_size(&quantiles.base);
    Sb__Beat__SeqsEntry one = SB__BEAT__SEQS_ENTRY__INIT;
    one.key = "tick\n\xe8\"prices";
    Sb__Beat__SeqsEntry other = SB__BEAT__SEQS_ENTRY__INIT;
    other.key = "b";
    Sb__Beat__SeqsEntry *seqs[] = {&one, &other};
    Sb__Beat beat = SB__BEAT__INIT;
    beat.seqs = seqs;
    beat.n_seqs = 2;
    full_until_its_size(&beat.base);
    char *parts[] = {"1", "due"};
    Sb__RecordKey key = SB__RECORD_KEY__INIT;
    key.key = parts;
    key.n_key = 2;
    full_until_its_size(&key.base);
    uint8_t bytes[] = {0xff, 0xfe, 0xfd, 0xfc, 0xfb};
    Sb__Answered answered = SB__ANSWERED__INIT;
    answered.body = (ProtobufCBinaryData){.data = bytes, .len = sizeof bytes};
    full_until_its_size(&answered.base);
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
        cmocka_unit_test(every_type_of_number_keeps_its_sign_and_size),
        cmocka_unit_test(bytes_in_a_list_lie_as_far_apart_as_they_are_large),
        cmocka_unit_test(a_type_that_json_does_not_know_is_refused),
        cmocka_unit_test(only_entries_of_a_key_and_a_value_make_an_object),
        cmocka_unit_test(a_name_loses_only_the_prefix_that_it_shares_and_what_is_too_long),
        cmocka_unit_test(a_full_buffer_is_said_and_never_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
