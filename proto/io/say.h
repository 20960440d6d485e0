// What a program says on stdout and stderr: the one place where text comes to a terminal. Much of it came
// from outside (an ERP's error, a client's name, a record), so nothing in a value may steer the terminal, or
// begin a line that looks like the program's own.
#ifndef SYNCBUS_IO_SAY_H
#define SYNCBUS_IO_SAY_H

#include "proto/base/err.h"

#include <stddef.h>
#include <stdio.h>

// Prints like fprintf; line breaks are those of the format alone, and what steers a terminal is shown in
// its place (utf8_show). The main thread.
void say(FILE *stream, const char *format, ...) SB_PRINTF(2, 3);

// Prints JSON and a line break. It stays the same JSON: what steers stands in its strings alone, and is
// written there as an escape.
void say_json(FILE *stream, const char *text, size_t size);

#endif
