#include "tests/sim/ledger.h"

#include "tests/sim/broker.h"
#include "tests/sim/check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS_MAX = 64, GRIDS_MAX = 8, LATE_MS = 60000 };
enum { BEATS_MAX = 5, SETTLED_MS = 5 * 60 * 1000 };

// Records of what was decided before a change of the config come at most so much later.
static const int64_t COMMIT_US = INT64_C(10) * SIM_SECOND_US;

// A job's slots by one config: offset + k · every.
struct grid {
    int64_t every_ms;
    int64_t offset_ms; // less than every_ms
};

// A slot, or a stretch of them, in the order of time.
struct place {
    int64_t slot_ms;   // the first
    uint64_t slots;    // so many in a row
    Sb__Stage outcome; // UNSPECIFIED: its run is to bring it
    uint64_t run;      // whose slot it is; 0: nobody's
    bool mended;       // it was LOST first
    uint32_t era;      // of the job, when it was taken
};

// A run, in the order of numbers.
struct run {
    uint64_t number;
    int64_t slot_ms;  // 0: of none, so far
    Sb__Stage stage;  // as last stored
    uint32_t attempt; // the same
    bool ended;       // with that stage as its outcome
};

struct job {
    char name[SIM_NAME_MAX];
    bool configured;              // by the last config
    bool moved;                   // since its place last moved, another grid came:
    int64_t moved_us;             // last at this true time
    bool left;                    // the same: it was away
    int64_t left_us;              // last at this true time
    bool left_once;               // it ever was
    bool stored;                  // the journal has its place:
    int64_t last_ms;              // up to this slot all are decided
    uint32_t era;                 // how often its place was forgotten, as it had left the config
    int64_t ahead_ms;             // the greatest slot that was taken since then; 0: none
    struct grid grids[GRIDS_MAX]; // that were ever in force, the newest first
    size_t grid_count;            // of them
    struct place *places;         // owned
    size_t place_count;           // of them
    size_t place_room;            // for so many
    struct run *runs;             // owned
    size_t run_count;             // of them
    size_t run_room;              // for so many
    size_t settled;               // of the runs: the first so many need no look any more
};

static struct {
    struct job jobs[JOBS_MAX];
    size_t job_count;
} ledger;

void ledger_free(void)
{
    for (size_t i = 0; i < ledger.job_count; i++) {
        free(ledger.jobs[i].places);
        free(ledger.jobs[i].runs);
    }
    memset(ledger.jobs, 0, ledger.job_count * sizeof ledger.jobs[0]);
    ledger.job_count = 0;
}

void ledger_init(void)
{
    ledger_free();
}

static struct job *job_of(const char *name, size_t size)
{
    assert(size < SIM_NAME_MAX);
    for (size_t i = 0; i < ledger.job_count; i++) {
        if (strncmp(ledger.jobs[i].name, name, size) == 0 && ledger.jobs[i].name[size] == '\0')
            return &ledger.jobs[i];
    }
    assert(ledger.job_count < JOBS_MAX);
    struct job *job = &ledger.jobs[ledger.job_count++];
    memcpy(job->name, name, size);
    return job;
}

// ---------------------------------------------------------------- grids

static int64_t slot_after(const struct grid *grid, int64_t time_ms)
{
    if (time_ms < grid->offset_ms)
        return grid->offset_ms;
    return grid->offset_ms + ((time_ms - grid->offset_ms) / grid->every_ms + 1) * grid->every_ms;
}

static void take_grid(struct job *job, struct grid grid)
{
    size_t place = 0;
    while (place < job->grid_count &&
           (job->grids[place].every_ms != grid.every_ms || job->grids[place].offset_ms != grid.offset_ms))
        place++;
    if (place == 0 && job->grid_count > 0)
        return; // it is the newest already
    job->moved = job->grid_count > 0;
    job->moved_us = sim_now_us();
    if (place == job->grid_count && job->grid_count < GRIDS_MAX)
        job->grid_count++;
    place = place < GRIDS_MAX ? place : GRIDS_MAX - 1;
    memmove(&job->grids[1], &job->grids[0], place * sizeof job->grids[0]);
    job->grids[0] = grid;
}

void ledger_config(const struct config *config)
{
    for (size_t i = 0; i < config->job_count; i++)
        (void)job_of(config->jobs[i].name, strlen(config->jobs[i].name));
    for (size_t i = 0; i < ledger.job_count; i++) {
        struct job *job = &ledger.jobs[i];
        const struct config_job *found = NULL;
        for (size_t k = 0; k < config->job_count && found == NULL; k++)
            found = strcmp(config->jobs[k].name, job->name) == 0 ? &config->jobs[k] : NULL;
        job->configured = found != NULL;
        if (found != NULL) {
            take_grid(job, (struct grid){.every_ms = found->every_ms,
                                         .offset_ms = found->offset_ms % found->every_ms});
        } else {
            job->left = job->left_once = true;
            job->left_us = sim_now_us();
        }
    }
}

