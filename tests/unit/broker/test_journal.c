#include "broker/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

// A journal in a folder of its own.
struct place {
    char folder[64];
    struct journal *journal;
    uint64_t update; // last that was appended
};

static void open_again(struct place *place)
{
    struct fault fault = {0};
    journal_close(&place->journal);
    if (journal_open(place->folder, &place->journal, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    place->update = 0;
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/syncbus-journal-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    open_again(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    journal_close(&place->journal);
    DIR *folder = opendir(place->folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    (void)closedir(folder);
    (void)rmdir(place->folder);
    free(place);
    return 0;
}

static struct core_record record(enum core_table table, const void *key, size_t size,
                                 const ProtobufCMessage *value)
{
    struct core_record made = {.table = table, .key_size = size, .value = value};
    memcpy(made.key, key, size);
    return made;
}

static uint64_t append(struct place *place, const struct core_record *records, size_t count)
{
    struct fault fault = {0};
    if (journal_append(place->journal, ++place->update, records, count, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return place->update;
}

static void wait_for(struct place *place, uint64_t update)
{
    struct fault fault = {0};
    if (journal_wait(place->journal, update, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    assert_true(journal_durable(place->journal) >= update);
}

static void key_of(uint64_t number, uint8_t key[8])
{
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(number >> (56 - 8 * i));
}

static void append_run(struct place *place, uint64_t number, const char *job, int64_t ended_ms)
{
    uint8_t key[8];
    Sb__RunState run = SB__RUN_STATE__INIT;
    Sb__StoredRun stored = SB__STORED_RUN__INIT;
    run.run = number;
    run.job = (char *)job;
    run.ended_ms = ended_ms;
    stored.run = &run;
    key_of(number, key);
    struct core_record made = record(CORE_TABLE_RUN, key, sizeof key, &stored.base);
    append(place, &made, 1);
}

// Looks up the runs of [from, to) and compares their numbers.
static void found(struct place *place, const char *job, uint64_t from, uint64_t to, uint32_t limit,
                  const uint64_t *numbers, size_t expected)
{
    struct core_read read = {
        .table = CORE_TABLE_RUN, .from_size = 8, .to_size = 8, .job = job, .limit = limit};
    ProtobufCMessage **values = NULL;
    struct fault fault = {0};
    size_t count = 0;
    key_of(from, read.from);
    key_of(to, read.to);
    if (journal_read(place->journal, &read, &values, &count, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(((Sb__StoredRun *)values[i])->run->run, numbers[i]);
    journal_values_free(values, count);
}

static void a_new_journal_recovers_nothing(void **state)
{
    struct place *place = *state;
    struct core_record *records = NULL;
    size_t count = 7;
    assert_int_equal(journal_recover(place->journal, &records, &count, NULL), ERR_OK);
    assert_int_equal(count, 0);
    journal_recovered_free(records, count);
}

static void what_was_durable_is_recovered_and_ended_runs_are_left_out(void **state)
{
    struct place *place = *state;
    Sb__StoredMeta meta = SB__STORED_META__INIT;
    Sb__StoredJob job = SB__STORED_JOB__INIT;
    meta.epoch = 12;
    job.last_slot_ms = 345;
    struct core_record both[] = {record(CORE_TABLE_META, "meta", 4, &meta.base),
                                 record(CORE_TABLE_JOB, "prices", 6, &job.base)};
    append(place, both, 2);
    append_run(place, 1, "prices", 1000);
    append_run(place, 2, "prices", 0);
    wait_for(place, place->update);
    open_again(place);
    struct core_record *records = NULL;
    size_t count = 0;
    assert_int_equal(journal_recover(place->journal, &records, &count, NULL), ERR_OK);
    assert_int_equal(count, 3);
    assert_int_equal(records[0].table, CORE_TABLE_META);
    assert_int_equal(((const Sb__StoredMeta *)records[0].value)->epoch, 12);
    assert_memory_equal(records[1].key, "prices", 6);
    assert_int_equal(((const Sb__StoredJob *)records[1].value)->last_slot_ms, 345);
    assert_int_equal(((const Sb__StoredRun *)records[2].value)->run->run, 2);
    journal_recovered_free(records, count);
}

static void a_later_record_replaces_and_deletes_an_earlier_one(void **state)
{
    struct place *place = *state;
    Sb__StoredOwner owner = SB__STORED_OWNER__INIT;
    owner.instance = 1;
    struct core_record first = record(CORE_TABLE_OWNER, "order", 5, &owner.base);
    append(place, &first, 1);
    owner.instance = 2;
    append(place, &first, 1);
    struct core_record gone[] = {record(CORE_TABLE_OWNER, "prices", 6, &owner.base),
                                 record(CORE_TABLE_OWNER, "prices", 6, NULL),
                                 record(CORE_TABLE_OWNER, "never there", 11, NULL)};
    append(place, gone, 3);
    wait_for(place, place->update);
    struct core_record *records = NULL;
    size_t count = 0;
    assert_int_equal(journal_recover(place->journal, &records, &count, NULL), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(((const Sb__StoredOwner *)records[0].value)->instance, 2);
    journal_recovered_free(records, count);
}

static void updates_become_durable_in_order_also_those_without_records(void **state)
{
    struct place *place = *state;
    append(place, NULL, 0);
    assert_int_equal(journal_durable(place->journal), 1);
    for (uint64_t number = 1; number <= 30; number++) {
        append_run(place, number, "prices", 0);
        uint64_t run = place->update;
        while (journal_durable(place->journal) < run) // also while the run is just being written
            append(place, NULL, 0);
        found(place, NULL, number, number + 1, 1, (uint64_t[]){number}, 1);
    }
    wait_for(place, place->update);
    struct pollfd event = {.fd = journal_fd(place->journal), .events = POLLIN};
    assert_int_equal(poll(&event, 1, 0), 1);
    assert_int_equal(journal_settle(place->journal, NULL), ERR_OK);
    assert_int_equal(poll(&event, 1, 0), 0);
}

static void closing_writes_what_still_waits(void **state)
{
    struct place *place = *state;
    for (uint64_t i = 1; i <= 2000; i++)
        append_run(place, i, "prices", 0);
    open_again(place);
    struct core_record *records = NULL;
    size_t count = 0;
    assert_int_equal(journal_recover(place->journal, &records, &count, NULL), ERR_OK);
    assert_int_equal(count, 2000);
    journal_recovered_free(records, count);
}

static void a_look_up_gives_the_newest_first_within_its_bounds(void **state)
{
    struct place *place = *state;
    for (uint64_t i = 1; i <= 9; i++)
        append_run(place, i, i % 2 == 0 ? "even" : "odd", 0);
    wait_for(place, place->update);
    found(place, NULL, 1, 10, 3, (uint64_t[]){9, 8, 7}, 3);
    found(place, NULL, 7, 9, 100, (uint64_t[]){8, 7}, 2);
    found(place, "odd", 0, 8, 2, (uint64_t[]){7, 5}, 2);
    found(place, "none", 0, 100, 10, NULL, 0);
    found(place, NULL, 10, 100, 10, NULL, 0);
    found(place, NULL, 1, 10, 0, NULL, 0);
}

static void history_is_pruned_and_open_runs_and_newer_ones_stay(void **state)
{
    struct place *place = *state;
    for (uint64_t i = 1; i <= 1200; i++)
        append_run(place, i, "prices", i == 600 ? 0 : (int64_t)i);
    for (int64_t slot = 1000; slot <= 3000; slot += 1000) {
        uint8_t key[] = {'p', 0, 0, 0, 0, 0, 0, 0, (uint8_t)(slot / 256), (uint8_t)slot};
        Sb__LedgerEntry entry = SB__LEDGER_ENTRY__INIT;
        Sb__StoredLedgerEntry stored = SB__STORED_LEDGER_ENTRY__INIT;
        entry.job = (char *)"p";
        entry.slot_ms = slot;
        stored.entry = &entry;
        struct core_record made = record(CORE_TABLE_LEDGER, key, sizeof key, &stored.base);
        append(place, &made, 1);
    }
    wait_for(place, place->update);
    journal_prune(place->journal, 1199);
    for (size_t left = 1200; left > 3;) {
        struct core_read read = {.table = CORE_TABLE_RUN, .to = {0xff}, .to_size = 1, .limit = 2000};
        ProtobufCMessage **values = NULL;
        assert_int_equal(journal_read(place->journal, &read, &values, &left, NULL), ERR_OK);
        journal_values_free(values, left);
    }
    found(place, NULL, 0, 2000, 10, (uint64_t[]){1200, 1199, 600}, 3);
}

static void a_commit_that_fails_is_told_and_nothing_of_it_counts_as_durable(void **state)
{
    struct place *place = *state;
    struct rlimit before, none = {.rlim_cur = 64 * 1024};
    struct fault fault = {0};
    append_run(place, 1, "prices", 0);
    wait_for(place, 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    enum err err = ERR_OK;
    for (uint64_t i = 2; i < 4000 && err == ERR_OK; i++) {
        append_run(place, i, "prices", 0);
        err = i % 500 == 0 ? journal_wait(place->journal, i, &fault) : ERR_OK;
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_not_equal(err, ERR_OK);
    assert_non_null(strstr(fault.text, "the journal could not be written"));
    assert_true(journal_durable(place->journal) < place->update);
    assert_int_equal(journal_settle(place->journal, NULL), err);
}

static void a_damaged_entry_is_refused_at_recovery(void **state)
{
    struct place *place = *state;
    // An owner's name is text: as META its first field is a number, so the bytes do not fit.
    Sb__StoredOwner owner = SB__STORED_OWNER__INIT;
    owner.name = (char *)"\xff\xff\xff";
    struct core_record made = record(CORE_TABLE_META, "meta", 4, &owner.base);
    append(place, &made, 1);
    wait_for(place, place->update);
    struct core_record *records = NULL;
    struct fault fault = {0};
    size_t count = 0;
    assert_int_equal(journal_recover(place->journal, &records, &count, &fault), ERR_CORRUPT);
    assert_non_null(strstr(fault.text, "StoredMeta"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_journal_recovers_nothing),
        TEST(what_was_durable_is_recovered_and_ended_runs_are_left_out),
        TEST(a_later_record_replaces_and_deletes_an_earlier_one),
        TEST(updates_become_durable_in_order_also_those_without_records),
        TEST(closing_writes_what_still_waits),
        TEST(a_look_up_gives_the_newest_first_within_its_bounds),
        TEST(history_is_pruned_and_open_runs_and_newer_ones_stay),
        TEST(a_commit_that_fails_is_told_and_nothing_of_it_counts_as_durable),
        TEST(a_damaged_entry_is_refused_at_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
