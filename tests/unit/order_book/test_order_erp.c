// Requests beside a scripted ERP: what it is sent, and what is known when it misbehaves.
#include "services/order/erp.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_MAX = 4096 };

static int listener;
static pthread_t thread;
static const char *reply; // what the ERP answers
static int kept;          // the last connection, left open; -1: each is closed after its answer
static char request[TEXT_MAX];
static char url[64];
static struct config_orders config;
static CURLM *multi;
static struct erp *erp;
static struct erp_result result;

// Takes one connection, reads its request to the end of its body, answers, closes.
static void *erp_main(void *arg)
{
    (void)arg;
    int client = accept(listener, NULL, NULL);
    size_t size = 0;
    ssize_t got = 0;
    const char *end = NULL;
    do {
        size += (size_t)got;
        request[size] = '\0';
        end = strstr(request, "\r\n\r\n");
        const char *length = strstr(request, "Content-Length: ");
        if (end != NULL && (length == NULL || strlen(end + 4) >= strtoul(length + 16, NULL, 10)))
            break;
    } while ((got = read(client, request + size, TEXT_MAX - 1 - size)) > 0);
    (void)!write(client, reply, strlen(reply));
    if (kept == -1)
        close(client);
    else
        kept = client;
    return NULL;
}

static void serve(const char *text)
{
    reply = text;
    assert_int_equal(pthread_create(&thread, NULL, erp_main, NULL), 0);
}

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return -1;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/orders", ntohs(address.sin_port));
    config = (struct config_orders){.url = url, .timeout_ms = 20000};
    request[0] = '\0';
    kept = -1;
    multi = curl_multi_init();
    return erp_new(&config, multi, &erp, NULL) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    erp_destroy(&erp);
    curl_multi_cleanup(multi);
    return close(listener);
}

static bool yes(void *arg)
{
    (void)arg;
    return true;
}

static bool no(void *arg)
{
    (void)arg;
    return false;
}

static void finish(void)
{
    for (;;) {
        int running;
        int left;
        assert_int_equal(curl_multi_perform(multi, &running), CURLM_OK);
        CURLMsg *message = curl_multi_info_read(multi, &left);
        if (message != NULL) {
            CURLcode code = message->data.result;
            assert_true(erp_is(erp, message->easy_handle));
            curl_multi_remove_handle(multi, message->easy_handle);
            erp_ended(erp, code, &result);
            return;
        }
        assert_int_equal(curl_multi_poll(multi, NULL, 0, 1000, NULL), CURLM_OK);
    }
}

static void place_with(const char *answer)
{
    serve(answer);
    assert_int_equal(erp_place(erp, "K-1", "{\"a\":1}", 42, yes, NULL), ERR_OK);
    finish();
    pthread_join(thread, NULL);
}

static void ask_with(const char *answer)
{
    serve(answer);
    assert_int_equal(erp_ask(erp, "K/1&x", 43, yes, NULL), ERR_OK);
    finish();
    pthread_join(thread, NULL);
}

static void assert_asked(const char *text)
{
    if (strstr(request, text) == NULL)
        fail_msg("\"%s\" has no \"%s\"", request, text);
}

static void an_order_carries_its_key_its_token_and_its_reference(void **state)
{
    (void)state;
    place_with("HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n{\"id\":\"E-7\"}");
    assert_asked("POST /orders HTTP/1.1\r\n");
    assert_asked("\r\nIdempotency-Key: K-1\r\n");
    assert_asked("\r\nX-Fencing-Token: 42\r\n");
    assert_asked("\r\nContent-Type: application/json\r\n");
    assert_asked("\r\n\r\n{\"reference\":\"K-1\",\"a\":1}");
    assert_null(strstr(request, "Expect"));
    assert_true(result.sent && result.answered && result.has_id);
    assert_int_equal(result.status, 201);
    assert_string_equal(result.id, "E-7");
}

static void a_broken_connection_after_the_request_counts_as_sent_and_nothing_is_sent_twice(void **state)
{
    (void)state;
    place_with("");
    assert_true(result.sent);
    assert_false(result.answered);
    assert_int_equal(result.status, 0);
    assert_true(result.sent_ms > 0);
}

