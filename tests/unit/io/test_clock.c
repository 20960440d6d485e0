#include "proto/io/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void the_boot_clock_never_goes_back(void **state)
{
    (void)state;
    int64_t last = clock_boot_ms();
    assert_true(last > 0);
    for (unsigned i = 0; i < 1000; i++) {
        const int64_t now = clock_boot_ms();
        assert_true(now >= last);
        last = now;
    }
}

static void the_wall_clock_counts_milliseconds_of_this_century(void **state)
{
    (void)state;
    assert_true(clock_wall_ms() > INT64_C(1600000000000));
    assert_true(clock_wall_ms() < INT64_C(4102444800000));
}

static void random_numbers_are_never_zero_nor_alike(void **state)
{
    (void)state;
    const uint64_t first = clock_entropy();
    assert_true(first != 0);
    for (unsigned i = 0; i < 100; i++)
        assert_true(clock_entropy() != first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_boot_clock_never_goes_back),
        cmocka_unit_test(the_wall_clock_counts_milliseconds_of_this_century),
        cmocka_unit_test(random_numbers_are_never_zero_nor_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
