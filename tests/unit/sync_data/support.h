// What the tests of decoding, comparing and answering share. Errors of the set-up end the test program.
#ifndef SYNCBUS_TESTS_UNIT_SYNC_DATA_SUPPORT_H
#define SYNCBUS_TESTS_UNIT_SYNC_DATA_SUPPORT_H

#include "services/sync/decode.h"
#include "services/sync/delta.h"
#include "services/sync/feed.h"

// A config whose first job has these fields, as YAML in flow style without the outer braces. The caller
// destroys it.
struct config *support_config(const char *fields);

// What a decoder told, row by row: "2: a=1 b=x\n", a bad one "3! why a=1\n", an error "= why\n" at the end.
// Decodes `text` in parts of `part` bytes. The caller frees it.
char *support_decode(const struct config_job *job, const char *text, size_t size, size_t part);

// The same text behind so many blanks that a decoder looks at its bytes as they come, and not only once it
// has gathered the first ones. A byte order mark stays in front. `ret_size` counts all. The caller frees it.
char *support_behind_blanks(const char *text, size_t size, size_t *ret_size);

// An entity's store in a directory of its own.
struct support_store {
    struct config *config;        // owned
    const struct config_job *job; // its first
    struct delta *delta;          // open
    char folder[64];              // of the store
    uint64_t run;                 // number of the last run
    Sb__Result result;            // of the last apply
    struct fault fault;           // of the last apply
};

// Makes a store for a job with these fields.
void support_open(struct support_store *self, const char *fields);

// Closes and opens it, as a new process would.
void support_reopen(struct support_store *self);

// Closes it and removes its directory.
void support_close(struct support_store *self);

// Applies an export as the next run, under a token.
enum err support_apply(struct support_store *self, const char *text, uint64_t token);

// The last result in short: "created 1 changed 0 unchanged 0 deleted 0 rejected 0 withheld 0 seq 1", or
// "failed: why". Static.
const char *support_counts(const struct support_store *self);

// The answer to a call, as JSON, or "failed: why". Static.
const char *support_call(struct support_store *self, const char *method, const ProtobufCMessage *query,
                         const ProtobufCMessageDescriptor *answer);

#endif
