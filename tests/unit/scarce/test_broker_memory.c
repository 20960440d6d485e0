// What a broker's set-up does when memory ends: config, settings and journal, each allocation failing in
// turn.
#include "broker/journal.h"
#include "broker/settings.h"
#include "tests/unit/io/folder.h"
#include "tests/unit/scarce/scarce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { JOBS = 70 }; // more than the first room for what is recovered

// Reads the config and makes settings of it; true if memory ended.
static bool read_scarcely(unsigned allocations)
{
    struct config *config = NULL;
    struct settings settings = {0};
    struct fault fault = {0};
    scarce_after(allocations);
    enum err err = config_load(SHIPPED, 1, NULL, NULL, &config, &fault);
    if (err == ERR_OK)
        err = settings_make(config, &settings);
    const bool failed = scarce_end();
    assert_int_equal(err != ERR_OK, failed);
    if (err == ERR_INVALID) // it is told at its place in the file, as what else is wrong there
        assert_non_null(strstr(fault.text, "memory"));
    else
        assert_int_equal(err, failed ? ERR_NO_MEMORY : ERR_OK);
    settings_free(&settings);
    config_destroy(&config);
    return failed;
}

static void a_config_is_read_whole_or_refused_for_want_of_memory(void **state)
{
    (void)state;
    unsigned allocations = 0;
    while (read_scarcely(allocations))
        allocations++;
    print_message("each of %u allocations has failed\n", allocations);
    assert_true(allocations > 50);
}

static enum err append_jobs(struct journal *journal, struct fault *fault)
{
    static struct core_record records[JOBS];
    static Sb__StoredJob jobs[JOBS];
    for (size_t i = 0; i < JOBS; i++) {
        sb__stored_job__init(&jobs[i]);
        jobs[i].last_slot_ms = (int64_t)i + 1;
        records[i] = (struct core_record){
            .table = CORE_TABLE_JOB, .key = {(uint8_t)(i + 1)}, .key_size = 1, .value = &jobs[i].base};
    }
    return journal_append(journal, 1, records, JOBS, fault);
}

// Opens a journal, stores, recovers and looks up; true if memory ended. `ret_stored`: the journal said that
// it is durable.
static bool use_scarcely(const char *path, unsigned allocations, bool *ret_stored)
{
    const struct core_read read = {.table = CORE_TABLE_JOB, .to = {0xff}, .to_size = 1, .limit = JOBS};
    struct journal *journal = NULL;
    struct core_record *records = NULL;
    ProtobufCMessage **values = NULL;
    struct fault fault = {0};
    size_t count = 0, found = 0;
    scarce_after(allocations);
    enum err err = journal_open(path, &journal, &fault);
    if (err == ERR_OK)
        err = append_jobs(journal, &fault);
    if (err == ERR_OK)
        err = journal_wait(journal, 1, &fault);
    *ret_stored = err == ERR_OK;
    if (err == ERR_OK)
        err = journal_recover(journal, &records, &count, &fault);
    if (err == ERR_OK)
        err = journal_read(journal, &read, &values, &found, &fault);
    journal_close(&journal);
    const bool failed = scarce_end();
    assert_int_equal(err, failed ? ERR_NO_MEMORY : ERR_OK);
    assert_int_equal(fault.err, err);
    if (err == ERR_OK) {
        assert_int_equal(count, JOBS);
        assert_int_equal(found, JOBS);
    }
    journal_recovered_free(records, count);
    journal_values_free(values, found);
    return failed;
}

static size_t jobs_in(const char *path)
{
    struct journal *journal = NULL;
    struct core_record *records = NULL;
    size_t count = 0;
    assert_int_equal(journal_open(path, &journal, NULL), ERR_OK);
    assert_int_equal(journal_recover(journal, &records, &count, NULL), ERR_OK);
    journal_recovered_free(records, count);
    journal_close(&journal);
    return count;
}

static void a_journal_without_memory_says_so_and_stores_an_update_whole_or_not_at_all(void **state)
{
    (void)state;
    unsigned allocations = 0;
    for (bool failed = true; failed; allocations++) {
        char folder[] = "/tmp/syncbus-scarce-XXXXXX";
        bool stored = false;
        assert_int_equal(folder_make(folder), 0);
        failed = use_scarcely(folder, allocations, &stored);
        assert_int_equal(jobs_in(folder), stored ? JOBS : 0);
        (void)folder_remove(folder);
    }
    print_message("each of %u allocations has failed\n", allocations - 1);
    assert_true(allocations > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_is_read_whole_or_refused_for_want_of_memory),
        cmocka_unit_test(a_journal_without_memory_says_so_and_stores_an_update_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
