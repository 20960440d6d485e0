#include "tests/unit/sync_data/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY     "key: [id], source: {url: \"http://e/x\", format: json}"
#define JSON(...) "key: [id], source: {url: \"http://e/x\", format: json, json: {" __VA_ARGS__ "}}"

// Decodes whole, and then byte by byte, also behind blanks: where the bytes are cut makes no difference to
// the rows.
static void assert_rows(const char *fields, const char *text, const char *expected)
{
    struct config *config = support_config(fields);
    size_t size = strlen(text);
    char *told = support_decode(&config->jobs[0], text, size, size + 1);
    assert_string_equal(told, expected);
    free(told);
    told = support_decode(&config->jobs[0], text, size, 1);
    assert_string_equal(told, expected);
    free(told);
    char *all = support_behind_blanks(text, size, &size);
    told = support_decode(&config->jobs[0], all, size, 1);
    assert_string_equal(told, expected);
    free(told);
    free(all);
    config_destroy(&config);
}

static void assert_fails(const char *fields, const char *text, const char *expected)
{
    struct config *config = support_config(fields);
    char *told = support_decode(&config->jobs[0], text, strlen(text), 1 << 20);
    const char *error = strstr(told, "= ");
    assert_non_null(error);
    if (strstr(error, expected) == NULL)
        fail_msg("%s does not say: %s", error, expected);
    free(told);
    config_destroy(&config);
}

static void nested_values_are_flattened_with_dots(void **state)
{
    (void)state;
    assert_rows(
        ARRAY,
        "[{\"id\":1,\"address\":{\"city\":\" Rome \",\"geo\":[1.50,{\"x\":true}]},\"none\":null,\"e\":{}}]",
        "1: address.city=Rome address.geo.0=1.50# address.geo.1.x=true# id=1#\n");
}

static void numbers_keep_the_text_they_were_written_with(void **state)
{
    (void)state;
    assert_rows(ARRAY, "[{\"id\":12345678901234567890123,\"p\":3e-05,\"q\":1.10}]",
                "1: id=12345678901234567890123# p=3e-05# q=1.10#\n");
}

static void fields_are_sorted_whatever_order_the_record_before_had(void **state)
{
    (void)state;
    assert_rows(
        ARRAY,
        "[{\"id\":1,\"c\":2,\"b\":3},{\"id\":2,\"c\":2,\"b\":3},{\"b\":3,\"id\":3,\"c\":2},{\"id\":4},"
        "{\"b\":1,\"id\":5,\"b\":1},{\"c\":1,\"a\":2,\"id\":6,\"d\":3},{\"id\":7,\"b\":1,\"c\":2}]",
        "1: b=3# c=2# id=1#\n2: b=3# c=2# id=2#\n3: b=3# c=2# id=3#\n4: id=4#\n5: b=1# id=5#\n"
        "6: a=2# c=1# d=3# id=6#\n7: b=1# c=2# id=7#\n");
}

static void records_lie_at_a_path(void **state)
{
    (void)state;
    assert_rows(JSON("records: $.data.items"),
                "{\"items\":[{\"id\":0}],\"data\":{\"n\":{\"items\":[{\"id\":9}]},\"items\":[{\"id\":1},{"
                "\"id\":2}]},\"z\":[1]}",
                "1: id=1#\n2: id=2#\n");
}

static void an_object_of_records_gives_each_its_name(void **state)
{
    (void)state;
    assert_rows("key: [name], source: {url: \"http://e/x\", format: json, json: {object_key: name}}",
                "{\"gpt\":{\"cost\":1},\"other\":{\"cost\":2,\"name\":\"other\"}}",
                "1: cost=1# name=gpt\n2: cost=2# name=other\n");
}

static void ignored_fields_take_what_is_below_them_along(void **state)
{
    (void)state;
    assert_rows("key: [id], ignore: [address], source: {url: \"http://e/x\", format: json}",
                "[{\"id\":1,\"address\":{\"city\":\"x\"},\"addresses\":2}]", "1: addresses=2# id=1#\n");
}

