// Pages, told as stories: what came, and what is fetched next or why the fetch cannot go on.
#include "services/sync/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 10 };

static struct pages pages;
static struct fault fault;

static void start(bool check)
{
    fault = (struct fault){.err = ERR_OK};
    pages_init(&pages, SIZE, 1, check);
}

// A page whose rows are named by `rows`, so that two with the same name are the same; -1: no total is told.
static const char *comes(uint64_t records, uint64_t rows, int64_t total)
{
    static char text[64];
    const struct page page = {.records = records,
                              .hash = {rows, 0},
                              .counted = total >= 0,
                              .total = total >= 0 ? (uint64_t)total : 0};
    enum pages_step step = PAGES_DONE;
    const uint64_t number = pages_number(&pages);
    if (pages_take(&pages, &page, &step, &fault) != ERR_OK)
        return "failed";
    if (step == PAGES_DONE)
        return "done";
    snprintf(text, sizeof text, "%s %llu", step == PAGES_CHECK ? "check" : "next",
             (unsigned long long)pages_number(&pages));
    assert_true(number >= 1);
    return text;
}

static void says(const char *words)
{
    if (strstr(fault.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fault.text, words);
}

static void pages_are_fetched_until_one_has_fewer_records_than_were_asked_for(void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(10, 1, 24), "next 2");
    assert_string_equal(comes(10, 2, 24), "next 3");
    assert_string_equal(comes(4, 3, 24), "check 1");
    assert_string_equal(comes(10, 1, 24), "done");
    assert_null(pages.withheld);
    assert_int_equal(pages.records, 24);
    assert_int_equal(pages.count, 3);
}

static void a_last_page_that_is_full_is_known_by_the_empty_one_behind_it_whatever_total_is_told(void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(10, 1, 20), "next 2");
    assert_string_equal(comes(10, 2, 20), "next 3");
    assert_string_equal(comes(0, 3, 20), "check 1");
    assert_string_equal(comes(10, 1, 20), "done");
    assert_null(pages.withheld);
}

static void an_export_of_one_page_is_firm_without_a_check_or_a_total(void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(9, 1, -1), "done");
    assert_null(pages.withheld);
    start(true);
    assert_string_equal(comes(0, 1, 0), "done");
    assert_null(pages.withheld);
}

static void what_cannot_delete_is_not_checked(void **state)
{
    (void)state;
    start(false);
    assert_string_equal(comes(10, 1, 11), "next 2");
    assert_string_equal(comes(1, 2, 11), "done");
}

static void another_first_page_at_the_end_withholds_the_deletions(void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(10, 1, 14), "next 2");
    assert_string_equal(comes(4, 2, 14), "check 1");
    assert_string_equal(comes(10, 9, 14), "done");
    assert_non_null(strstr(pages.withheld, "first page changed"));
}

static void another_total_on_any_page_or_at_the_end_withholds_the_deletions_without_further_checks(
    void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(10, 1, 24), "next 2");
    assert_string_equal(comes(10, 2, 23), "next 3");
    assert_string_equal(comes(4, 3, 24), "done");
    assert_non_null(strstr(pages.withheld, "number of records changed"));
    start(true);
    assert_string_equal(comes(10, 1, 14), "next 2");
    assert_string_equal(comes(4, 2, 14), "check 1");
    assert_string_equal(comes(10, 1, 15), "done");
    assert_non_null(strstr(pages.withheld, "number of records changed"));
}

static void without_a_total_several_pages_delete_nothing(void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(10, 1, -1), "next 2");
    assert_string_equal(comes(4, 2, -1), "done");
    assert_non_null(strstr(pages.withheld, "total_header"));
}

static void an_erp_that_gives_fewer_than_asked_for_is_not_taken_to_be_at_its_end(void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(5, 1, 24), "failed");
    says("told of 24 records, but its pages ended after 5");
    start(true);
    assert_string_equal(comes(10, 1, 24), "next 2");
    assert_string_equal(comes(0, 2, 24), "failed");
}

static void an_erp_that_gives_more_than_asked_for_or_the_same_page_again_does_not_take_the_parameters(
    void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(24, 1, 24), "failed");
    says("size_parameter");
    start(true);
    assert_string_equal(comes(10, 1, 24), "next 2");
    assert_string_equal(comes(10, 1, 24), "failed");
    says("page 2 is the same as the one before");
}

