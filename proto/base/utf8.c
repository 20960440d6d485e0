#include "proto/base/utf8.h"

#include <stdint.h>
#include <string.h>

size_t utf8_character(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    const unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    const bool overlong = (first == 0xe0 && bytes[1] < 0xa0) || (first == 0xf0 && bytes[1] < 0x90);
    const bool outside = (first == 0xed && bytes[1] > 0x9f) || (first == 0xf4 && bytes[1] > 0x8f);
    return overlong || outside ? 0 : length;
}

bool utf8_valid(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint64_t word = UINT64_MAX;
        if (size - at >= sizeof word)
            memcpy(&word, text + at, sizeof word);
        if ((word & 0x8080808080808080u) == 0) { // eight characters of ASCII at once
            at += sizeof word;
            continue;
        }
        const size_t step = utf8_character(text + at, size - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

// The number of a valid character.
static uint32_t code_of(const char *text, size_t step)
{
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t code = step == 1 ? bytes[0] : bytes[0] & (0x7fU >> step);
    for (size_t i = 1; i < step; i++)
        code = code << 6 | (bytes[i] & 0x3fU);
    return code;
}

bool utf8_steers(const char *text, size_t step)
{
    const uint32_t code = code_of(text, step);
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e ||
           code == 0x200f || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

bool utf8_plain(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t step = utf8_character(text + at, size - at);
        if (step == 0 || utf8_steers(text + at, step))
            return false;
        at += step;
    }
    return true;
}

enum err utf8_show(const char *text, size_t size, struct buffer *ret)
{
    enum err err = ERR_OK;
    size_t plain = 0; // where the characters begin that are not yet appended
    for (size_t at = 0; at < size && err == ERR_OK;) {
        const size_t step = utf8_character(text + at, size - at);
        if (step > 0 && !utf8_steers(text + at, step)) {
            at += step;
            continue;
        }
        err = buffer_add(ret, text + plain, at - plain);
        if (err == ERR_OK && step > 0)
            err = buffer_print(ret, "\\u%04x", code_of(text + at, step));
        else if (err == ERR_OK)
            err = buffer_add_byte(ret, '?');
        at += step > 0 ? step : 1;
        plain = at;
    }
    return err == ERR_OK ? buffer_add(ret, text + plain, size - plain) : err;
}
