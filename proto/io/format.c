#include "proto/io/format.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

size_t format_size_until(const char *format, size_t end, va_list arguments)
{
    char first[FORMAT_MAX];
    assert(end < sizeof first);
    memcpy(first, format, end);
    first[end] = '\0';
    va_list copy;
    va_copy(copy, arguments);
    const int size = vsnprintf(NULL, 0, first, copy);
    va_end(copy);
    return size > 0 ? (size_t)size : 0;
}
