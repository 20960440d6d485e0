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

// Gives the lock back.
void directory_unlock(struct directory *self);

#endif