static void what_is_no_record_is_set_aside(void **state)
{
    (void)state;
    assert_rows(ARRAY,
                "[1,{\"id\":2},[{\"id\":3}],null,{\"id\":4,\"a\":1,\"a\":2},{\"id\":5,\"a\":1,\"a\":1},{"
                "\"id\":6,\"a\":\"\\u0000\"}]",
                "1! a number in place of an object\n2: id=2#\n3! an array in place of an object\n"
                "4! null in place of an object\n5! a field twice, with two values id=4#\n6: a=1# id=5#\n"
                "7! a NUL in a field id=6#\n");
}

static void text_that_is_no_utf_8_costs_its_record(void **state)
{
    (void)state;
    assert_rows(
        ARRAY,
        "[{\"id\":1,\"a\":\"Universit\xe0\"},{\"id\":2,\"\xe0\":\"x\"},{\"id\":3,\"a\":\"\\udc00\"},"
        "{\"id\":4,\"a\":\"\\ud83d\\ude00 \xc3\xa0\"}]",
        "1! not UTF-8 in a field id=1#\n2! not UTF-8 in a field id=2#\n3! not UTF-8 in a field id=3#\n"
        "4: a=\xf0\x9f\x98\x80 \xc3\xa0 id=4#\n");
}

static void a_name_without_a_record_is_set_aside_with_its_name(void **state)
{
    (void)state;
    assert_rows(
        "key: [name], source: {url: \"http://e/x\", format: json, json: {object_key: name}}",
        "{\"a\":null,\"b\":{\"x\":1},\"c\":[{}],\"d\":{}}",
        "1! null in place of an object name=a\n2: name=b x=1#\n3! an array in place of an object name=c\n"
        "4: name=d\n");
}

static void what_is_no_export_fails_in_words(void **state)
{
    (void)state;
    assert_fails(ARRAY, "", "the export is empty");
    assert_fails(ARRAY, "<html>", "the export is an HTML or XML page");
    assert_fails(ARRAY, "[{\"id\":1},{\"id\":", "the export ends at byte 16, in the middle of its JSON");
    assert_fails(ARRAY, "[{\"id\":1},{id:2}]", "the export is not JSON: lexical error");
    assert_fails(ARRAY, "[] []", "the export is not JSON");
    assert_fails(ARRAY, "{\"error\":\"no session\"}", "at $ the export has an object, not an array");
    assert_fails(ARRAY, "7", "at $ the export has a single value");
    assert_fails(JSON("records: $.items"), "{\"error\":\"x\"}", "the export has nothing at $.items");
    assert_fails(JSON("object_key: name"), "[]", "an array; object_key is for an object");
}

// The lines of $.orders[*].lines, each with its order's id.
#define LINES JSON("records: \"$.orders[*].lines\", parent: [id, by.name]")

static void records_lie_in_an_array_of_parents_whose_fields_join_them(void **state)
{
    (void)state;
    assert_rows(LINES,
                "{\"orders\":[{\"id\":\"A\",\"by\":{\"name\":\"Eva\",\"tags\":[1,2]},\"lines\":[{\"id\":1},{"
                "\"id\":2}]},"
                "{\"id\":7,\"by\":null,\"lines\":[]},{\"id\":\"C\",\"by\":{\"name\":\"Ada\"},\"lines\":[{"
                "\"id\":3}]}]}",
                "1: id=1# parent.by.name=Eva parent.id=A\n2: id=2# parent.by.name=Eva parent.id=A\n"
                "3: id=3# parent.by.name=Ada parent.id=C\n");
}

