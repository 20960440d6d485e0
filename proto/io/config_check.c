#include "proto/base/duration.h"
#include "proto/base/json_path.h"
#include "proto/io/config_read.h"
#include "proto/io/config_table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *nearest_resource(const struct config *config, const char *name)
{
    const char *names[CONFIG_RESOURCES_MAX];
    for (size_t i = 0; i < config->resource_count; i++)
        names[i] = config->resources[i].name;
    return config_nearest(name, names, config->resource_count);
}

static const char *nearest_job(const struct config *config, const char *name)
{
    const char *nearest = NULL;
    const char *names[CONFIG_LIST_MAX];
    size_t count = config->job_count < CONFIG_LIST_MAX ? config->job_count : CONFIG_LIST_MAX;
    for (size_t i = 0; i < count; i++)
        names[i] = config->jobs[i].name;
    nearest = config_nearest(name, names, count);
    return nearest;
}

const struct config_resource *config_resource(const struct config *self, const char *name,
                                              struct fault *fault)
{
    for (size_t i = 0; i < self->resource_count; i++)
        if (strcmp(self->resources[i].name, name) == 0)
            return &self->resources[i];
    const char *nearest = nearest_resource(self, name);
    fault_set(fault, ERR_NOT_FOUND, "there is no resource \"%.64s\"%s%s%s", name,
              nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
              nearest == NULL ? "" : "\"?");
    return NULL;
}

const struct config_job *config_job(const struct config *self, const char *name, struct fault *fault)
{
    for (size_t i = 0; i < self->job_count; i++)
        if (strcmp(self->jobs[i].name, name) == 0)
            return &self->jobs[i];
    const char *nearest = nearest_job(self, name);
    fault_set(fault, ERR_NOT_FOUND, "there is no job \"%.64s\"%s%s%s", name,
              nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
              nearest == NULL ? "" : "\"?");
    return NULL;
}

// The resource that a job or the orders name, or the only one.
static size_t find_resource(struct config_reader *self, const struct document_node *node, const char *what,
                            const char *name)
{
    const struct config *config = self->config;
    struct fault fault = {0};
    if (name == NULL) {
        if (config->resource_count > 1)
            config_error(self, node, "%s.resource is missing: there are %zu of them", what,
                         config->resource_count);
        return 0;
    }
    const struct config_resource *resource = config_resource(config, name, &fault);
    if (resource == NULL) {
        config_error(self, node, "%s.resource: %s", what, fault.text);
        return 0;
    }
    return (size_t)(resource - config->resources);
}

static void check_source(struct config_reader *self, const struct document_node *node,
                         const struct config_job *job)
{
    const struct config_source *source = &job->source;
    if (strpbrk(source->csv_delimiter, "\r\n") != NULL ||
        (source->csv_quote == QUOTE_DOUBLE && strchr(source->csv_delimiter, '"') != NULL))
        config_error(self, node, "jobs.%s: a line break or quote cannot be the delimiter", job->name);
    if (source->format == FORMAT_CSV && !source->csv_header && source->csv_columns.count == 0)
        config_error(self, node, "jobs.%s: without a header, source.csv.columns must name the columns",
                     job->name);
    struct json_path path;
    struct fault fault = {0};
    if (json_path_parse(source->json_records, &path, &fault) != ERR_OK)
        config_error(self, node, "jobs.%s: source.json.records: %s", job->name, fault.text);
    else
        for (size_t i = 0; i < source->json_parent.count; i++) {
            struct json_parent parent;
            if (json_parent_parse(&path, source->json_parent.items[i], &parent, &fault) != ERR_OK)
                config_error(self, node, "jobs.%s: source.json.parent: %s", job->name, fault.text);
        }
}

static bool is_file(const char *url)
{
    return strncasecmp(url, "file:", 5) == 0;
}

static void check_pages(struct config_reader *self, const struct document_node *node,
                        const struct config_job *job)
{
    const struct config_source *source = &job->source;
    if ((source->page_parameter != NULL) != (source->page_size > 0))
        config_error(self, node, "jobs.%s: source.page needs both `parameter` and `size`", job->name);
    if (source->page_parameter != NULL &&
        (is_file(source->url) || (source->full_url != NULL && is_file(source->full_url))))
        config_error(self, node, "jobs.%s: source.page goes with http:// and https:// only", job->name);
    if (source->page_parameter != NULL && strcmp(source->page_parameter, source->page_size_parameter) == 0)
        config_error(self, node, "jobs.%s: source.page.parameter and size_parameter are the same", job->name);
    if (source->full_url != NULL && source->complete)
        config_error(self, node, "jobs.%s: source.full_url goes with `complete: false` only", job->name);
}

