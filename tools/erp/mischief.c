#include "tools/erp/mischief.h"

#include "proto/base/duration.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {[MISCHIEF_NONE] = "none",
#define MISCHIEF_TEXT(name, text) [MISCHIEF_##name] = text,
                                    MISCHIEFS(MISCHIEF_TEXT)
#undef MISCHIEF_TEXT
};

void mischiefs_init(struct mischiefs *self)
{
    *self = (struct mischiefs){0};
    int failed = pthread_mutex_init(&self->lock, NULL);
    assert(failed == 0);
}

void mischiefs_free(struct mischiefs *self)
{
    free(self->items);
    pthread_mutex_destroy(&self->lock);
}

static enum err read_value(const char *text, struct mischief *mischief, struct fault *fault)
{
    char *end;
    mischief->valued = true;
    mischief->value = strtoull(text, &end, 10);
    if (mischief->kind == MISCHIEF_DELAY && *end != '\0') {
        int64_t ms;
        enum err err = duration_parse(text, &ms, fault);
        if (err == ERR_OK)
            mischief->value = (uint64_t)ms;
        return err;
    }
    if (end == text || *end != '\0')
        return fault_set(fault, ERR_INVALID, "value: a number is expected, not \"%s\"", text);
    if (mischief->kind == MISCHIEF_STATUS && (mischief->value < 200 || mischief->value > 599))
        return fault_set(fault, ERR_INVALID, "value: a status is from 200 to 599, not \"%s\"", text);
    return ERR_OK;
}

enum err mischief_parse(const char *kind, const char *value, struct mischief *ret, struct fault *fault)
{
    struct mischief mischief = {0};
    for (size_t i = 1; i < sizeof names / sizeof *names; i++)
        if (strcmp(kind, names[i]) == 0)
            mischief.kind = (enum mischief_kind)i;
    if (mischief.kind == MISCHIEF_NONE)
        return fault_set(fault, ERR_INVALID, "kind: \"%s\" is none that this ERP knows", kind);
    enum err err = value != NULL ? read_value(value, &mischief, fault) : ERR_OK;
    if (err != ERR_OK)
        return err;
    if (mischief.kind == MISCHIEF_DELAY && !mischief.valued)
        return fault_set(fault, ERR_INVALID, "value: a delay needs its length, as in \"500ms\"");
    if (mischief.kind == MISCHIEF_STATUS && !mischief.valued)
        mischief.value = 500;
    *ret = mischief;
    return ERR_OK;
}

void mischiefs_add(struct mischiefs *self, const struct mischief *mischief)
{
    pthread_mutex_lock(&self->lock);
    self->items = realloc(self->items, (self->count + 1) * sizeof *self->items);
    if (self->items == NULL)
        abort();
    self->items[self->count++] = *mischief;
    pthread_mutex_unlock(&self->lock);
}

void mischiefs_clear(struct mischiefs *self)
{
    pthread_mutex_lock(&self->lock);
    self->count = 0;
    pthread_mutex_unlock(&self->lock);
}

static bool fits(const struct mischief *mischief, const char *method, const char *path)
{
    return strncmp(path, mischief->path, strlen(mischief->path)) == 0 &&
           (mischief->method[0] == '\0' || strcmp(method, mischief->method) == 0);
}

struct mischief mischiefs_take(struct mischiefs *self, const char *method, const char *path)
{
    struct mischief taken = {0};
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->count && taken.kind == MISCHIEF_NONE; i++) {
        if (!fits(&self->items[i], method, path))
            continue;
        if (self->items[i].after > 0) {
            self->items[i].after--;
            continue;
        }
        taken = self->items[i];
        if (--self->items[i].count == 0) {
            self->count--;
            memmove(&self->items[i], &self->items[i + 1], (self->count - i) * sizeof *self->items);
        }
    }
    pthread_mutex_unlock(&self->lock);
    return taken;
}