static void each_request_has_a_connection_of_its_own_though_the_last_one_stands(void **state)
{
    (void)state;
    config.timeout_ms = 5000;
    kept = 0;
    place_with("HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n{\"id\":\"E-7\"}");
    int first = kept;
    serve("HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n{\"id\":\"E-8\"}");
    assert_int_equal(erp_place(erp, "K-2", "{}", 43, yes, NULL), ERR_OK);
    finish();
    assert_string_equal(result.id, "E-8");
    pthread_join(thread, NULL);
    close(first);
    close(kept);
}

static void an_answer_that_is_cut_short_gives_no_id(void **state)
{
    (void)state;
    place_with("HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{\"id\":\"E-7\"}");
    assert_true(result.sent);
    assert_false(result.answered);
    assert_false(result.has_id);
}

static void where_nobody_listens_nothing_was_sent(void **state)
{
    (void)state;
    close(listener);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(erp_place(erp, "K-1", "{}", 42, yes, NULL), ERR_OK);
    finish();
    assert_false(result.sent);
    assert_int_equal(result.status, 0);
}

static void an_order_that_may_not_be_sent_any_more_is_not_though_the_connection_stands(void **state)
{
    (void)state;
    serve("");
    assert_int_equal(erp_place(erp, "K-1", "{}", 42, no, NULL), ERR_OK);
    finish();
    pthread_join(thread, NULL);
    assert_false(result.sent);
    assert_string_equal(request, "");
    serve("");
    assert_int_equal(erp_ask(erp, "K-1", 42, no, NULL), ERR_OK);
    finish();
    pthread_join(thread, NULL);
    assert_false(result.sent);
    assert_string_equal(request, "");
}

static void a_cut_request_tells_whether_it_had_been_sent(void **state)
{
    (void)state;
    assert_int_equal(erp_place(erp, "K-1", "{}", 42, yes, NULL), ERR_OK);
    erp_cut(erp, &result);
    assert_false(result.sent);
    erp_cut(erp, &result);
    assert_false(result.sent);
}

static void the_erps_wish_to_be_asked_later_and_its_words_are_told(void **state)
{
    (void)state;
    place_with("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\ntoo\x01 many");
    assert_int_equal(result.status, 429);
    assert_int_equal(result.retry_after_ms, 7000);
    assert_string_equal(result.what, "the ERP answered 429: too? many");
}

static void a_redirect_is_an_answer_and_is_not_followed(void **state)
{
    (void)state;
    place_with("HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(result.status, 307);
    assert_false(result.has_id);
}

static void a_question_names_the_key_escaped_and_can_be_trusted_only_as_a_list(void **state)
{
    (void)state;
    ask_with("HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n[{\"id\":\"E-7\",\"key\":\"K/1&x\"}] ");
    assert_asked("GET /orders?key=K%2F1%26x HTTP/1.1\r\n");
    assert_asked("\r\nX-Fencing-Token: 43\r\n");
    assert_true(result.told && result.has_id);
    assert_string_equal(result.id, "E-7");
    ask_with("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]");
    assert_true(result.told && !result.has_id);
    ask_with("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>");
    assert_false(result.told);
    ask_with("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]");
    assert_false(result.told);
    ask_with("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n[]");
    assert_false(result.told);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_order_carries_its_key_its_token_and_its_reference),
        TEST(a_broken_connection_after_the_request_counts_as_sent_and_nothing_is_sent_twice),
        TEST(each_request_has_a_connection_of_its_own_though_the_last_one_stands),
        TEST(an_answer_that_is_cut_short_gives_no_id),
        TEST(where_nobody_listens_nothing_was_sent),
        TEST(an_order_that_may_not_be_sent_any_more_is_not_though_the_connection_stands),
        TEST(a_cut_request_tells_whether_it_had_been_sent),
        TEST(the_erps_wish_to_be_asked_later_and_its_words_are_told),
        TEST(a_redirect_is_an_answer_and_is_not_followed),
        TEST(a_question_names_the_key_escaped_and_can_be_trusted_only_as_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
