#include "tests/scenario/line.h"

#include "proto/base/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void line_cut(struct line *line)
{
    char *rest = line->text;
    line->count = 0;
    while (*rest != '\0' && line->count < WORDS_MAX) {
        const size_t gap = strspn(rest, " \n");
        rest += gap;
        if (*rest == '\0')
            break;
        line->words[line->count++] = rest;
        rest += strcspn(rest, " \n");
        if (*rest != '\0')
            *rest++ = '\0';
    }
}

void line_fail(const char *what, const char *word)
{
    (void)fprintf(stderr, "the story says \"%s\": %s\n", word, what);
    exit(1);
}

bool line_is(const struct line *line, size_t index, const char *word)
{
    return index < line->count && strcmp(line->words[index], word) == 0;
}

// The value of `name=…` among the words; NULL if it is not there.
const char *line_option(const struct line *line, const char *name)
{
    const size_t size = strlen(name);
    for (size_t i = 0; i < line->count; i++) {
        if (strncmp(line->words[i], name, size) == 0 && line->words[i][size] == '=')
            return line->words[i] + size + 1;
    }
    return NULL;
}

int64_t line_duration(const char *text)
{
    int64_t ms = 0;
    struct fault fault;
    if (duration_parse(text, &ms, &fault) != ERR_OK)
        line_fail("no duration", text);
    return ms;
}

void line_duration_option(const struct line *line, const char *name, int64_t *ret)
{
    const char *value = line_option(line, name);
    if (value != NULL)
        *ret = line_duration(value);
}

void line_number_option(const struct line *line, const char *name, uint32_t *ret)
{
    const char *value = line_option(line, name);
    if (value != NULL)
        *ret = (uint32_t)strtoul(value, NULL, 10);
}
