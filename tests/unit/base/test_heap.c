#include "proto/base/heap.h"
#include "proto/base/random.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

enum { ITEMS = 64 };

static struct heap heap;
static int64_t memory[ITEMS * 2];

static int begin(void **state)
{
    (void)state;
    assert_true(heap_size(ITEMS) <= sizeof memory);
    heap_init(&heap, memory, ITEMS);
    return 0;
}

static void an_empty_heap_is_due_never(void **state)
{
    (void)state;
    assert_true(heap_first_time(&heap) == INT64_MAX);
    heap_set(&heap, 3, 10);
    heap_set(&heap, 3, INT64_MAX);
    assert_true(heap_first_time(&heap) == INT64_MAX);
    assert_int_equal(heap_first(&heap), 0);
}

static void the_earliest_comes_first_and_ties_go_to_the_smaller_number(void **state)
{
    (void)state;
    heap_set(&heap, 9, 5);
    heap_set(&heap, 4, 5);
    heap_set(&heap, 1, 7);
    assert_int_equal(heap_first(&heap), 4);
    heap_set(&heap, 4, 8);
    assert_int_equal(heap_first(&heap), 9);
    heap_set(&heap, 1, -1);
    assert_int_equal(heap_first(&heap), 1);
    assert_int_equal(heap_time(&heap, 4), 8);
}

// The same as looking through all of them, whatever is done.
static void it_agrees_with_a_look_at_all_items(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, 11);
    for (int round = 0; round < 20000; round++) {
        const uint32_t item = (uint32_t)random_below(&random, ITEMS);
        const uint64_t time = random_below(&random, 40);
        heap_set(&heap, item, time == 0 ? INT64_MAX : (int64_t)time);
        uint32_t first = 0;
        for (uint32_t i = 1; i < ITEMS; i++)
            first = heap_time(&heap, i) < heap_time(&heap, first) ? i : first;
        assert_true(heap_first_time(&heap) == heap_time(&heap, first));
        if (heap_first_time(&heap) != INT64_MAX)
            assert_int_equal(heap_first(&heap), first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_heap_is_due_never, begin),
        cmocka_unit_test_setup(the_earliest_comes_first_and_ties_go_to_the_smaller_number, begin),
        cmocka_unit_test_setup(it_agrees_with_a_look_at_all_items, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