static void a_parents_field_behind_its_records_joins_them_all_the_same(void **state)
{
    (void)state;
    assert_rows(
        LINES,
        "{\"orders\":[{\"by\":{\"name\":\"Eva\"},\"lines\":[{\"id\":1},{\"id\":2,\"id\":3}],\"id\":\"A\"},"
        "{\"lines\":[{\"id\":3}]},{\"lines\":[{\"id\":4}],\"by\":{\"name\":null},\"id\":true},"
        "{\"id\":1,\"by\":{\"name\":\"x\"},\"lines\":[{\"id\":5}]}]}",
        "1: id=1# parent.by.name=Eva parent.id=A\n"
        "2! a field twice, with two values parent.by.name=Eva parent.id=A\n3: id=3#\n"
        "4: id=4# parent.id=true#\n5: id=5# parent.by.name=x parent.id=1#\n");
}

static void parents_have_parents(void **state)
{
    (void)state;
    const char *fields = JSON("records: \"$[*].orders[*].lines\", parent: [id, parent.id]");
    assert_rows(fields,
                "[{\"id\":\"x\",\"orders\":[{\"id\":10,\"lines\":[{\"id\":1}]},{\"id\":11,\"lines\":[{\"id\":"
                "2},{\"id\":3}]}]},"
                "{\"orders\":[{\"lines\":[{\"id\":4}],\"id\":12}],\"id\":\"y\"}]",
                "1: id=1# parent.id=10# parent.parent.id=x\n2: id=2# parent.id=11# parent.parent.id=x\n"
                "3: id=3# parent.id=11# parent.parent.id=x\n4: id=4# parent.id=12# parent.parent.id=y\n");
}

static void the_order_of_records_is_theirs_though_some_wait_for_their_parent(void **state)
{
    (void)state;
    assert_rows(JSON("records: \"$[*].orders[*].lines\", parent: [id, parent.id]"),
                "[{\"orders\":[{\"id\":1,\"lines\":[{\"id\":1}]},{\"lines\":[{\"id\":2}],\"id\":2}],\"id\":"
                "\"x\",\"more\":{},"
                "\"orders\":[{\"id\":3,\"lines\":[{\"id\":3}]}]}]",
                "1: id=1# parent.id=1# parent.parent.id=x\n2: id=2# parent.id=2# parent.parent.id=x\n"
                "3: id=3# parent.id=3# parent.parent.id=x\n");
}

static void a_records_own_field_of_a_parents_name_is_not_guessed_at(void **state)
{
    (void)state;
    assert_rows(JSON("records: \"$[*].lines\", parent: [id]"),
                "[{\"id\":1,\"lines\":[{\"id\":5,\"parent\":{\"id\":2}}]}]",
                "1! a field twice, with two values id=5#\n");
}

static void arrays_of_arrays_and_objects_of_records_lie_at_a_path(void **state)
{
    (void)state;
    assert_rows(JSON("records: \"$.pages[*]\""), "{\"pages\":[[{\"id\":1}],[],[{\"id\":2},{\"id\":3}]]}",
                "1: id=1#\n2: id=2#\n3: id=3#\n");
    assert_rows(JSON("records: \"$.shops[*].prices\", parent: [shop], object_key: item"),
                "{\"shops\":[{\"shop\":\"a\",\"prices\":{\"x\":{\"eur\":1},\"y\":3}},{\"prices\":{\"x\":{"
                "\"eur\":2}},\"shop\":\"b\"}]}",
                "1: eur=1# item=x parent.shop=a\n2! a number in place of an object item=y parent.shop=a\n"
                "3: eur=2# item=x parent.shop=b\n");
    assert_rows(JSON("records: \"$['a.b'].items\""), "{\"a.b\":{\"items\":[{\"id\":1}]}}", "1: id=1#\n");
}

static void parents_without_records_have_none(void **state)
{
    (void)state;
    assert_rows(LINES, "{\"orders\":[{\"id\":1},{\"id\":2,\"lines\":null}]}", "");
    assert_rows(LINES, "{\"orders\":[]}", "");
}

