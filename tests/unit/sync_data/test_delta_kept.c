// What a store does with a fetch that is not one whole export: pages, changes only, slipped rows, nothing
// new.
#include "tests/unit/sync_data/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THINGS  "key: [id], max_rejects: 50%, source: {url: \"http://e/x\", format: csv}"
#define CHANGES "key: [id], source: {url: \"http://e/x\", format: csv, complete: false}"

static struct support_store store;

static int open_things(void **state)
{
    (void)state;
    support_open(&store, THINGS);
    return 0;
}

static int open_changes(void **state)
{
    (void)state;
    support_open(&store, CHANGES);
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    support_close(&store);
    return 0;
}

// Applies these pages as one run, which `run` describes.
static void assert_pages(const char *const *pages, size_t count, struct delta_run run, const char *expected)
{
    char path[128];
    uint64_t ends[8];
    uint64_t end = 0;
    const atomic_bool cancel = false;
    snprintf(path, sizeof path, "%s/spool", store.folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < count; i++) {
        fputs(pages[i], file);
        end += strlen(pages[i]);
        ends[i] = end;
    }
    assert_int_equal(fclose(file), 0);
    run.run = ++store.run;
    run.attempt = 1;
    run.page_ends = ends;
    run.page_count = count;
    store.fault = (struct fault){.err = ERR_OK};
    assert_int_equal(delta_apply(store.delta, path, &run, &cancel, &store.result, &store.fault), ERR_OK);
    assert_string_equal(support_counts(&store), expected);
}

static void assert_step(const char *text, struct delta_run run, const char *expected)
{
    assert_pages(&text, 1, run, expected);
}

#define PLAIN                                                                                                \
    (struct delta_run)                                                                                       \
    {                                                                                                        \
        .run = 0                                                                                             \
    }

static void pages_are_one_export_and_each_begins_with_its_own_head(void **state)
{
    (void)state;
    static const char *const pages[] = {"id,a\n1,x\n2,y\n", "a,id\nz,3\n", "id,a\n"};
    assert_pages(pages, 3, PLAIN, "created 3 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 3");
    assert_int_equal(support_apply(&store, "id,a\n1,x\n2,y\n3,z\n", 0), ERR_OK);
    assert_string_equal(support_counts(&store),
                        "created 0 changed 0 unchanged 3 deleted 0 rejected 0 withheld 0 seq 3");
}

static void a_row_that_slipped_to_the_next_page_is_none_and_one_that_changed_meanwhile_is_set_aside(
    void **state)
{
    (void)state;
    static const char *const same[] = {"id,a\n1,x\n2,y\n", "id,a\n2,y\n3,z\n"};
    assert_pages(same, 2, PLAIN, "created 3 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 3");
    static const char *const changed[] = {"id,a\n1,x\n2,y\n", "id,a\n2,new\n3,z\n"};
    assert_pages(changed, 2, PLAIN, "created 0 changed 0 unchanged 3 deleted 0 rejected 1 withheld 0 seq 3");
}

static void a_bad_row_has_the_line_that_it_would_have_in_one_piece(void **state)
{
    (void)state;
    static const char *const pages[] = {"id,a\n1,x\n2,y\n", "id,a\n3,z\n4\n"};
    assert_pages(pages, 2, PLAIN, "created 3 changed 0 unchanged 0 deleted 0 rejected 1 withheld 0 seq 3");
    Sb__FeedQuery query = SB__FEED_QUERY__INIT;
    const char *told = support_call(&store, "rejects", &query.base, &sb__reject_list__descriptor);
    if (strstr(told, "\"line\":5,") == NULL)
        fail_msg("%s", told);
}

static void a_broken_page_fails_the_run_and_touches_nothing(void **state)
{
    (void)state;
    static const char *const good[] = {"id,a\n1,x\n", "id,a\n2,y\n"};
    static const char *const broken[] = {"id,a\n1,new\n", "<html>Log in</html>"};
    assert_pages(good, 2, PLAIN, "created 2 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 2");
    assert_pages(broken, 2, PLAIN,
                 "failed: the export is an HTML or XML page: at byte 0 stands \"<html>Log in</html>\"");
    assert_pages(good, 2, PLAIN, "created 0 changed 0 unchanged 2 deleted 0 rejected 0 withheld 0 seq 2");
}

static void where_rows_may_have_slipped_nothing_is_deleted_and_the_rest_is_taken_over(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n2,y\n3,z\n", PLAIN,
                "created 3 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 3");
    assert_step("id,a\n1,new\n4,w\n", (struct delta_run){.withhold = "they moved"},
                "created 1 changed 1 unchanged 0 deleted 0 rejected 0 withheld 2 seq 5");
    assert_step("id,a\n1,new\n4,w\n", PLAIN,
                "created 0 changed 0 unchanged 2 deleted 2 rejected 0 withheld 0 seq 7");
}

static void only_a_full_fetch_deletes_where_exports_are_of_changes(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n2,y\n", PLAIN,
                "created 2 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 2");
    assert_step("id,a\n3,z\n", PLAIN,
                "created 1 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 3");
    assert_step("id,a\n2,new\n3,z\n", (struct delta_run){.full = true},
                "created 0 changed 1 unchanged 1 deleted 1 rejected 0 withheld 0 seq 5");
    assert_step("id,a\n", (struct delta_run){.full = true},
                "failed: the export has no records, but 2 are stored: it is taken for broken");
    assert_step("id,a\n3,z\n", (struct delta_run){.full = true, .withhold = "they moved"},
                "created 0 changed 0 unchanged 1 deleted 0 rejected 0 withheld 1 seq 5");
}