// ---------------------------------------------------------------- tables

// The first place whose slot is not before that time; new ones come near the end.
static size_t place_from(const struct job *job, int64_t slot_ms)
{
    size_t place = job->place_count;
    while (place > 0 && job->places[place - 1].slot_ms >= slot_ms)
        place--;
    return place;
}

static struct place *find_place(const struct job *job, int64_t slot_ms)
{
    const size_t place = place_from(job, slot_ms);
    const bool there = place < job->place_count && job->places[place].slot_ms == slot_ms;
    return there ? &job->places[place] : NULL;
}

// A slot that was not heard of before: it must lie ahead of the job's place.
static struct place *add_place(struct job *job, int64_t slot_ms, uint64_t run)
{
    if (job->stored && slot_ms <= job->last_ms)
        check_broken("I1", "job %s slot %" PRId64 ": it is taken again, by run %" PRIu64, job->name, slot_ms,
                     run);
    if (job->place_count == job->place_room) {
        job->place_room = job->place_room == 0 ? 32 : 2 * job->place_room;
        job->places = realloc(job->places, job->place_room * sizeof *job->places);
        assert(job->places != NULL);
    }
    const size_t place = place_from(job, slot_ms);
    memmove(&job->places[place + 1], &job->places[place], (job->place_count - place) * sizeof *job->places);
    job->place_count++;
    job->ahead_ms = slot_ms > job->ahead_ms ? slot_ms : job->ahead_ms;
    job->places[place] = (struct place){.slot_ms = slot_ms, .slots = 1, .run = run, .era = job->era};
    return &job->places[place];
}

// Numbers ascend, so that a run that is not known is the newest.
static struct run *find_run(struct job *job, uint64_t number)
{
    size_t place = job->run_count;
    while (place > 0 && job->runs[place - 1].number > number)
        place--;
    if (place > 0 && job->runs[place - 1].number == number)
        return &job->runs[place - 1];
    if (place < job->run_count) {
        check_broken("I12", "job %s: run %" PRIu64 " comes after run %" PRIu64, job->name, number,
                     job->runs[job->run_count - 1].number);
        return NULL;
    }
    if (job->run_count == job->run_room) {
        job->run_room = job->run_room == 0 ? 32 : 2 * job->run_room;
        job->runs = realloc(job->runs, job->run_room * sizeof *job->runs);
        assert(job->runs != NULL);
    }
    job->runs[job->run_count] = (struct run){.number = number};
    return &job->runs[job->run_count++];
}

// ---------------------------------------------------------------- runs and outcomes

static void note_run(const struct core_record *record)
{
    if (record->value == NULL) {
        check_broken("I12", "a run was deleted");
        return;
    }
    const Sb__RunState *state = ((const Sb__StoredRun *)record->value)->run;
    struct job *job = job_of(state->job, strlen(state->job));
    struct run *run = find_run(job, state->run);
    if (run == NULL)
        return;
    if (run->slot_ms != 0 && state->slot_ms != run->slot_ms)
        check_broken("I1", "job %s slot %" PRId64 ": its run %" PRIu64 " goes over to slot %" PRId64,
                     job->name, run->slot_ms, run->number, state->slot_ms);
    const bool ends = state->ended_ms != 0;
    const bool mends = run->stage == SB__STAGE__STAGE_LOST && state->stage == SB__STAGE__STAGE_SUCCEEDED;
    if (run->ended && (!ends || (state->stage != run->stage && !mends)))
        check_broken("I12", "job %s: run %" PRIu64 " ended as %d and is now %d", job->name, run->number,
                     (int)run->stage, (int)state->stage);
    run->stage = state->stage;
    run->attempt = state->attempt;
    run->ended = ends;
    if (state->slot_ms == 0 || run->slot_ms != 0)
        return;
    run->slot_ms = state->slot_ms;
    const struct place *place = find_place(job, run->slot_ms);
    if (place != NULL)
        check_broken("I1", "job %s slot %" PRId64 ": it is that of run %" PRIu64 " and of run %" PRIu64,
                     job->name, run->slot_ms, place->run, run->number);
    else
        (void)add_place(job, run->slot_ms, run->number);
}

