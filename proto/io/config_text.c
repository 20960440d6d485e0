#include "proto/io/config_table.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static enum err add_section(const struct section *section, const void *target, struct buffer *ret);

// A text with its length before it, so that no two lists of texts read alike.
static enum err add_text(const char *text, struct buffer *ret)
{
    return text == NULL ? buffer_print(ret, " -") : buffer_print(ret, " %zu:%s", strlen(text), text);
}

static enum err add_words(const struct words *words, struct buffer *ret)
{
    enum err err = buffer_print(ret, " %zu", words->count);
    for (size_t i = 0; i < words->count && err == ERR_OK; i++)
        err = add_text(words->items[i], ret);
    return err;
}

static enum err add_headers(const struct config_headers *headers, struct buffer *ret)
{
    enum err err = buffer_print(ret, " %zu", headers->count);
    for (size_t i = 0; i < headers->count && err == ERR_OK; i++) {
        err = add_text(headers->items[i].name, ret);
        err = err ? err : add_text(headers->items[i].value, ret);
        err = err ? err : add_text(headers->items[i].value_env, ret);
    }
    return err;
}

static enum err add_value(const struct option_spec *option, const void *place, struct buffer *ret)
{
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_HEADER:
    case OPTION_PARAMETER:
    case OPTION_PATH:
    case OPTION_ENDPOINT:
    case OPTION_EXPORT:
    case OPTION_URL: return add_text(*(char *const *)place, ret);
    case OPTION_DURATION: return buffer_print(ret, " %" PRId64, *(const int64_t *)place);
    case OPTION_COUNT:
    case OPTION_SHARE: return buffer_print(ret, " %" PRIu32, *(const uint32_t *)place);
    case OPTION_SIZE: return buffer_print(ret, " %" PRIu64, *(const uint64_t *)place);
    case OPTION_FLAG: return buffer_print(ret, " %d", *(const bool *)place);
    case OPTION_CHOICE: return buffer_print(ret, " %d", *(const int *)place);
    case OPTION_WORDS: return add_words(place, ret);
    case OPTION_HEADERS: return add_headers(place, ret);
    case OPTION_SECTION: return add_section(option->section, place, ret);
    default: return ERR_OK; // has no value in a job
    }
}

static enum err add_section(const struct section *section, const void *target, struct buffer *ret)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < section->count && err == ERR_OK; i++) {
        const struct option_spec *option = &section->options[i];
        err = buffer_print(ret, "\n%s", option->name);
        if (err == ERR_OK)
            err = add_value(option, (const char *)target + option->place, ret);
    }
    return err;
}

enum err config_job_text(const struct config_job *job, struct buffer *ret)
{
    const struct section *file = &config_section_file;
    for (size_t i = 0; i < file->count; i++)
        if (file->options[i].type == OPTION_JOBS)
            return add_section(file->options[i].section, job, ret);
    assert(false);
    return ERR_INVALID;
}
