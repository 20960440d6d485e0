#include "tests/unit/scarce/scarce.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// The names that the linker gives to what it puts in front of, and to what was there.
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

static bool scarce;   // an allocation is to fail
static bool away;     // but not here
static bool failed;   // it did
static unsigned left; // allocations until then

void scarce_after(unsigned allocations)
{
    scarce = true;
    failed = false;
    left = allocations;
}

void scarce_here(bool here)
{
    away = !here;
}

bool scarce_end(void)
{
    away = false;
    scarce = false;
    return failed;
}

static bool is_refused(void)
{
    if (!scarce || away || failed)
        return false;
    if (left > 0) {
        left--;
        return false;
    }
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return is_refused() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return is_refused() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return is_refused() ? NULL : __real_strndup(text, size);
}