// Nobody took a run until the next slot, although its service lives and hears of it by its own asking, if not
// by the tick: that takes a few beats (I6, and I11 where no publication arrives).
static void check_missed(const struct job *job, const Sb__LedgerEntry *entry)
{
    const int64_t every_ms = job->grid_count > 0 ? job->grids[0].every_ms : 0;
    const bool settled =
        sim->healed_us != INT64_MAX && sim_now_us() - sim->healed_us > (SETTLED_MS + every_ms) * SIM_MS_US;
    if (!settled || !job->configured || strcmp(entry->why, "no service took it") != 0 ||
        every_ms < BEATS_MAX * (int64_t)broker_config()->broker.beat_ms)
        return;
    check_broken("I6", "job %s slot %" PRId64 ": no service took its run", job->name, entry->slot_ms);
}

static void note_outcome(const struct core_record *record)
{
    if (record->value == NULL) {
        check_broken("I12", "job %.*s slot: an outcome was deleted", (int)record->key_size,
                     (const char *)record->key);
        return;
    }
    const Sb__LedgerEntry *entry = ((const Sb__StoredLedgerEntry *)record->value)->entry;
    struct job *job = job_of(entry->job, strlen(entry->job));
    struct place *place = find_place(job, entry->slot_ms);
    if (place == NULL) {
        place = add_place(job, entry->slot_ms, entry->run);
        place->slots = entry->slots;
    } else {
        const bool mends = place->outcome == SB__STAGE__STAGE_LOST && !place->mended &&
                           entry->outcome == SB__STAGE__STAGE_SUCCEEDED;
        const bool fits = place->run == entry->run && place->slots == entry->slots;
        if (!fits || (place->outcome != SB__STAGE__STAGE_UNSPECIFIED && !mends))
            check_broken(
                "I1", "job %s slot %" PRId64 ": its outcome %d of run %" PRIu64 " becomes %d of run %" PRIu64,
                job->name, place->slot_ms, (int)place->outcome, place->run, (int)entry->outcome, entry->run);
        place->mended = mends;
    }
    place->outcome = entry->outcome;
    if (entry->outcome == SB__STAGE__STAGE_MISSED)
        check_missed(job, entry);
    if (entry->slots == 0 || (entry->slots > 1 && entry->run != 0))
        check_broken("I1", "job %s slot %" PRId64 ": run %" PRIu64 " has %" PRIu64 " slots", job->name,
                     entry->slot_ms, entry->run, entry->slots);
}

bool ledger_goes_on(const char *name, uint64_t number, uint32_t attempt)
{
    const struct job *job = job_of(name, strlen(name));
    for (size_t i = job->settled; i < job->run_count; i++) {
        const struct run *run = &job->runs[i];
        if (run->number == number)
            return !run->ended && run->attempt <= attempt;
    }
    return false;
}

// ---------------------------------------------------------------- the place in the schedule

// The first place of this era after a slot, if it is not past another one; else NULL.
static const struct place *next_place(const struct job *job, int64_t after_ms, int64_t last_ms)
{
    size_t place = place_from(job, after_ms + 1);
    while (place < job->place_count && job->places[place].era != job->era)
        place++;
    return place < job->place_count && job->places[place].slot_ms <= last_ms ? &job->places[place] : NULL;
}

// True if the places between the job's own and `last_ms` are the slots of this grid, each one once.
static bool tiles(const struct job *job, const struct grid *grid, int64_t last_ms)
{
    const struct place *place = next_place(job, job->last_ms, last_ms);
    int64_t slot_ms = slot_after(grid, job->last_ms);
    for (; place != NULL && place->slot_ms == slot_ms; place = next_place(job, place->slot_ms, last_ms))
        slot_ms += (int64_t)place->slots * grid->every_ms;
    return place == NULL && slot_ms == last_ms + grid->every_ms;
}

// True if a slot lies in between by each of the grids that were in force before the newest.
static bool loses_slot(const struct job *job, int64_t last_ms)
{
    for (size_t i = 1; i < job->grid_count; i++) {
        if (slot_after(&job->grids[i], job->last_ms) > last_ms)
            return false;
    }
    return true;
}

static bool may_move(const struct job *job, int64_t last_ms)
{
    for (size_t i = 0; i < job->grid_count; i++) {
        if (tiles(job, &job->grids[i], last_ms))
            return true;
    }
    // On another grid the slots count from there on; while it was away it had none.
    const bool quiet = next_place(job, job->last_ms, last_ms) == NULL;
    return quiet && (job->left || (job->moved && !loses_slot(job, last_ms)));
}

// A job that left the config begins anew when it comes back, and its place with it.
static void forget_place(struct job *job)
{
    if (!job->left_once)
        check_broken("I12", "job %s slot %" PRId64 ": its place is forgotten", job->name, job->last_ms);
    job->stored = false;
    job->ahead_ms = 0;
    job->era++;
}

