#include "proto/io/log.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

// Takes what is written to stderr meanwhile.
struct capture {
    int kept;  // the real stderr
    FILE *to;  // takes its place
    char *got; // what was written; owned
};

static void capture_begin(struct capture *capture)
{
    (void)fflush(stderr);
    capture->kept = dup(STDERR_FILENO);
    capture->to = tmpfile();
    capture->got = calloc(1, 65536);
    assert_non_null(capture->to);
    assert_non_null(capture->got);
    assert_true(dup2(fileno(capture->to), STDERR_FILENO) >= 0);
}

static const char *capture_end(struct capture *capture)
{
    assert_true(dup2(capture->kept, STDERR_FILENO) >= 0);
    (void)close(capture->kept);
    const ssize_t size = pread(fileno(capture->to), capture->got, 65535, 0);
    assert_true(size >= 0);
    (void)fclose(capture->to);
    return capture->got;
}

// The one line, parsed strictly; the caller puts it.
static json_object *one_line(const char *text)
{
    const char *end = strchr(text, '\n');
    assert_non_null(end);
    assert_int_equal(end[1], '\0');
    json_tokener *tokener = json_tokener_new();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *object = json_tokener_parse_ex(tokener, text, (int)(end - text + 1));
    if (object == NULL)
        fail_msg("%s: %s", json_tokener_error_desc(json_tokener_get_error(tokener)), text);
    json_tokener_free(tokener);
    return object;
}

static const char *field(json_object *object, const char *name)
{
    json_object *value = json_object_object_get(object, name);
    assert_non_null(value);
    return json_object_get_string(value);
}

static void each_word_becomes_a_field(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    log_write(LOG_LEVEL_INFO, "granted", "token=%llu resource=%s why=%s left=%d", 42ULL, "erp",
              "the order A-1 waits = long", -5);
    json_object *line = one_line(capture_end(&capture));
    assert_string_equal(field(line, "level"), "info");
    assert_string_equal(field(line, "program"), "syncbus-test");
    assert_string_equal(field(line, "event"), "granted");
    assert_string_equal(field(line, "resource"), "erp");
    assert_string_equal(field(line, "why"), "the order A-1 waits = long");
    assert_true(json_object_is_type(json_object_object_get(line, "token"), json_type_int));
    assert_int_equal(json_object_get_int(json_object_object_get(line, "left")), -5);
    assert_int_equal(strlen(field(line, "time")), strlen("2026-01-01T00:00:00.000Z"));
    json_object_put(line);
    free(capture.got);
}

static void numbers_that_json_does_not_know_stay_strings(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    log_write(LOG_LEVEL_ERROR, "x", "a=007 b=- c= d=1.5 e=123456789012345678901234 f=0");
    json_object *line = one_line(capture_end(&capture));
    assert_string_equal(field(line, "a"), "007");
    assert_string_equal(field(line, "b"), "-");
    assert_string_equal(field(line, "c"), "");
    assert_true(json_object_is_type(json_object_object_get(line, "d"), json_type_string));
    assert_true(json_object_is_type(json_object_object_get(line, "e"), json_type_string));
    assert_true(json_object_is_type(json_object_object_get(line, "f"), json_type_int));
    json_object_put(line);
    free(capture.got);
}

static void hostile_text_stays_one_line_of_json(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    log_write(LOG_LEVEL_WARNING, "odd", "text=%s",
              "a\"b\\c\n{\"level\":\"error\"}\x01 caff\xe8 caff\xc3\xa8");
    json_object *line = one_line(capture_end(&capture));
    assert_string_equal(field(line, "text"), "a\"b\\c {\"level\":\"error\"}  caff? caff\xc3\xa8");
    json_object_put(line);
    free(capture.got);
}

// Neither sequences of a terminal nor fields of the line can be forged by a value.
static void a_value_steers_no_terminal_and_is_no_other_field(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    log_write(LOG_LEVEL_WARNING, "odd \x1b[2J", "key=%s by=%s ok=%d", "K-1 ok=1 level=debug",
              "\x1b]0;x\x07\x7f\xc2\x9b"
              "31m\xe2\x80\xaetxt",
              0);
    json_object *line = one_line(capture_end(&capture));
    assert_string_equal(field(line, "event"), "odd  [2J");
    assert_string_equal(field(line, "level"), "warning");
    assert_string_equal(field(line, "key"), "K-1 ok=1 level=debug");
    assert_string_equal(field(line, "by"), " ]0;x   31m txt");
    assert_int_equal(json_object_get_int(json_object_object_get(line, "ok")), 0);
    json_object_put(line);
    free(capture.got);
}

static void words_of_any_length_and_kind_make_a_whole_line(void **state)
{
    (void)state;
    static const char *const parts[] = {"\"", "\xe8", "\xc3\xa8", "a= ", " b=", "x"};
    for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
        char text[6000] = "";
        const size_t size = strlen(parts[part]);
        for (size_t at = 0; at + size < sizeof text; at += size)
            memcpy(text + at, parts[part], size);
        struct capture capture;
        capture_begin(&capture);
        log_write(LOG_LEVEL_ERROR, "long", "%s", text);
        json_object *line = one_line(capture_end(&capture));
        assert_string_equal(field(line, "event"), "long");
        json_object_put(line);
        free(capture.got);
    }
}

static void what_is_below_the_level_is_not_written(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    log_write(LOG_LEVEL_DEBUG, "detail", "a=1");
    assert_string_equal(capture_end(&capture), "");
    free(capture.got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_becomes_a_field),
        cmocka_unit_test(numbers_that_json_does_not_know_stay_strings),
        cmocka_unit_test(hostile_text_stays_one_line_of_json),
        cmocka_unit_test(a_value_steers_no_terminal_and_is_no_other_field),
        cmocka_unit_test(words_of_any_length_and_kind_make_a_whole_line),
        cmocka_unit_test(what_is_below_the_level_is_not_written),
    };
    (void)unsetenv("SYNCBUS_LOG");
    log_open("syncbus-test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
