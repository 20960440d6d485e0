// UTF-8, checked.
#ifndef SYNCBUS_BASE_UTF8_H
#define SYNCBUS_BASE_UTF8_H

#include "proto/base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

// Bytes (1 to 4) of the character at the start of `text`, of which `size` > 0 bytes are there; 0 if there is
// no valid one: no overlong forms, no surrogates, nothing past U+10FFFF. Any thread.
size_t utf8_character(const char *text, size_t size);

// Whether all of it is valid.
bool utf8_valid(const char *text, size_t size);

// Whether the valid character of `step` bytes at `text` steers what shows it instead of being seen: controls
// (C0, DEL, C1: with them begin the sequences that terminals obey), separators of lines and paragraphs, and
// what turns the direction of writing. Any thread.
bool utf8_steers(const char *text, size_t step);

// Whether all of it is valid and nothing of it steers: what names and reasons keep to.
bool utf8_plain(const char *text, size_t size);

// Appends text for the eyes of a person: what steers as \u and four digits, as JSON writes it, and bytes that
// are not valid as question marks. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err utf8_show(const char *text, size_t size, struct buffer *ret);

#endif
