// The same work with SQLite: one transaction, prepared statements, a clustered table by key, and of each
// record its hash to compare. Rows are decoded, keyed and hashed by the project's own code; changes are
// collected and written in the order of their keys, as a sync does, since SQLite, too, is slowest when they
// are not. A record's text lies once, in the feed, as in a sync's store.
#include "tests/bench/delta.h"

#include "services/sync/changes.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS records(key BLOB PRIMARY KEY, hash BLOB NOT NULL, id INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS feed(seq INTEGER PRIMARY KEY, op INTEGER NOT NULL, key BLOB NOT NULL,"
    "  hash BLOB, record TEXT, run INTEGER NOT NULL, time_ms INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS results(run INTEGER PRIMARY KEY, seen INTEGER, changed INTEGER);";

struct work {
    const struct config_job *job;
    sqlite3 *database;
    sqlite3_stmt *find;
    struct changes changes;
    struct buffer key;     // of the row in hand
    struct buffer scratch; // its canonical bytes, or its JSON
    uint8_t *seen;         // one bit for each dense id
    uint64_t ids;          // dense ids in use
    struct delta_counts counts;
};

static void need(struct work *work, bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "bench-delta: SQLite: %s: %s\n", what, sqlite3_errmsg(work->database));
    exit(EXIT_FAILURE);
}

static void run(struct work *work, const char *statement)
{
    need(work, sqlite3_exec(work->database, statement, NULL, NULL, NULL) == SQLITE_OK, statement);
}

static sqlite3_stmt *prepare(struct work *work, const char *text)
{
    sqlite3_stmt *statement = NULL;
    need(work,
         sqlite3_prepare_v3(work->database, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) ==
             SQLITE_OK,
         text);
    return statement;
}

static uint64_t number_of(struct work *work, const char *query)
{
    sqlite3_stmt *statement = prepare(work, query);
    need(work, sqlite3_step(statement) == SQLITE_ROW, query);
    const uint64_t number = (uint64_t)sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return number;
}

// ---------------------------------------------------------------- compare

static enum err take(void *arg, const struct row *row, struct fault *fault)
{
    struct work *work = arg;
    struct change change = {.op = SB__OP__OP_CREATED};
    work->counts.records++;
    delta_need(record_key(row, &work->job->key, &work->key, fault), fault);
    delta_need(record_hash(row, &work->scratch, change.hash), fault);
    (void)sqlite3_bind_blob(work->find, 1, work->key.data, (int)work->key.size, SQLITE_STATIC);
    const int step = sqlite3_step(work->find);
    need(work, step == SQLITE_ROW || step == SQLITE_DONE, "find");
    if (step == SQLITE_ROW) {
        change.op = SB__OP__OP_CHANGED;
        change.id = (uint64_t)sqlite3_column_int64(work->find, 1);
        work->seen[change.id / 8] = (uint8_t)(work->seen[change.id / 8] | 1u << change.id % 8);
    }
    const bool unchanged =
        step == SQLITE_ROW && memcmp(sqlite3_column_blob(work->find, 0), change.hash, RECORD_HASH_SIZE) == 0;
    (void)sqlite3_reset(work->find);
    if (unchanged) {
        work->counts.unchanged++;
        return ERR_OK;
    }
    buffer_clear(&work->scratch);
    delta_need(record_json(row, &work->scratch), fault);
    change.key = (struct bytes){.data = work->key.data, .size = work->key.size};
    change.json = (struct bytes){.data = work->scratch.data, .size = work->scratch.size};
    delta_need(changes_add(&work->changes, &change), fault);
    work->counts.created += change.op == SB__OP__OP_CREATED;
    work->counts.changed += change.op == SB__OP__OP_CHANGED;
    return ERR_OK;
}

// ---------------------------------------------------------------- write

static void put(struct work *work, sqlite3_stmt *statement)
{
    need(work, sqlite3_step(statement) == SQLITE_DONE, "put");
    (void)sqlite3_reset(statement);
}

