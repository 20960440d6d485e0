#include "tests/sim/trace.h"

#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 150, LINE_MAX = 240 };

static struct {
    enum trace_mode mode;
    char lines[LINES_MAX][LINE_MAX]; // the last ones, in a ring
    size_t count;                    // that were ever written
} trace;

void trace_begin(enum trace_mode mode)
{
    trace.mode = mode;
    trace.count = 0;
}

void sim_trace(const char *format, ...)
{
    char line[LINE_MAX];
    va_list args;
    if (trace.mode == TRACE_NONE)
        return;
    const int size = snprintf(line, sizeof line, "%12.6f %-14s ", (double)sim_now_us() / SIM_SECOND_US,
                              sim->current != NULL ? sim->current->name : "world");
    va_start(args, format);
    (void)vsnprintf(line + size, sizeof line - (size_t)size, format, args);
    va_end(args);
    if (trace.mode == TRACE_ALL)
        (void)puts(line);
    else
        memcpy(trace.lines[trace.count++ % LINES_MAX], line, sizeof line);
}

void trace_print(void)
{
    const size_t first = trace.count > LINES_MAX ? trace.count - LINES_MAX : 0;
    for (size_t i = first; i < trace.count; i++)
        (void)puts(trace.lines[i % LINES_MAX]);
}
