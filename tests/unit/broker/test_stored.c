#include "broker/stored.h"
#include "proto/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 2048 };

static enum err read_again(enum core_table table, const ProtobufCMessage *value)
{
    uint8_t bytes[ROOM];
    ProtobufCMessage *read = NULL;
    struct fault fault = {.err = ERR_OK};
    assert_true(protobuf_c_message_get_packed_size(value) <= ROOM);
    const size_t size = protobuf_c_message_pack(value, bytes);
    const enum err err = stored_read(table, bytes, size, &read, &fault);
    assert_true(err == ERR_OK || strstr(fault.text, "damaged") != NULL);
    assert_true((err == ERR_OK) == (read != NULL));
    if (read != NULL)
        protobuf_c_message_free_unpacked(read, NULL);
    return err;
}

static void bytes_that_are_no_record_are_damaged(void **state)
{
    (void)state;
    ProtobufCMessage *read = NULL;
    struct fault fault = {.err = ERR_OK};
    assert_int_equal(stored_read(CORE_TABLE_JOB, "\xff\xff", 2, &read, &fault), ERR_CORRUPT);
    assert_null(read);
    assert_string_equal(fault.text, "the journal holds a damaged entry of the kind StoredJob");
}

static void a_time_that_no_clock_ever_said_is_damage(void **state)
{
    (void)state;
    Sb__StoredJob job = SB__STORED_JOB__INIT;
    Sb__StoredRun stored = SB__STORED_RUN__INIT;
    Sb__RunState run = SB__RUN_STATE__INIT;
    job.last_slot_ms = INT64_C(1700000000000);
    assert_int_equal(read_again(CORE_TABLE_JOB, &job.base), ERR_OK);
    job.last_slot_ms = INT64_MAX;
    assert_int_equal(read_again(CORE_TABLE_JOB, &job.base), ERR_CORRUPT);
    job.last_slot_ms = -1;
    assert_int_equal(read_again(CORE_TABLE_JOB, &job.base), ERR_CORRUPT);
    stored.run = &run;
    run.due_ms = INT64_C(1700000000000);
    assert_int_equal(read_again(CORE_TABLE_RUN, &stored.base), ERR_OK);
    run.due_ms = INT64_MIN;
    assert_int_equal(read_again(CORE_TABLE_RUN, &stored.base), ERR_CORRUPT);
}

static void a_life_that_no_config_allows_is_damage_and_so_is_an_epoch(void **state)
{
    (void)state;
    Sb__StoredMeta meta = SB__STORED_META__INIT;
    meta.ttl_max_ms = 10000;
    meta.epoch = 5;
    assert_int_equal(read_again(CORE_TABLE_META, &meta.base), ERR_OK);
    meta.ttl_max_ms = INT64_MAX;
    assert_int_equal(read_again(CORE_TABLE_META, &meta.base), ERR_CORRUPT);
    meta.ttl_max_ms = 10000;
    meta.epoch = UINT64_MAX;
    assert_int_equal(read_again(CORE_TABLE_META, &meta.base), ERR_CORRUPT);
}

static void words_of_a_run_that_no_record_has_room_for_are_damage(void **state)
{
    (void)state;
    char words[WIRE_TEXT_MAX + 2] = "";
    Sb__StoredRun stored = SB__STORED_RUN__INIT;
    Sb__RunState run = SB__RUN_STATE__INIT;
    stored.run = &run;
    memset(words, 'x', WIRE_NAME_MAX);
    run.job = words;
    assert_int_equal(read_again(CORE_TABLE_RUN, &stored.base), ERR_OK);
    words[WIRE_NAME_MAX] = 'x';
    assert_int_equal(read_again(CORE_TABLE_RUN, &stored.base), ERR_CORRUPT);
    run.job = (char *)protobuf_c_empty_string;
    memset(words, 'x', WIRE_TEXT_MAX);
    run.service = words;
    assert_int_equal(read_again(CORE_TABLE_RUN, &stored.base), ERR_OK);
    words[WIRE_TEXT_MAX] = 'x';
    assert_int_equal(read_again(CORE_TABLE_RUN, &stored.base), ERR_CORRUPT);
    run.service = (char *)protobuf_c_empty_string;
    run.detail = words;
    assert_int_equal(read_again(CORE_TABLE_RUN, &stored.base), ERR_CORRUPT);
}

static void what_a_service_said_of_its_result_is_kept_as_it_is(void **state)
{
    (void)state;
    Sb__StoredJob job = SB__STORED_JOB__INIT;
    Sb__RunState last = SB__RUN_STATE__INIT;
    Sb__Result result = SB__RESULT__INIT;
    job.last = &last;
    last.result = &result;
    last.total = UINT64_MAX;
    result.started_ms = INT64_MIN;
    result.ended_ms = INT64_MAX;
    assert_int_equal(read_again(CORE_TABLE_JOB, &job.base), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_record_are_damaged),
        cmocka_unit_test(a_time_that_no_clock_ever_said_is_damage),
        cmocka_unit_test(a_life_that_no_config_allows_is_damage_and_so_is_an_epoch),
        cmocka_unit_test(words_of_a_run_that_no_record_has_room_for_are_damage),
        cmocka_unit_test(what_a_service_said_of_its_result_is_kept_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
