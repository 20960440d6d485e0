#include "proto/base/err.h"

#include "proto/base/utf8.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[ERR_COUNT] = {
#define SB_ERROR_TEXT(name, text) [ERR_##name] = text,
    SB_ERRORS(SB_ERROR_TEXT)
#undef SB_ERROR_TEXT
};

const char *err_text(enum err err)
{
    assert(err >= ERR_OK && err < ERR_COUNT);
    return texts[err];
}

// Makes one line of UTF-8 of it, whatever was put in: messages carry it, and what is no UTF-8 none of them
// may hold. Nothing that steers who shows it stays.
static void clean(char *text)
{
    const size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        const size_t step = utf8_character(text + at, size - at);
        const bool cut = step == 0 && (unsigned char)text[at] >= 0xc2 && size - at < 4;
        if (cut) {
            text[at] = '\0'; // the end of a text that was too long
            return;
        }
        const size_t size_shown = step > 0 ? step : 1;
        if (step == 0 || utf8_steers(text + at, step))
            memset(text + at, '?', size_shown);
        at += size_shown;
    }
}

enum err fault_set(struct fault *fault, enum err err, const char *format, ...)
{
    assert(err > ERR_OK && err < ERR_COUNT);
    if (fault != NULL) {
        va_list arguments;
        va_start(arguments, format);
        fault->err = err;
        (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
        va_end(arguments);
        clean(fault->text);
    }
    return err;
}
