// The log: one JSON line an event on stderr. Only shells log, once, where the matter is handled.
#ifndef SYNCBUS_IO_LOG_H
#define SYNCBUS_IO_LOG_H

#include "proto/base/err.h"

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

// Names the program in each line; call once at start. SYNCBUS_LOG=debug|info|warning|error chooses the least
// level that is written (info by default).
void log_open(const char *program);

// Writes {"time":…,"level":…,"program":…,"event":…, key: value …} where `format` is printf-like pairs of
// `key=%s`-style words: log_write(LOG_LEVEL_INFO, "granted", "token=%llu resource=%s", …). Each word up to
// the next ` key=` of the format becomes one string or number field, without what would steer a terminal;
// no value can pass for another field. Any thread.
void log_write(enum log_level level, const char *event, const char *format, ...) SB_PRINTF(3, 4);

#endif
