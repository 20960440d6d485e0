// The broker's journal on a disk that fails and loses its power: a core's whole story is stored, step by
// step, and what the journal recovers is what was acknowledged.
#include "broker/journal.h"
#include "proto/wire.h"
#include "tests/unit/core/rig.h"
#include "tests/unit/disk/cuts.h"
#include "tests/unit/disk/disk.h"
#include "tests/unit/io/folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES_MAX = 256, READ_MAX = 1000, ROUNDS = 3, SLOT_MS = 600000 };

// What the journal should hold, kept beside it.
struct entry {
    enum core_table table;
    uint8_t key[CORE_KEY_MAX];
    size_t key_size;
    uint64_t number; // of what it says, 0: deleted
};

struct place {
    char folder[40];            // all is in it
    char data[64], journal[48]; // the journal's file, and its folder
    char cut_data[64], cut[48]; // and those of a journal after a power cut
    struct rig *rig;            // the core whose updates are stored
    struct journal *open;       // NULL: none
    bool stopped;               // the journal failed, so that the broker ended
    struct fault fault;         // of it
    struct entry entries[ENTRIES_MAX];
    size_t entry_count;
    struct cuts cuts; // what was acknowledged
};

static uint64_t number_of(enum core_table table, const void *key, size_t size, const ProtobufCMessage *value)
{
    struct buffer packed;
    buffer_init(&packed, 1 << 20);
    assert_int_equal(wire_pack(value, &packed), ERR_OK);
    const uint64_t number = cuts_entry(table, key, size, packed.data, packed.size);
    buffer_free(&packed);
    return number;
}

// History is looked up without its keys, which it says itself.
static bool is_history(enum core_table table, const ProtobufCMessage *value)
{
    return table == CORE_TABLE_LEDGER || table == CORE_TABLE_PAUSE ||
           (table == CORE_TABLE_RUN && ((const Sb__StoredRun *)value)->run->ended_ms != 0);
}

static void change(struct place *place, const struct core_record *record)
{
    size_t i = 0;
    while (i < place->entry_count &&
           (place->entries[i].table != record->table || place->entries[i].key_size != record->key_size ||
            memcmp(place->entries[i].key, record->key, record->key_size) != 0))
        i++;
    assert_true(i < ENTRIES_MAX);
    if (i == place->entry_count)
        place->entry_count++;
    struct entry *entry = &place->entries[i];
    entry->table = record->table;
    entry->key_size = record->key_size;
    memcpy(entry->key, record->key, record->key_size);
    if (record->value == NULL)
        entry->number = 0;
    else if (is_history(record->table, record->value))
        entry->number = number_of(record->table, NULL, 0, record->value);
    else
        entry->number = number_of(record->table, record->key, record->key_size, record->value);
}

static uint64_t expected(const struct place *place)
{
    uint64_t state = 0;
    for (size_t i = 0; i < place->entry_count; i++)
        state += place->entries[i].number;
    return state;
}

static uint64_t history(struct journal *journal, enum core_table table)
{
    const struct core_read read = {.table = table, .to = {0xff}, .to_size = 1, .limit = READ_MAX};
    ProtobufCMessage **values = NULL;
    size_t count = 0;
    uint64_t state = 0;
    assert_int_equal(journal_read(journal, &read, &values, &count, NULL), ERR_OK);
    for (size_t i = 0; i < count; i++)
        state += is_history(table, values[i]) ? number_of(table, NULL, 0, values[i]) : 0;
    journal_values_free(values, count);
    return state;
}

