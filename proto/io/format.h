// Where the parts of a format come to lie in what is made of it, so that no value can pass for a part of the
// format: neither a line break in a value for one of the format's, nor `key=` in it for a field.
#ifndef SYNCBUS_IO_FORMAT_H
#define SYNCBUS_IO_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

enum { FORMAT_MAX = 1024 }; // bytes of a format

// How many bytes the first `end` bytes of a printf-like format give. `end` lies within no conversion;
// `arguments` are as they were. Any thread.
size_t format_size_until(const char *format, size_t end, va_list arguments)
    __attribute__((format(printf, 1, 0)));

#endif
