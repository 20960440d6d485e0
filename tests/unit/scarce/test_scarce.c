// The base parts when memory ends.
#include "proto/base/buffer.h"
#include "tests/unit/scarce/scarce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void exactly_the_allocation_that_is_asked_for_fails(void **state)
{
    (void)state;
    scarce_after(1);
    char *first = strdup("first");
    char *second = strndup("second", 3);
    void *third = calloc(3, 3);
    assert_true(scarce_end());
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    free(first);
    free(third);
    scarce_after(9);
    assert_false(scarce_end());
}

static void a_buffer_that_gets_no_memory_keeps_what_it_has(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    assert_int_equal(buffer_add(&buffer, "kept", 4), ERR_OK);
    char more[200];
    memset(more, 'x', sizeof more);
    scarce_after(0);
    assert_int_equal(buffer_add(&buffer, more, sizeof more), ERR_NO_MEMORY);
    assert_true(scarce_end());
    assert_int_equal(buffer.size, 4);
    assert_memory_equal(buffer.data, "kept", 4);
    assert_int_equal(buffer_add(&buffer, more, sizeof more), ERR_OK);
    assert_int_equal(buffer.size, 204);
    buffer_free(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_allocation_that_is_asked_for_fails),
        cmocka_unit_test(a_buffer_that_gets_no_memory_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
