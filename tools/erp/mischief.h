// Ways in which the ERP misbehaves when it was told to, each for a number of requests. Any thread.
#ifndef SYNCBUS_ERP_MISCHIEF_H
#define SYNCBUS_ERP_MISCHIEF_H

#include "proto/base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

// clang-format off
#define MISCHIEFS(X)                                                                                    \
    X(STATUS,      "status")      /* answers with the status `value` and does nothing */                \
    X(DROP_BEFORE, "drop_before") /* closes the connection and does nothing */                          \
    X(DROP_AFTER,  "drop_after")  /* does its work, closes before the last byte of the answer */        \
    X(DELAY,       "delay")       /* works `value` longer */                                            \
    X(TRUNCATE,    "truncate")    /* closes after `value` bytes (half) of an answer announced longer */ \
    X(HANG,        "hang")        /* never answers and does nothing */                                  \
    X(HTML,        "html")        /* does its work, answers with a page for people */                   \
    X(EMPTY,       "empty")       /* does its work, answers with nothing */                             \
    X(GARBAGE,     "garbage")     /* does its work, answers with noise */                               \
    X(ENDLESS,     "endless")     /* does its work, never ends its answer */                            \
    X(STALL,       "stall")       /* does its work, falls silent after `value` bytes (half) */          \
    X(UNCHANGED,   "unchanged")   /* says that an export has not changed, whatever was asked */         \
    X(NO_VALIDATOR, "no_validator") /* gives an export without ETag and Last-Modified */                \
    X(WEAK_ETAG,   "weak_etag")   /* gives an export with a weak ETag */                                \
    X(NO_TOTAL,    "no_total")    /* gives a page without the number of all records */                  \
    X(NEXT,        "next")        /* goes to the next version of the export first */
// clang-format on

enum mischief_kind {
    MISCHIEF_NONE,
#define MISCHIEF_NAME(name, text) MISCHIEF_##name,
    MISCHIEFS(MISCHIEF_NAME)
#undef MISCHIEF_NAME
};

// One way to misbehave.
struct mischief {
    enum mischief_kind kind;
    char method[8];         // only requests of this method; empty: any
    char path[128];         // only paths that begin so
    uint64_t after;         // only when so many such requests have passed
    uint64_t count;         // for so many requests more
    bool valued;            // `value` was given
    uint64_t value;         // status, milliseconds or bytes
    uint32_t retry_after_s; // header Retry-After of a status; 0: none
};

struct mischiefs {
    pthread_mutex_t lock;
    struct mischief *items; // oldest first
    size_t count;
};

void mischiefs_init(struct mischiefs *self);
void mischiefs_free(struct mischiefs *self);

// Reads a kind and its value as they are written (`value` may be NULL). ERR_INVALID with the reason.
SB_MUST_CHECK
enum err mischief_parse(const char *kind, const char *value, struct mischief *ret, struct fault *fault);

// Adds one behind the others.
void mischiefs_add(struct mischiefs *self, const struct mischief *mischief);

// Forgets all.
void mischiefs_clear(struct mischiefs *self);

// The mischief for this request, which uses it up once; MISCHIEF_NONE if there is none.
struct mischief mischiefs_take(struct mischiefs *self, const char *method, const char *path);

#endif
