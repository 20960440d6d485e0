// One line of a story, cut into words.
#ifndef SYNCBUS_TESTS_SCENARIO_LINE_H
#define SYNCBUS_TESTS_SCENARIO_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORDS_MAX = 24, LINE_MAX_SIZE = 512 };

struct line {
    char text[LINE_MAX_SIZE];
    char *words[WORDS_MAX];
    size_t count;
};

// Cuts the line's text, which the words point into from then on.
void line_cut(struct line *line);

// Ends the program: the story says what cannot be.
void line_fail(const char *what, const char *word);

// Whether a word is there, and is this one.
bool line_is(const struct line *line, size_t index, const char *word);

// The value of `name=…` among the words; NULL if it is not there. The others leave `ret` alone then.
const char *line_option(const struct line *line, const char *name);
void line_duration_option(const struct line *line, const char *name, int64_t *ret);
void line_number_option(const struct line *line, const char *name, uint32_t *ret);

// A duration as people write it, in ms.
int64_t line_duration(const char *text);

#endif
