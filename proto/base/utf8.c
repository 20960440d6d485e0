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
