#include "tests/unit/sync_data/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIELD(n, v)                                                                                          \
    {                                                                                                        \
        .name = (n), .name_size = sizeof(n) - 1, .value = (v), .value_size = sizeof(v) - 1                   \
    }

static void assert_hash(const struct row *row, struct buffer *scratch, uint8_t hash[RECORD_HASH_SIZE])
{
    assert_int_equal(record_hash(row, scratch, hash), ERR_OK);
}

static void text_and_number_of_one_writing_hash_alike(void **state)
{
    (void)state;
    struct buffer scratch;
    uint8_t text[RECORD_HASH_SIZE];
    uint8_t number[RECORD_HASH_SIZE];
    struct field fields[] = {FIELD("a", "1"), FIELD("b", "x")};
    const struct row row = {.fields = fields, .count = 2};
    buffer_init(&scratch, 1024);
    assert_hash(&row, &scratch, text);
    fields[0].raw = true;
    assert_hash(&row, &scratch, number);
    assert_memory_equal(text, number, RECORD_HASH_SIZE);
    buffer_free(&scratch);
}

static void where_a_name_ends_and_a_value_begins_counts(void **state)
{
    (void)state;
    struct buffer scratch;
    uint8_t first[RECORD_HASH_SIZE];
    uint8_t second[RECORD_HASH_SIZE];
    const struct field one[] = {FIELD("a", "bc")};
    const struct field other[] = {FIELD("ab", "c")};
    buffer_init(&scratch, 1024);
    assert_hash(&(struct row){.fields = one, .count = 1}, &scratch, first);
    assert_hash(&(struct row){.fields = other, .count = 1}, &scratch, second);
    assert_memory_not_equal(first, second, RECORD_HASH_SIZE);
    buffer_free(&scratch);
}

static void keys_come_apart_as_they_were_put_together(void **state)
{
    (void)state;
    char id[] = "id", kind[] = "kind";
    char *names[] = {kind, id};
    const struct words key = {.items = names, .count = 2};
    const struct field fields[] = {FIELD("id", "12"), FIELD("kind", "x")};
    struct bytes parts[RECORD_KEY_PARTS_MAX];
    struct buffer ret;
    buffer_init(&ret, 1024);
    assert_int_equal(record_key(&(struct row){.fields = fields, .count = 2}, &key, &ret, NULL), ERR_OK);
    assert_int_equal(record_key_parts((struct bytes){.data = ret.data, .size = ret.size}, parts), 2);
    assert_memory_equal(parts[0].data, "x", 1);
    assert_memory_equal(parts[1].data, "12", 2);
    buffer_free(&ret);
}

static void a_key_field_that_is_absent_or_empty_is_named(void **state)
{
    (void)state;
    char id[] = "id";
    char *names[] = {id};
    const struct words key = {.items = names, .count = 1};
    const struct field fields[] = {FIELD("id", "")};
    struct fault fault = {.err = ERR_OK};
    struct buffer ret;
    buffer_init(&ret, 1024);
    assert_int_equal(record_key(&(struct row){.fields = fields, .count = 1}, &key, &ret, &fault),
                     ERR_NOT_FOUND);
    assert_string_equal(fault.text, "the key field id is missing");
    assert_int_equal(record_key(&(struct row){.fields = fields, .count = 0}, &key, &ret, NULL),
                     ERR_NOT_FOUND);
    buffer_free(&ret);
}

static void a_record_as_json_keeps_numbers_and_escapes_text(void **state)
{
    (void)state;
    struct field fields[] = {FIELD("a", "1.50"), FIELD("b", "say \"x\"\n")};
    fields[0].raw = true;
    struct buffer ret;
    buffer_init(&ret, 1024);
    assert_int_equal(record_json(&(struct row){.fields = fields, .count = 2}, &ret), ERR_OK);
    assert_int_equal(buffer_add_byte(&ret, '\0'), ERR_OK);
    assert_string_equal(ret.data, "{\"a\":1.50,\"b\":\"say \\\"x\\\"\\n\"}");
    buffer_free(&ret);
}

