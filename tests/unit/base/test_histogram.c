#include "proto/base/histogram.h"
#include "proto/base/random.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

static int compare(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void quantiles_are_within_five_percent_of_a_sorted_list(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static int64_t values[COUNT];
    struct histogram histogram = {0};
    struct random random;
    random_init(&random, 42);
    for (size_t i = 0; i < COUNT; i++) {
        const unsigned bits = (unsigned)random_below(&random, 31);
        values[i] = (int64_t)random_below(&random, UINT64_C(1) << bits);
        histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof values[0], compare);
    for (unsigned per_mille = 1; per_mille <= 1000; per_mille++) {
        const size_t rank = (COUNT * per_mille + 999) / 1000;
        const double exact = (double)values[rank - 1];
        const double told = (double)histogram_quantile(&histogram, per_mille);
        if (told < exact * 0.95 - 1e-9 || told > exact * 1.05 + 1e-9)
            fail_msg("at %u per mille: %.0f, exactly %.0f", per_mille, told, exact);
    }
    assert_int_equal(histogram.count, COUNT);
    assert_int_equal(histogram.max, values[COUNT - 1]);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    for (int64_t value = 0; value < 16; value++)
        histogram_add(&histogram, value);
    assert_int_equal(histogram_quantile(&histogram, 500), 7);
    assert_int_equal(histogram_quantile(&histogram, 1000), 15);
    assert_true(histogram_average(&histogram) > 7.49 && histogram_average(&histogram) < 7.51);
}

static void a_quantile_is_never_below_its_share(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    for (int64_t value = 1; value <= 3; value++)
        histogram_add(&histogram, value);
    assert_int_equal(histogram_quantile(&histogram, 333), 1);
    assert_int_equal(histogram_quantile(&histogram, 334), 2);
    assert_int_equal(histogram_quantile(&histogram, 500), 2);
    assert_int_equal(histogram_quantile(&histogram, 990), 3);
}

static void an_empty_one_says_zero(void **state)
{
    (void)state;
    const struct histogram histogram = {0};
    assert_int_equal(histogram_quantile(&histogram, 990), 0);
    assert_true(histogram_average(&histogram) == 0);
}

static void values_out_of_range_are_counted_at_its_ends(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, -5);
    assert_int_equal(histogram_quantile(&histogram, 1000), 0);
    histogram_add(&histogram, INT64_MAX);
    assert_int_equal(histogram.max, INT64_MAX);
    const double told = (double)histogram_quantile(&histogram, 1000);
    assert_true(told > 0.95 * 2147483648.0 && told < 1.05 * 2147483648.0);
}

static void a_full_bucket_halves_all_and_keeps_the_quantiles(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    for (unsigned i = 0; i < 70000; i++)
        histogram_add(&histogram, 5);
    for (unsigned i = 0; i < 7000; i++)
        histogram_add(&histogram, 1000);
    assert_int_equal(histogram.count, 77000);
    assert_int_equal(histogram_quantile(&histogram, 500), 5);
    assert_in_range(histogram_quantile(&histogram, 990), 950, 1050);
}

static void the_least_of_all_is_the_quantile_of_nothing(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, 7);
    histogram_add(&histogram, 9);
    assert_int_equal(histogram_quantile(&histogram, 0), 7);
    assert_int_equal(histogram_quantile(&histogram, 2000), 9);
}

static void merged_ones_say_what_one_of_all_would_even_when_they_are_full(void **state)
{
    (void)state;
    struct histogram left = {0};
    struct histogram right = {0};
    for (unsigned i = 0; i < 60000; i++) {
        histogram_add(&left, 5);
        histogram_add(&right, i % 10 == 0 ? 1000 : 5);
    }
    histogram_merge(&left, &right);
    assert_int_equal(left.count, 120000);
    assert_int_equal(left.sum, UINT64_C(5) * 114000 + 1000 * 6000);
    assert_int_equal(histogram_quantile(&left, 940), 5);
    assert_in_range(histogram_quantile(&left, 960), 950, 1050);
    assert_int_equal(left.max, 1000);
}

static void a_sum_past_its_range_stays_at_its_end(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    for (int i = 0; i < 3; i++)
        histogram_add(&histogram, INT64_MAX);
    assert_true(histogram.sum == UINT64_MAX);
    struct histogram other = {0};
    histogram_add(&other, 1);
    histogram_merge(&other, &histogram);
    assert_true(other.sum == UINT64_MAX);
    assert_int_equal(other.count, 4);
}

static void it_takes_less_than_a_kibibyte(void **state)
{
    (void)state;
    assert_true(sizeof(struct histogram) <= 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_five_percent_of_a_sorted_list),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(a_quantile_is_never_below_its_share),
        cmocka_unit_test(an_empty_one_says_zero),
        cmocka_unit_test(values_out_of_range_are_counted_at_its_ends),
        cmocka_unit_test(a_full_bucket_halves_all_and_keeps_the_quantiles),
        cmocka_unit_test(the_least_of_all_is_the_quantile_of_nothing),
        cmocka_unit_test(merged_ones_say_what_one_of_all_would_even_when_they_are_full),
        cmocka_unit_test(a_sum_past_its_range_stays_at_its_end),
        cmocka_unit_test(it_takes_less_than_a_kibibyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