// What the journal in `folder` says; and a core can start with it.
static uint64_t recovered(struct place *place, const char *folder)
{
    struct journal *journal = NULL;
    struct core_record *records = NULL;
    struct fault fault = {0};
    size_t count = 0;
    if (journal_open(folder, &journal, &fault) != ERR_OK ||
        journal_recover(journal, &records, &count, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    uint64_t state = history(journal, CORE_TABLE_RUN) + history(journal, CORE_TABLE_LEDGER) +
                     history(journal, CORE_TABLE_PAUSE);
    for (size_t i = 0; i < count; i++)
        state += number_of(records[i].table, records[i].key, records[i].key_size, records[i].value);
    void *memory = calloc(1, core_size(&place->rig->config, NULL));
    assert_non_null(memory);
    struct core *core = core_init(memory, &place->rig->config);
    struct core_event event = {.kind = CORE_EVENT_START, .boot_ms = 1, .wall_ms = place->rig->wall_ms};
    struct core_update update;
    event.start.records = records;
    event.start.count = count;
    core_step(core, &event, &update);
    core_check(core);
    free(memory);
    journal_recovered_free(records, count);
    journal_close(&journal);
    return state;
}

static uint64_t recovered_after_cut(void *arg)
{
    struct place *place = arg;
    return recovered(place, place->cut);
}

// Stores an update as the broker does, and takes it as acknowledged once the journal says that it is durable.
static void stores(void *arg, const struct core_update *update, uint64_t number)
{
    struct place *place = arg;
    if (place->stopped)
        return;
    assert_int_equal(journal_append(place->open, number, update->records, update->record_count, NULL),
                     ERR_OK);
    if (update->record_count == 0)
        return;
    for (size_t i = 0; i < update->record_count; i++)
        change(place, &update->records[i]);
    place->stopped = journal_wait(place->open, number, &place->fault) != ERR_OK;
    if (!place->stopped)
        assert_int_equal(journal_durable(place->open), number);
    cuts_acknowledge(&place->cuts, expected(place));
}

// Some slots of syncs, orders between them, holds, triggers; then a clean stop.
static void live(struct rig *rig)
{
    static const uint64_t hours[] = {0, 1};
    uint64_t claim = 10;
    rig_begin(rig);
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t token = rig_granted(rig, &rig->sync, rig_turn(rig, PRICES, ++claim));
        assert_int_equal(rig_report(rig, &rig->sync, PRICES, rig->runs[PRICES], rig->attempts[PRICES], true),
                         SB__CODE__CODE_OK);
        rig_release(rig, &rig->sync, token, false);
        rig_release(rig, &rig->order, rig_granted(rig, &rig->order, rig_order(rig, CRM, ++claim)), false);
        (void)rig_hold(rig, "stocks", "", rig->wall_ms + (int64_t)(hours[round % 2] * 3600000 + 1000),
                       (uint64_t)round + 1);
        (void)rig_trigger(rig, NULL, PRICES, SB__CAUSE__CAUSE_MANUAL);
        rig_pass(rig, SLOT_MS);
    }
    rig_stop(rig);
}

static void open_journal(struct place *place)
{
    struct fault fault = {0};
    if (journal_open(place->journal, &place->open, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    cuts_acknowledge(&place->cuts, 0);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    void *rig = NULL;
    assert_non_null(place);
    (void)rig_set_up(&rig);
    place->rig = rig;
    place->rig->stores = stores;
    place->rig->stores_arg = place;
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/syncbus-disk-XXXXXX");
    assert_int_equal(folder_make(place->folder), 0);
    (void)snprintf(place->journal, sizeof place->journal, "%s/a", place->folder);
    (void)snprintf(place->cut, sizeof place->cut, "%s/b", place->folder);
    (void)snprintf(place->data, sizeof place->data, "%s/data.mdb", place->journal);
    (void)snprintf(place->cut_data, sizeof place->cut_data, "%s/data.mdb", place->cut);
    assert_int_equal(mkdir(place->cut, 0700), 0);
    disk_watch(place->data);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    void *rig = place->rig;
    journal_close(&place->open);
    disk_forget();
    (void)folder_remove(place->folder);
    free(place);
    return rig_tear_down(&rig);
}

static void a_power_cut_at_any_call_leaves_what_was_acknowledged_or_also_what_was_being_committed(
    void **state)
{
    struct place *place = *state;
    open_journal(place);
    live(place->rig);
    assert_false(place->stopped);
    journal_close(&place->open);
    cuts_try(&place->cuts, place->cut_data, recovered_after_cut, place);
    print_message("%zu commits, %zu calls, %zu power cuts; %zu left what was being committed\n",
                  place->cuts.count - 1, disk_calls(), place->cuts.tried, place->cuts.completed);
    assert_true(place->cuts.count > 20);
    assert_true(place->cuts.completed > 0);
    assert_true(place->cuts.completed < place->cuts.tried);
}

// The story again, with another call failing, until none does. Each time: what the kernel kept, and what is
// left when the power is cut as well.
static void a_call_that_fails_is_told_and_what_was_acknowledged_is_still_there(void **state)
{
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct place *place = *state;
        open_journal(place);
        disk_fail(n);
        live(place->rig);
        failed = disk_has_failed();
        assert_int_equal(place->stopped, failed);
        if (failed) {
            assert_int_equal(place->fault.err, ERR_IO);
            assert_non_null(strstr(place->fault.text, "the journal could not be written"));
            assert_non_null(strstr(place->fault.text, "what is on disk is not known now"));
            assert_int_equal(journal_settle(place->open, NULL), ERR_IO);
        } else {
            print_message("each of %zu calls has failed\n", n - 1);
        }
        journal_close(&place->open);
        // The last one was being committed when the call failed.
        const size_t calls = disk_calls();
        if (failed)
            place->cuts.commits[place->cuts.count - 1].calls = calls + 1;
        for (uint64_t seed = 0; seed < 2 + CUTS_TORN; seed++) {
            disk_cut(calls, seed, place->cut_data);
            cuts_check(&place->cuts, calls, seed, recovered(place, place->cut));
        }
        disk_watch(""); // what follows is no part of the story
        cuts_check(&place->cuts, calls, UINT64_MAX, recovered(place, place->journal));
        (void)tear_down(state);
        (void)set_up(state);
    }
}

static void a_journal_that_cannot_be_opened_says_so_and_opens_later(void **state)
{
    struct place *place = *state;
    size_t n = 0;
    for (bool failed = true; failed; n++) {
        struct fault fault = {0};
        disk_watch(place->data);
        disk_fail(n + 1);
        const enum err err = journal_open(place->journal, &place->open, &fault);
        failed = disk_has_failed();
        assert_int_equal(err, failed ? ERR_IO : ERR_OK);
        if (failed)
            assert_non_null(strstr(fault.text, place->journal));
        journal_close(&place->open);
        (void)unlink(place->data);
    }
    assert_true(n > 3); // its first pages, its tables, their end, and its sync
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_power_cut_at_any_call_leaves_what_was_acknowledged_or_also_what_was_being_committed),
        TEST(a_call_that_fails_is_told_and_what_was_acknowledged_is_still_there),
        TEST(a_journal_that_cannot_be_opened_says_so_and_opens_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
