// A process that is killed at a chosen write to its disk. A program linked with this gets write, pwrite,
// pwritev, writev and fdatasync by way of it, also for its shared libraries;
// syncs do nothing.
#ifndef SYNCBUS_TESTS_UNIT_SYNC_DATA_KILL_AT_WRITE_H
#define SYNCBUS_TESTS_UNIT_SYNC_DATA_KILL_AT_WRITE_H

#include <stdbool.h>

// Runs `work` in a child process that ends at once, as kill -9 would have it, after its `number`-th write or
// sync (from 1). True if it was killed; false if it ended its work before, with `work` returning true. Else
// ends the program.
bool kill_at_write(unsigned number, bool (*work)(void *arg), void *arg);

#endif
