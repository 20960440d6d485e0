// Protobuf written and read field by field: what the generated code makes of it, and what it must not take.
#include "services/sync/pack.h"
#include "services/sync/record.h"

#include "syncbus.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) ((struct bytes){.data = (text), .size = sizeof(text) - 1})

// A key of two parts, "a" and "bc", as record_key makes it.
static enum err make_key(struct buffer *ret)
{
    char *parts[] = {"a", "bc"};
    char *names[] = {"x", "y"};
    const struct words words = {.items = names, .count = 2};
    return record_key_of(parts, 2, &words, ret, NULL);
}

static void a_record_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct buffer key;
    struct buffer packed;
    buffer_init(&key, 100);
    buffer_init(&packed, 1000);
    assert_int_equal(make_key(&key), ERR_OK);
    const struct bytes whole = {.data = key.data, .size = key.size};
    assert_int_equal(pack_record(&packed, whole, BYTES("{\"x\":\"a\"}"), BYTES("hash"), UINT64_MAX), ERR_OK);
    Sb__Record *record = sb__record__unpack(NULL, packed.size, (uint8_t *)packed.data);
    assert_non_null(record);
    assert_int_equal(record->n_key, 2);
    assert_string_equal(record->key[0], "a");
    assert_string_equal(record->key[1], "bc");
    assert_string_equal(record->record, "{\"x\":\"a\"}");
    assert_int_equal(record->hash.len, 4);
    assert_memory_equal(record->hash.data, "hash", 4);
    assert_true(record->seq == UINT64_MAX);
    sb__record__free_unpacked(record, NULL);
    buffer_clear(&packed);
    assert_int_equal(pack_record(&packed, whole, BYTES(""), BYTES("hash"), 0), ERR_OK);
    record = sb__record__unpack(NULL, packed.size, (uint8_t *)packed.data);
    assert_non_null(record);
    assert_int_equal(record->n_key, 2);
    assert_string_equal(record->record, "");
    assert_int_equal(record->hash.len, 0);
    assert_int_equal(record->seq, 0);
    sb__record__free_unpacked(record, NULL);
    buffer_free(&key);
    buffer_free(&packed);
}

static void a_full_buffer_is_said_wherever_it_ends(void **state)
{
    (void)state;
    struct buffer key;
    struct buffer whole;
    buffer_init(&key, 100);
    buffer_init(&whole, 1000);
    assert_int_equal(make_key(&key), ERR_OK);
    const struct bytes bytes = {.data = key.data, .size = key.size};
    assert_int_equal(pack_record(&whole, bytes, BYTES("{}"), BYTES("hash"), 300), ERR_OK);
    for (size_t max = 1; max <= whole.size; max++) {
        struct buffer packed;
        buffer_init(&packed, max);
        assert_int_equal(pack_record(&packed, bytes, BYTES("{}"), BYTES("hash"), 300),
                         max < whole.size ? ERR_FULL : ERR_OK);
        assert_true(packed.size <= max);
        buffer_free(&packed);
    }
    buffer_free(&key);
    buffer_free(&whole);
}

static void a_message_that_does_not_fit_is_not_written_in_part(void **state)
{
    (void)state;
    Sb__Reject reject = SB__REJECT__INIT;
    reject.line = 7;
    reject.why = "the key field id is missing";
    const size_t size = sb__reject__get_packed_size(&reject);
    struct buffer packed;
    buffer_init(&packed, size - 1);
    assert_int_equal(pack_message(&packed, &reject.base), ERR_FULL);
    assert_int_equal(packed.size, 0);
    buffer_free(&packed);
    buffer_init(&packed, size);
    assert_int_equal(pack_message(&packed, &reject.base), ERR_OK);
    struct bytes why;
    assert_int_equal(pack_find((struct bytes){.data = packed.data, .size = packed.size}, 2, &why), ERR_OK);
    assert_int_equal(why.size, strlen(reject.why));
    assert_memory_equal(why.data, reject.why, why.size);
    buffer_free(&packed);
}

static void the_first_of_a_field_is_found_behind_whatever_stands_before_it(void **state)
{
    (void)state;
    struct bytes found = {.data = NULL};
    const struct bytes message = BYTES("\x08\x96\x01\x12\x01x\x1a\x02yz\x1a\x01w");
    assert_int_equal(pack_find(message, 3, &found), ERR_OK);
    assert_int_equal(found.size, 2);
    assert_memory_equal(found.data, "yz", 2);
    assert_int_equal(pack_find(message, 4, &found), ERR_NOT_FOUND);
    assert_int_equal(pack_find(BYTES(""), 3, &found), ERR_NOT_FOUND);
}

static void bytes_that_are_no_message_are_corrupt(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t size;
    } bad[] = {
        {"\x80", 1},                                              // a tag that does not end
        {"\x08", 1},                                              // a tag without its value
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00", 12}, // a tag of more than 64 bits
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, // a value of more
        {"\x12\x02x", 3},                                         // fewer bytes than are said
        {"\x11\x01xxxxxxx", 9},                                   // a type that is not written here
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bytes found = {.data = NULL};
        const struct bytes message = {.data = bad[i].data, .size = bad[i].size};
        assert_int_equal(pack_find(message, 3, &found), ERR_CORRUPT);
        assert_null(found.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_as_it_was_written),
        cmocka_unit_test(a_full_buffer_is_said_wherever_it_ends),
        cmocka_unit_test(a_message_that_does_not_fit_is_not_written_in_part),
        cmocka_unit_test(the_first_of_a_field_is_found_behind_whatever_stands_before_it),
        cmocka_unit_test(bytes_that_are_no_message_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
