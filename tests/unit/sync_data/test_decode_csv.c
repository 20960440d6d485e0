#include "tests/unit/sync_data/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PIPED    "key: [id], source: {url: \"http://e/x\", format: csv, csv: {delimiter: \"|\", quote: none}}"
#define QUOTED   "key: [id], source: {url: \"http://e/x\", format: csv}"
#define CSV(...) "key: [id], source: {url: \"http://e/x\", format: csv, csv: {" __VA_ARGS__ "}}"

static void assert_parts(const char *fields, const char *text, size_t size, const char *expected)
{
    const size_t parts[] = {size + 1, 1, 2, 3, 7, 64};
    struct config *config = support_config(fields);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *told = support_decode(&config->jobs[0], text, size, parts[i]);
        assert_string_equal(told, expected);
        free(told);
    }
    config_destroy(&config);
}

// Decodes whole, and then cut into parts of each small size, also behind blanks: where the bytes are cut
// makes no difference. An export that fails at its first bytes is not put behind others.
static void assert_rows_of(const char *fields, const char *text, size_t size, const char *expected)
{
    assert_parts(fields, text, size, expected);
    if (strncmp(expected, "= ", 2) == 0)
        return;
    size_t all_size = 0;
    char *all = support_behind_blanks(text, size, &all_size);
    assert_parts(fields, all, all_size, expected);
    free(all);
}

static void assert_rows(const char *fields, const char *text, const char *expected)
{
    assert_rows_of(fields, text, strlen(text), expected);
}

static void fields_come_in_the_order_of_their_names_without_blanks(void **state)
{
    (void)state;
    assert_rows(PIPED, "id|name|city\n1| Ada \t|Rome\n2|Bob|\n",
                "2: city=Rome id=1 name=Ada\n3: city= id=2 name=Bob\n");
}

static void line_ends_byte_order_marks_and_empty_lines_make_no_difference(void **state)
{
    (void)state;
    assert_rows(PIPED, "\xef\xbb\xbfid|a\r\n1|x\r\n\r\n2|y", "2: a=x id=1\n4: a=y id=2\n");
    assert_rows(PIPED, "id|a\r1|x\r\r2|y", "2: a=x id=1\n4: a=y id=2\n");
    assert_rows(QUOTED, "id,a\r1,\"x\ry\"\r2,\"\"\r3,\"z\r",
                "2: a=x\ry id=1\n4: a= id=2\n5! a quote that does not end where a field ends id=3\n");
    assert_rows(PIPED, "id|a\n1|x\ry\n2|y\n", "2: a=x\ry id=1\n3: a=y id=2\n");
}

static void a_long_export_may_end_its_lines_with_cr_alone(void **state)
{
    (void)state;
    enum { ROWS = 50000 };
    const size_t room = ROWS * 8 + 8;
    char *text = malloc(room);
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, room, "id|a\r");
    for (int i = 0; i < ROWS; i++)
        size += (size_t)snprintf(text + size, room - size, "%d|x\r", i % 1000);
    struct config *config = support_config(PIPED);
    char *whole = support_decode(&config->jobs[0], text, size, size);
    char *parts = support_decode(&config->jobs[0], text, size, 1000);
    assert_non_null(strstr(whole, "\n50001: a=x id=999\n"));
    assert_string_equal(whole, parts);
    free(whole);
    free(parts);
    config_destroy(&config);
    free(text);
}

static void banner_lines_are_passed_over(void **state)
{
    (void)state;
    assert_rows(CSV("skip_lines: 2, delimiter: \"|\", quote: none"), "day one\n\nid|a\n1|x\n",
                "4: a=x id=1\n");
}

static void a_quote_is_a_character_where_the_dialect_has_none(void **state)
{
    (void)state;
    assert_rows(PIPED, "id|a\n1|\"x\n2|y\"\n", "2: a=\"x id=1\n3: a=y\" id=2\n");
}

