#include "proto/io/notify.h"

#include "proto/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>

enum {
    SIGNS_PER_LIMIT = 2, // so that one which comes late is no death
    MS_US = 1000,
    KEEP_ENVIRONMENT = 0, // what sd_notify is to do with its variables
};

void notify_open(struct notify *ret)
{
    uint64_t limit_us = 0;
    *ret = (struct notify){.every_ms = 0};
    if (sd_watchdog_enabled(KEEP_ENVIRONMENT, &limit_us) <= 0)
        return;
    ret->every_ms = (int64_t)(limit_us / SIGNS_PER_LIMIT / MS_US);
    if (ret->every_ms == 0)
        ret->every_ms = 1;
}

void notify_ready(struct notify *self)
{
    if (self->ready)
        return;
    self->ready = true;
    (void)sd_notify(KEEP_ENVIRONMENT, "READY=1");
}

void notify_status(struct notify *self, const char *format, ...)
{
    char line[NOTIFY_STATUS_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    // The words may be another process's: a line end among them would begin a variable of the manager's, what
    // steers a terminal would do so where the status is shown, and one byte that is no UTF-8 (a character
    // that was cut in two) would cost the whole line.
    for (size_t at = 0, size = strlen(line); at < size;) {
        const size_t step = utf8_character(line + at, size - at);
        if (step == 0 || utf8_steers(line + at, step))
            memset(line + at, '?', step > 0 ? step : 1);
        at += step > 0 ? step : 1;
    }
    if (strcmp(line, self->status) == 0)
        return;
    memcpy(self->status, line, sizeof line);
    (void)sd_notifyf(KEEP_ENVIRONMENT, "STATUS=%s", line);
}

void notify_stopping(struct notify *self)
{
    if (self->stopping)
        return;
    self->stopping = true;
    (void)sd_notify(KEEP_ENVIRONMENT, "STOPPING=1");
}

void notify_turned(struct notify *self, int64_t boot_ms)
{
    if (self->every_ms == 0 || boot_ms < self->next_ms)
        return;
    self->next_ms = boot_ms + self->every_ms;
    (void)sd_notify(KEEP_ENVIRONMENT, "WATCHDOG=1");
}

int64_t notify_deadline(const struct notify *self)
{
    return self->every_ms == 0 ? INT64_MAX : self->next_ms;
}
