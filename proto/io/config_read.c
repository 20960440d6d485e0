#include "proto/io/config_read.h"

#include "proto/base/utf8.h"
#include "proto/io/config_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void tell(struct config_reader *self, const struct document_node *node, const char *format,
                 va_list words)
{
    char line[1024];
    int size = node == NULL ? snprintf(line, sizeof line, "%s: ", self->path)
                            : snprintf(line, sizeof line, "%s:%zu:%zu: ", self->path, (size_t)node->line + 1,
                                       (size_t)node->column + 1);
    assert(size > 0);
    size_t used = (size_t)size < sizeof line ? (size_t)size : sizeof line - 1;
    (void)vsnprintf(line + used, sizeof line - used, format, words);
    const size_t whole = strlen(line);
    for (size_t at = 0; at < whole;) {
        const size_t step = utf8_character(line + at, whole - at);
        if (step == 0 || utf8_steers(line + at, step))
            memset(line + at, ' ', step > 0 ? step : 1);
        at += step > 0 ? step : 1;
    }
    if (self->errors == 1)
        fault_set(self->fault, ERR_INVALID, "%s", line);
    if (self->warn != NULL)
        self->warn(self->warn_arg, line);
}

void config_error(struct config_reader *self, const struct document_node *node, const char *format, ...)
{
    self->errors++;
    if (self->errors > CONFIG_ERRORS_MAX)
        return;
    va_list words;
    va_start(words, format);
    tell(self, node, format, words);
    va_end(words);
}

const struct document_node *config_take(struct config_reader *self, const struct document_node **at)
{
    const struct document_node *node = *at;
    self->nodes++;
    *at += node->span;
    return document_resolve(self->document, node);
}

// Whether to give up: nobody reads more errors, and a document that grows by its aliases is refused.
static bool enough(struct config_reader *self)
{
    if (self->nodes > CONFIG_NODES_MAX && self->errors <= CONFIG_ERRORS_MAX) {
        config_error(self, NULL, "has more than %d values", CONFIG_NODES_MAX);
        self->errors = CONFIG_ERRORS_MAX + 1;
    }
    return self->errors > CONFIG_ERRORS_MAX;
}

const char *config_scalar(struct config_reader *self, const struct document_node *node, const char *what)
{
    if (node->kind != DOCUMENT_SCALAR) {
        config_error(self, node, "%s: one value is expected, and this is a %s", what,
                     node->kind == DOCUMENT_MAPPING ? "mapping" : "list");
        return NULL;
    }
    const char *text = document_text(self->document, node);
    if (strlen(text) != node->count) {
        config_error(self, node, "%s: holds a NUL character", what);
        return NULL;
    }
    return text;
}

static bool is_mapping(struct config_reader *self, const struct document_node *node, const char *what)
{
    if (node->kind == DOCUMENT_MAPPING)
        return true;
    config_error(self, node, "%s: options are expected (`name: value` on lines of their own)", what);
    return false;
}

bool config_is_name(const char *text)
{
    size_t size = strlen(text);
    return size >= 1 && size <= 64 && text[0] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == size;
}

static void read_words(struct config_reader *self, const struct document_node *node, const char *what,
                       const struct option_spec *option, struct words *ret)
{
    if (node->kind != DOCUMENT_LIST) {
        config_error(self, node, "%s: a list is expected, as [one, two]", what);
        return;
    }
    const size_t count = node->count;
    if (count > CONFIG_LIST_MAX) {
        config_error(self, node, "%s: %zu items, at most %d are taken", what, count, CONFIG_LIST_MAX);
        return;
    }
    ret->items = calloc(count + 1, sizeof *ret->items);
    if (ret->items == NULL) {
        config_error(self, node, "out of memory");
        return;
    }
    const struct document_node *at = node + 1;
    for (size_t i = 0; i < count; i++) {
        const struct document_node *item = config_take(self, &at);
        const char *text = config_scalar(self, item, what);
        if (text == NULL)
            continue;
        char *copy = strdup(text);
        if (copy == NULL) {
            config_error(self, item, "out of memory");
            return;
        }
        struct fault fault = {0};
        if (config_check_plain(option, text, &fault) != ERR_OK)
            config_error(self, item, "%s: %s", what, fault.text);
        for (size_t other = 0; other < ret->count; other++)
            if (strcmp(ret->items[other], copy) == 0)
                config_error(self, item, "%s: \"%.64s\" is there twice", what, copy);
        ret->items[ret->count++] = copy;
    }
}

static bool is_variable(const char *text)
{
    const size_t size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return size > 0 && text[size] == '\0';
}