static void what_stands_on_the_way_is_told_with_its_place(void **state)
{
    (void)state;
    assert_fails(LINES, "{\"orders\":{\"1\":{}}}", "at $.orders the export has an object, not an array");
    assert_fails(LINES, "{\"orders\":[{\"lines\":[]},7]}", "at $.orders[1] the export has a number");
    assert_fails(LINES, "{\"orders\":[{\"lines\":[]},{\"lines\":{}}]}",
                 "at $.orders[1].lines the export has an object, not an array");
    assert_fails(LINES, "{\"orders\":[{\"lines\":\"none\"}]}",
                 "at $.orders[0].lines the export has a single value, not the records");
    assert_fails(LINES, "[]", "at $ the export has an array, not an object");
    assert_fails(LINES, "{\"orders\":null}", "the export has nothing at $.orders[*].lines");
}

static void what_waits_for_its_parent_is_bounded(void **state)
{
    (void)state;
    enum { ROWS = 18, WIDTH = 1000000 };
    char *text = malloc((size_t)ROWS * (WIDTH + 32) + 64);
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, 64, "[{\"lines\":[");
    for (int i = 0; i < ROWS; i++)
        size += (size_t)snprintf(text + size, WIDTH + 32, "%s{\"id\":\"%0*d\",\"n\":1}", i > 0 ? "," : "",
                                 WIDTH, i);
    (void)snprintf(text + size, 16, "],\"id\":1}]");
    assert_fails(JSON("records: \"$[*].lines\", parent: [id]"), text,
                 "records of more than 16 MiB stand before the fields that they get from their parent, "
                 "before record 17");
    free(text);
}

static void nesting_and_endless_strings_are_cut_off(void **state)
{
    (void)state;
    enum { LONG = 4 << 20 };
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    memset(text, '[', 100);
    text[100] = '\0';
    assert_fails(ARRAY, text, "the export is nested deeper than 64");
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    memcpy(text, "[{\"id\":\"", 8);
    assert_fails(ARRAY, text, "no value ends within 1048576 bytes");
    free(text);
}

// ---------------------------------------------------------------- odd values and places

static void a_value_beside_the_records_is_no_concern_of_theirs(void **state)
{
    (void)state;
    assert_rows(LINES,
                "{\"n\":5,\"m\":{\"id\":1},\"orders\":[{\"ix\":\"B\",\"id\":\"\",\"by\":{\"name\":false},"
                "\"lines\":[{\"id\":1,\"a\":false}]}]}",
                "1: a=false# id=1# parent.by.name=false# parent.id=\n");
    assert_rows(JSON("records: \"$[*].a.b\", parent: [id]"),
                "[{\"id\":7,\"a\":{\"id\":8,\"b\":[{\"id\":1}]}}]", "1: id=1# parent.id=7#\n");
    assert_rows(JSON("records: \"$.orders\""), "{\"order\":null,\"ordes\":{},\"orders\":[{\"id\":1}]}",
                "1: id=1#\n");
    assert_rows(ARRAY,
                "[{\"id\":1,\"b\":\"x\",\"b\":\"xy\",\"b\":\"x\"},{\"id\":2,\"b\":\"x\",\"b\":\"y\",\"c\":1,"
                "\"c\":2}]",
                "1! a field twice, with two values id=1#\n2! a field twice, with two values id=2#\n");
}

static void a_single_value_in_place_of_the_export_is_no_export(void **state)
{
    (void)state;
    assert_fails(ARRAY, "null", "at $ the export has a single value, not the records");
    assert_fails(JSON("records: $.a"), "null", "at $ the export has null");
    assert_fails(JSON("records: $.a"), "{\"a\":null}",
                 "at $.a the export has a single value, not the records");
    assert_fails(JSON("records: \"$[*].a\""), "[null]", "at $[0] the export has null");
}

