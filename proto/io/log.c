#include "proto/io/log.h"

#include "proto/base/utf8.h"
#include "proto/io/clock.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WORDS_SIZE = 2048, HEAD_SIZE = 128, LINE_MAX_SIZE = 8192 };

// A word of three bytes ("a= ") takes eight of the line, an escaped or replaced byte at most two.
static_assert(LINE_MAX_SIZE > 8 * (WORDS_SIZE / 3) + 2 * HEAD_SIZE + 2 * WORDS_SIZE / 3,
              "any words fit into a line");

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char *log_program = "syncbus";
static enum log_level log_least = LOG_LEVEL_INFO;

// A line under construction.
struct line {
    char text[LINE_MAX_SIZE];
    size_t size;
};

static void add_char(struct line *line, char c)
{
    if (line->size < sizeof line->text - 8)
        line->text[line->size++] = c;
}

static void add_text(struct line *line, const char *text)
{
    for (; *text != '\0'; text++)
        add_char(line, *text);
}

// A JSON string; control characters become blanks, bytes that are not UTF-8 question marks.
static void add_string(struct line *line, const char *text, size_t size)
{
    add_char(line, '"');
    for (size_t at = 0; at < size;) {
        const size_t step = utf8_character(text + at, size - at);
        if (text[at] == '"' || text[at] == '\\')
            add_char(line, '\\');
        if (step <= 1)
            add_char(line, step == 0 ? '?' : (unsigned char)text[at] < 0x20 ? ' ' : text[at]);
        for (size_t i = 0; step > 1 && i < step; i++)
            add_char(line, text[at + i]);
        at += step > 0 ? step : 1;
    }
    add_char(line, '"');
}

static bool is_number(const char *text, size_t size)
{
    const size_t start = size > 0 && text[0] == '-' ? 1 : 0;
    if (size == start || size > 20 || (text[start] == '0' && size > start + 1))
        return false;
    for (size_t i = start; i < size; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

// The start of the next " key=" after `from`, or the end: a value may itself contain blanks.
static const char *next_key(const char *from)
{
    for (const char *blank = strchr(from, ' '); blank != NULL; blank = strchr(blank + 1, ' ')) {
        const char *end = blank + 1;
        while (islower((unsigned char)*end) || *end == '_')
            end++;
        if (*end == '=' && end > blank + 1)
            return blank;
    }
    return from + strlen(from);
}

static void add_fields(struct line *line, const char *words)
{
    while (*words != '\0') {
        const char *equals = strchr(words, '=');
        const char *end = next_key(words);
        if (equals == NULL || equals > end)
            equals = NULL;
        add_text(line, ",");
        add_string(line, equals != NULL ? words : "text", equals != NULL ? (size_t)(equals - words) : 4);
        add_char(line, ':');
        const char *value = equals != NULL ? equals + 1 : words;
        const size_t size = (size_t)(end - value);
        if (is_number(value, size)) {
            for (size_t i = 0; i < size; i++)
                add_char(line, value[i]);
        } else {
            add_string(line, value, size);
        }
        words = *end == ' ' ? end + 1 : end;
    }
}

void log_open(const char *program)
{
    log_program = program;
    const char *least = getenv("SYNCBUS_LOG");
    for (int i = 0; least != NULL && i < 4; i++) {
        if (strcmp(least, level_names[i]) == 0)
            log_least = (enum log_level)i;
    }
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    if (level < log_least)
        return;
    char words[WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);

    struct line line = {.size = 0};
    const int64_t now = clock_wall_ms();
    const time_t seconds = (time_t)(now / 1000);
    struct tm parts;
    char time[32] = "";
    if (gmtime_r(&seconds, &parts) != NULL)
        (void)strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &parts);
    char head[HEAD_SIZE];
    (void)snprintf(head, sizeof head,
                   "{\"time\":\"%s.%03dZ\",\"level\":\"%s\",\"program\":\"%s\",\"event\":", time,
                   (int)(now % 1000), level_names[level], log_program);
    add_text(&line, head);
    add_string(&line, event, strlen(event));
    add_fields(&line, words);
    line.text[line.size++] = '}';
    line.text[line.size++] = '\n';
    if (write(STDERR_FILENO, line.text, line.size) < 0)
        return; // nobody is left to tell
}
