// UTF-8, checked.
#ifndef SYNCBUS_BASE_UTF8_H
#define SYNCBUS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

// Bytes (1 to 4) of the character at the start of `text`, of which `size` > 0 bytes are there; 0 if there is
// no valid one: no overlong forms, no surrogates, nothing past U+10FFFF. Any thread.
size_t utf8_character(const char *text, size_t size);

// Whether all of it is valid.
bool utf8_valid(const char *text, size_t size);

#endif