static void quoted_fields_keep_delimiters_lines_and_doubled_quotes(void **state)
{
    (void)state;
    assert_rows(
        QUOTED, "id,\"a\"\n1,\"x,y\"\n2,\"two\nlines\"\n3,\"say \"\"hi\"\"\"\n4,5\" pipe\n5, \"z\" \n",
        "2: a=x,y id=1\n3: a=two\nlines id=2\n5: a=say \"hi\" id=3\n6: a=5\" pipe id=4\n7: a=z id=5\n");
}

static void a_quoted_field_may_fill_the_whole_row(void **state)
{
    (void)state;
    enum { LONG = 900 << 10 };
    char *text = malloc(LONG + 64);
    assert_non_null(text);
    const size_t head = (size_t)snprintf(text, 64, "id,a\n1,\"");
    for (size_t i = 0; i < LONG; i++)
        text[head + i] = i % 64 == 63 ? '\n' : 'x';
    const size_t size = head + LONG + (size_t)snprintf(text + head + LONG, 32, "end\"\n2,y\n");
    struct config *config = support_config(QUOTED);
    char *told = support_decode(&config->jobs[0], text, size, 100000);
    assert_memory_equal(told, "2: a=xxx", 8);
    assert_string_equal(strstr(told, "end id"), "end id=1\n14403: a=y id=2\n");
    free(told);
    config_destroy(&config);
    free(text);
}

static void a_quote_that_never_ends_costs_one_line(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id,a\n1,\"x\n2,y\n3,z\n",
                "2! a quote that does not end where a field ends id=1\n3: a=y id=2\n4: a=z id=3\n");
}

static void text_after_a_closing_quote_costs_one_line(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id,a\n1,\"x\"y\n2,z\n",
                "2! a quote that does not end where a field ends id=1\n3: a=z id=2\n");
}

static void ragged_rows_are_set_aside_with_the_key_that_leads_them(void **state)
{
    (void)state;
    assert_rows(PIPED, "id|a|b\n1|x\n2|x|y|z\n3|x|y\n",
                "2! 2 fields in place of 3 id=1\n3! 4 fields in place of 3 id=2\n4: a=x b=y id=3\n");
}

static void a_key_behind_other_columns_is_not_read_from_a_ragged_row(void **state)
{
    (void)state;
    assert_rows(PIPED, "a|id\nx|1|2\n", "2! 3 fields in place of 2\n");
}

static void a_key_behind_other_columns_is_read_from_a_row_of_the_right_length(void **state)
{
    (void)state;
    assert_rows("key: [id, to], source: {url: \"http://e/x\", format: csv}",
                "a,id,b,to\n\xff,1,y,2\nx,\xff,y,2\n",
                "2! not UTF-8 at byte 0 of the row id=1 to=2\n"
                "3! not UTF-8 at byte 2 of the row to=2\n");
    assert_rows("key: [to], source: {url: \"http://e/x\", format: csv}", "a,to\nx,\"1\"2\n",
                "2! a quote that does not end where a field ends\n");
}

static void a_delimiter_may_have_several_characters(void **state)
{
    (void)state;
    assert_rows(CSV("delimiter: \"||\""), "id||a||b\n1||x|y||\"z||\"\n", "2: a=x|y b=z|| id=1\n");
}

static void given_columns_stand_for_a_header(void **state)
{
    (void)state;
    assert_rows(CSV("header: false, columns: [id, a]"), "1,x\n", "1: a=x id=1\n");
    assert_rows(CSV("header: true, columns: [id, a]"), "ID,Other\n1,x\n", "2: a=x id=1\n");
}

static void nulls_and_ignored_columns_are_left_out(void **state)
{
    (void)state;
    assert_rows("key: [id], ignore: [when], source: {url: \"http://e/x\", format: csv, csv: {null_as: [NULL, "
                "\"-\"]}}",
                "id,when,a,b\n1,now,NULL, - \n", "2: id=1\n");
}

static void latin_1_becomes_utf_8(void **state)
{
    (void)state;
    assert_rows("key: [id], source: {url: \"http://e/x\", format: csv, csv: {encoding: latin-1}}",
                "id,a\n1,Universit\xe0\n", "2: a=Universit\xc3\xa0 id=1\n");
}

