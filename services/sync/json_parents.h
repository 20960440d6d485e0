// The fields that records of a JSON export have from the elements around them. JSON names no order, so a
// parent's field may stand behind its records: these are then held back until their outermost parent ends,
// so that the order in which records come stays theirs.
//
// Depths are containers open once the one in question is. Memory is bounded. One thread.
#ifndef SYNCBUS_SERVICES_SYNC_JSON_PARENTS_H
#define SYNCBUS_SERVICES_SYNC_JSON_PARENTS_H

#include "services/sync/record.h"

#include "proto/base/json_path.h"

// All that is held back may take so much.
enum { JSON_HELD_MAX = 16 << 20 };

struct json_parents;

// Takes one field of a record; `name` and `value` are valid during the call.
typedef void json_parents_sink(void *arg, const struct field *field);

// For the wanted fields of the path's parents (both kept by the caller). ERR_INVALID, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err json_parents_new(const struct json_path *path, const struct words *wanted, struct json_parents **ret,
                          struct fault *fault);

// Frees it and sets the pointer to NULL; NULL is fine.
void json_parents_destroy(struct json_parents **self_p);

// A container on the way to the records opens. True: it is a parent, and names begin anew in it.
bool json_parents_enter(struct json_parents *self, size_t depth);

// It closes; what is held gets the fields that are known by now. True: it was the outermost one, and all that
// is held can be taken by json_parents_next. ERR_FULL, ERR_NO_MEMORY in `ret_err`.
bool json_parents_leave(struct json_parents *self, size_t depth, enum err *ret_err);

// True while some parent is open.
bool json_parents_inside(const struct json_parents *self);

// A scalar in the nearest open parent, under its flattened name; `value` NULL: null. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err json_parents_take(struct json_parents *self, struct bytes name, const char *value, size_t size,
                           bool raw);

// True when a record that ends now has all that it gets from its parents, and none before it is held.
bool json_parents_complete(const struct json_parents *self);

// Gives what is known of the parents' wanted fields, each as parent.NAME. All of them are open: a record
// begins.
void json_parents_give(const struct json_parents *self, json_parents_sink *sink, void *arg);

// Holds a record back: its number and what is wrong with it ("": nothing), then each field. ERR_FULL,
// ERR_NO_MEMORY.
SB_MUST_CHECK
enum err json_parents_hold(struct json_parents *self, uint64_t number, const char *why);
SB_MUST_CHECK
enum err json_parents_hold_field(struct json_parents *self, const struct field *field);

// Takes the oldest held record: its number, its `why` and its fields. False: there is none, and the memory is
// used anew.
bool json_parents_next(struct json_parents *self, uint64_t *ret_number, const char **ret_why,
                       json_parents_sink *sink, void *arg);

#endif