// Whether a field of this name is left out of the records.
static bool is_ignored(const struct config_job *job, const char *name)
{
    for (size_t i = 0; i < job->ignore.count; i++) {
        const size_t size = strlen(job->ignore.items[i]);
        if (strncmp(name, job->ignore.items[i], size) == 0 && (name[size] == '\0' || name[size] == '.'))
            return true;
    }
    return false;
}

// The field of a match is an index, too.
static bool add_index(struct config_job *job)
{
    struct words *index = &job->index;
    for (size_t i = 0; i < index->count; i++)
        if (strcmp(index->items[i], job->match_field) == 0)
            return true;
    char **items = realloc(index->items, (index->count + 1) * sizeof *items);
    char *copy = strdup(job->match_field);
    if (items != NULL)
        index->items = items;
    if (items == NULL || copy == NULL) {
        free(copy);
        return false;
    }
    index->items[index->count++] = copy;
    return true;
}

static void check_index(struct config_reader *self, const struct document_node *node, struct config_job *job)
{
    if (job->match_field != NULL && !add_index(job)) {
        config_error(self, node, "out of memory");
        return;
    }
    if (job->index.count > CONFIG_INDEXES_MAX)
        config_error(self, node, "jobs.%s.index: %zu fields, at most %d are taken", job->name,
                     job->index.count, CONFIG_INDEXES_MAX);
    for (size_t i = 0; i < job->index.count; i++)
        if (is_ignored(job, job->index.items[i]))
            config_error(self, node, "jobs.%s.index: the field \"%.64s\" is ignored, so no record has it",
                         job->name, job->index.items[i]);
}

static void check_match(struct config_reader *self, const struct document_node *node,
                        const struct config_job *job)
{
    struct fault fault = {0};
    if (job->match_entity == NULL && job->match_field == NULL)
        return;
    if (job->match_entity == NULL || job->match_field == NULL) {
        config_error(self, node, "jobs.%s.match: both are needed, `entity` and `field`", job->name);
        return;
    }
    const struct config_job *other = config_job(self->config, job->match_entity, &fault);
    if (other == NULL)
        config_error(self, node, "jobs.%s.match.entity: %s", job->name, fault.text);
    else if (other->key.count != 1)
        config_error(self, node, "jobs.%s.match: the key of %s has %zu fields, and one field cannot hold it",
                     job->name, other->name, other->key.count);
}

static void check_fields(struct config_reader *self, const struct document_node *node,
                         const struct config_job *job)
{
    if (job->key.count == 0)
        config_error(self, node, "jobs.%s.key: at least one field names a record", job->name);
    for (size_t i = 0; i < job->key.count; i++)
        for (size_t j = 0; j < job->ignore.count; j++)
            if (strcmp(job->key.items[i], job->ignore.items[j]) == 0)
                config_error(self, node, "jobs.%s: the field \"%.64s\" of the key cannot be ignored",
                             job->name, job->key.items[i]);
}

// Directory `name` beside the broker's.
static char *beside(const char *broker_data, const char *name)
{
    size_t size = strlen(broker_data);
    while (size > 0 && broker_data[size - 1] == '/')
        size--;
    while (size > 0 && broker_data[size - 1] != '/')
        size--;
    char *path = NULL;
    return asprintf(&path, "%.*s%s", (int)size, broker_data, name) < 0 ? NULL : path;
}

// A path without doubled and final slashes and `.` between them: the same for all ways to write it.
static char *plain_path(const char *path)
{
    char *plain = malloc(strlen(path) + 2);
    size_t size = 0;
    if (plain == NULL)
        return NULL;
    if (*path == '/')
        plain[size++] = '/';
    while (*path != '\0') {
        path += strspn(path, "/");
        const size_t length = strcspn(path, "/");
        if (length > 0 && !(length == 1 && path[0] == '.')) {
            if (size > 0 && plain[size - 1] != '/')
                plain[size++] = '/';
            memcpy(plain + size, path, length);
            size += length;
        }
        path += length;
    }
    plain[size] = '\0';
    return plain;
}

static void check_endpoints(struct config_reader *self)
{
    const struct config_broker *broker = &self->config->broker;
    char *requests = plain_path(broker->requests);
    char *events = plain_path(broker->events);
    if (requests == NULL || events == NULL)
        config_error(self, NULL, "out of memory");
    else if (strcmp(requests, events) == 0)
        config_error(self, self->endpoint, "broker.requests and broker.events are the same: %s",
                     broker->requests);
    free(requests);
    free(events);
}