// { env: VARIABLE }
static const char *read_env(struct config_reader *self, const struct document_node *node, const char *name)
{
    if (node->count == 1) {
        const struct document_node *at = node + 1;
        const char *key = config_scalar(self, config_take(self, &at), name);
        if (key != NULL && strcmp(key, "env") == 0) {
            const char *variable = config_scalar(self, config_take(self, &at), name);
            if (variable != NULL && is_variable(variable))
                return variable;
        }
    }
    config_error(self, node, "header %s: a value or { env: VARIABLE } is expected", name);
    return NULL;
}

static void read_headers(struct config_reader *self, const struct document_node *node, const char *what,
                         struct config_headers *ret)
{
    if (!is_mapping(self, node, what))
        return;
    if (node->count > CONFIG_LIST_MAX) {
        config_error(self, node, "%s: at most %d are taken", what, CONFIG_LIST_MAX);
        return;
    }
    ret->items = calloc((size_t)node->count + 1, sizeof *ret->items);
    if (ret->items == NULL) {
        config_error(self, node, "out of memory");
        return;
    }
    const struct document_node *at = node + 1;
    for (size_t i = 0; i < node->count; i++) {
        const struct document_node *key = config_take(self, &at), *value = config_take(self, &at);
        const char *name = config_scalar(self, key, what);
        if (name == NULL)
            continue;
        if (!config_is_token(name)) {
            config_error(self, key, "%s: \"%.64s\" cannot be the name of a header", what, name);
            continue;
        }
        for (size_t other = 0; other < ret->count; other++)
            if (ret->items[other].name != NULL && strcasecmp(ret->items[other].name, name) == 0)
                config_error(self, key, "%s: \"%.64s\" is there twice", what, name);
        const char *variable = NULL, *text = NULL;
        if (value->kind == DOCUMENT_MAPPING)
            variable = read_env(self, value, name);
        else
            text = config_scalar(self, value, name);
        if (text != NULL && !config_is_header_value(text))
            config_error(self, value, "header %s: a line break would end it, and other controls garble it",
                         name);
        struct config_header *header = &ret->items[ret->count++];
        header->name = strdup(name);
        header->value = text == NULL ? NULL : strdup(text);
        header->value_env = variable == NULL ? NULL : strdup(variable);
        if (header->name == NULL || (text != NULL && header->value == NULL) ||
            (variable != NULL && header->value_env == NULL)) {
            config_error(self, key, "out of memory");
            return;
        }
    }
}

static void read_section(struct config_reader *self, const struct document_node *node, const char *what,
                         const struct section *section, void *target);

// Whether a name is there already; if not, it is kept under its place.
static bool is_known(struct names *names, const char *name, size_t place)
{
    if (names_find(names, name) != NAMES_NONE)
        return true;
    names_put(names, name, (uint32_t)place);
    return false;
}

// Reads the items of a mapping by name, with what they are called in `names`.
static void read_items(struct config_reader *self, const struct document_node *node,
                       const struct option_spec *option, char *items, size_t item_size, struct names *names)
{
    const struct document_node *at = node + 1;
    for (size_t i = 0; i < node->count; i++) {
        const struct document_node *key = config_take(self, &at), *value = config_take(self, &at);
        if (option->type == OPTION_JOBS) {
            self->jobs[i] = key;
            ((struct config_job *)(void *)items)[i].offset_ms = -1; // until one is given
        }
        if (enough(self))
            return;
        const char *name = config_scalar(self, key, option->name);
        if (name == NULL)
            continue;
        if (!config_is_name(name))
            config_error(self, key, "%s: \"%.80s\" is not a name of 1 to 64 letters, digits, - and _",
                         option->name, name);
        if (is_known(names, name, i))
            config_error(self, key, "%s: \"%.64s\" is there twice", option->name, name);
        char *copy = strdup(name);
        if (copy == NULL) {
            config_error(self, key, "out of memory");
            return;
        }
        *(char **)(void *)(items + i * item_size) = copy;
        char what[128];
        (void)snprintf(what, sizeof what, "%s.%.64s", option->name, name);
        read_section(self, value, what, option->section, items + i * item_size);
    }
}

// Makes an array for the items of a mapping by name and reads each; the names come first in their structs.
static void *read_named(struct config_reader *self, const struct document_node *node,
                        const struct option_spec *option, size_t max, size_t item_size, size_t *ret_count)
{
    if (!is_mapping(self, node, option->name))
        return NULL;
    const size_t count = node->count;
    if (count == 0 || count > max) {
        config_error(self, node, "%s: %zu are named, 1 to %zu are possible", option->name, count, max);
        return NULL;
    }
    char *items = calloc(count, item_size);
    void *memory = malloc(names_size(count));
    struct names names;
    if (items == NULL || memory == NULL) {
        config_error(self, node, "out of memory");
        free(items);
        free(memory);
        return NULL;
    }
    names_init(&names, memory, count);
    *ret_count = count;
    read_items(self, node, option, items, item_size, &names);
    if (option->type != OPTION_JOBS) {
        free(memory);
        return items;
    }
    self->names = names;
    self->names_memory = memory;
    return items;
}