// ---------------------------------------------------------------- validators

static const struct validator first = {
    .etag = "\"v1\"", .last_modified = "Tue, 14 Nov 2023 22:13:10 GMT", .asked = 77, .full_ms = 5};

static struct validator remembered(void)
{
    struct validator validator;
    assert_int_equal(delta_validator(store.delta, &validator, &store.fault), ERR_OK);
    return validator;
}

static void assert_first(void)
{
    const struct validator validator = remembered();
    assert_string_equal(validator.etag, first.etag);
    assert_string_equal(validator.last_modified, first.last_modified);
    assert_true(validator.asked == 77);
    assert_int_equal(validator.full_ms, 5);
}

static void a_validator_is_stored_with_the_data_and_goes_with_them(void **state)
{
    (void)state;
    assert_string_equal(remembered().etag, "");
    assert_step("id,a\n1,x\n", (struct delta_run){.validator = &first},
                "created 1 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 1");
    support_reopen(&store);
    assert_first();
    assert_step("id,a\n1,y\n", PLAIN,
                "created 0 changed 1 unchanged 0 deleted 0 rejected 0 withheld 0 seq 2");
    assert_string_equal(remembered().etag, "");
}

static void a_failed_run_leaves_the_validator_as_it_leaves_the_data(void **state)
{
    (void)state;
    static const struct validator second = {.etag = "\"v2\"", .asked = 78, .full_ms = 6};
    assert_step("id,a\n1,x\n", (struct delta_run){.validator = &first, .token = 9},
                "created 1 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 1");
    assert_step("", (struct delta_run){.validator = &second, .token = 9},
                "failed: the export is empty (0 bytes)");
    assert_first();
    assert_step("id,a\n1,y\n", (struct delta_run){.validator = &second, .token = 8},
                "failed: it was fetched under token 8, but the store has what token 9 fetched");
    assert_first();
}

static void what_was_not_wholly_taken_over_is_not_vouched_for(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n2,y\n", (struct delta_run){.validator = &first},
                "created 2 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 2");
    assert_step("id,a\n1,x\n", (struct delta_run){.validator = &first, .withhold = "they moved"},
                "created 0 changed 0 unchanged 1 deleted 0 rejected 0 withheld 1 seq 2");
    assert_string_equal(remembered().etag, "");
    assert_string_equal(remembered().last_modified, "");
    assert_true(remembered().asked == 0);
    assert_int_equal(remembered().full_ms, 5);
}

static void nothing_new_is_a_good_result_that_is_stored_to_be_reported_and_changes_nothing(void **state)
{
    (void)state;
    Sb__Result result = SB__RESULT__INIT;
    Sb__Report *report = NULL;
    assert_step("id,a\n1,x\n2\n", (struct delta_run){.validator = &first, .token = 4},
                "created 1 changed 0 unchanged 0 deleted 0 rejected 1 withheld 0 seq 1");
    assert_int_equal(delta_acknowledge(store.delta, 1, 1, &store.fault), ERR_OK);
    const struct delta_run run = {.run = 2, .attempt = 1, .token = 7, .started_ms = 3, .yields = 1};
    assert_int_equal(delta_keep(store.delta, &run, &result, &store.fault), ERR_OK);
    assert_true(result.ok && result.not_modified);
    assert_int_equal(result.last_seq, 1);
    assert_int_equal(result.seen, 2);
    assert_int_equal(result.unchanged, 1);
    assert_int_equal(result.rejected, 1);
    assert_int_equal(delta_next_report(store.delta, &report, &store.fault), ERR_OK);
    assert_int_equal(report->run, 2);
    assert_true(report->result->ok && report->result->not_modified);
    assert_int_equal(report->result->yields, 1);
    assert_int_equal(report->result->started_ms, 3);
    sb__report__free_unpacked(report, NULL);
    assert_first();
    // The token of that fetch counts, too.
    assert_step("id,a\n1,y\n", (struct delta_run){.token = 6},
                "failed: it was fetched under token 6, but the store has what token 7 fetched");
}

#define story(name)      cmocka_unit_test_setup_teardown(name, open_things, close_store)
#define of_changes(name) cmocka_unit_test_setup_teardown(name, open_changes, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(pages_are_one_export_and_each_begins_with_its_own_head),
        story(a_row_that_slipped_to_the_next_page_is_none_and_one_that_changed_meanwhile_is_set_aside),
        story(a_bad_row_has_the_line_that_it_would_have_in_one_piece),
        story(a_broken_page_fails_the_run_and_touches_nothing),
        story(where_rows_may_have_slipped_nothing_is_deleted_and_the_rest_is_taken_over),
        of_changes(only_a_full_fetch_deletes_where_exports_are_of_changes),
        story(a_validator_is_stored_with_the_data_and_goes_with_them),
        story(a_failed_run_leaves_the_validator_as_it_leaves_the_data),
        story(what_was_not_wholly_taken_over_is_not_vouched_for),
        story(nothing_new_is_a_good_result_that_is_stored_to_be_reported_and_changes_nothing),
    };
    return cmocka_run_group_tests_name("what is kept", tests, NULL, NULL);
}
