#include "proto/io/config.h"

#include "proto/io/config_read.h"
#include "proto/io/config_table.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *config_find(const char *path, struct fault *fault)
{
    static const char *const places[] = {"./syncbus.yaml", "/etc/syncbus/syncbus.yaml"};
    if (path != NULL)
        return path;
    const char *named = getenv("SYNCBUS_CONFIG");
    if (named != NULL && *named != '\0')
        return named;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], F_OK) == 0)
            return places[i];
    fault_set(
        fault, ERR_NOT_FOUND,
        "no configuration: neither --config FILE nor $SYNCBUS_CONFIG names one, and there is neither %s "
        "nor %s",
        places[0], places[1]);
    return NULL;
}

static void read_document(struct config_reader *reader, const char *text, size_t size)
{
    struct document document;
    struct document_node place = {0};
    struct fault fault = {0};
    const enum err err = document_read(&document, text, size, CONFIG_NODES_MAX, &place, &fault);
    reader->document = &document;
    if (err != ERR_OK)
        config_error(reader, err == ERR_INVALID ? &place : NULL, "%s", fault.text);
    else
        config_read(reader);
    if (reader->errors == 0)
        config_check(reader);
    document_free(&document);
}

static void speed_up(struct config *config, uint32_t speed)
{
    config->speed = speed;
    for (size_t i = 0; i < config->job_count; i++) {
        struct config_job *job = &config->jobs[i];
        job->every_ms = job->every_ms / speed > 0 ? job->every_ms / speed : 1;
        job->offset_ms /= speed;
        job->fresh_within_ms = job->fresh_within_ms / speed > 0 ? job->fresh_within_ms / speed : 1;
    }
}

enum err config_parse(const char *text, size_t size, const char *path, uint32_t speed, config_warn *warn,
                      void *arg, struct config **ret, struct fault *fault)
{
    assert(speed > 0);
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL || (config->path = strdup(path)) == NULL) {
        free(config);
        return fault_set(fault, ERR_NO_MEMORY, "%s: out of memory", path);
    }
    struct config_reader reader = {
        .path = path, .config = config, .warn = warn, .warn_arg = arg, .fault = fault};
    if (size > CONFIG_BYTES_MAX)
        config_error(&reader, NULL, "is longer than %d bytes", CONFIG_BYTES_MAX);
    else
        read_document(&reader, text, size);
    free(reader.jobs);
    free(reader.names_memory);
    if (reader.errors == 0 && config->profile == NULL && (config->profile = strdup("")) == NULL)
        config_error(&reader, NULL, "out of memory");
    if (reader.errors > 0) {
        config_destroy(&config);
        return ERR_INVALID;
    }
    speed_up(config, speed);
    *ret = config;
    return ERR_OK;
}

enum err config_load(const char *path, uint32_t speed, config_warn *warn, void *arg, struct config **ret,
                     struct fault *fault)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fault_set(fault, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    char *text = malloc(CONFIG_BYTES_MAX + 1);
    enum err err = ERR_OK;
    if (text == NULL) {
        err = fault_set(fault, ERR_NO_MEMORY, "%s: out of memory", path);
        goto end;
    }
    size_t size = fread(text, 1, CONFIG_BYTES_MAX + 1, file);
    if (ferror(file)) {
        err = fault_set(fault, ERR_IO, "%s: %s", path, strerror(errno));
        goto end;
    }
    err = config_parse(text, size, path, speed, warn, arg, ret, fault);
end:
    free(text);
    (void)fclose(file);
    return err;
}

static const struct section *section_of(enum option_type type)
{
    const struct section *file = &config_section_file;
    for (size_t i = 0; i < file->count; i++)
        if (file->options[i].type == type)
            return file->options[i].section;
    assert(false);
    return NULL;
}

void config_destroy(struct config **self_p)
{
    struct config *self = *self_p;
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->resource_count; i++) {
        free(self->resources[i].name);
        config_section_free(section_of(OPTION_RESOURCES), &self->resources[i]);
    }
    for (size_t i = 0; i < self->job_count; i++) {
        free(self->jobs[i].name);
        config_section_free(section_of(OPTION_JOBS), &self->jobs[i]);
    }
    config_section_free(&config_section_file, self);
    free(self->resources);
    free(self->jobs);
    free(self->path);
    free(self);
    *self_p = NULL;
}

static const char *type_name(enum option_type type)
{
    switch (type) {
    case OPTION_DURATION: return "duration (ms, s, m, h, d)";
    case OPTION_COUNT: return "number";
    case OPTION_SIZE: return "size (KiB, MiB, GiB)";
    case OPTION_SHARE: return "share (%)";
    case OPTION_FLAG: return "true or false";
    case OPTION_CHOICE: return "one of";
    case OPTION_WORDS: return "list";
    case OPTION_PATH: return "path";
    case OPTION_ENDPOINT: return "endpoint";
    case OPTION_EXPORT:
    case OPTION_URL: return "URL";
    case OPTION_HEADER: return "name of a header";
    case OPTION_PARAMETER: return "name of a parameter";
    case OPTION_TEXT: return "text";
    default: return "";
    }
}

static void print_section(FILE *stream, const struct section *section, int depth)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct option_spec *option = &section->options[i];
        fprintf(stream, "%*s%s: %s", depth * 2, "", option->name, type_name(option->type));
        for (const struct option_choice *choice = option->choices; choice != NULL && choice->name != NULL;
             choice++)
            if (choice->verdict == CHOICE_OK)
                fprintf(stream, " %s", choice->name);
        if (option->required)
            fprintf(stream, " (required)");
        if (option->fallback != NULL)
            fprintf(stream, " (default %s)", option->fallback);
        fprintf(stream, "  # %s\n", option->help);
        if (option->section == NULL)
            continue;
        bool named = option->type == OPTION_RESOURCES || option->type == OPTION_JOBS;
        if (named)
            fprintf(stream, "%*sNAME:\n", depth * 2 + 2, "");
        print_section(stream, option->section, depth + (named ? 2 : 1));
    }
}

void config_print_help(void *stream)
{
    print_section(stream, &config_section_file, 0);
}
