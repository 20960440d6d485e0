#include "services/sync/delta_store.h"
#include "tests/unit/sync_data/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THINGS "key: [id], max_rejects: 50%, source: {url: \"http://e/x\", format: csv}"

static struct support_store store;

static int open_things(void **state)
{
    (void)state;
    support_open(&store, THINGS);
    return 0;
}

static int close_things(void **state)
{
    (void)state;
    support_close(&store);
    return 0;
}

static void assert_step(const char *text, const char *expected)
{
    assert_int_equal(support_apply(&store, text, store.run + 1), ERR_OK);
    assert_string_equal(support_counts(&store), expected);
}

static void a_sync_counts_what_is_new_changed_equal_and_gone(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n2,y\n3,z\n",
                "created 3 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 3");
    assert_step("a,id\nx,1\nnew,2\nw,4\n",
                "created 1 changed 1 unchanged 1 deleted 1 rejected 0 withheld 0 seq 6");
    assert_step("id,a\n1,x\n2,new\n4,w\n",
                "created 0 changed 0 unchanged 3 deleted 0 rejected 0 withheld 0 seq 6");
}

static void what_was_stored_is_there_for_the_next_process(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n", "created 1 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 1");
    const uint64_t feed = store.result.feed;
    support_reopen(&store);
    assert_step("id,a\n1,x\n", "created 0 changed 0 unchanged 1 deleted 0 rejected 0 withheld 0 seq 1");
    assert_true(feed != 0);
    assert_true(store.result.feed == feed);
}

static void of_rows_with_one_key_the_first_wins_and_an_equal_one_is_none(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n1,x\n1,y\n2,x\n",
                "created 2 changed 0 unchanged 0 deleted 0 rejected 1 withheld 0 seq 2");
    assert_step("id,a\n1,z\n1,x\n1,z\n2,x\n2,x\n",
                "created 0 changed 1 unchanged 1 deleted 0 rejected 1 withheld 0 seq 3");
}

static void a_rejected_row_protects_its_record(void **state)
{
    (void)state;
    assert_step("id,a,b\n1,x,y\n2,x,y\n3,x,y\n",
                "created 3 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 3");
    assert_step("id,a,b\n1,x,y\n2,x|y\n",
                "created 0 changed 0 unchanged 1 deleted 1 rejected 1 withheld 0 seq 4");
}

static void a_rejected_row_without_a_key_withholds_one_deletion(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n2,x\n3,x\n4,x\n",
                "created 4 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 4");
    assert_step("id,a\n1,x\n,x\n", "created 0 changed 0 unchanged 1 deleted 2 rejected 1 withheld 1 seq 6");
}

static void too_many_rejects_fail_the_run_and_touch_nothing(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n2,x\n", "created 2 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 2");
    assert_step(
        "id,a\n1,y\n3,x,z\n4\n",
        "failed: 2 of 3 rows were rejected, more than max_rejects (50%); the first, at line 3: 3 fields in "
        "place of 2");
    assert_step("id,a\n1,x\n2,x\n", "created 0 changed 0 unchanged 2 deleted 0 rejected 0 withheld 0 seq 2");
}

static void broken_exports_fail_and_touch_nothing(void **state)
{
    (void)state;
    assert_step("id,a\n1,x\n2,x\n", "created 2 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 2");
    assert_step("", "failed: the export is empty (0 bytes)");
    assert_step("<html>Log in</html>",
                "failed: the export is an HTML or XML page: at byte 0 stands \"<html>Log in</html>\"");
    assert_step("id,a\n1,y\n2", "failed: the export ends in the middle of line 3");
    assert_step("id,a\n", "failed: the export has no records, but 2 are stored: it is taken for broken");
    assert_step("id,a\n1,x\n2,x\n", "created 0 changed 0 unchanged 2 deleted 0 rejected 0 withheld 0 seq 2");
}

static void an_older_token_is_refused_by_the_store(void **state)
{
    (void)state;
    assert_int_equal(support_apply(&store, "id,a\n1,x\n", 7), ERR_OK);
    assert_int_equal(support_apply(&store, "id,a\n1,old\n", 6), ERR_OK);
    assert_string_equal(support_counts(&store),
                        "failed: it was fetched under token 6, but the store has what token 7 fetched");
    assert_int_equal(support_apply(&store, "id,a\n1,x\n", 7), ERR_OK);
    assert_string_equal(support_counts(&store),
                        "created 0 changed 0 unchanged 1 deleted 0 rejected 0 withheld 0 seq 1");
}

