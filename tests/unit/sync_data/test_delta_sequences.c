// Random sequences of exports, kills at any write, retries and readers on the real store of an entity; after
// each step D1 to D4 hold. All of a sequence follows from its seed, which is printed.
//
//     test_delta_sequences [--seed S] [--seeds N]
//
// Without a seed it begins at one that nobody has chosen. With SYNCBUS_NIGHTLY=1 it runs 30 times as many.
#include "proto/base/random.h"
#include "tests/unit/sync_data/delta_model.h"
#include "tests/unit/sync_data/kill_at_write.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { STEPS = 30, SEEDS = 6, NIGHTLY_TIMES = 30, VALUES = 3, WRITES_MAX = 14 };

// One sequence.
static struct {
    struct support_store store; // the real one
    struct model model;         // what it is to hold
    struct model_reader reader; // of its feed
    struct random random;       // all chance
    uint64_t token;             // of the last lease
    uint64_t older;             // a token before that of the last sync that was applied; 0: there is none
} all;

// Of all sequences: both must have come, else a kill shows nothing.
static unsigned killed_before, killed_after;

// An export, and the sync that it is for.
struct export
{
    struct model_table records; // what the store holds after it
    bool full;                  // it deletes what it lacks
    uint64_t run, token;        // of the sync
    uint32_t attempt;           // the same
    enum { WHOLE, TRUNCATED, PAGE_OF_HTML } kind;
};

static bool chance(unsigned percent)
{
    return random_below(&all.random, 100) < percent;
}

// ---------------------------------------------------------------- exports

static void path_of_spool(char path[128])
{
    (void)snprintf(path, 128, "%s/spool", all.store.folder);
}

// The rows in any order, some of them twice, the columns in any order.
static void write_rows(FILE *file, const struct model_table *rows)
{
    const bool turned = chance(50);
    const size_t start = random_below(&all.random, MODEL_KEYS);
    (void)fputs(turned ? "a,id\n" : "id,a\n", file);
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        const size_t key = (start + 5 * i) % MODEL_KEYS; // 5 and MODEL_KEYS have no common divisor
        for (unsigned times = rows->values[key] == 0 ? 0 : 1 + chance(5); times > 0; times--) {
            if (turned)
                (void)fprintf(file, "v%u,%s\n", rows->values[key], model_key(key));
            else
                (void)fprintf(file, "%s,v%u\n", model_key(key), rows->values[key]);
        }
    }
}

static void write_export(struct export *self, const struct model_table *rows)
{
    char path[128];
    path_of_spool(path);
    FILE *file = fopen(path, "wb");
    assert(file != NULL);
    if (self->kind == PAGE_OF_HTML)
        (void)fputs("<html>Log in</html>\n", file);
    else
        write_rows(file, rows);
    if (self->kind == TRUNCATED)
        (void)fputs("3,\"v", file); // in the midst of a quoted field
    const int closed = fclose(file);
    assert(closed == 0);
}

// Some records are new, other, gone; most stay as they are.
static void make_export(struct export *self)
{
    const unsigned share = chance(20) ? 60 : chance(30) ? 0 : 10;
    struct model_table rows = all.model.now;
    size_t count = 0;
    *self = (struct export){.full = chance(60), .run = ++all.store.run, .attempt = 1, .token = ++all.token};
    self->kind = chance(5) ? TRUNCATED : chance(5) ? PAGE_OF_HTML : WHOLE;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        if (chance(share))
            rows.values[i] = (unsigned)random_below(&all.random, VALUES + 1);
        else if (!self->full && chance(50))
            rows.values[i] = 0; // an export of changes does not have it
        count += rows.values[i] != 0;
    }
    if (count == 0)
        rows.values[0] = 1;
    self->records = rows;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        if (!self->full && rows.values[i] == 0)
            self->records.values[i] = all.model.now.values[i];
    }
    write_export(self, &rows);
}

// ---------------------------------------------------------------- syncs

static bool apply(const struct export *self, Sb__Result *result)
{
    char path[128];
    const atomic_bool cancel = false;
    struct validator validator = {.full_ms = 1};
    struct fault fault = {.err = ERR_OK};
    path_of_spool(path);
    (void)snprintf(validator.etag, sizeof validator.etag, "%" PRIu64, self->run);
    const struct delta_run run = {.run = self->run,
                                  .attempt = self->attempt,
                                  .token = self->token,
                                  .full = self->full,
                                  .started_ms = 1,
                                  .validator = &validator};
    const enum err err = delta_apply(all.store.delta, path, &run, &cancel, result, &fault);
    if (err != ERR_OK)
        model_broken(&all.model, "D2", "the store fails: %s", fault.text);
    return result->ok;
}

static void check_all(void)
{
    model_check_d4(&all.model, &all.store);
    model_check_d3(&all.model, &all.store, &all.reader);
    model_check_d1(&all.model, &all.store);
    model_check_d2(&all.model, &all.store);
}