static void more_records_than_were_told_withhold_the_deletions(void **state)
{
    (void)state;
    start(true);
    assert_string_equal(comes(10, 1, 12), "next 2");
    assert_string_equal(comes(4, 2, 12), "done");
    assert_non_null(strstr(pages.withheld, "more records than"));
}

static void pages_can_be_counted_from_0(void **state)
{
    (void)state;
    pages_init(&pages, SIZE, 0, true);
    assert_int_equal(pages_number(&pages), 0);
    struct page page = {.records = SIZE, .hash = {1, 1}, .counted = true, .total = 11};
    enum pages_step step = PAGES_DONE;
    assert_int_equal(pages_take(&pages, &page, &step, &fault), ERR_OK);
    assert_int_equal(pages_number(&pages), 1);
    page.records = 1;
    assert_int_equal(pages_take(&pages, &page, &step, &fault), ERR_OK);
    assert_int_equal(step, PAGES_CHECK);
    assert_int_equal(pages_number(&pages), 0);
}

// A table that changes at random between two pages: whatever is still there at the end and was missed must
// not be deleted, so a fetch that missed any such row is never firm.
static void a_fetch_that_missed_a_row_which_is_still_there_is_never_firm(void **state)
{
    (void)state;
    enum { ROWS_MAX = 64 };
    uint64_t seed = 7;
    int missed_any = 0;
    int firm = 0;
    for (int round = 0; round < 20000; round++) {
        uint64_t rows[ROWS_MAX];
        bool seen[ROWS_MAX * 4] = {false};
        size_t count = 0;
        uint64_t fresh = 0;
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        for (size_t want = SIZE + (seed >> 33) % 30; count < want;)
            rows[count++] = fresh++;
        start(true);
        enum pages_step step = PAGES_NEXT;
        bool failed = false;
        while (step != PAGES_DONE && !failed) {
            const bool checking = step == PAGES_CHECK;
            const size_t from = (pages_number(&pages) - 1) * SIZE;
            struct page page = {.counted = true, .total = count};
            for (size_t i = from; i < count && i < from + SIZE; i++) {
                page.records++;
                page.hash[0] = page.hash[0] * 1099511628211U + rows[i] + 1;
                seen[rows[i]] = seen[rows[i]] || !checking;
            }
            failed = pages_take(&pages, &page, &step, &fault) != ERR_OK;
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            if ((seed >> 40) % 8 == 0 && count > 0) { // a row leaves, and those behind it move up
                const size_t gone = (seed >> 45) % count;
                memmove(&rows[gone], &rows[gone + 1], (count - gone - 1) * sizeof rows[0]);
                count--;
            }
        }
        bool missed = false;
        for (size_t i = 0; i < count; i++)
            missed = missed || !seen[rows[i]];
        missed_any += missed;
        firm += !failed && pages.withheld == NULL;
        assert_false(missed && !failed && pages.withheld == NULL);
    }
    assert_true(missed_any > 1000);
    assert_true(firm > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_fetched_until_one_has_fewer_records_than_were_asked_for),
        cmocka_unit_test(a_last_page_that_is_full_is_known_by_the_empty_one_behind_it_whatever_total_is_told),
        cmocka_unit_test(an_export_of_one_page_is_firm_without_a_check_or_a_total),
        cmocka_unit_test(what_cannot_delete_is_not_checked),
        cmocka_unit_test(another_first_page_at_the_end_withholds_the_deletions),
        cmocka_unit_test(
            another_total_on_any_page_or_at_the_end_withholds_the_deletions_without_further_checks),
        cmocka_unit_test(without_a_total_several_pages_delete_nothing),
        cmocka_unit_test(an_erp_that_gives_fewer_than_asked_for_is_not_taken_to_be_at_its_end),
        cmocka_unit_test(
            an_erp_that_gives_more_than_asked_for_or_the_same_page_again_does_not_take_the_parameters),
        cmocka_unit_test(more_records_than_were_told_withhold_the_deletions),
        cmocka_unit_test(pages_can_be_counted_from_0),
        cmocka_unit_test(a_fetch_that_missed_a_row_which_is_still_there_is_never_firm),
    };
    return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
