#include "proto/base/buffer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 64 };

void buffer_init(struct buffer *self, size_t size_max)
{
    assert(size_max > 0);
    *self = (struct buffer){.size_max = size_max};
}

void buffer_free(struct buffer *self)
{
    free(self->data);
    buffer_init(self, self->size_max);
}

void buffer_clear(struct buffer *self)
{
    self->size = 0;
}

enum err buffer_reserve(struct buffer *self, size_t size, char **ret_place)
{
    assert(self->size <= self->size_max);
    if (size > self->size_max - self->size)
        return ERR_FULL;
    size_t wanted = self->size + size;
    if (wanted > self->capacity || self->data == NULL) {
        size_t capacity = self->capacity > CAPACITY_MIN ? self->capacity : CAPACITY_MIN;
        while (capacity < wanted)
            capacity *= 2;
        if (capacity > self->size_max)
            capacity = self->size_max;
        char *data = realloc(self->data, capacity);
        if (data == NULL)
            return ERR_NO_MEMORY;
        self->data = data;
        self->capacity = capacity;
    }
    *ret_place = self->data + self->size;
    return ERR_OK;
}

enum err buffer_add(struct buffer *self, const void *data, size_t size)
{
    char *place = NULL;
    enum err err = buffer_reserve(self, size, &place);
    if (err != ERR_OK)
        return err;
    if (size > 0)
        memcpy(place, data, size);
    self->size += size;
    return ERR_OK;
}

enum err buffer_add_byte(struct buffer *self, char byte)
{
    if (self->size < self->capacity) {
        self->data[self->size++] = byte;
        return ERR_OK;
    }
    return buffer_add(self, &byte, 1);
}

enum err buffer_print(struct buffer *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(length >= 0);
    char *place = NULL;
    const enum err err = buffer_reserve(self, (size_t)length + 1, &place);
    if (err == ERR_OK) {
        (void)vsnprintf(place, (size_t)length + 1, format, again);
        self->size += (size_t)length;
    }
    va_end(again);
    return err;
}
