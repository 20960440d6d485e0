#include "proto/base/err.h"

#include <assert.h>
#include <stdio.h>

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

enum err fault_set(struct fault *fault, enum err err, const char *format, ...)
{
    assert(err > ERR_OK && err < ERR_COUNT);
    if (fault != NULL) {
        va_list arguments;
        va_start(arguments, format);
        fault->err = err;
        (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
        va_end(arguments);
    }
    return err;
}
