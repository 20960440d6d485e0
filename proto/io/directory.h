// A process's data directory: locked for as long as it lives, so that one directory means one living process,
// and marked with the instance's lasting identity.
#ifndef SYNCBUS_IO_DIRECTORY_H
#define SYNCBUS_IO_DIRECTORY_H

#include "proto/base/err.h"

#include <stdint.h>

struct directory {
    int lock;          // descriptor that holds the lock
    uint64_t instance; // random, made with the directory, never 0
};

// Makes (0750, with parents) and locks `path`, reads or makes its identity (file `instance`, written whole
// and synced). ERR_BUSY names the process that has it; ERR_IO. The lock is not inherited by children.
SB_MUST_CHECK
enum err directory_lock(const char *path, struct directory *ret, struct fault *fault);

// A wait for the lock of a directory that another process has.
struct directory_wait;

// Begins to wait for the lock of `path`, in a thread of its own that sleeps until then and takes no signal.
// ERR_NO_MEMORY, ERR_IO, ERR_INVALID.
SB_MUST_CHECK
enum err directory_wait_new(const char *path, struct directory_wait **ret, struct fault *fault);

// A descriptor that can be read once the wait is over.
int directory_wait_fd(const struct directory_wait *self);

// After that: gives the locked directory, as directory_lock. ERR_STALE when another directory has taken its
// place meanwhile, so that what was waited for locks nothing any more. Ends the wait whatever it returns.
SB_MUST_CHECK
enum err directory_wait_take(struct directory_wait **self_p, struct directory *ret, struct fault *fault);

// Gives the wait up, at any time, with what it got. Sets the pointer to NULL; NULL is fine.
void directory_wait_destroy(struct directory_wait **self_p);

// Gives the lock back.
void directory_unlock(struct directory *self);

#endif
