#include "proto/base/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

// Each as a string, so that a NUL cannot be among them.
static const char *const steering[] = {
    "\x01",         "\x07", "\n", "\r", "\x1b", "\x7f", "\xc2\x80", "\xc2\x9b",
    "\xc2\x9f",     // C0, DEL, C1
    "\xd8\x9c",     // U+061C
    "\xe2\x80\x8e", // U+200E
    "\xe2\x80\x8f", // U+200F
    "\xe2\x80\xa8", // U+2028
    "\xe2\x80\xae", // U+202E
    "\xe2\x81\xa6", // U+2066
    "\xe2\x81\xa9", // U+2069
};

static void what_steers_a_terminal_is_not_plain(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steering / sizeof steering[0]; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "a%sb", steering[i]);
        if (!utf8_steers(steering[i], strlen(steering[i])) || utf8_plain(text, strlen(text)))
            fail_msg("case %zu was taken", i);
    }
    assert_false(utf8_plain("\0", 1));
    assert_false(utf8_plain("a\xff", 2));
    // Their neighbours, and a family whose members a joiner holds together.
    static const char *const seen[] = {" ~",
                                       "\xc2\xa0",
                                       "\xd8\x9b\xd8\x9d",
                                       "\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf",
                                       "\xe2\x81\xa5\xe2\x81\xaa",
                                       "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7"};
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
        if (!utf8_plain(seen[i], strlen(seen[i])))
            fail_msg("case %zu was refused", i);
    }
}

static void what_steers_is_shown_by_its_number(void **state)
{
    (void)state;
    struct buffer shown;
    buffer_init(&shown, 100);
    const char text[] = "a\x1b[31m\r\n\xc2\x9b"
                        "b\xe2\x80\xae"
                        "c\xff caff\xc3\xa8";
    assert_int_equal(utf8_show(text, sizeof text - 1, &shown), ERR_OK);
    assert_int_equal(buffer_add_byte(&shown, '\0'), ERR_OK);
    assert_string_equal(shown.data, "a\\u001b[31m\\u000d\\u000a\\u009bb\\u202ec? caff\xc3\xa8");
    buffer_free(&shown);
    // It ends with an error wherever the room ends.
    for (size_t room = 1; room < 8; room++) {
        buffer_init(&shown, room);
        assert_int_equal(utf8_show("ab\x1b", 3, &shown), ERR_FULL);
        buffer_free(&shown);
        buffer_init(&shown, room);
        assert_int_equal(utf8_show("abcdefg\xff", 8, &shown), ERR_FULL);
        buffer_free(&shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_every_length_are_taken),
        cmocka_unit_test(what_is_not_utf8_is_refused),
        cmocka_unit_test(a_character_that_is_cut_is_not_read_past_its_end),
        cmocka_unit_test(what_steers_a_terminal_is_not_plain),
        cmocka_unit_test(what_steers_is_shown_by_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