static void sync_whole(const struct export *self)
{
    Sb__Result result = SB__RESULT__INIT;
    const bool good = self->kind == WHOLE;
    if (apply(self, &result) != good)
        model_broken(&all.model, "D2", "run %" PRIu64 " %s", self->run, good ? "failed" : "is well");
    if (!good)
        return;
    model_take(&all.model, &self->records, self->run);
    model_check_d4(&all.model, &all.store);
    if (result.last_seq != all.model.last_seq)
        model_broken(&all.model, "D2", "the result says number %" PRIu64 ", not %" PRIu64, result.last_seq,
                     all.model.last_seq);
}

// What came too late: another lease's fetch is stored already.
static void sync_late(struct export *self)
{
    Sb__Result result = SB__RESULT__INIT;
    self->token = all.older;
    if (apply(self, &result))
        model_broken(&all.model, "I3", "the store took token %" PRIu64, self->token);
}

static bool apply_in_child(void *arg)
{
    Sb__Result result = SB__RESULT__INIT;
    struct fault fault = {.err = ERR_OK};
    if (delta_open(all.store.job, &all.store.delta, &fault) != ERR_OK)
        return false;
    (void)apply(arg, &result);
    return true; // and is killed then, if not before
}

// Killed somewhere; then the store has all of the sync or nothing of it, and the result says which. The run
// is tried again, from the same export.
static void sync_killed(struct export *self)
{
    struct fault fault = {.err = ERR_OK};
    uint64_t run = 0;
    uint32_t attempt = 0;
    delta_close(&all.store.delta);
    const bool killed =
        kill_at_write(1 + (unsigned)random_below(&all.random, WRITES_MAX), apply_in_child, self);
    const enum err opened = delta_open(all.store.job, &all.store.delta, &fault);
    const enum err err = opened == ERR_OK ? delta_last_run(all.store.delta, &run, &attempt, &fault) : opened;
    if (err != ERR_OK)
        model_broken(&all.model, "D2", "the store cannot be opened after a kill: %s", fault.text);
    const bool stored = run == self->run && attempt == self->attempt;
    if (!killed && !stored)
        model_broken(&all.model, "D2", "run %" PRIu64 " has ended, and its result is not stored", self->run);
    killed_before += !stored;
    killed_after += stored;
    if (stored && self->kind == WHOLE)
        model_take(&all.model, &self->records, self->run);
    model_check_d2(&all.model, &all.store);
    check_all();
    self->attempt++;
    self->token = ++all.token;
    sync_whole(self);
}

// ---------------------------------------------------------------- the rest

// The broker takes what is to be told.
static void tell(void)
{
    struct fault fault = {.err = ERR_OK};
    Sb__Report *report = NULL;
    Sb__Change *change = NULL;
    enum err err = ERR_OK;
    if (delta_next_report(all.store.delta, &report, &fault) == ERR_OK)
        err = delta_acknowledge(all.store.delta, report->run, report->attempt, &fault);
    if (err == ERR_OK && delta_next_change(all.store.delta, &change, &fault) == ERR_OK)
        err = delta_published(all.store.delta, change->first, &fault);
    if (err != ERR_OK)
        model_broken(&all.model, "D2", "the store fails: %s", fault.text);
    if (report != NULL)
        sb__report__free_unpacked(report, NULL);
    if (change != NULL)
        sb__change__free_unpacked(change, NULL);
}

static void step(void)
{
    struct export export;
    const unsigned choice = (unsigned)random_below(&all.random, 100);
    if (choice < 10) {
        tell();
        return;
    }
    if (choice < 15)
        model_reader_begin(&all.model, &all.store, &all.reader);
    else if (choice < 20)
        support_reopen(&all.store);
    make_export(&export);
    const uint64_t before = all.model.applied;
    if (choice < 55)
        sync_killed(&export);
    else if (choice < 60 && all.older != 0)
        sync_late(&export);
    else
        sync_whole(&export);
    if (all.model.applied != before && export.token > 1)
        all.older = export.token - 1;
}

static void run_sequence(uint64_t seed)
{
    memset(&all, 0, sizeof all);
    all.model = (struct model){.seed = seed, .first_seq = 1};
    random_init(&all.random, seed);
    support_open(&all.store, "key: [id], source: {url: \"http://e/x\", format: csv, complete: false}, "
                             "delete_guard: {max_share: 100%}");
    for (all.model.step = 1; all.model.step <= STEPS; all.model.step++) {
        step();
        check_all();
    }
    support_close(&all.store);
}

static uint64_t fresh_seed(void)
{
    uint32_t seed = 0;
    const ssize_t got = getrandom(&seed, sizeof seed, 0);
    assert(got == (ssize_t)sizeof seed);
    return seed;
}

int main(int argc, char **argv)
{
    const bool nightly = getenv("SYNCBUS_NIGHTLY") != NULL;
    uint64_t first = 0;
    uint64_t seeds = nightly ? (uint64_t)SEEDS * NIGHTLY_TIMES : SEEDS;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            first = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(argv[i + 1], NULL, 10);
    }
    first = first != 0 ? first : fresh_seed();
    printf("seeds from %" PRIu64 "\n", first);
    (void)fflush(stdout);
    for (uint64_t i = 0; i < seeds; i++)
        run_sequence(first + i);
    printf("%" PRIu64 " sequences, killed %u times before and %u times after the commit\n", seeds,
           killed_before, killed_after);
    return seeds < SEEDS || (killed_before > 0 && killed_after > 0) ? 0 : 1;
}
