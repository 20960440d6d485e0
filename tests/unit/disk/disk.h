// A disk that fails, or loses its power, when a test says so. A program linked with this library makes the
// calls that write files by way of it: LMDB's, too. What a kill cannot show, as it keeps the page cache, is
// made here: the file as a power cut may have left it.
//
// One file is watched at a time; its calls come one after the other.
#ifndef SYNCBUS_TESTS_UNIT_DISK_H
#define SYNCBUS_TESTS_UNIT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_LOST = 0, DISK_LANDED = 1 };

// From now on the writes and syncs of this file, a store's, are counted and remembered: also while it is
// still being made aside, and when it gets its name. It need not be there yet.
void disk_watch(const char *path);
void disk_forget(void);

// The n-th call from now on, counted from 1, fails with EIO, and those after it do not; 0: none fails.
void disk_fail(size_t n);

// Whether that call has come.
bool disk_has_failed(void);

// Calls since disk_watch.
size_t disk_calls(void);

// Writes to `path` what a power cut may leave, so many calls in, the last of which was still under way: all
// that was synced by then; and of each page that was written since, the first few of its versions, as many as
// `seed` chooses (DISK_LOST: none, DISK_LANDED: all). A name that its folder's sync did not keep is there for
// odd seeds alone. A write that failed is one that may have come to nothing.
void disk_cut(size_t calls, uint64_t seed, const char *path);

#endif