static void an_export_of_changes_only_deletes_nothing(void **state)
{
    (void)state;
    struct support_store part;
    support_open(&part, "key: [id], source: {url: \"http://e/x\", format: csv, complete: false}");
    assert_int_equal(support_apply(&part, "id,a\n1,x\n2,x\n", 1), ERR_OK);
    assert_int_equal(support_apply(&part, "id,a\n2,y\n", 2), ERR_OK);
    assert_string_equal(support_counts(&part),
                        "created 0 changed 1 unchanged 0 deleted 0 rejected 0 withheld 0 seq 3");
    assert_int_equal(support_apply(&part, "id,a\n", 3), ERR_OK);
    assert_string_equal(support_counts(&part),
                        "created 0 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 3");
    support_close(&part);
}

static void results_wait_until_they_are_acknowledged(void **state)
{
    (void)state;
    struct fault fault = {.err = ERR_OK};
    Sb__Report *report = NULL;
    uint64_t run = 0;
    uint32_t attempt = 0;
    assert_int_equal(delta_next_report(store.delta, &report, &fault), ERR_NOT_FOUND);
    assert_int_equal(support_apply(&store, "id,a\n1,x\n", 1), ERR_OK);
    assert_int_equal(support_apply(&store, "", 2), ERR_OK);
    support_reopen(&store);
    assert_int_equal(delta_next_report(store.delta, &report, &fault), ERR_OK);
    assert_int_equal(report->run, 1);
    assert_true(report->result->ok);
    assert_int_equal(report->result->created, 1);
    assert_string_equal(report->job, "things");
    sb__report__free_unpacked(report, NULL);
    assert_int_equal(delta_acknowledge(store.delta, 1, 1, &fault), ERR_OK);
    assert_int_equal(delta_acknowledge(store.delta, 1, 1, &fault), ERR_OK);
    assert_int_equal(delta_next_report(store.delta, &report, &fault), ERR_OK);
    assert_int_equal(report->run, 2);
    assert_false(report->result->ok);
    assert_string_equal(report->result->error, "the export is empty (0 bytes)");
    sb__report__free_unpacked(report, NULL);
    assert_int_equal(delta_last_run(store.delta, &run, &attempt, &fault), ERR_OK);
    assert_int_equal(run, 2);
    assert_int_equal(attempt, 1);
}

static void changes_wait_until_they_are_published(void **state)
{
    (void)state;
    struct fault fault = {.err = ERR_OK};
    Sb__Change *change = NULL;
    Sb__Change head;
    assert_int_equal(support_apply(&store, "id,a\n1,x\n2,x\n", 1), ERR_OK);
    assert_int_equal(support_apply(&store, "id,a\n1,x\n2,x\n", 2), ERR_OK);
    assert_int_equal(support_apply(&store, "id,a\n1,y\n", 3), ERR_OK);
    support_reopen(&store);
    assert_int_equal(delta_next_change(store.delta, &change, &fault), ERR_OK);
    assert_int_equal(change->first, 1);
    assert_int_equal(change->last, 2);
    assert_int_equal(change->created, 2);
    sb__change__free_unpacked(change, NULL);
    assert_int_equal(delta_published(store.delta, 1, &fault), ERR_OK);
    assert_int_equal(delta_next_change(store.delta, &change, &fault), ERR_OK);
    assert_int_equal(change->first, 3);
    assert_int_equal(change->last, 4);
    assert_int_equal(change->changed, 1);
    assert_int_equal(change->deleted, 1);
    assert_int_equal(change->run, 3);
    sb__change__free_unpacked(change, NULL);
    assert_int_equal(delta_published(store.delta, 3, &fault), ERR_OK);
    assert_int_equal(delta_next_change(store.delta, &change, &fault), ERR_NOT_FOUND);
    assert_int_equal(delta_head(store.delta, &head, &fault), ERR_OK);
    assert_int_equal(head.first, 0);
    assert_int_equal(head.last, 4);
}

