#include "proto/base/duration.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void durations_are_read_with_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"0", 0},           {"250ms", 250},
                 {"1.5s", 1500},     {"90s", 90000},
                 {"1h30m", 5400000}, {"2d", 172800000},
                 {"0s", 0},          {"1d2h3m4s5ms", 93784005},
                 {"0.001s", 1},      {"36500d", INT64_C(3153600000000)}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -1;
        assert_int_equal(duration_parse(cases[i].text, &ms, NULL), ERR_OK);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void what_is_not_a_duration_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {{"", "not a duration"},
                 {"60", "needs a unit"},
                 {"60 s", "needs a unit"},
                 {"60sec", "needs a unit"},
                 {"-5s", "not a duration"},
                 {"s", "not a duration"},
                 {"1.s", "not a duration"},
                 {"1..5s", "not a duration"},
                 {"1e3s", "needs a unit"},
                 {"0.1234567s", "not a duration"},
                 {"5s ", "not a duration"},
                 {"36501d", "longer than 100 years"},
                 {"36500.5d", "longer than 100 years"},
                 {"99999999999999999999d", "not a duration"},
                 {"36500d1ms", "longer than 100 years"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = 7;
        struct fault fault = {0};
        if (duration_parse(cases[i].text, &ms, &fault) != ERR_INVALID ||
            strstr(fault.text, cases[i].reason) == NULL)
            fail_msg("\"%s\": %s", cases[i].text, fault.text);
        assert_int_equal(ms, 7);
    }
}

static void sizes_are_read_with_binary_and_decimal_units(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    assert_int_equal(size_parse("64KiB", &bytes, NULL), ERR_OK);
    assert_int_equal(bytes, 65536);
    assert_int_equal(size_parse("1.5MB", &bytes, NULL), ERR_OK);
    assert_int_equal(bytes, 1500000);
    assert_int_equal(size_parse("2GiB", &bytes, NULL), ERR_OK);
    assert_int_equal(bytes, UINT64_C(2) << 30);
    static const char *const wrong[] = {"", "64", "64K", "KiB", "1KiB2B", "-1B", "9999999999999GiB"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fault fault = {0};
        if (size_parse(wrong[i], &bytes, &fault) != ERR_INVALID || fault.text[0] == '\0')
            fail_msg("\"%s\" was taken", wrong[i]);
    }
    assert_int_equal(bytes, UINT64_C(2) << 30);
}

static void shares_are_read_in_parts_of_a_million(void **state)
{
    (void)state;
    uint32_t ppm = 0;
    assert_int_equal(share_parse("1%", &ppm, NULL), ERR_OK);
    assert_int_equal(ppm, 10000);
    assert_int_equal(share_parse("0.5%", &ppm, NULL), ERR_OK);
    assert_int_equal(ppm, 5000);
    assert_int_equal(share_parse("100%", &ppm, NULL), ERR_OK);
    assert_int_equal(ppm, 1000000);
    static const char *const wrong[] = {"", "1", "%", "100.1%", "-1%", "1%%", "0.01"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(share_parse(wrong[i], &ppm, NULL), ERR_INVALID);
}

static void durations_are_written_as_people_say_them(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0s"},        {250, "250ms"},   {4200, "4.2s"},     {4000, "4s"},     {59999, "59.9s"},
                 {60000, "1m"},    {90000, "1m30s"}, {5400000, "1h30m"}, {86400000, "1d"}, {90000000, "1d1h"},
                 {-1500, "-1.5s"}, {86460000, "1d"}, {INT64_MIN, NULL},  {INT64_MAX, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        assert_ptr_equal(duration_format(cases[i].ms, text, sizeof text), text);
        if (cases[i].text != NULL)
            assert_string_equal(text, cases[i].text);
    }
    char small[4];
    assert_string_equal(duration_format(5400000, small, sizeof small), "1h3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_with_their_units),
        cmocka_unit_test(what_is_not_a_duration_is_refused_with_the_reason),
        cmocka_unit_test(sizes_are_read_with_binary_and_decimal_units),
        cmocka_unit_test(shares_are_read_in_parts_of_a_million),
        cmocka_unit_test(durations_are_written_as_people_say_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
