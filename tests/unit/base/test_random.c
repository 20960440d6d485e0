#include "proto/base/random.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void the_same_seed_gives_the_same_numbers(void **state)
{
    (void)state;
    struct random one, other;
    random_init(&one, 7);
    random_init(&other, 7);
    for (unsigned i = 0; i < 100; i++)
        assert_true(random_next(&one) == random_next(&other));
    random_init(&other, 8);
    assert_true(random_next(&one) != random_next(&other));
}

// The state after which the generator's counter is 0, whose mixture is 0 too.
static void no_number_is_zero(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, UINT64_C(0) - UINT64_C(0x9E3779B97F4A7C15));
    assert_true(random_next(&random) != 0);
}

static void numbers_below_a_limit_reach_all_of_them(void **state)
{
    (void)state;
    struct random random;
    unsigned seen[6] = {0};
    random_init(&random, 1);
    for (unsigned i = 0; i < 6000; i++)
        seen[random_below(&random, 6)]++;
    for (unsigned i = 0; i < 6; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(random_below(&random, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(no_number_is_zero),
        cmocka_unit_test(numbers_below_a_limit_reach_all_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
