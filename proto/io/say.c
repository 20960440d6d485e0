#include "proto/io/say.h"

#include "proto/base/utf8.h"
#include "proto/io/format.h"

#include <string.h>

enum { TEXT_MAX = 1 << 30 };

// Whether all could be made that is to be written.
static void put(FILE *stream, enum err err, struct buffer *shown)
{
    if (err == ERR_OK && shown->size > 0)
        (void)fwrite(shown->data, 1, shown->size, stream);
    else if (err != ERR_OK)
        (void)fprintf(stderr, "something cannot be shown: %s\n", err_text(err));
    buffer_free(shown);
}

static enum err format_all(const char *format, va_list arguments, struct buffer *ret)
{
    const size_t size = format_size_until(format, strlen(format), arguments);
    char *place = NULL;
    const enum err err = buffer_reserve(ret, size + 1, &place);
    if (err == ERR_OK)
        (void)vsnprintf(place, size + 1, format, arguments);
    ret->size += err == ERR_OK ? size : 0;
    return err;
}

void say(FILE *stream, const char *format, ...)
{
    struct buffer text, shown;
    buffer_init(&text, TEXT_MAX);
    buffer_init(&shown, TEXT_MAX);
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    enum err err = format_all(format, again, &text);
    va_end(again);
    size_t from = 0;
    for (const char *end = strchr(format, '\n'); end != NULL && err == ERR_OK; end = strchr(end + 1, '\n')) {
        const size_t to = format_size_until(format, (size_t)(end - format), arguments);
        err = utf8_show(text.data + from, to - from, &shown);
        err = err ? err : buffer_add_byte(&shown, '\n');
        from = to + 1;
    }
    va_end(arguments);
    if (err == ERR_OK && from < text.size)
        err = utf8_show(text.data + from, text.size - from, &shown);
    buffer_free(&text);
    put(stream, err, &shown);
}

void say_json(FILE *stream, const char *text, size_t size)
{
    struct buffer shown;
    buffer_init(&shown, TEXT_MAX);
    enum err err = utf8_show(text, size, &shown);
    err = err ? err : buffer_add_byte(&shown, '\n');
    put(stream, err, &shown);
}
