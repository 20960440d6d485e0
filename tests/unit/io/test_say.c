#include "proto/io/say.h"

#include "proto/base/buffer.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static char *text;
static size_t text_size;

// A stream in memory; `said` ends it and compares.
static FILE *listen(void)
{
    FILE *stream = open_memstream(&text, &text_size);
    assert_non_null(stream);
    return stream;
}

static void said(FILE *stream, const char *expected)
{
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text, expected);
    free(text);
    text = NULL;
}

static void plain_text_is_said_as_it_is(void **state)
{
    (void)state;
    FILE *stream = listen();
    say(stream, "order %s: %s%5d|%-4s|%.*s\n\n%s\n", "K-1", "caff\xc3\xa8", 42, "ab", 2, "xyz", "");
    say(stream, "%s", "no line break");
    said(stream, "order K-1: caff\xc3\xa8   42|ab  |xy\n\n\nno line break");
}

static void a_value_steers_no_terminal(void **state)
{
    (void)state;
    FILE *stream = listen();
    say(stream, "%s of %s\n", "\x1b[31mred\x07",
        "\xc2\x9b"
        "2J\xe2\x80\xaetxt\xff\r");
    said(stream, "\\u001b[31mred\\u0007 of \\u009b2J\\u202etxt?\\u000d\n");
}

static void a_line_break_of_a_value_begins_no_line(void **state)
{
    (void)state;
    FILE *stream = listen();
    say(stream, "\n%s:\n%s\nend", "a\nb", "placed\norder K-2: placed\n");
    said(stream, "\na\\u000ab:\nplaced\\u000aorder K-2: placed\\u000a\nend");
}

static void long_text_is_said_whole(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    char *value = malloc(SIZE + 1);
    char *line = malloc(SIZE + 2);
    assert_non_null(value);
    assert_non_null(line);
    memset(value, 'x', SIZE);
    value[SIZE] = '\0';
    (void)snprintf(line, SIZE + 2, "%s\n", value);
    FILE *stream = listen();
    say(stream, "%s\n", value);
    said(stream, line);
    free(line);
    free(value);
}

static void json_stays_the_same_json(void **state)
{
    (void)state;
    static const char json[] = "{\"a\":\"\xc2\x9b\xe2\x80\xae caff\xc3\xa8\\n\"}";
    FILE *stream = listen();
    say_json(stream, json, sizeof json - 1);
    said(stream, "{\"a\":\"\\u009b\\u202e caff\xc3\xa8\\n\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_said_as_it_is),
        cmocka_unit_test(a_value_steers_no_terminal),
        cmocka_unit_test(a_line_break_of_a_value_begins_no_line),
        cmocka_unit_test(long_text_is_said_whole),
        cmocka_unit_test(json_stays_the_same_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