static void read_jobs(struct config_reader *self, const struct document_node *node,
                      const struct option_spec *option)
{
    self->jobs = calloc(CONFIG_JOBS_MAX, sizeof *self->jobs);
    if (self->jobs == NULL)
        config_error(self, node, "out of memory");
    else
        self->config->jobs = read_named(self, node, option, CONFIG_JOBS_MAX, sizeof *self->config->jobs,
                                        &self->config->job_count);
}

static void read_option(struct config_reader *self, const struct document_node *node, const char *what,
                        const struct option_spec *option, void *target)
{
    void *place = (char *)target + option->place;
    switch (option->type) {
    case OPTION_WORDS: read_words(self, node, what, option, place); return;
    case OPTION_HEADERS: read_headers(self, node, what, place); return;
    case OPTION_SECTION: read_section(self, node, what, option->section, place); return;
    case OPTION_RESOURCES:
        self->config->resources = read_named(self, node, option, CONFIG_RESOURCES_MAX,
                                             sizeof *self->config->resources, &self->config->resource_count);
        return;
    case OPTION_JOBS: read_jobs(self, node, option); return;
    case OPTION_ORDERS:
        self->orders = node;
        self->config->orders.present = true;
        read_section(self, node, what, option->section, place);
        return;
    case OPTION_PROFILES: self->profiles = node; return;
    default: break;
    }
    const char *text = config_scalar(self, node, what);
    struct fault fault = {0};
    if (text == NULL)
        return;
    if (config_set(option, target, text, &fault) != ERR_OK)
        config_error(self, node, "%s: %s", what, fault.text);
}

static const struct option_spec *find_option(struct config_reader *self, const struct document_node *key,
                                             const char *what, const struct section *section,
                                             const char *name)
{
    const char *names[SECTION_OPTIONS_MAX];
    for (size_t i = 0; i < section->count; i++) {
        if (strcmp(section->options[i].name, name) == 0)
            return &section->options[i];
        names[i] = section->options[i].name;
    }
    const char *nearest = config_nearest(name, names, section->count);
    const char *of = *what == '\0' ? "the file" : what;
    if (nearest != NULL)
        config_error(self, key, "\"%.64s\" is not an option of %s; did you mean \"%s\"?", name, of, nearest);
    else
        config_error(self, key, "\"%.64s\" is not an option of %s", name, of);
    return NULL;
}

// What is left out takes its default; sections that are left out, all of theirs.
static void take_defaults(struct config_reader *self, const struct document_node *node, const char *what,
                          const struct section *section, void *target, uint64_t seen)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct option_spec *option = &section->options[i];
        if (seen & (UINT64_C(1) << i))
            continue;
        if (option->required)
            config_error(self, node, "%s%s%s is missing: %s", what, *what == '\0' ? "" : ".", option->name,
                         option->help);
        else if (option->type == OPTION_SECTION)
            take_defaults(self, node, what, option->section, (char *)target + option->place, 0);
        else if (config_set_default(option, target) != ERR_OK)
            config_error(self, node, "out of memory");
    }
}

static void read_section(struct config_reader *self, const struct document_node *node, const char *what,
                         const struct section *section, void *target)
{
    uint64_t seen = 0;
    if (!is_mapping(self, node, *what == '\0' ? "the file" : what))
        return;
    const struct document_node *at = node + 1;
    for (size_t i = 0; i < node->count && !enough(self); i++) {
        const struct document_node *key = config_take(self, &at), *value = config_take(self, &at);
        const char *name = config_scalar(self, key, "a name");
        const struct option_spec *option = name == NULL ? NULL : find_option(self, key, what, section, name);
        if (option == NULL)
            continue;
        uint64_t bit = UINT64_C(1) << (option - section->options);
        if (seen & bit) {
            config_error(self, key, "\"%s\" is there twice", name);
            continue;
        }
        seen |= bit;
        char path[256];
        (void)snprintf(path, sizeof path, "%s%s%s", what, *what == '\0' ? "" : ".", name);
        if (strcmp(path, "profile") == 0)
            self->profile = value;
        if (option->type == OPTION_ENDPOINT)
            self->endpoint = value;
        read_option(self, value, path, option, target);
    }
    take_defaults(self, node, what, section, target, seen);
}

void config_read(struct config_reader *self)
{
    const struct document_node *root = document_root(self->document);
    if (root == NULL) {
        config_error(self, NULL, "is empty");
        return;
    }
    read_section(self, root, "", &config_section_file, self->config);
}
