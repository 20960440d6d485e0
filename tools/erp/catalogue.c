#include "tools/erp/catalogue.h"

#include "tools/erp/generate.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[FORMATS] = {[CSV] = "text/csv", [JSON] = "application/json"};
static const char *const suffixes[FORMATS] = {[CSV] = ".csv", [JSON] = ".json"};

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void init(struct catalogue *self, uint32_t count)
{
    *self = (struct catalogue){.count = count};
    self->entities = calloc(count > 0 ? count : 1, sizeof *self->entities);
    if (self->entities == NULL)
        abort();
    int failed = pthread_mutex_init(&self->lock, NULL);
    assert(failed == 0);
}

// The names in a folder in their order, each freed by the caller.
static enum err list(const char *folder, struct dirent ***ret, uint32_t *ret_count, struct fault *fault)
{
    int count = scandir(folder, ret, visible, alphasort);
    if (count < 0)
        return fault_set(fault, ERR_IO, "%s: %s", folder, strerror(errno));
    *ret_count = (uint32_t)count;
    return ERR_OK;
}

static char *joined(const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

static enum err find_versions(struct entity *entity, const char *folder, struct fault *fault)
{
    struct dirent **names = NULL;
    uint32_t count = 0;
    enum err err = list(folder, &names, &count, fault);
    if (err != ERR_OK)
        return err;
    entity->files = calloc(count > 0 ? count : 1, sizeof *entity->files);
    if (entity->files == NULL)
        abort();
    entity->file_count = count;
    for (uint32_t i = 0; i < count; i++) {
        entity->files[i] = joined(folder, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return count > 0 ? ERR_OK : fault_set(fault, ERR_NOT_FOUND, "%s: no versions in this folder", folder);
}

enum err catalogue_open(struct catalogue *self, const char *folder, struct fault *fault)
{
    struct dirent **names = NULL;
    uint32_t count = 0;
    enum err err = list(folder, &names, &count, fault);
    if (err != ERR_OK)
        return err;
    init(self, count);
    for (uint32_t i = 0; i < count; i++) {
        self->entities[i].name = strdup(names[i]->d_name);
        self->entities[i].since = time(NULL);
        char *path = joined(folder, names[i]->d_name);
        if (err == ERR_OK)
            err = find_versions(&self->entities[i], path, fault);
        free(path);
        free(names[i]);
    }
    free(names);
    if (err == ERR_OK && count == 0)
        err = fault_set(fault, ERR_NOT_FOUND, "%s: no entities in this folder", folder);
    if (err != ERR_OK)
        catalogue_free(self);
    return err;
}

void catalogue_generate(struct catalogue *self, uint64_t rows, uint64_t seed)
{
    init(self, GENERATED_ENTITIES);
    self->rows = rows;
    self->seed = seed;
    for (uint32_t i = 0; i < GENERATED_ENTITIES; i++) {
        self->entities[i].name = strdup(generate_name(i));
        self->entities[i].since = time(NULL);
    }
}

static void forget_current(struct entity *entity)
{
    for (int format = 0; format < FORMATS; format++)
        content_drop(&entity->current[format]);
}

void catalogue_free(struct catalogue *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        struct entity *entity = &self->entities[i];
        forget_current(entity);
        for (uint32_t version = 0; version < entity->file_count; version++)
            free(entity->files[version]);
        free(entity->files);
        free(entity->name);
    }
    free(self->entities);
    pthread_mutex_destroy(&self->lock);
}

static struct entity *find(struct catalogue *self, const char *name)
{
    for (uint32_t i = 0; i < self->count; i++)
        if (strcmp(self->entities[i].name, name) == 0)
            return &self->entities[i];
    return NULL;
}

// Whether a path has the suffix, before a ".gz" if it ends in one.
static bool has_suffix(const char *path, const char *suffix)
{
    size_t size = strlen(path), length = strlen(suffix);
    if (size > 3 && strcmp(path + size - 3, ".gz") == 0)
        size -= 3;
    return size >= length && memcmp(path + size - length, suffix, length) == 0;
}

static enum err load(struct catalogue *self, struct entity *entity, enum format format, struct fault *fault)
{
    if (entity->files != NULL) {
        const char *path = entity->files[entity->version];
        if (!has_suffix(path, suffixes[format]))
            return fault_set(fault, ERR_NOT_FOUND, "version %u of %s is not a %s file", entity->version,
                             entity->name, suffixes[format]);
        return content_load(path, types[format], &entity->current[format], fault);
    }
    struct buffer bytes;
    buffer_init(&bytes, EXPORT_SIZE_MAX);
    uint32_t i = (uint32_t)(entity - self->entities);
    enum err err = format == CSV ? generate_csv(i, self->rows, self->seed, entity->version, &bytes)
                                 : generate_json(i, self->rows, self->seed, entity->version, &bytes);
    if (err != ERR_OK) {
        buffer_free(&bytes);
        return fault_set(fault, err, "%s: %s", entity->name, err_text(err));
    }
    entity->current[format] = content_new(&bytes, types[format], entity->since);
    return ERR_OK;
}

enum err catalogue_get(struct catalogue *self, const char *name, enum format format, struct content **ret,
                       struct fault *fault)
{
    pthread_mutex_lock(&self->lock);
    struct entity *entity = find(self, name);
    enum err err = ERR_OK;
    if (entity == NULL)
        err = fault_set(fault, ERR_NOT_FOUND, "no entity \"%s\" here", name);
    else if (entity->current[format] == NULL)
        err = load(self, entity, format, fault);
    if (err == ERR_OK)
        *ret = content_hold(entity->current[format]);
    pthread_mutex_unlock(&self->lock);
    return err;
}

static void next(struct entity *entity, json_object *versions)
{
    if (entity->files == NULL || entity->version + 1 < entity->file_count) {
        entity->version++;
        entity->since = time(NULL);
        forget_current(entity);
    }
    json_object_object_add(versions, entity->name, json_object_new_int64(entity->version));
}

json_object *catalogue_next(struct catalogue *self, const char *name)
{
    pthread_mutex_lock(&self->lock);
    struct entity *only = name != NULL ? find(self, name) : NULL;
    json_object *versions = name == NULL || only != NULL ? json_object_new_object() : NULL;
    if (only != NULL)
        next(only, versions);
    for (uint32_t i = 0; name == NULL && i < self->count; i++)
        next(&self->entities[i], versions);
    pthread_mutex_unlock(&self->lock);
    return versions;
}
