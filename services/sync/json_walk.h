// Where in a JSON document its parser stands, seen from the path to the records: on the way there, in their
// container, or elsewhere. Pure but for memory. One thread.
#ifndef SYNCBUS_SERVICES_SYNC_JSON_WALK_H
#define SYNCBUS_SERVICES_SYNC_JSON_WALK_H

#include "proto/base/buffer.h"
#include "proto/base/json_path.h"

#include <stdbool.h>

enum { JSON_DEPTH_MAX = 64 }; // of nesting

// An open container.
struct json_level {
    bool array;     // else an object
    bool on_path;   // every container above, and this one, lies on the way to the records
    bool fits;      // on the path: the value in hand is what its next step names
    size_t prefix;  // bytes of the flattened name that lead here
    uint64_t index; // array: of the next element
};

struct json_walk {
    struct json_path path;                        // to the records
    struct json_level levels[JSON_DEPTH_MAX + 1]; // levels[1] is the document's
    size_t depth;                                 // of open containers
    bool inside;                                  // the records' container, at depth path.count + 1, is open
    bool found;                                   // it was seen, or an array that could hold some
};

static inline bool json_walk_fits(const struct json_walk *self)
{
    const struct json_level *level = &self->levels[self->depth];
    return self->depth == 0 || (level->on_path && level->fits);
}

// True when the value that begins now is the one that the path names.
static inline bool json_walk_at_records(const struct json_walk *self)
{
    return self->depth == self->path.count && json_walk_fits(self);
}

// True when it lies on the way there.
static inline bool json_walk_on_way(const struct json_walk *self)
{
    return self->depth < self->path.count && json_walk_fits(self);
}

// True when it is a record, or what stands in its place.
static inline bool json_walk_at_record(const struct json_walk *self)
{
    return self->inside && self->depth == self->path.count + 1;
}

// What is wrong with a container that begins now on the way or as the records' own, or NULL. `named`: the
// records are an object.
const char *json_walk_check(const struct json_walk *self, bool array, bool named);

// The same of a scalar, `what`. Below [*], null in place of the records stands for none.
const char *json_walk_check_scalar(const struct json_walk *self, const char *what, bool null);

// A container begins, where there is room for one more level; the new level.
struct json_level *json_walk_open(struct json_walk *self, bool array);

// A member of this name comes next.
void json_walk_key(struct json_walk *self, const char *name, size_t size);

// Appends where the value in hand stands on the path, as $.orders[17].lines. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err json_walk_place(const struct json_walk *self, struct buffer *ret);

#endif
