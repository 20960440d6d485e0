// What the next fetch asks for, and what is remembered of it.
#include "services/sync/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOUR  INT64_C(3600000)
#define NOW   INT64_C(1700000000000)
#define PLAIN "key: [id], source: {url: \"http://x/y\", full_every: 24h}"
#define TWO                                                                                                  \
    "key: [id], source: {url: \"http://x/new\", full_url: \"http://x/all\", complete: false, full_every: "   \
    "24h}"
#define NEWS  "key: [id], source: {url: \"http://x/new\", complete: false, full_every: 24h}"
#define PAGED "key: [id], source: {url: \"http://x/y\", page: {parameter: page, size: 200}}"
#define DATED "Last-Modified: Tue, 14 Nov 2023 22:13:10 GMT\r\n"

static struct config *config;
static struct fault fault;

// Makes the one job's options these.
static const struct config_job *job(const char *options)
{
    char text[512];
    config_destroy(&config);
    snprintf(text, sizeof text, "resources: {erp: {}}\njobs: {things: {every: 30m, %s}}\n", options);
    if (config_parse(text, strlen(text), "test.yaml", 1, NULL, NULL, &config, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return &config->jobs[0];
}

static int tear_down(void **state)
{
    (void)state;
    config_destroy(&config);
    return 0;
}

static struct plan planned(const struct config_job *of, const char *url, const struct validator *known,
                           int64_t now_ms)
{
    struct plan plan;
    assert_int_equal(plan_fetch(of, url, known, now_ms, &plan, &fault), ERR_OK);
    return plan;
}

static struct answer answered(const char *first, const char *second, const char *third)
{
    struct answer answer = {.counted = false};
    const char *const lines[] = {"HTTP/1.1 200 OK\r\n", first, second, third};
    for (size_t i = 0; i < 4; i++)
        if (lines[i] != NULL)
            answer_line(&answer, lines[i], strlen(lines[i]), "X-Total-Count");
    return answer;
}

// A first fetch at NOW of this job, answered so: what is remembered of it.
static struct validator after_first(const struct config_job *of, const struct answer *answer)
{
    const struct validator nothing = {.full_ms = 0};
    const struct plan plan = planned(of, NULL, &nothing, NOW);
    assert_string_equal(plan.etag, "");
    return plan_remember(&plan, &nothing, NOW, plan.paged ? NULL : answer);
}

static void what_is_remembered_is_asked_about_until_the_full_fetch_is_due(void **state)
{
    (void)state;
    const struct answer answer = answered("ETag: W/\"v1\"\r\n", NULL, NULL);
    const struct validator known = after_first(job(PLAIN), &answer);
    assert_int_equal(known.full_ms, NOW);
    assert_string_equal(planned(job(PLAIN), NULL, &known, NOW + 24 * HOUR - 1).etag, "W/\"v1\"");
    assert_string_equal(planned(job(PLAIN), NULL, &known, NOW + 24 * HOUR).etag, "");
    assert_true(planned(job(PLAIN), NULL, &known, NOW + HOUR).full);
}

static void a_clock_set_back_before_the_last_full_fetch_makes_the_next_one_full(void **state)
{
    (void)state;
    const struct answer answer = answered("ETag: \"v1\"\r\n", NULL, NULL);
    const struct validator known = after_first(job(PLAIN), &answer);
    assert_string_equal(planned(job(PLAIN), NULL, &known, NOW - 1).etag, "");
}

static void a_validator_is_void_once_any_option_or_the_address_is_another(void **state)
{
    (void)state;
    static const char *const others[] = {
        "key: [id, a], source: {url: \"http://x/y\"}",
        "key: [id], ignore: [a], source: {url: \"http://x/y\"}",
        "key: [id], source: {url: \"http://x/z\"}",
        "key: [id], source: {url: \"http://x/y\", format: json}",
        "key: [id], source: {url: \"http://x/y\", csv: {delimiter: \";\"}}",
    };
    const struct answer answer = answered("ETag: \"v1\"\r\n", NULL, NULL);
    const struct validator known = after_first(job(PLAIN), &answer);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_string_equal(planned(job(others[i]), NULL, &known, NOW + 1).etag, "");
    assert_string_equal(planned(job(PLAIN), "http://other/y", &known, NOW + 1).etag, "");
    assert_string_equal(planned(job(PLAIN), NULL, &known, NOW + 1).etag, "\"v1\"");
}

static void a_time_is_asked_about_only_if_a_later_change_would_show_in_it(void **state)
{
    (void)state;
    // Sent at 22:13:20.
    const struct answer older = answered(DATED, "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n", NULL);
    struct validator known = after_first(job(PLAIN), &older);
    assert_string_equal(planned(job(PLAIN), NULL, &known, NOW + 1).last_modified,
                        "Tue, 14 Nov 2023 22:13:10 GMT");
    const struct answer fresh = answered(DATED, "Date: Tue, 14 Nov 2023 22:13:11 GMT\r\n", NULL);
    known = after_first(job(PLAIN), &fresh);
    assert_string_equal(planned(job(PLAIN), NULL, &known, NOW + 1).last_modified, "");
    const struct answer undated = answered(DATED, NULL, NULL);
    known = after_first(job(PLAIN), &undated);
    assert_string_equal(planned(job(PLAIN), NULL, &known, NOW + 1).last_modified, "");
}

static void pages_are_never_asked_for_conditionally_and_are_each_time_the_whole(void **state)
{
    (void)state;
    const struct answer answer = answered("ETag: \"v1\"\r\n", NULL, NULL);
    const struct validator known = after_first(job(PAGED), &answer);
    const struct plan plan = planned(job(PAGED), NULL, &known, NOW + 1);
    assert_true(plan.paged);
    assert_true(plan.full);
    assert_string_equal(plan.etag, "");
    assert_false(planned(job(PAGED), "file:///export.csv", &known, NOW + 1).paged);
}

static void an_export_of_changes_is_full_only_by_its_other_address_each_full_every(void **state)
{
    (void)state;
    const struct validator nothing = {.full_ms = 0};
    const struct answer answer = answered("ETag: \"v1\"\r\n", NULL, NULL);
    struct plan plan = planned(job(TWO), NULL, &nothing, NOW);
    assert_string_equal(plan.url, "http://x/all");
    assert_true(plan.full);
    struct validator known = plan_remember(&plan, &nothing, NOW, &answer);
    plan = planned(job(TWO), NULL, &known, NOW + HOUR);
    assert_string_equal(plan.url, "http://x/new");
    assert_false(plan.full);
    assert_string_equal(plan.etag, ""); // the tag is of the other address
    known = plan_remember(&plan, &known, NOW + HOUR, &answer);
    assert_int_equal(known.full_ms, NOW);
    plan = planned(job(TWO), NULL, &known, NOW + 2 * HOUR);
    assert_string_equal(plan.etag, "\"v1\"");
    plan = planned(job(TWO), NULL, &known, NOW + 24 * HOUR);
    assert_string_equal(plan.url, "http://x/all");
    assert_true(plan.full);
    assert_string_equal(plan.etag, "");
    assert_false(planned(job(TWO), "http://x/file", &nothing, NOW).full);
}

static void an_export_of_changes_without_another_address_is_never_full(void **state)
{
    (void)state;
    const struct validator nothing = {.full_ms = 0};
    const struct answer answer = answered("ETag: \"v1\"\r\n", NULL, NULL);
    const struct plan plan = planned(job(NEWS), NULL, &nothing, NOW);
    assert_false(plan.full);
    const struct validator known = plan_remember(&plan, &nothing, NOW, &answer);
    assert_string_equal(planned(job(NEWS), NULL, &known, NOW + HOUR).etag, "\"v1\"");
    assert_string_equal(planned(job(NEWS), NULL, &known, NOW + 24 * HOUR).etag, "");
}

// ---------------------------------------------------------------- what answers say

static void only_a_tag_that_is_one_counts_and_a_weak_one_is_known_as_such(void **state)
{
    (void)state;
    assert_string_equal(answered("etag:  \"a\"  \r\n", NULL, NULL).etag, "\"a\"");
    assert_string_equal(answered("ETag: W/\"a\"\r\n", NULL, NULL).etag, "W/\"a\"");
    static const char *const bad[] = {"ETag: a\r\n",        "ETag: \"a\r\n", "ETag: w/\"a\"\r\n",
                                      "ETag: \"a\"b\"\r\n", "ETag:\r\n",     "ETag: \"\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_string_equal(answered(bad[i], NULL, NULL).etag, "");
    char longer[ANSWER_ETAG_MAX + 16] = "ETag: \"";
    memset(longer + 7, 'a', ANSWER_ETAG_MAX);
    longer[7 + ANSWER_ETAG_MAX] = '"';
    assert_string_equal(answered(longer, NULL, NULL).etag, "");
    assert_true(answer_is_strong("\"a\""));
    assert_false(answer_is_strong("W/\"a\""));
    assert_false(answer_is_strong(""));
    assert_true(answer_same("W/\"a\"", "\"a\""));
    assert_false(answer_same("\"a\"", "\"b\""));
}

static void a_total_is_a_number_or_was_not_told_and_an_interim_answer_is_void(void **state)
{
    (void)state;
    struct answer answer = answered("X-Total-Count: 830\r\n", NULL, NULL);
    assert_true(answer.counted);
    assert_int_equal(answer.records, 830);
    assert_true(answered("x-total-count:0\r\n", NULL, NULL).counted);
    assert_false(answered("X-Total-Count: many\r\n", NULL, NULL).counted);
    assert_false(answered("X-Total-Count:\r\n", NULL, NULL).counted);
    assert_false(answered("X-Total-Count: 99999999999999999999999\r\n", NULL, NULL).counted);
    assert_false(answered("X-Total-Count: 1\r\n", "HTTP/1.1 200 OK\r\n", NULL).counted);
    answer = answered("Content-Range: bytes 4-7/8\r\n", "Accept-Ranges: bytes\r\n", NULL);
    assert_true(answer.ranged && answer.ranges);
    assert_int_equal(answer.range_from, 4);
    assert_int_equal(answer.range_total, 8);
    assert_false(answered("Content-Range: pages 4\r\n", NULL, NULL).ranged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_remembered_is_asked_about_until_the_full_fetch_is_due),
        cmocka_unit_test(a_clock_set_back_before_the_last_full_fetch_makes_the_next_one_full),
        cmocka_unit_test(a_validator_is_void_once_any_option_or_the_address_is_another),
        cmocka_unit_test(a_time_is_asked_about_only_if_a_later_change_would_show_in_it),
        cmocka_unit_test(pages_are_never_asked_for_conditionally_and_are_each_time_the_whole),
        cmocka_unit_test(an_export_of_changes_is_full_only_by_its_other_address_each_full_every),
        cmocka_unit_test(an_export_of_changes_without_another_address_is_never_full),
        cmocka_unit_test(only_a_tag_that_is_one_counts_and_a_weak_one_is_known_as_such),
        cmocka_unit_test(a_total_is_a_number_or_was_not_told_and_an_interim_answer_is_void),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, tear_down);
}