static void write_changes(struct work *work)
{
    sqlite3_stmt *record = prepare(work, "INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3, ?4)");
    sqlite3_stmt *item = prepare(work, "INSERT INTO feed VALUES(?4, ?6, ?1, ?2, ?5, 1, 1)");
    int64_t seq = (int64_t)number_of(work, "SELECT coalesce(max(seq), 0) FROM feed");
    sqlite3_stmt *const both[] = {record, item};
    need(work, changes_sort(&work->changes) == ERR_OK, "memory");
    for (size_t i = 0; i < work->changes.count; i++) {
        const struct change *change = changes_at(&work->changes, i);
        const uint64_t id = change->op == SB__OP__OP_CREATED ? ++work->ids : change->id;
        seq++;
        for (size_t j = 0; j < 2; j++) {
            (void)sqlite3_bind_blob(both[j], 1, change->key.data, (int)change->key.size, SQLITE_STATIC);
            (void)sqlite3_bind_blob(both[j], 2, change->hash, RECORD_HASH_SIZE, SQLITE_STATIC);
            (void)sqlite3_bind_int64(both[j], 4, seq);
        }
        (void)sqlite3_bind_text(item, 5, change->json.data, (int)change->json.size, SQLITE_STATIC);
        (void)sqlite3_bind_int64(record, 3, (int64_t)id);
        (void)sqlite3_bind_int(item, 6, (int)change->op);
        put(work, record);
        put(work, item);
    }
    (void)sqlite3_finalize(record);
    (void)sqlite3_finalize(item);
    run(work, "INSERT INTO results VALUES((SELECT coalesce(max(run), 0) + 1 FROM results), 1, 1)");
}

// Deletions are looked for only if a record was not met, as a sync does; these exports never lack one.
static void check_deletions(struct work *work, uint64_t stored)
{
    uint64_t met = 0;
    for (uint64_t i = 0; i <= stored / 8; i++)
        met += (uint64_t)__builtin_popcount(work->seen[i]);
    need(work, met == stored, "records were not met");
}

// ---------------------------------------------------------------- life

static struct work *open_with(const struct config_job *job, const char *journal)
{
    struct work *work = calloc(1, sizeof *work);
    char text[512];
    if (work == NULL)
        delta_fail_bench("memory");
    work->job = job;
    (void)snprintf(text, sizeof text, "%s/records.db", job->data);
    need(work, sqlite3_open(text, &work->database) == SQLITE_OK, text);
    (void)snprintf(text, sizeof text, "PRAGMA journal_mode = %s", journal);
    run(work, text);
    run(work, "PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;"
              "PRAGMA mmap_size = 8589934592; PRAGMA cache_size = -16384");
    run(work, schema);
    buffer_init(&work->key, 2 * (size_t)RECORD_SIZE_MAX);
    buffer_init(&work->scratch, 4 * (size_t)RECORD_SIZE_MAX);
    work->find = prepare(work, "SELECT hash, id FROM records WHERE key = ?1");
    return work;
}

static void *open_wal(const struct config_job *job)
{
    return open_with(job, "WAL");
}

static void *open_delete(const struct config_job *job)
{
    return open_with(job, "DELETE");
}

static void pass(void *arg, const char *path, struct delta_counts *ret)
{
    struct work *work = arg;
    struct fault fault = {.err = ERR_OK};
    const atomic_bool never = false;
    const struct decode_sink sink = {.take = take, .arg = work};
    run(work, "BEGIN IMMEDIATE");
    work->counts = (struct delta_counts){.records = 0};
    changes_init(&work->changes);
    work->ids = number_of(work, "SELECT count(*) FROM records");
    const uint64_t stored = work->ids;
    work->seen = calloc(1, stored / 8 + 1);
    need(work, work->seen != NULL, "memory");
    delta_need(decode_file(work->job, path, &sink, &never, &fault), &fault);
    check_deletions(work, stored);
    write_changes(work);
    run(work, "COMMIT");
    changes_free(&work->changes);
    free(work->seen);
    *ret = work->counts;
}

static void end(void *arg)
{
    struct work *work = arg;
    (void)sqlite3_finalize(work->find);
    need(work, sqlite3_close(work->database) == SQLITE_OK, "close");
    buffer_free(&work->key);
    buffer_free(&work->scratch);
    free(work);
}

const struct delta_contender delta_sqlite_wal = {"sqlite-wal", open_wal, pass, end};
const struct delta_contender delta_sqlite_delete = {"sqlite-delete", open_delete, pass, end};
