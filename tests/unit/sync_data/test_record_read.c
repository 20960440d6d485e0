// A stored record back into its fields, and the entries of an index that are made of them.
#include "services/sync/index_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Tells the fields as "name=value", a bare one as "name:value", each with a line break.
static enum err tell(void *arg, const struct field *field)
{
    struct buffer *told = arg;
    enum err err = buffer_add(told, field->name, field->name_size);
    if (err == ERR_OK)
        err = buffer_add_byte(told, field->raw ? ':' : '=');
    if (err == ERR_OK)
        err = buffer_add(told, field->value, field->value_size);
    return err == ERR_OK ? buffer_add_byte(told, '\n') : err;
}

// Reads from a copy of just these bytes, so that a read past their end is seen by the sanitizer.
static enum err read_into(const char *json, size_t size, size_t scratch_max, struct buffer *told)
{
    struct buffer scratch;
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    char *end = copy + 1; // so that they end where it ends
    memcpy(end, json, size);
    buffer_init(&scratch, scratch_max);
    const enum err err = record_read((struct bytes){.data = end, .size = size}, &scratch, tell, told);
    buffer_free(&scratch);
    free(copy);
    return err;
}

static void told_as(const char *json, const char *wanted)
{
    struct buffer told;
    buffer_init(&told, 1000);
    assert_int_equal(read_into(json, strlen(json), 1000, &told), ERR_OK);
    assert_int_equal(buffer_add_byte(&told, '\0'), ERR_OK);
    assert_string_equal(told.data, wanted);
    buffer_free(&told);
}

static void a_record_comes_apart_into_its_fields(void **state)
{
    (void)state;
    told_as("{}", "");
    told_as("{\"\":\"\"}", "=\n");
    told_as("{\"a\":1.50,\"b\":true,\"c\":\"x\",\"\":\"\"}", "a:1.50\nb:true\nc=x\n=\n");
    told_as("{\"a\\\"\":\"\\\\\\n\\r\\t\\u0001\\u007f\\u000a\"}", "a\"=\\\n\r\t\x01\x7f\n\n");
    told_as("{\"caff\xc3\xa8\":\"}\"}", "caff\xc3\xa8=}\n");
}

static void a_record_that_was_cut_anywhere_is_corrupt(void **state)
{
    (void)state;
    static const char json[] = "{\"a\\u0001\":1.5,\"b\\\\\":\"\\n\"}";
    for (size_t size = 0; size < sizeof json - 1; size++) {
        struct buffer told;
        buffer_init(&told, 1000);
        assert_int_equal(read_into(json, size, 1000, &told), ERR_CORRUPT);
        buffer_free(&told);
    }
}

static void what_no_record_is_written_like_is_corrupt(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]",
                                      "{}x",
                                      "{\"a\":1}}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{\"a\"=1}",
                                      "{\"a\":}",
                                      "{\"a\":,}",
                                      "{\"a\":\"x\"1}",
                                      "{\"a\":\"\\x\"}",
                                      "{\"\\u00g1\":1}",
                                      "{\"\\u000g\":1}",
                                      "{\"\\u00/1\":1}",
                                      "{\"\\u0080\":1}",
                                      "{\"\\u1001\":1}",
                                      "{\"\\u0101\":1}",
                                      "{\"\\u001A\":1}",
                                      "{\"\\u00",
                                      "{\"\\u001",
                                      "{\"a\":1 \"b\":2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buffer told;
        buffer_init(&told, 1000);
        if (read_into(bad[i], strlen(bad[i]), 1000, &told) != ERR_CORRUPT)
            fail_msg("taken for a record: %s", bad[i]);
        buffer_free(&told);
    }
    struct buffer told;
    buffer_init(&told, 1000);
    assert_int_equal(read_into("{\"\\\0\":1}", 8, 1000, &told), ERR_CORRUPT); // an escaped zero byte
    buffer_free(&told);
}

static void too_long_a_field_and_an_error_of_who_takes_it_end_the_reading(void **state)
{
    (void)state;
    static const char json[] = "{\"a\\u0001\":1.5,\"name\":\"\\n value\"}";
    for (size_t max = 1; max <= strlen("name\n value"); max++) {
        struct buffer told;
        buffer_init(&told, 1000);
        assert_int_equal(read_into(json, sizeof json - 1, max, &told),
                         max < strlen("name\n value") ? ERR_FULL : ERR_OK);
        buffer_free(&told);
    }
    struct buffer told;
    buffer_init(&told, 3); // not even the first field
    assert_int_equal(read_into(json, sizeof json - 1, 1000, &told), ERR_FULL);
    buffer_free(&told);
}

// ---------------------------------------------------------------- index

static void an_entry_says_the_key_of_its_record(void **state)
{
    (void)state;
    uint8_t room[INDEX_PREFIX_SIZE];
    uint8_t entry_room[STORE_KEY_MAX];
    const struct bytes prefix = index_prefix(1, (struct bytes){.data = "v", .size = 1}, room);
    const struct bytes entry = index_entry(prefix, (struct bytes){.data = "key", .size = 3}, entry_room);
    const struct bytes key = index_key(entry, (struct bytes){.data = "", .size = 0});
    assert_int_equal(key.size, 3);
    assert_memory_equal(key.data, "key", 3);
    const struct bytes whole = {.data = "a longer key", .size = 12};
    assert_ptr_equal(index_key(entry, whole).data, whole.data);
    const struct bytes cut = {.data = entry.data, .size = INDEX_PREFIX_SIZE - 1};
    assert_int_equal(index_key(cut, (struct bytes){.data = "", .size = 0}).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_apart_into_its_fields),
        cmocka_unit_test(a_record_that_was_cut_anywhere_is_corrupt),
        cmocka_unit_test(what_no_record_is_written_like_is_corrupt),
        cmocka_unit_test(too_long_a_field_and_an_error_of_who_takes_it_end_the_reading),
        cmocka_unit_test(an_entry_says_the_key_of_its_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
