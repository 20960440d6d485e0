// Errors: one list of kinds, each with its text, and a report that tells a person what happened, to what, and
// what to do.
//
// A function that can fail returns an enum err (0 is success) and is marked SB_MUST_CHECK. Where a person
// will read of it, it also takes a `struct fault *` (may be NULL) which it fills on failure and leaves alone
// on success.
#ifndef SYNCBUS_BASE_ERR_H
#define SYNCBUS_BASE_ERR_H

#include <stdarg.h>

#define SB_MUST_CHECK          __attribute__((warn_unused_result))
#define SB_PRINTF(text, first) __attribute__((format(printf, text, first)))

// clang-format off
#define SB_ERRORS(X)                                            \
    X(OK,          "no error")                                  \
    X(NO_MEMORY,   "out of memory")                             \
    X(FULL,        "a limit was reached")                       \
    X(INVALID,     "not valid")                                 \
    X(NOT_FOUND,   "not found")                                 \
    X(EXISTS,      "exists already")                            \
    X(CONFLICT,    "in conflict with something that is there")  \
    X(BUSY,        "in use by another process")                 \
    X(REFUSED,     "refused")                                   \
    X(TIMED_OUT,   "timed out")                                 \
    X(UNREACHABLE, "not reachable")                             \
    X(CORRUPT,     "damaged data")                              \
    X(NO_SPACE,    "no space left")                             \
    X(IO,          "input or output failed")                    \
    X(STALE,       "a newer one was there first")               \
    X(STOPPED,     "asked to end")
// clang-format on

enum err {
#define SB_ERROR_NAME(name, text) ERR_##name,
    SB_ERRORS(SB_ERROR_NAME)
#undef SB_ERROR_NAME
        ERR_COUNT
};

// What went wrong, for a person. Plain data: copy it freely.
struct fault {
    enum err err;   // its kind; ERR_OK while nothing was reported
    char text[504]; // one line of UTF-8 without control characters, cut at the end if too long
};

// The text of a kind of error; never NULL. Any thread.
const char *err_text(enum err err);

// Writes the report into `fault` (unless NULL) and returns `err`, so that a caller can `return
// fault_set(...)`.
enum err fault_set(struct fault *fault, enum err err, const char *format, ...) SB_PRINTF(3, 4);

#endif