static void what_is_no_json_is_shown_where_it_stands(void **state)
{
    (void)state;
    assert_fails(ARRAY, "[{\"id\":1},\x01\x7f\xe8x]", "near \"[{\"id\":1},...x]\"");
    assert_fails(ARRAY, "[}what follows is not shown as a whole", "near \"[}what follows is not sh\"");
    assert_fails(ARRAY, "<html>\n\xe8</html>", "stands \"<html>..</html>\"");
}

// ---------------------------------------------------------------- limits of a record

// A text of `size` letters between two others, decoded as an array of records. The caller frees what was
// told.
static char *told_of(const char *fields, const char *begins, size_t size, const char *ends)
{
    const size_t head = strlen(begins);
    char *text = malloc(head + size + strlen(ends) + 1);
    assert_non_null(text);
    memcpy(text, begins, head);
    memset(text + head, 'x', size);
    memcpy(text + head + size, ends, strlen(ends) + 1);
    struct config *config = support_config(fields);
    char *told = support_decode(&config->jobs[0], text, strlen(text), 1 << 16);
    free(text);
    config_destroy(&config);
    return told;
}

static void assert_spoiled(const char *begins, size_t size, const char *ends, const char *expected)
{
    char *told = told_of(ARRAY, begins, size, ends);
    assert_string_equal(told, expected);
    free(told);
}

static void names_and_values_that_are_too_long_cost_their_record(void **state)
{
    (void)state;
    const size_t max = RECORD_SIZE_MAX;
    static const char *const told = "1! a name that is too long id=1#\n2: id=2#\n";
    assert_spoiled("[{\"id\":1,\"", max + 1, "\":{}},{\"id\":2}]", told);
    assert_spoiled("[{\"id\":1,\"", max, "\":{\"b\":{}}},{\"id\":2}]", told);
    assert_spoiled("[{\"id\":1,\"", max, "\":[{}]},{\"id\":2}]", told);
    assert_spoiled("[{\"id\":1,\"b\":\"", max - 3, "\"},{\"id\":2}]", "1! too large id=1#\n2: id=2#\n");
}

static void a_record_has_at_most_4096_fields(void **state)
{
    (void)state;
    enum { FIELDS = 4100 };
    char *text = malloc(FIELDS * 12 + 64);
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, 64, "[{\"id\":1");
    for (int i = 0; i < FIELDS; i++)
        size += (size_t)snprintf(text + size, 16, ",\"n%04d\":0", i);
    (void)snprintf(text + size, 32, "},{\"id\":2}]");
    struct config *config = support_config(ARRAY);
    char *told = support_decode(&config->jobs[0], text, strlen(text), 1 << 20);
    assert_int_equal(strncmp(told, "1! too many fields id=1# n0000=0#", 33), 0);
    assert_null(strstr(told, "n4095="));
    assert_non_null(strstr(told, " n4094=0#\n2: id=2#\n"));
    free(told);
    config_destroy(&config);
    free(text);
}

static void a_parents_field_is_bounded_alone_and_with_its_records(void **state)
{
    (void)state;
    enum { ROWS = 20, WIDTH = 1000000 };
    const char *const fields = JSON("records: \"$[*].lines\", parent: [id]");
    static const char *const full =
        "= records of more than 16 MiB stand before the fields that they get from their parent";
    char *told = told_of(fields, "[{\"id\":\"", RECORD_SIZE_MAX + 1, "\",\"lines\":[{\"id\":1}]}]");
    assert_int_equal(strncmp(told, full, strlen(full)), 0);
    free(told);
    char begins[ROWS * 16 + 32];
    size_t size = (size_t)snprintf(begins, sizeof begins, "[{\"lines\":[{\"id\":0}");
    for (int i = 1; i < ROWS; i++)
        size += (size_t)snprintf(begins + size, sizeof begins - size, ",{\"id\":1}");
    (void)snprintf(begins + size, sizeof begins - size, "],\"id\":\"");
    told = told_of(fields, begins, WIDTH, "\"}]");
    assert_int_equal(strncmp(told, full, strlen(full)), 0);
    free(told);
}

