// What the service manager (systemd) hears of a process: that it is ready, what it is doing, that its loop
// turns, that it ends. Where no manager asked for it (no NOTIFY_SOCKET in the environment) nothing is sent,
// so that a program works alike with and without one.
//
// A sign of life is due twice in the time that the manager asked for (WATCHDOG_USEC). It is sent by the loop
// itself, once it has turned, and by nothing else: a process that is stopped or hangs in a call gives none,
// and the manager ends it.
//
// One thread. A message that cannot be sent is lost: the manager is then gone, or will ask by itself.
#ifndef SYNCBUS_IO_NOTIFY_H
#define SYNCBUS_IO_NOTIFY_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { NOTIFY_STATUS_MAX = 512 };

struct notify {
    int64_t every_ms;               // between two signs of life; 0: the manager asked for none
    int64_t next_ms;                // BOOTTIME at which one is due
    bool ready;                     // it was said
    bool stopping;                  // it was said
    char status[NOTIFY_STATUS_MAX]; // as last said
};

// Reads from the environment what the manager asked for.
void notify_open(struct notify *ret);

// Says once that the process does what it was started for; later calls say nothing.
void notify_ready(struct notify *self);

// Says in one line for people what the process is doing; a line that was just said is not said again.
void notify_status(struct notify *self, const char *format, ...) SB_PRINTF(2, 3);

// Says once that the process is about to end.
void notify_stopping(struct notify *self);

// Call at the end of each turn of the loop: gives the sign of life if one is due.
void notify_turned(struct notify *self, int64_t boot_ms);

// BOOTTIME ms by which the loop must turn again; INT64_MAX: the manager does not watch it.
int64_t notify_deadline(const struct notify *self);

#endif
