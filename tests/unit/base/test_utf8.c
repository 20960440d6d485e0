#include "proto/base/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void characters_of_every_length_are_taken(void **state)
{
    (void)state;
    assert_int_equal(utf8_character("a", 1), 1);
    assert_int_equal(utf8_character("\xc3\xa9", 2), 2);
    assert_int_equal(utf8_character("\xe2\x82\xac", 3), 3);
    assert_int_equal(utf8_character("\xe0\xa4\x85", 3), 3);
    assert_int_equal(utf8_character("\xed\x95\x9c", 3), 3);
    assert_int_equal(utf8_character("\xf0\x9f\x9a\x80", 4), 4);
    assert_int_equal(utf8_character("\xf4\x8f\xbf\xbf", 4), 4);
    assert_true(utf8_valid("caff\xc3\xa8 \xe2\x82\xac", 10));
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("a\0b", 3));
    assert_true(utf8_valid("twelve byte\xc3\xa9s and more", 22));
    assert_false(utf8_valid("twelve bytes and \xe9", 18));
    assert_false(utf8_valid("sixteen bytes, 1\xc3", 17));
}

static void what_is_not_utf8_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\x80",             // a continuation alone
        "\xc0\xaf",         // an overlong slash
        "\xc1\xbf",         // overlong
        "\xe0\x80\xaf",     // overlong
        "\xf0\x80\x80\xaf", // overlong
        "\xed\xa0\x80",     // a surrogate
        "\xf4\x90\x80\x80", // past the last character
        "\xf5\x80\x80\x80", // no such first byte
        "\xff",             // no such first byte
        "\xe2\x28\xa1",     // a broken continuation
        "caff\xe8",         // Latin-1
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (utf8_valid(wrong[i], strlen(wrong[i])))
            fail_msg("case %zu was taken", i);
    }
}

static void a_character_that_is_cut_is_not_read_past_its_end(void **state)
{
    (void)state;
    static const char rocket[4] = "\xf0\x9f\x9a\x80";
    for (size_t size = 1; size < 4; size++)
        assert_int_equal(utf8_character(rocket, size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_every_length_are_taken),
        cmocka_unit_test(what_is_not_utf8_is_refused),
        cmocka_unit_test(a_character_that_is_cut_is_not_read_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
