#include "proto/base/json_path.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

// A reading under way.
struct reading {
    const char *text;      // the whole path
    const char *at;        // what comes next
    struct json_path path; // so far
    size_t size;           // of its names
};

static enum err refuse(const struct reading *self, const char *why, struct fault *fault)
{
    return fault_set(fault, ERR_INVALID,
                     "\"%.64s\" is no path, at character %zu: %s; write $, $.name or $.name[*].name",
                     self->text, (size_t)(self->at - self->text) + 1, why);
}

static enum err add_step(struct reading *self, const char *name, size_t size, struct fault *fault)
{
    struct json_path *path = &self->path;
    if (path->count == JSON_PATH_STEPS_MAX)
        return refuse(self, "it has too many steps", fault);
    if (name == NULL) {
        path->steps[path->count++] = JSON_PATH_EACH;
        return ERR_OK;
    }
    if (size == 0)
        return refuse(self, "a name is missing", fault);
    if (size + 1 > sizeof path->names - self->size)
        return refuse(self, "it is too long", fault);
    path->steps[path->count++] = (uint16_t)self->size;
    memcpy(path->names + self->size, name, size);
    self->size += size;
    path->names[self->size++] = '\0';
    return ERR_OK;
}

static enum err read_step(struct reading *self, struct fault *fault)
{
    const char *at = self->at;
    if (at[0] == '.') {
        const size_t size = strcspn(at + 1, ".[]");
        self->at = at + 1;
        const enum err err = add_step(self, at + 1, size, fault);
        self->at = at + 1 + size;
        return err;
    }
    if (strncmp(at, "[*]", 3) == 0) {
        self->at = at + 3;
        return add_step(self, NULL, 0, fault);
    }
    if (strncmp(at, "['", 2) == 0) {
        const char *end = strstr(at + 2, "']");
        if (end == NULL)
            return refuse(self, "the name does not end with ']", fault);
        self->at = end + 2;
        return add_step(self, at + 2, (size_t)(end - at - 2), fault);
    }
    return refuse(self, "neither . nor [*]", fault);
}

// An element is a parent if a name follows: else it is the records' own container.
static void find_parents(struct json_path *path)
{
    for (size_t i = 0; i + 1 < path->count; i++)
        if (path->steps[i] == JSON_PATH_EACH && path->steps[i + 1] != JSON_PATH_EACH)
            path->depths[path->parents++] = i + 2;
}

enum err json_path_parse(const char *text, struct json_path *ret, struct fault *fault)
{
    struct reading self = {.text = text, .at = text};
    enum err err = ERR_OK;
    if (text[0] != '$')
        return refuse(&self, "it does not begin with $", fault);
    self.at++;
    while (*self.at != '\0' && err == ERR_OK)
        err = read_step(&self, fault);
    if (err != ERR_OK)
        return err;
    find_parents(&self.path);
    *ret = self.path;
    return ERR_OK;
}

const char *json_path_name(const struct json_path *self, size_t step)
{
    assert(step < self->count);
    return self->steps[step] == JSON_PATH_EACH ? NULL : self->names + self->steps[step];
}

enum err json_parent_parse(const struct json_path *path, const char *word, struct json_parent *ret,
                           struct fault *fault)
{
    static const char above[] = "parent.";
    const char *name = word;
    size_t up = 0;
    for (; strncmp(name, above, sizeof above - 1) == 0; name += sizeof above - 1)
        up++;
    if (*name == '\0')
        return fault_set(fault, ERR_INVALID, "\"%.64s\" names no field", word);
    if (path->parents == 0)
        return fault_set(
            fault, ERR_INVALID,
            "\"%.64s\": the records have no parent; one is where a name follows [*] in their path", word);
    if (up >= path->parents)
        return fault_set(fault, ERR_INVALID, "\"%.64s\": it is above the outermost parent of the path", word);
    *ret = (struct json_parent){.parent = path->parents - 1 - up, .name = name};
    return ERR_OK;
}
