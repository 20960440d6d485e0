// What the parts of bench-delta share. Anything unexpected ends the program.
#ifndef SYNCBUS_TESTS_BENCH_DELTA_H
#define SYNCBUS_TESTS_BENCH_DELTA_H

#include "proto/io/config.h"
#include "services/sync/decode.h"

// Two times of which differences are taken: the clock's, and what this thread had of a processor.
struct moment {
    int64_t clock_ns;
    int64_t thread_ns;
};

// What one pass counted.
struct delta_counts {
    uint64_t records;      // rows that were read
    uint64_t created;      // of them
    uint64_t changed;      // of them
    uint64_t unchanged;    // of them
    struct moment counted; // if not 0: only this much of the pass is to count
};

// Says what went wrong and ends the program.
_Noreturn void delta_fail_bench(const char *what);

// Ends the program unless `err` is ERR_OK.
void delta_need(enum err err, const struct fault *fault);

// Writes an export of `count` records, of which so many percent differ from those of an export with 0.
void delta_make_export(const char *format, const char *order, uint64_t count, uint64_t changed_percent,
                       const char *path);

// What is measured: it opens its store in job->data once, and is then given one export after another, as in a
// process that stays.
struct delta_contender {
    const char *name;
    void *(*open)(const struct config_job *job);
    void (*pass)(void *self, const char *path, struct delta_counts *ret);
    void (*close)(void *self);
};

// SQLite in its two modes of journal.
extern const struct delta_contender delta_sqlite_wal;
extern const struct delta_contender delta_sqlite_delete;

#endif
