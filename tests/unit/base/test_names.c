#include "proto/base/names.h"
#include "proto/base/random.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

enum { NAMES = 100 };

static void a_name_is_found_until_it_is_removed(void **state)
{
    (void)state;
    struct names names;
    void *memory = malloc(names_size(2));
    assert_non_null(memory);
    names_init(&names, memory, 2);
    assert_int_equal(names_find(&names, "orders"), NAMES_NONE);
    names_put(&names, "orders", 0);
    names_put(&names, "", 7);
    assert_int_equal(names_find(&names, "orders"), 0);
    assert_int_equal(names_find(&names, ""), 7);
    names_remove(&names, "orders");
    names_remove(&names, "orders");
    assert_int_equal(names_find(&names, "orders"), NAMES_NONE);
    assert_int_equal(names_find(&names, ""), 7);
    free(memory);
}

// Full, emptied and filled in any order: no removal hides another name.
static void no_removal_hides_another_name(void **state)
{
    (void)state;
    static char texts[NAMES][16];
    bool present[NAMES] = {false};
    struct names names;
    struct random random;
    void *memory = malloc(names_size(NAMES));
    assert_non_null(memory);
    names_init(&names, memory, NAMES);
    random_init(&random, 5);
    for (int i = 0; i < NAMES; i++)
        (void)snprintf(texts[i], sizeof texts[i], "job-%d", i);
    for (int round = 0; round < 5000; round++) {
        const uint32_t i = (uint32_t)random_below(&random, NAMES);
        if (present[i])
            names_remove(&names, texts[i]);
        else
            names_put(&names, texts[i], i);
        present[i] = !present[i];
        for (uint32_t k = 0; k < NAMES; k++)
            assert_int_equal(names_find(&names, texts[k]), present[k] ? k : (uint32_t)NAMES_NONE);
    }
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found_until_it_is_removed),
        cmocka_unit_test(no_removal_hides_another_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
