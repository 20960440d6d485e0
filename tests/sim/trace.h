// What happened in a world, in lines.
#ifndef SYNCBUS_TESTS_SIM_TRACE_H
#define SYNCBUS_TESTS_SIM_TRACE_H

#include "proto/base/err.h"

// Whether it is written down: not at all, the last lines only, to be printed when something broke, or all at
// once.
enum trace_mode { TRACE_NONE, TRACE_LAST, TRACE_ALL };

// Begins anew in that mode.
void trace_begin(enum trace_mode mode);

// Writes one line with the time and the current node, unless the mode is NONE.
void sim_trace(const char *format, ...) SB_PRINTF(1, 2);

// Prints the last lines, in mode LAST.
void trace_print(void);

#endif