static void a_run_that_is_given_up_stores_nothing(void **state)
{
    (void)state;
    char path[128];
    Sb__Result result;
    Sb__Report *report = NULL;
    struct fault fault = {.err = ERR_OK};
    const atomic_bool cancel = true;
    const struct delta_run run = {.run = 99, .attempt = 1};
    assert_int_equal(support_apply(&store, "id,a\n1,x\n", 0), ERR_OK);
    assert_int_equal(delta_acknowledge(store.delta, 1, 1, &fault), ERR_OK);
    (void)snprintf(path, sizeof path, "%s/spool", store.folder);
    assert_int_equal(delta_apply(store.delta, path, &run, &cancel, &result, &fault), ERR_REFUSED);
    assert_int_equal(delta_next_report(store.delta, &report, &fault), ERR_NOT_FOUND);
}

static void a_store_of_another_key_is_not_opened(void **state)
{
    (void)state;
    struct fault fault = {.err = ERR_OK};
    delta_close(&store.delta);
    char other[] = "other";
    char *names[] = {other};
    struct config_job job = *store.job;
    job.key = (struct words){.items = names, .count = 1};
    assert_int_equal(delta_open(&job, &store.delta, &fault), ERR_REFUSED);
    assert_non_null(strstr(fault.text, "was made for another key"));
    assert_null(store.delta);
}

// Gives the store's own entry another form.
static enum err set_form(struct store_txn *txn, void *arg, struct fault *fault)
{
    Sb__StoredEntity *entity = NULL;
    enum err err = delta_read_entity(txn, &entity, fault);
    if (err != ERR_OK)
        return err;
    entity->form = *(const uint32_t *)arg;
    err = delta_put_entity(txn, entity);
    sb__stored_entity__free_unpacked(entity, NULL);
    return err;
}

static void a_store_of_a_later_version_is_not_opened(void **state)
{
    (void)state;
    uint32_t form = DELTA_FORM + 1;
    struct fault fault = {.err = ERR_OK};
    assert_int_equal(delta_write(store.delta, set_form, &form, &fault), ERR_OK);
    delta_close(&store.delta);
    assert_int_equal(delta_open(store.job, &store.delta, &fault), ERR_REFUSED);
    assert_non_null(strstr(fault.text, "was written by a later version of this program (form 2, not 1)"));
    assert_null(store.delta);
}

// Makes of the store what it was in form 0: each record has its JSON behind its key, too.
static enum err make_older(struct store_txn *txn, void *arg, struct fault *fault)
{
    char room[256];
    struct bytes keys[] = {{.data = "\0\1"
                                    "1",
                            .size = 3},
                           {.data = "\0\1"
                                    "2",
                            .size = 3}};
    static const char json[] = "{\"a\":\"old\"}";
    for (size_t i = 0; i < 2; i++) {
        struct bytes value;
        enum err err = store_get(txn, TABLE_RECORDS, keys[i], &value);
        if (err != ERR_OK)
            return err;
        memcpy(room, value.data, value.size);
        memcpy(room + value.size, json, sizeof json - 1);
        err = store_put(txn, TABLE_RECORDS, keys[i],
                        (struct bytes){.data = room, .size = value.size + sizeof json - 1});
        if (err != ERR_OK)
            return err;
    }
    return set_form(txn, arg, fault);
}

static void a_store_of_an_earlier_version_is_read_and_written_on(void **state)
{
    (void)state;
    uint32_t form = 0;
    struct fault fault = {.err = ERR_OK};
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    assert_step("id,a\n1,x\n2,y\n", "created 2 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 2");
    const uint64_t feed = store.result.feed;
    assert_int_equal(delta_write(store.delta, make_older, &form, &fault), ERR_OK);
    support_reopen(&store);
    const char *answer = support_call(&store, "list", &query.base, &sb__record_list__descriptor);
    assert_non_null(strstr(answer, "{\\\"a\\\":\\\"x\\\",\\\"id\\\":\\\"1\\\"}"));
    assert_null(strstr(answer, "old"));
    assert_step("id,a\n1,x\n2,z\n", "created 0 changed 1 unchanged 1 deleted 0 rejected 0 withheld 0 seq 3");
    assert_true(store.result.feed == feed);
    struct store_txn *txn = NULL;
    Sb__StoredEntity *entity = NULL;
    assert_int_equal(store_read(store.delta->store, &txn, &fault), ERR_OK);
    assert_int_equal(delta_read_entity(txn, &entity, &fault), ERR_OK);
    assert_int_equal(entity->form, DELTA_FORM);
    sb__stored_entity__free_unpacked(entity, NULL);
    store_end(&txn);
}