static void a_record_that_waits_for_its_parent_stays_spoiled(void **state)
{
    (void)state;
    char *told = told_of(JSON("records: \"$[*].l\", parent: [id]"), "[{\"l\":[{\"id\":1,\"",
                         RECORD_SIZE_MAX + 1, "\":{}},{\"id\":2}],\"id\":\"p\"}]");
    assert_string_equal(told, "1! a name that is too long id=1# parent.id=p\n2: id=2# parent.id=p\n");
    free(told);
}

// A decoder cannot be made with this path and this field of a parent.
static void assert_no_decoder(const char *records, const char *parent)
{
    struct config *config = support_config(JSON("records: \"$[*].l\", parent: [id, name]"));
    struct config_job *job = &config->jobs[0];
    char *const kept_records = job->source.json_records;
    char *const kept_parent = job->source.json_parent.items[0];
    const struct decode_sink sink = {.take = NULL};
    struct decode *decode = NULL;
    struct fault fault = {.err = ERR_OK};
    job->source.json_records = (char *)records;
    job->source.json_parent.items[0] = (char *)parent;
    assert_int_equal(decode_new(job, &sink, &decode, &fault), ERR_INVALID);
    assert_null(decode);
    assert_true(fault.text[0] != '\0');
    job->source.json_records = kept_records;
    job->source.json_parent.items[0] = kept_parent;
    config_destroy(&config);
}

static void a_path_that_is_none_is_refused_though_the_config_let_it_pass(void **state)
{
    (void)state;
    assert_no_decoder("orders", "id");
    assert_no_decoder("$[*].l", "parent.parent.id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_values_are_flattened_with_dots),
        cmocka_unit_test(numbers_keep_the_text_they_were_written_with),
        cmocka_unit_test(fields_are_sorted_whatever_order_the_record_before_had),
        cmocka_unit_test(records_lie_at_a_path),
        cmocka_unit_test(an_object_of_records_gives_each_its_name),
        cmocka_unit_test(ignored_fields_take_what_is_below_them_along),
        cmocka_unit_test(what_is_no_record_is_set_aside),
        cmocka_unit_test(text_that_is_no_utf_8_costs_its_record),
        cmocka_unit_test(a_name_without_a_record_is_set_aside_with_its_name),
        cmocka_unit_test(what_is_no_export_fails_in_words),
        cmocka_unit_test(records_lie_in_an_array_of_parents_whose_fields_join_them),
        cmocka_unit_test(a_parents_field_behind_its_records_joins_them_all_the_same),
        cmocka_unit_test(parents_have_parents),
        cmocka_unit_test(the_order_of_records_is_theirs_though_some_wait_for_their_parent),
        cmocka_unit_test(a_records_own_field_of_a_parents_name_is_not_guessed_at),
        cmocka_unit_test(arrays_of_arrays_and_objects_of_records_lie_at_a_path),
        cmocka_unit_test(parents_without_records_have_none),
        cmocka_unit_test(what_stands_on_the_way_is_told_with_its_place),
        cmocka_unit_test(what_waits_for_its_parent_is_bounded),
        cmocka_unit_test(nesting_and_endless_strings_are_cut_off),
        cmocka_unit_test(a_value_beside_the_records_is_no_concern_of_theirs),
        cmocka_unit_test(a_single_value_in_place_of_the_export_is_no_export),
        cmocka_unit_test(what_is_no_json_is_shown_where_it_stands),
        cmocka_unit_test(names_and_values_that_are_too_long_cost_their_record),
        cmocka_unit_test(a_record_has_at_most_4096_fields),
        cmocka_unit_test(a_parents_field_is_bounded_alone_and_with_its_records),
        cmocka_unit_test(a_record_that_waits_for_its_parent_stays_spoiled),
        cmocka_unit_test(a_path_that_is_none_is_refused_though_the_config_let_it_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