static void bytes_that_are_no_text_cost_their_row(void **state)
{
    (void)state;
    static const char text[] = "id,a\n1,\xff\n2,x\0y\n3,fine\n";
    assert_rows_of(
        QUOTED, text, sizeof text - 1,
        "2! not UTF-8 at byte 2 of the row id=1\n3! a NUL at byte 3 of the row id=2\n4: a=fine id=3\n");
}

static void what_is_no_export_fails_in_words(void **state)
{
    (void)state;
    assert_rows(QUOTED, "", "= the export is empty (0 bytes)\n");
    assert_rows(QUOTED, "\r\n \n", "= the export is empty (4 bytes)\n");
    assert_rows(QUOTED, " <!DOCTYPE html><p>Log in",
                "= the export is an HTML or XML page: at byte 1 stands "
                "\"<!DOCTYPE html><p>Log in\"\n");
    assert_rows(QUOTED, "\x1f\x8b\x08", "= the export is gzip data, found at byte 0\n");
    assert_rows(QUOTED, "name;id\nx;1\n",
                "= the export has no column for the key field id; line 1 names: name;id\n");
    assert_rows(QUOTED, "id,a,a\n", "= the export has two columns a\n");
    assert_rows(CSV("skip_lines: 1"), "banner\n", "= the export ends at line 2 without a header\n");
}

static void an_export_that_ends_in_a_row_is_cut_short(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id,a,b\n1,x,y\n2,x", "2: a=x b=y id=1\n= the export ends in the middle of line 3\n");
    assert_rows(QUOTED, "id,a\n1,x\n2,\"y", "2: a=x id=1\n= a quote in line 3 does not end\n");
}

// A line of 3 MiB between others, however it comes, and whether or not its key is quoted.
static void assert_long_line_costs_itself(const char *begins, const char *ends)
{
    enum { LONG = 3 << 20 };
    static const size_t parts[] = {100000, LONG + 64};
    char *text = malloc(LONG + 64);
    assert_non_null(text);
    const size_t head = (size_t)snprintf(text, 32, "id,a\n%s", begins);
    memset(text + head, 'x', LONG);
    const size_t size = head + LONG + (size_t)snprintf(text + head + LONG, 32, "%s\n2,y\n", ends);
    struct config *config = support_config(QUOTED);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *told = support_decode(&config->jobs[0], text, size, parts[i]);
        const char *rest = strchr(told, '!');
        assert_non_null(rest);
        assert_string_equal(strstr(rest, " id="), " id=1\n3: a=y id=2\n");
        free(told);
    }
    config_destroy(&config);
    free(text);
}

static void a_line_without_end_costs_itself_only(void **state)
{
    (void)state;
    assert_long_line_costs_itself("1,", "");
    assert_long_line_costs_itself("\"1\",", "");
    assert_long_line_costs_itself("\"1\",\"", "\"");
}

// ---------------------------------------------------------------- columns

static void columns_without_a_name_are_no_fields(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id,,a\n1,x,y\n", "2: a=y id=1\n");
    assert_rows(QUOTED, ",id\nx,1\n", "2: id=1\n");
    assert_rows(QUOTED, ",a\nx,1\n", "= the export has no column for the key field id; line 1 names: , a\n");
}

static void an_export_may_have_nothing_but_keys(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id\n1\n\"2\"\n3,x\n", "2: id=1\n3: id=2\n4! 2 fields in place of 1 id=3\n");
}

// `count` cells of one letter with a delimiter behind each but the last. The caller frees it.
static char *letters(const char *begins, size_t count, const char *ends)
{
    char *text = malloc(strlen(begins) + 2 * count + strlen(ends) + 1);
    assert_non_null(text);
    char *at = stpcpy(text, begins);
    for (size_t i = 0; i < count; i++) {
        *at++ = 'x';
        *at++ = ',';
    }
    memcpy(at - 1, ends, strlen(ends) + 1);
    return text;
}

