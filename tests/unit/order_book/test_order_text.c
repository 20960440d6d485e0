// The JSON of orders: what is taken, what is sent, what the ERP's answers mean.
#include "services/order/text.h"

#include "services/order/book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_key_is_short_and_visible(void **state)
{
    (void)state;
    char key[BOOK_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    key[BOOK_KEY_MAX] = '\0';
    assert_int_equal(text_check_key(key, NULL), ERR_OK);
    key[BOOK_KEY_MAX] = 'k';
    key[BOOK_KEY_MAX + 1] = '\0';
    assert_int_equal(text_check_key(key, NULL), ERR_INVALID);
    assert_int_equal(text_check_key("A-1/2#\"\\", NULL), ERR_OK);
    static const char *const bad[] = {"", "a b", "a\r\nX-Evil: 1", "\x7f", "\xc3\xa9"};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(text_check_key(bad[i], NULL), ERR_INVALID);
}

static void an_order_is_a_json_object_without_a_reference_of_its_own(void **state)
{
    (void)state;
    static const char *const good[] = {"{}", "{\"It's \\\"NaN\": \"I\"}", " {\"a\": 1.10} \n",
                                       "{\"a\":{\"reference\":1}}"};
    static const char *const bad[] = {"",
                                      "[]",
                                      "1",
                                      "{",
                                      "{}x",
                                      "{} {}",
                                      "{\"a\":1,}",
                                      "{'a':1}",
                                      "{\"reference\":\"K\"}",
                                      "null",
                                      "{\"a\":\"\xff\"}",
                                      "\"{}\"",
                                      "{\"a\":NaN}",
                                      "{\"a\":\"\n\"}"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(text_check_order(good[i], NULL), ERR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fault fault = {.err = ERR_OK};
        assert_int_equal(text_check_order(bad[i], &fault), ERR_INVALID);
        assert_true(fault.text[0] != '\0');
    }
}

static void an_order_larger_than_64_kib_is_refused(void **state)
{
    (void)state;
    char *body = malloc(BOOK_BODY_MAX + 2);
    memset(body, ' ', BOOK_BODY_MAX + 1);
    body[0] = '{';
    body[1] = '}';
    body[BOOK_BODY_MAX + 1] = '\0';
    assert_int_equal(text_check_order(body, NULL), ERR_INVALID);
    body[BOOK_BODY_MAX] = '\0';
    assert_int_equal(text_check_order(body, NULL), ERR_OK);
    free(body);
}

static void assert_sent(const char *body, const char *key, const char *wanted)
{
    struct buffer text;
    buffer_init(&text, 1000);
    assert_int_equal(text_with_reference(body, key, &text), ERR_OK);
    assert_int_equal(buffer_add_byte(&text, '\0'), ERR_OK);
    assert_string_equal(text.data, wanted);
    buffer_free(&text);
}

static void an_order_is_sent_as_it_was_written_with_its_key_in_front(void **state)
{
    (void)state;
    assert_sent("{}", "K", "{\"reference\":\"K\"}");
    assert_sent("{ \n}", "K", "{\"reference\":\"K\" \n}");
    assert_sent(" {\"amount\":1.10000000000000000001}", "K",
                "{\"reference\":\"K\",\"amount\":1.10000000000000000001}");
    assert_sent("{\"a\":1}", "q\"b\\", "{\"reference\":\"q\\\"b\\\\\",\"a\":1}");
}

static void an_order_that_is_too_large_with_its_key_is_said_to_be(void **state)
{
    (void)state;
    const size_t size = strlen("{\"reference\":\"K\",\"a\":1}");
    for (size_t max = 1; max <= size; max++) {
        struct buffer text;
        buffer_init(&text, max);
        assert_int_equal(text_with_reference("{\"a\":1}", "K", &text), max < size ? ERR_FULL : ERR_OK);
        buffer_free(&text);
    }
}

static void what_is_no_object_gets_no_reference(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 100);
    assert_int_equal(text_with_reference("[1]", "K", &text), ERR_INVALID);
    assert_int_equal(text.size, 0);
    buffer_free(&text);
}

static void an_answer_places_an_order_only_with_an_id_that_can_be_used(void **state)
{
    (void)state;
    char id[TEXT_ERP_ID_MAX + 1] = "";
    assert_int_equal(text_placed_id("{\"id\":\"E-1\"}", 12, id), ERR_OK);
    assert_string_equal(id, "E-1");
    assert_int_equal(text_placed_id("{\"id\":17}", 9, id), ERR_OK);
    assert_string_equal(id, "17");
    static const char *const bad[] = {"",
                                      "{}",
                                      "{\"id\":\"\"}",
                                      "{\"id\":null}",
                                      "{\"id\":1.5}",
                                      "{\"id\":[]}",
                                      "[{\"id\":1}]",
                                      "<html>id</html>",
                                      "{\"id\":\"E-1\"",
                                      "{\"id\":99999999999999999999}",
                                      "{\"id\":-99999999999999999999}",
                                      "{\"id\":\"a\\u0000b\"}",
                                      "17"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(text_placed_id(bad[i], strlen(bad[i]), id), ERR_NOT_FOUND);
}

static void an_id_has_at_most_128_bytes(void **state)
{
    (void)state;
    char id[TEXT_ERP_ID_MAX + 1] = "";
    char answer[2 * TEXT_ERP_ID_MAX];
    char wanted[TEXT_ERP_ID_MAX + 2];
    memset(wanted, 'e', sizeof wanted);
    wanted[TEXT_ERP_ID_MAX + 1] = '\0';
    int size = snprintf(answer, sizeof answer, "{\"id\":\"%s\"}", wanted);
    assert_int_equal(text_placed_id(answer, (size_t)size, id), ERR_NOT_FOUND);
    assert_string_equal(id, "");
    wanted[TEXT_ERP_ID_MAX] = '\0';
    size = snprintf(answer, sizeof answer, "{\"id\":\"%s\"}", wanted);
    assert_int_equal(text_placed_id(answer, (size_t)size, id), ERR_OK);
    assert_string_equal(id, wanted);
}

static void an_answer_ends_where_its_bytes_end(void **state)
{
    (void)state;
    char id[TEXT_ERP_ID_MAX + 1] = "";
    assert_int_equal(text_placed_id("{\"id\":1} \r\n\t", 12, id), ERR_OK);
    assert_int_equal(text_placed_id("{\"id\":1}\0", 9, id), ERR_NOT_FOUND);
    assert_int_equal(text_placed_id("{\"id\":1} \0 {}", 13, id), ERR_NOT_FOUND);
}

static void an_answer_of_more_than_a_mebibyte_is_not_read(void **state)
{
    (void)state;
    char id[TEXT_ERP_ID_MAX + 1] = "";
    char *answer = malloc(TEXT_ANSWER_MAX + 1);
    assert_non_null(answer);
    memset(answer, ' ', TEXT_ANSWER_MAX + 1);
    memcpy(answer, "{\"id\":1}", 8);
    assert_int_equal(text_placed_id(answer, TEXT_ANSWER_MAX + 1, id), ERR_NOT_FOUND);
    assert_int_equal(text_placed_id(answer, TEXT_ANSWER_MAX, id), ERR_OK);
    free(answer);
}

static enum err found(const char *answer, char *id)
{
    return text_found_id(answer, strlen(answer), "K", id);
}

static void a_search_tells_found_not_found_or_nothing(void **state)
{
    (void)state;
    char id[TEXT_ERP_ID_MAX + 1] = "";
    assert_int_equal(found("[{\"id\":\"E-9\",\"key\":\"KK\"},{\"id\":\"E-1\",\"key\":\"K\"}]", id), ERR_OK);
    assert_string_equal(id, "E-1");
    assert_int_equal(found("[{\"id\":\"E-9\"},{\"id\":\"E-1\",\"key\":\"K\"}]", id), ERR_OK);
    assert_int_equal(found("[]", id), ERR_NOT_FOUND);
    assert_int_equal(found("[{\"id\":\"E-9\",\"key\":\"k\"}]", id), ERR_NOT_FOUND);
    static const char *const bad[] = {"",
                                      "{}",
                                      "[",
                                      "[1]",
                                      "null",
                                      "<html></html>",
                                      "[{\"key\":\"K\"}]",
                                      "[] []",
                                      "[{}]",
                                      "[{\"id\":\"E-1\"}]",
                                      "[{\"id\":\"E-1\",\"key\":7}]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(found(bad[i], id), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_short_and_visible),
        cmocka_unit_test(an_order_is_a_json_object_without_a_reference_of_its_own),
        cmocka_unit_test(an_order_larger_than_64_kib_is_refused),
        cmocka_unit_test(an_order_is_sent_as_it_was_written_with_its_key_in_front),
        cmocka_unit_test(an_order_that_is_too_large_with_its_key_is_said_to_be),
        cmocka_unit_test(what_is_no_object_gets_no_reference),
        cmocka_unit_test(an_answer_places_an_order_only_with_an_id_that_can_be_used),
        cmocka_unit_test(an_id_has_at_most_128_bytes),
        cmocka_unit_test(an_answer_ends_where_its_bytes_end),
        cmocka_unit_test(an_answer_of_more_than_a_mebibyte_is_not_read),
        cmocka_unit_test(a_search_tells_found_not_found_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