static void keys_too_long_for_the_store_are_records_like_others(void **state)
{
    (void)state;
    char text[4096];
    char key[1001];
    memset(key, 'k', 1000);
    key[1000] = '\0';
    (void)snprintf(text, sizeof text, "id,a\n%s,x\n%s2,y\n", key, key);
    assert_step(text, "created 2 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 2");
    assert_step(text, "created 0 changed 0 unchanged 2 deleted 0 rejected 0 withheld 0 seq 2");
    (void)snprintf(text, sizeof text, "id,a\n%s,z\n", key);
    assert_step(text, "created 0 changed 1 unchanged 0 deleted 1 rejected 0 withheld 0 seq 4");
    Sb__RecordKey query = SB__RECORD_KEY__INIT;
    char *parts[] = {key};
    query.n_key = 1;
    query.key = parts;
    const char *answer = support_call(&store, "get", &query.base, &sb__record__descriptor);
    assert_non_null(strstr(answer, key));
    assert_non_null(strstr(answer, "\"seq\":3"));
}

static void ids_of_deleted_records_are_used_again(void **state)
{
    (void)state;
    char text[64];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof text, "id,a\n%d,x\n%d,x\nkept,x\n", 2 * i, 2 * i + 1);
        assert_int_equal(support_apply(&store, text, 0), ERR_OK);
    }
    assert_int_equal(store.result.created, 2);
    assert_int_equal(store.result.deleted, 2);
    assert_int_equal(store.result.unchanged, 1);
}

static void a_store_that_outgrows_its_map_counts_once(void **state)
{
    (void)state;
    // Each takes a page as a record and one in the feed, which is more than the room that was made
    // beforehand.
    enum { ROWS = 18000, WIDTH = 2000 };
    char *text = malloc((size_t)ROWS * (WIDTH + 16) + 16);
    assert_non_null(text);
    size_t size = (size_t)snprintf(text, 16, "id,a\n");
    for (int i = 0; i < ROWS; i++)
        size += (size_t)snprintf(text + size, WIDTH + 16, "%d,%0*d\n", i, WIDTH, i);
    assert_step(text, "created 18000 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 18000");
    assert_step(text, "created 0 changed 0 unchanged 18000 deleted 0 rejected 0 withheld 0 seq 18000");
    free(text);
}

static void csv_and_json_of_one_truth_are_unchanged(void **state)
{
    (void)state;
    assert_step("id,price,name\n1,18.00,Chai\n",
                "created 1 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 1");
    struct config_job job = *store.job;
    char path[] = "$";
    job.source.format = FORMAT_JSON;
    job.source.json_records = path;
    delta_close(&store.delta);
    const struct config_job *before = store.job;
    store.job = &job;
    support_reopen(&store);
    assert_step("[{\"name\":\"Chai\",\"id\":1,\"price\":18.00,\"note\":null}]",
                "created 0 changed 0 unchanged 1 deleted 0 rejected 0 withheld 0 seq 1");
    store.job = before;
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_things, close_things)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_sync_counts_what_is_new_changed_equal_and_gone),
        STORE_TEST(what_was_stored_is_there_for_the_next_process),
        STORE_TEST(of_rows_with_one_key_the_first_wins_and_an_equal_one_is_none),
        STORE_TEST(a_rejected_row_protects_its_record),
        STORE_TEST(a_rejected_row_without_a_key_withholds_one_deletion),
        STORE_TEST(too_many_rejects_fail_the_run_and_touch_nothing),
        STORE_TEST(broken_exports_fail_and_touch_nothing),
        STORE_TEST(an_older_token_is_refused_by_the_store),
        cmocka_unit_test(an_export_of_changes_only_deletes_nothing),
        STORE_TEST(results_wait_until_they_are_acknowledged),
        STORE_TEST(changes_wait_until_they_are_published),
        STORE_TEST(a_run_that_is_given_up_stores_nothing),
        STORE_TEST(a_store_of_another_key_is_not_opened),
        STORE_TEST(a_store_of_a_later_version_is_not_opened),
        STORE_TEST(a_store_of_an_earlier_version_is_read_and_written_on),
        STORE_TEST(keys_too_long_for_the_store_are_records_like_others),
        STORE_TEST(ids_of_deleted_records_are_used_again),
        STORE_TEST(a_store_that_outgrows_its_map_counts_once),
        STORE_TEST(csv_and_json_of_one_truth_are_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