static void columns_have_a_limit(void **state)
{
    (void)state;
    char *text = letters("id,a\n1,", 4999, "\n2,y\n");
    assert_rows(QUOTED, text, "2! 5000 fields in place of 2 id=1\n3: a=y id=2\n");
    free(text);
    text = letters("", 4097, "\n");
    assert_rows(QUOTED, text, "= line 1 has 4097 columns, more than 4096\n");
    free(text);
}

// ---------------------------------------------------------------- quotes and ends

static void a_quoted_field_may_end_the_export(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id,a\n1,\"x\"", "2: a=x id=1\n");
    assert_rows(QUOTED, "id,a\n1,\"x\" \t", "2: a=x id=1\n");
    assert_rows(QUOTED, "id,a\n\"1\",", "2: a= id=1\n");
    assert_rows(QUOTED, "id,a\n\"1\",y", "2: a=y id=1\n");
    assert_rows(QUOTED, "id,a\n1,\"x\"\"\"", "2: a=x\" id=1\n");
}

static void blanks_may_stand_around_quotes(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id,a\r\n \t\"1\" , \"x,\"\r\n2,\"y\"\r\n", "2: a=x, id=1\n3: a=y id=2\n");
    assert_rows(CSV("delimiter: \"\\t\""), "id\ta\tb\n1\t \"x\ty\" \t\"\"\n2\t\t\"z\"\n",
                "2: a=x\ty b= id=1\n3: a= b=z id=2\n");
}

static void doubled_quotes_may_stand_in_several_fields(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id,a,b\n1,\"a\"\"b\",\"\"\"c\"\"\"\n", "2: a=a\"b b=\"c\" id=1\n");
}

static void quotes_and_long_delimiters_go_together(void **state)
{
    (void)state;
    assert_rows(CSV("delimiter: \"||\""), "id||a||b\n1||\"x||y\"||z|\n2||\"x\"||\"y\"\n3||\"x\"|y||z\n",
                "2: a=x||y b=z| id=1\n3: a=x b=y id=2\n"
                "4! a quote that does not end where a field ends id=3\n");
}

static void a_header_that_is_no_text_or_never_ends_is_no_export(void **state)
{
    (void)state;
    assert_rows(QUOTED, "id,caff\xe8\n1,x\n", "= the header in line 1 is not UTF-8\n");
    assert_rows(QUOTED, "id,\"a\n1,x\n", "= a quote in line 1 does not end\n");
    assert_rows(QUOTED, "\xef\xbb\xbf", "= the export ends at line 1 without a header\n");
    assert_rows(CSV("skip_lines: 2"), "banner\nbanner", "= the export ends at line 2 without a header\n");
}

// ---------------------------------------------------------------- rows that are too long

// A text of `size` bytes of one letter between two others, decoded in parts of `part` bytes, is told as this.
static void assert_long(const char *fields, const char *begins, size_t size, const char *ends, size_t part,
                        const char *expected)
{
    const size_t head = strlen(begins);
    char *text = malloc(head + size + strlen(ends) + 1);
    assert_non_null(text);
    memcpy(text, begins, head);
    memset(text + head, 'x', size);
    memcpy(text + head + size, ends, strlen(ends) + 1);
    struct config *config = support_config(fields);
    char *told = support_decode(&config->jobs[0], text, strlen(text), part);
    if (strstr(told, expected) == NULL)
        fail_msg("not told: %s but %.200s", expected, told);
    free(told);
    free(text);
    config_destroy(&config);
}

static void a_long_header_is_shown_in_part(void **state)
{
    (void)state;
    assert_long(QUOTED, "a,", 300, ",b\n1,2,3\n", 1 << 20, "line 1 names: a, xxxxx");
    assert_long(QUOTED, "a,", 300, ",b\n1,2,3\n", 1 << 20, "xxxxx\n");
}