// Directories in use, by plain path: of the broker, of each job by its place, of the orders.
struct directories {
    struct names names;
    void *memory; // of `names`, owned
    char **paths; // owned, as each of them
    size_t count; // of them
};

// Whose directory this is already: a job's place, BROKER_DATA, or NAMES_NONE; then it is `place`'s.
static uint32_t take_directory(struct config_reader *self, const struct document_node *node,
                               struct directories *all, const char *path, uint32_t place)
{
    char *plain = path == NULL ? NULL : plain_path(path);
    if (plain == NULL) {
        config_error(self, node, "out of memory");
        return NAMES_NONE;
    }
    all->paths[all->count++] = plain;
    const uint32_t other = names_find(&all->names, plain);
    if (other == NAMES_NONE)
        names_put(&all->names, plain, place);
    return other;
}

enum { BROKER_DATA = CONFIG_JOBS_MAX, ORDERS_DATA };

static void check_orders_data(struct config_reader *self, struct directories *all)
{
    struct config *config = self->config;
    if (config->orders.data == NULL)
        config->orders.data = beside(config->broker.data, "order");
    const uint32_t other = take_directory(self, self->orders, all, config->orders.data, ORDERS_DATA);
    if (other == BROKER_DATA)
        config_error(self, self->orders, "orders.data is the broker's: %.200s", config->orders.data);
    else if (other != NAMES_NONE)
        config_error(self, self->orders, "orders.data is that of jobs.%s: %.200s", config->jobs[other].name,
                     config->orders.data);
}

static void check_data(struct config_reader *self)
{
    struct config *config = self->config;
    struct directories all = {.memory = malloc(names_size(config->job_count + 2)),
                              .paths = calloc(config->job_count + 2, sizeof *all.paths)};
    if (all.memory == NULL || all.paths == NULL) {
        config_error(self, NULL, "out of memory");
        goto end;
    }
    names_init(&all.names, all.memory, config->job_count + 2);
    (void)take_directory(self, NULL, &all, config->broker.data, BROKER_DATA);
    for (size_t i = 0; i < config->job_count; i++) {
        struct config_job *job = &config->jobs[i];
        if (job->data == NULL)
            job->data = beside(config->broker.data, job->name);
        const uint32_t other = take_directory(self, self->jobs[i], &all, job->data, (uint32_t)i);
        if (other == BROKER_DATA)
            config_error(self, self->jobs[i], "jobs.%s.data is the broker's: %.200s", job->name, job->data);
        else if (other != NAMES_NONE)
            config_error(self, self->jobs[i], "jobs.%s.data is that of jobs.%s: %.200s", job->name,
                         config->jobs[other].name, job->data);
    }
    if (config->orders.present)
        check_orders_data(self, &all);
end:
    for (size_t i = 0; i < all.count; i++)
        free(all.paths[i]);
    free(all.paths);
    free(all.memory);
}

// One `job: offset` of a profile; taken over only from the profile in use. `seen` has a flag for each job.
static void read_offset(struct config_reader *self, const struct document_node *key,
                        const struct document_node *value, const char *profile, bool in_use, bool *seen)
{
    const char *name = config_scalar(self, key, "a job's name");
    const char *text = config_scalar(self, value, "an offset");
    struct fault fault = {0};
    int64_t offset_ms;
    if (name == NULL || text == NULL)
        return;
    const uint32_t known = names_find(&self->names, name);
    const struct config_job *job =
        known != NAMES_NONE ? &self->config->jobs[known] : config_job(self->config, name, &fault);
    if (job == NULL) {
        config_error(self, key, "profiles.%.64s: %s", profile, fault.text);
        return;
    }
    const size_t place = (size_t)(job - self->config->jobs);
    if (seen[place]) {
        config_error(self, key, "profiles.%.64s: \"%s\" is there twice", profile, name);
        return;
    }
    seen[place] = true;
    if (duration_parse(text, &offset_ms, &fault) != ERR_OK) {
        config_error(self, value, "profiles.%.64s.%s: %s", profile, name, fault.text);
        return;
    }
    struct config_job *own = &self->config->jobs[place];
    if (in_use && own->offset_ms < 0)
        own->offset_ms = offset_ms;
}

