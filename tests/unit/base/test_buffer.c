#include "proto/base/buffer.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void a_buffer_keeps_what_was_added_in_order(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    assert_int_equal(buffer_add(&buffer, "one", 3), ERR_OK);
    assert_int_equal(buffer_add_byte(&buffer, ','), ERR_OK);
    assert_int_equal(buffer_print(&buffer, "%s=%d", "two", 2), ERR_OK);
    assert_int_equal(buffer.size, 9);
    assert_memory_equal(buffer.data, "one,two=2", 9);
    buffer_free(&buffer);
    assert_int_equal(buffer.size, 0);
    assert_null(buffer.data);
}

static void a_buffer_never_grows_past_its_maximum(void **state)
{
    (void)state;
    struct buffer buffer;
    char many[600];
    memset(many, 'x', sizeof many);
    buffer_init(&buffer, 1000);
    assert_int_equal(buffer_add(&buffer, many, 600), ERR_OK);
    assert_int_equal(buffer_add(&buffer, many, 401), ERR_FULL);
    assert_int_equal(buffer.size, 600);
    assert_int_equal(buffer_add(&buffer, many, 400), ERR_OK);
    assert_int_equal(buffer_add_byte(&buffer, 'x'), ERR_FULL);
    assert_int_equal(buffer.size, 1000);
    assert_true(buffer.capacity <= 1000);
    buffer_free(&buffer);
}

static void an_enormous_addition_is_refused_without_overflow(void **state)
{
    (void)state;
    struct buffer buffer;
    char *place = NULL;
    buffer_init(&buffer, 1000);
    assert_int_equal(buffer_add(&buffer, "x", 1), ERR_OK);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX, &place), ERR_FULL);
    assert_null(place);
    buffer_free(&buffer);
}

static void text_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 8);
    assert_int_equal(buffer_print(&buffer, "%s", "1234"), ERR_OK);
    assert_int_equal(buffer_print(&buffer, "%s", "56789"), ERR_FULL);
    assert_int_equal(buffer.size, 4);
    assert_memory_equal(buffer.data, "1234", 4);
    buffer_free(&buffer);
}

static void a_cleared_buffer_keeps_its_memory(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    assert_int_equal(buffer_add(&buffer, "abc", 3), ERR_OK);
    const size_t capacity = buffer.capacity;
    buffer_clear(&buffer);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer.capacity, capacity);
    buffer_free(&buffer);
}

static void a_report_is_cut_and_never_overflows(void **state)
{
    (void)state;
    char many[1000];
    memset(many, 'y', sizeof many);
    many[sizeof many - 1] = '\0';
    struct fault fault = {0};
    assert_int_equal(fault_set(&fault, ERR_IO, "%s", many), ERR_IO);
    assert_int_equal(fault.err, ERR_IO);
    assert_int_equal(strlen(fault.text), sizeof fault.text - 1);
    assert_int_equal(fault_set(NULL, ERR_BUSY, "nobody reads this"), ERR_BUSY);
}

static void every_error_has_a_text(void **state)
{
    (void)state;
    for (int err = 0; err < ERR_COUNT; err++)
        assert_true(strlen(err_text((enum err)err)) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_keeps_what_was_added_in_order),
        cmocka_unit_test(a_buffer_never_grows_past_its_maximum),
        cmocka_unit_test(an_enormous_addition_is_refused_without_overflow),
        cmocka_unit_test(text_that_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(a_cleared_buffer_keeps_its_memory),
        cmocka_unit_test(a_report_is_cut_and_never_overflows),
        cmocka_unit_test(every_error_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
