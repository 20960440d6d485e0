#include "broker/envelope.h"

#include "broker/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct envelope taken(size_t first, size_t second, size_t third, size_t count)
{
    const size_t sizes[ENVELOPE_FRAMES_MAX] = {first, second, third};
    struct envelope envelope = {.body = SIZE_MAX};
    assert_int_equal(envelope_read(sizes, count, &envelope), ERR_OK);
    return envelope;
}

static void a_request_is_one_frame_bare_or_after_a_delimiter(void **state)
{
    (void)state;
    const struct envelope bare = taken(5, 7, 0, 2), delimited = taken(5, 0, 7, 3),
                          nothing = taken(5, 0, 0, 2);
    assert_false(bare.malformed);
    assert_false(bare.delimiter);
    assert_int_equal(bare.body, 1);
    assert_false(delimited.malformed);
    assert_true(delimited.delimiter);
    assert_int_equal(delimited.body, 2);
    assert_false(nothing.malformed); // the request is empty then, which is the wire's matter
    assert_int_equal(nothing.body, 1);
}

static void more_or_fewer_frames_are_malformed_and_a_delimiter_is_answered_with_one(void **state)
{
    (void)state;
    assert_true(taken(5, 0, 0, 1).malformed);
    assert_true(taken(5, 7, 7, 3).malformed);
    assert_false(taken(5, 7, 7, 3).delimiter);
    assert_true(taken(5, 0, 7, 4).malformed);
    assert_true(taken(5, 0, 7, 4).delimiter);
    assert_true(taken(5, 7, 7, 1000).malformed);
}

static void an_identity_that_names_no_connection_cannot_be_answered(void **state)
{
    (void)state;
    const size_t without[ENVELOPE_FRAMES_MAX] = {0, 7, 0},
                 longer[ENVELOPE_FRAMES_MAX] = {PEER_IDENTITY_MAX + 1, 7};
    struct envelope envelope;
    assert_int_equal(envelope_read(without, 2, &envelope), ERR_INVALID);
    assert_int_equal(envelope_read(longer, 2, &envelope), ERR_INVALID);
    assert_int_equal(envelope_read(longer, 0, &envelope), ERR_INVALID);
    assert_false(taken(PEER_IDENTITY_MAX, 7, 0, 2).malformed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_one_frame_bare_or_after_a_delimiter),
        cmocka_unit_test(more_or_fewer_frames_are_malformed_and_a_delimiter_is_answered_with_one),
        cmocka_unit_test(an_identity_that_names_no_connection_cannot_be_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