static bool read_profile(struct config_reader *self, const struct document_node *key,
                         const struct document_node *offsets, const char **ret_name)
{
    const struct config *config = self->config;
    const char *name = config_scalar(self, key, "a profile's name");
    if (name == NULL)
        return false;
    if (!config_is_name(name))
        config_error(self, key, "profiles: \"%.80s\" is not a name of 1 to 64 letters, digits, - and _",
                     name);
    *ret_name = name;
    bool in_use = config->profile != NULL && strcmp(config->profile, name) == 0;
    if (offsets->kind != DOCUMENT_MAPPING) {
        config_error(self, offsets, "profiles.%.64s: `job: offset` is expected, for each job", name);
        return in_use;
    }
    bool *seen = calloc(config->job_count, sizeof *seen);
    if (seen == NULL) {
        config_error(self, offsets, "out of memory");
        return in_use;
    }
    const struct document_node *at = offsets + 1;
    for (size_t i = 0;
         i < offsets->count && self->errors <= CONFIG_ERRORS_MAX && self->nodes <= CONFIG_NODES_MAX; i++) {
        const struct document_node *job = config_take(self, &at), *offset = config_take(self, &at);
        read_offset(self, job, offset, name, in_use, seen);
    }
    free(seen);
    return in_use;
}

static void check_profiles(struct config_reader *self)
{
    const char *names[CONFIG_LIST_MAX];
    const char *chosen = self->config->profile;
    size_t count = 0;
    bool found = false;
    if (self->profiles != NULL) {
        if (self->profiles->kind != DOCUMENT_MAPPING) {
            config_error(self, self->profiles, "profiles: names with offsets are expected");
            return;
        }
        const struct document_node *at = self->profiles + 1;
        for (size_t i = 0; i < self->profiles->count; i++) {
            const struct document_node *key = config_take(self, &at), *offsets = config_take(self, &at);
            if (count == CONFIG_LIST_MAX) {
                config_error(self, self->profiles, "profiles: at most %d are taken", CONFIG_LIST_MAX);
                return;
            }
            names[count] = "";
            found |= read_profile(self, key, offsets, &names[count]);
            for (size_t other = 0; other < count; other++)
                if (*names[count] != '\0' && strcmp(names[other], names[count]) == 0)
                    config_error(self, key, "profiles: \"%.64s\" is there twice", names[count]);
            count++;
        }
    }
    if (chosen != NULL && !found) {
        const char *nearest = config_nearest(chosen, names, count);
        config_error(self, self->profile, "profile: there is no profile \"%s\"%s%s%s", chosen,
                     nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
                     nearest == NULL ? "" : "\"?");
    }
    if (chosen == NULL && count > 0)
        config_error(self, self->profiles, "profile is missing: which of the %zu profiles is in use", count);
}

// A lease tells its progress with each renewal: a shorter `stall` would take every fetch for hung.
static void check_stall(struct config_reader *self, const struct document_node *node,
                        const struct config_job *job)
{
    const struct config_resource *resource = &self->config->resources[job->resource];
    char stall[32], ttl[32];
    if (job->stall_ms > resource->lease_ttl_ms / 3)
        return;
    config_error(self, node,
                 "jobs.%s.stall: %s is not longer than a third of the lease_ttl of %s (%s): progress is told "
                 "with each renewal",
                 job->name, duration_format(job->stall_ms, stall, sizeof stall), resource->name,
                 duration_format(resource->lease_ttl_ms, ttl, sizeof ttl));
}

void config_check(struct config_reader *self)
{
    struct config *config = self->config;
    assert(self->errors == 0);
    check_profiles(self);
    if (config->job_count > config->broker.jobs_max)
        config_error(self, self->jobs[config->broker.jobs_max],
                     "jobs: %zu of them are more than the %" PRIu32 " of broker.max_jobs", config->job_count,
                     config->broker.jobs_max);
    check_endpoints(self);
    for (size_t i = 0; i < config->job_count; i++) {
        struct config_job *job = &config->jobs[i];
        char what[80];
        (void)snprintf(what, sizeof what, "jobs.%s", job->name);
        job->resource = find_resource(self, self->jobs[i], what, job->resource_name);
        if (job->offset_ms < 0)
            job->offset_ms = 0;
        if (job->fresh_within_ms == 0)
            job->fresh_within_ms = job->every_ms + job->every_ms / 2;
        check_stall(self, self->jobs[i], job);
        check_source(self, self->jobs[i], job);
        check_pages(self, self->jobs[i], job);
        check_fields(self, self->jobs[i], job);
        check_index(self, self->jobs[i], job);
        check_match(self, self->jobs[i], job);
    }
    if (config->orders.present)
        config->orders.resource = find_resource(self, self->orders, "orders", config->orders.resource_name);
    check_data(self);
}
