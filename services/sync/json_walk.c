#include "services/sync/json_walk.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static_assert(JSON_PATH_STEPS_MAX < JSON_DEPTH_MAX - 1, "records fit below the longest path");

const char *json_walk_check(const struct json_walk *self, bool array, bool named)
{
    if (json_walk_on_way(self)) {
        const bool each = json_path_name(&self->path, self->depth) == NULL;
        if (each == array)
            return NULL;
        return array ? "an array, not an object" : "an object, not an array";
    }
    if (array && named)
        return "an array; object_key is for an object of records";
    if (!array && !named)
        return "an object, not an array; if its names are the records' own, set object_key";
    return NULL;
}

const char *json_walk_check_scalar(const struct json_walk *self, const char *what, bool null)
{
    const bool records = json_walk_at_records(self);
    const bool member = self->depth > 0 && json_path_name(&self->path, self->depth - 1) != NULL;
    if (null && member && (self->path.parents > 0 || !records))
        return NULL;
    return records ? "a single value, not the records" : what;
}

struct json_level *json_walk_open(struct json_walk *self, bool array)
{
    assert(self->depth < JSON_DEPTH_MAX);
    const bool records = json_walk_at_records(self);
    const bool way = json_walk_on_way(self);
    self->inside = self->inside || records;
    self->found = self->found || records || (way && array);
    struct json_level *level = &self->levels[++self->depth];
    *level = (struct json_level){.array = array, .on_path = way, .fits = way && array};
    return level;
}

void json_walk_key(struct json_walk *self, const char *name, size_t size)
{
    struct json_level *level = &self->levels[self->depth];
    if (!level->on_path)
        return;
    const char *step = json_path_name(&self->path, self->depth - 1);
    level->fits = step != NULL && strlen(step) == size && memcmp(step, name, size) == 0;
}

enum err json_walk_place(const struct json_walk *self, struct buffer *ret)
{
    enum err err = buffer_print(ret, "$");
    for (size_t i = 0; i < self->depth && i < self->path.count && err == ERR_OK; i++) {
        const char *name = json_path_name(&self->path, i);
        err = name != NULL ? buffer_print(ret, ".%s", name)
                           : buffer_print(ret, "[%" PRIu64 "]", self->levels[i + 1].index - 1);
    }
    return err;
}