static void a_key_part_has_at_most_32_kib(void **state)
{
    (void)state;
    char id[] = "id";
    char *names[] = {id};
    const struct words key = {.items = names, .count = 1};
    char *text = malloc(RECORD_KEY_PART_MAX + 2);
    assert_non_null(text);
    memset(text, 'k', RECORD_KEY_PART_MAX + 1);
    text[RECORD_KEY_PART_MAX + 1] = '\0';
    struct fault fault = {.err = ERR_OK};
    struct buffer ret;
    buffer_init(&ret, 1 << 20);
    assert_int_equal(record_key_of(&text, 1, &key, &ret, &fault), ERR_FULL);
    assert_string_equal(fault.text, "the key field id has 32769 bytes, more than 32768");
    text[RECORD_KEY_PART_MAX] = '\0';
    assert_int_equal(record_key_of(&text, 1, &key, &ret, &fault), ERR_OK);
    assert_int_equal(ret.size, 2 + RECORD_KEY_PART_MAX);
    buffer_free(&ret);
    free(text);
}

static void a_key_that_a_person_gives_has_all_its_parts(void **state)
{
    (void)state;
    char id[] = "id", kind[] = "kind";
    char *names[] = {id, kind};
    char one[] = " 1 ", empty[] = " ";
    char *parts[] = {one, empty};
    struct words key = {.items = names, .count = 1};
    struct fault fault = {.err = ERR_OK};
    struct buffer ret;
    buffer_init(&ret, 1000);
    assert_int_equal(record_key_of(parts, 2, &key, &ret, &fault), ERR_INVALID);
    assert_string_equal(fault.text, "the key has 1 part, not 2");
    assert_int_equal(record_key_of(parts, 1, &key, &ret, &fault), ERR_OK);
    assert_int_equal(ret.size, 3);
    assert_memory_equal(ret.data,
                        "\0\1"
                        "1",
                        3);
    key.count = 2;
    assert_int_equal(record_key_of(parts, 1, &key, &ret, &fault), ERR_INVALID);
    assert_string_equal(fault.text, "the key has 2 parts, not 1");
    assert_int_equal(record_key_of(parts, 2, &key, &ret, &fault), ERR_NOT_FOUND);
    assert_string_equal(fault.text, "the key field kind is missing");
    buffer_free(&ret);
}

static void bytes_that_are_no_key_come_apart_as_far_as_they_are_one(void **state)
{
    (void)state;
    struct bytes parts[RECORD_KEY_PARTS_MAX];
    uint8_t many[2 * RECORD_KEY_PARTS_MAX + 2] = {0};
    assert_int_equal(record_key_parts((struct bytes){.data = many, .size = sizeof many}, parts),
                     RECORD_KEY_PARTS_MAX);
    assert_int_equal(record_key_parts((struct bytes){.data = "\0\1x\0\2y", .size = 6}, parts), 1);
    assert_int_equal(parts[0].size, 1);
    assert_int_equal(record_key_parts((struct bytes){.data = "\0\1x\0", .size = 4}, parts), 1);
}

static void a_record_that_does_not_fit_is_said_to_be_too_large(void **state)
{
    (void)state;
    struct field fields[] = {FIELD("a", "1.50"), FIELD("b", "x\n")};
    char id[] = "b";
    char *names[] = {id};
    const struct words key = {.items = names, .count = 1};
    const struct row row = {.fields = fields, .count = 2};
    const size_t size = strlen("{\"a\":1.50,\"b\":\"x\\n\"}");
    fields[0].raw = true;
    for (size_t max = 1; max <= size; max++) {
        struct buffer ret;
        buffer_init(&ret, max);
        assert_int_equal(record_json(&row, &ret), max < size ? ERR_FULL : ERR_OK);
        buffer_free(&ret);
        struct fault fault = {.err = ERR_OK};
        buffer_init(&ret, max);
        assert_int_equal(record_key(&row, &key, &ret, &fault), max < 4 ? ERR_FULL : ERR_OK);
        assert_int_equal(fault.err, max < 4 ? ERR_FULL : ERR_OK);
        buffer_free(&ret);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_number_of_one_writing_hash_alike),
        cmocka_unit_test(where_a_name_ends_and_a_value_begins_counts),
        cmocka_unit_test(keys_come_apart_as_they_were_put_together),
        cmocka_unit_test(a_key_field_that_is_absent_or_empty_is_named),
        cmocka_unit_test(a_record_as_json_keeps_numbers_and_escapes_text),
        cmocka_unit_test(a_key_part_has_at_most_32_kib),
        cmocka_unit_test(a_key_that_a_person_gives_has_all_its_parts),
        cmocka_unit_test(bytes_that_are_no_key_come_apart_as_far_as_they_are_one),
        cmocka_unit_test(a_record_that_does_not_fit_is_said_to_be_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