static void note_job(const struct core_record *record)
{
    struct job *job = job_of((const char *)record->key, record->key_size);
    if (record->value == NULL) {
        forget_place(job);
        return;
    }
    const int64_t last_ms = ((const Sb__StoredJob *)record->value)->last_slot_ms;
    if (job->stored && last_ms < job->last_ms)
        forget_place(job);
    if (job->stored && last_ms > job->last_ms) {
        if (!may_move(job, last_ms))
            check_broken("I1",
                         "job %s slot %" PRId64 ": not every slot since %" PRId64 " has an outcome or run",
                         job->name, last_ms, job->last_ms);
        job->moved = job->moved && sim_now_us() - job->moved_us < COMMIT_US;
        job->left = job->left && (!job->configured || sim_now_us() - job->left_us < COMMIT_US);
    }
    if (last_ms >= job->ahead_ms)
        job->ahead_ms = 0;
    job->last_ms = last_ms;
    job->stored = true;
}

void ledger_note(const struct core_record *record)
{
    switch (record->table) {
    case CORE_TABLE_RUN: note_run(record); break;
    case CORE_TABLE_LEDGER: note_outcome(record); break;
    case CORE_TABLE_JOB: note_job(record); break;
    default: break;
    }
}

// ---------------------------------------------------------------- all of it

static const struct core_record *find_record(const struct core_record *records, size_t count,
                                             enum core_table table, const char *job, uint64_t run)
{
    for (size_t i = 0; i < count; i++) {
        const struct core_record *record = &records[i];
        if (record->table != table)
            continue;
        if (table == CORE_TABLE_JOB && strcmp(((const Sb__StoredJob *)record->value)->job, job) == 0)
            return record;
        if (table == CORE_TABLE_RUN && ((const Sb__StoredRun *)record->value)->run->run == run)
            return record;
    }
    return NULL;
}

void ledger_recovered(const struct core_record *records, size_t count)
{
    for (size_t i = 0; i < ledger.job_count; i++) {
        const struct job *job = &ledger.jobs[i];
        const struct core_record *found = find_record(records, count, CORE_TABLE_JOB, job->name, 0);
        const Sb__StoredJob *stored = found != NULL ? (const Sb__StoredJob *)found->value : NULL;
        if (job->stored && (stored == NULL || stored->last_slot_ms != job->last_ms))
            check_broken("I12", "job %s slot %" PRId64 ": its place is not what is recovered", job->name,
                         job->last_ms);
        for (size_t k = job->settled; k < job->run_count; k++) {
            const struct run *run = &job->runs[k];
            if (!run->ended && find_record(records, count, CORE_TABLE_RUN, job->name, run->number) == NULL)
                check_broken("I12", "job %s: its open run %" PRIu64 " is not recovered", job->name,
                             run->number);
        }
    }
}

// Runs that have ended have told their outcome. At most two are open: one under way, one behind it.
static void check_runs(struct job *job)
{
    size_t open = 0;
    for (size_t i = job->settled; i < job->run_count; i++) {
        const struct run *run = &job->runs[i];
        const struct place *place = run->slot_ms != 0 ? find_place(job, run->slot_ms) : NULL;
        open += run->ended ? 0 : 1;
        if (run->ended && place != NULL && place->outcome != run->stage)
            check_broken("I1", "job %s slot %" PRId64 ": its run %" PRIu64 " ended as %d, its outcome is %d",
                         job->name, run->slot_ms, run->number, (int)run->stage, (int)place->outcome);
        if (!run->ended && place != NULL && place->outcome != SB__STAGE__STAGE_UNSPECIFIED)
            check_broken("I1", "job %s slot %" PRId64 ": it has an outcome while its run %" PRIu64 " goes on",
                         job->name, run->slot_ms, run->number);
    }
    if (open > 2)
        check_broken("I12", "job %s has %zu open runs", job->name, open);
    while (job->settled < job->run_count && job->runs[job->settled].ended)
        job->settled++;
}

void ledger_check(int64_t wall_ms)
{
    for (size_t i = 0; i < ledger.job_count; i++) {
        struct job *job = &ledger.jobs[i];
        check_runs(job);
        if (!job->stored || job->grid_count == 0)
            continue;
        if (job->ahead_ms > job->last_ms)
            check_broken("I12", "job %s slot %" PRId64 ": it was taken, and the place stays at %" PRId64,
                         job->name, job->ahead_ms, job->last_ms);
        const int64_t next_ms = slot_after(&job->grids[0], job->last_ms);
        if (wall_ms != 0 && job->configured && next_ms + LATE_MS < wall_ms)
            check_broken("I1", "job %s slot %" PRId64 ": it has no outcome and no run at %" PRId64, job->name,
                         next_ms, wall_ms);
    }
}