static void a_row_just_over_the_limit_costs_itself(void **state)
{
    (void)state;
    static const char *const told = "2! more than 1048576 bytes id=1\n3: a=y id=2\n";
    assert_long(QUOTED, "id,a\n1,", RECORD_SIZE_MAX - 1, "\n2,y\n", 1 << 20, told);
    assert_long(PIPED, "id|a\n1|", RECORD_SIZE_MAX - 1, "\n2|y\n", 1 << 20, told);
    assert_long(PIPED, "id|a\n1|", 3 << 20, "\n2|y\n", 100000, told);
    assert_long(QUOTED, "id,a\n1,", RECORD_SIZE_MAX - 2, "\n2,y\n", 1 << 20, "\n3: a=y id=2\n");
}

static void a_quoted_row_over_the_limit_costs_its_first_line(void **state)
{
    (void)state;
    static const char *const told = "2! a quote that does not end where a field ends id=1\n";
    assert_long(QUOTED, "id,a\n1,\"\n", 2 << 20, "\"\n2,y\n", 1 << 20, told);
    // The quote ends where the limit is; what follows it cannot be seen any more.
    assert_long(QUOTED, "id,a\n1,\"\n", RECORD_SIZE_MAX - 5, "\"\"\n2,y\n", 1 << 20, told);
    assert_long(QUOTED, "id,a\n1,\"\n\",", 2 << 20, "\n2,y\n", 1 << 20, told);
}

static void a_line_without_end_is_no_header_and_ends_no_export(void **state)
{
    (void)state;
    assert_long(QUOTED, "id,a", 2 << 20, "", 1 << 20,
                "= line 1 has more than 1048576 bytes: this is no CSV\n");
    assert_long(QUOTED, "id,a\n1,", 2 << 20, "", 1 << 20, "= the export ends in the middle of line 2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_the_order_of_their_names_without_blanks),
        cmocka_unit_test(line_ends_byte_order_marks_and_empty_lines_make_no_difference),
        cmocka_unit_test(a_long_export_may_end_its_lines_with_cr_alone),
        cmocka_unit_test(banner_lines_are_passed_over),
        cmocka_unit_test(a_quote_is_a_character_where_the_dialect_has_none),
        cmocka_unit_test(quoted_fields_keep_delimiters_lines_and_doubled_quotes),
        cmocka_unit_test(a_quoted_field_may_fill_the_whole_row),
        cmocka_unit_test(a_quote_that_never_ends_costs_one_line),
        cmocka_unit_test(text_after_a_closing_quote_costs_one_line),
        cmocka_unit_test(ragged_rows_are_set_aside_with_the_key_that_leads_them),
        cmocka_unit_test(a_key_behind_other_columns_is_not_read_from_a_ragged_row),
        cmocka_unit_test(a_key_behind_other_columns_is_read_from_a_row_of_the_right_length),
        cmocka_unit_test(a_delimiter_may_have_several_characters),
        cmocka_unit_test(given_columns_stand_for_a_header),
        cmocka_unit_test(nulls_and_ignored_columns_are_left_out),
        cmocka_unit_test(latin_1_becomes_utf_8),
        cmocka_unit_test(bytes_that_are_no_text_cost_their_row),
        cmocka_unit_test(what_is_no_export_fails_in_words),
        cmocka_unit_test(an_export_that_ends_in_a_row_is_cut_short),
        cmocka_unit_test(a_line_without_end_costs_itself_only),
        cmocka_unit_test(columns_without_a_name_are_no_fields),
        cmocka_unit_test(an_export_may_have_nothing_but_keys),
        cmocka_unit_test(columns_have_a_limit),
        cmocka_unit_test(a_quoted_field_may_end_the_export),
        cmocka_unit_test(blanks_may_stand_around_quotes),
        cmocka_unit_test(doubled_quotes_may_stand_in_several_fields),
        cmocka_unit_test(quotes_and_long_delimiters_go_together),
        cmocka_unit_test(a_header_that_is_no_text_or_never_ends_is_no_export),
        cmocka_unit_test(a_long_header_is_shown_in_part),
        cmocka_unit_test(a_row_just_over_the_limit_costs_itself),
        cmocka_unit_test(a_quoted_row_over_the_limit_costs_its_first_line),
        cmocka_unit_test(a_line_without_end_is_no_header_and_ends_no_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
