// A growable run of bytes that names its maximum: input from outside can never make it take all memory.
#ifndef SYNCBUS_BASE_BUFFER_H
#define SYNCBUS_BASE_BUFFER_H

#include "proto/base/err.h"

#include <stddef.h>

// Bytes owned by the buffer; valid until the next call that adds, or buffer_free.
struct buffer {
    char *data;      // NULL while nothing was added
    size_t size;     // bytes in use
    size_t capacity; // bytes taken
    size_t size_max; // never grows past this
};

// An empty buffer of at most `size_max` bytes; takes no memory yet.
void buffer_init(struct buffer *self, size_t size_max);

// Gives the memory back; the buffer is empty and usable again.
void buffer_free(struct buffer *self);

// Forgets the contents and keeps the memory.
void buffer_clear(struct buffer *self);

// Appends bytes. ERR_FULL past the maximum and ERR_NO_MEMORY leave the contents as they were.
SB_MUST_CHECK
enum err buffer_add(struct buffer *self, const void *data, size_t size);

// Appends one byte; errors as buffer_add.
SB_MUST_CHECK
enum err buffer_add_byte(struct buffer *self, char byte);

// Makes room for `size` more bytes and gives their place; the caller then adds what it wrote to `self->size`.
SB_MUST_CHECK
enum err buffer_reserve(struct buffer *self, size_t size, char **ret_place);

// Appends formatted text without its final NUL; errors as buffer_add.
SB_MUST_CHECK
enum err buffer_print(struct buffer *self, const char *format, ...) SB_PRINTF(2, 3);

#endif
