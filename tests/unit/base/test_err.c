#include "proto/base/err.h"
#include "proto/base/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void a_report_is_one_line_of_utf_8_whatever_was_put_in(void **state)
{
    (void)state;
    struct fault fault;
    assert_int_equal(
        fault_set(&fault, ERR_INVALID, "%s", "a\nb\tc\x7f caff\xe8, caff\xc3\xa8 \x80\xc2\x9b\xe2\x80\xae"),
        ERR_INVALID);
    assert_string_equal(fault.text, "a?b?c? caff?, caff\xc3\xa8 ??????");
    assert_int_equal(fault_set(NULL, ERR_FULL, "nobody hears it"), ERR_FULL);
}

static void a_report_that_is_too_long_ends_with_a_whole_character(void **state)
{
    (void)state;
    for (size_t before = 0; before < 4; before++) {
        char text[1024] = "xxx";
        struct fault fault;
        for (size_t at = before; at + 4 < sizeof text; at += 4)
            memcpy(text + at, "\xf0\x9f\x9a\x80", 5);
        (void)fault_set(&fault, ERR_INVALID, "%s", text);
        assert_true(utf8_valid(fault.text, strlen(fault.text)));
        assert_true(strlen(fault.text) >= sizeof fault.text - 5);
        assert_null(strchr(fault.text, '?'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_one_line_of_utf_8_whatever_was_put_in),
        cmocka_unit_test(a_report_that_is_too_long_ends_with_a_whole_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
