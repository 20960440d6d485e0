#include "proto/io/log.h"

#include "proto/base/utf8.h"
#include "proto/io/clock.h"
#include "proto/io/format.h"

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

// A JSON string; characters that steer what shows them become blanks, bytes that are not UTF-8 question
// marks.
static void add_string(struct line *line, const char *text, size_t size)
{
    add_char(line, '"');
    for (size_t at = 0; at < size;) {
        const size_t step = utf8_character(text + at, size - at);
        const bool seen = step > 0 && !utf8_steers(text + at, step);
        if (text[at] == '"' || text[at] == '\\')
            add_char(line, '\\');
        if (!seen)
            add_char(line, step == 0 ? '?' : ' ');
        for (size_t i = 0; seen && i < step; i++)
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

// The start of the next " key=" of a format, or its end.
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

// One field, from its words of `size` bytes: `key=value`, or a text without a key.
static void add_field(struct line *line, const char *words, size_t size, bool keyed)
{
    const char *equals = keyed ? memchr(words, '=', size) : NULL;
    const char *value = equals != NULL ? equals + 1 : words;
    const size_t value_size = size - (size_t)(value - words);
    add_char(line, ',');
    add_string(line, equals != NULL ? words : "text", equals != NULL ? (size_t)(equals - words) : 4);
    add_char(line, ':');
    if (is_number(value, value_size)) {
        for (size_t i = 0; i < value_size; i++)
            add_char(line, value[i]);
    } else {
        add_string(line, value, value_size);
    }
}

// A field for each `key=` of the format: what looks like one in a value is none.
static void add_fields(struct line *line, const char *format, va_list arguments)
{
    char words[WORDS_SIZE];
    va_list copy;
    va_copy(copy, arguments);
    const int whole = vsnprintf(words, sizeof words, format, copy);
    va_end(copy);
    const size_t size = whole < 0 ? 0 : (size_t)whole < sizeof words ? (size_t)whole : sizeof words - 1;
    size_t at = 0;
    for (const char *part = format; *part != '\0' && at < size;) {
        const char *end = next_key(part);
        size_t to = format_size_until(format, (size_t)(end - format), arguments);
        if (to > size)
            to = size;
        const size_t key = strspn(part, "abcdefghijklmnopqrstuvwxyz_");
        add_field(line, words + at, to - at, key > 0 && part[key] == '=');
        at = to + 1; // behind the blank
        part = *end == ' ' ? end + 1 : end;
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
    va_list arguments;
    va_start(arguments, format);
    add_fields(&line, format, arguments);
    va_end(arguments);
    line.text[line.size++] = '}';
    line.text[line.size++] = '\n';
    if (write(STDERR_FILENO, line.text, line.size) < 0)
        return; // nobody is left to tell
}
