#include "proto/io/directory.h"

#include "proto/io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// Makes a directory with its parents.
static enum err make_directory(const char *path, struct fault *fault)
{
    char part[PATH_MAX];
    const size_t size = strlen(path);
    if (size == 0 || size >= sizeof part)
        return fault_set(fault, ERR_INVALID, "\"%s\" cannot be the path of a directory", path);
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0750) != 0 && errno != EEXIST)
            return fault_set(fault, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "%s: cannot be made: %s", part,
                             strerror(errno));
    }
    return ERR_OK;
}

// Locks the file `lock`; the living process that has it is named by its contents.
static enum err take_lock(const char *path, int *ret, struct fault *fault)
{
    char name[PATH_MAX];
    if ((size_t)snprintf(name, sizeof name, "%s/lock", path) >= sizeof name)
        return fault_set(fault, ERR_INVALID, "%s: the path is too long", path);
    const int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (lock < 0)
        return fault_set(fault, ERR_IO, "%s: %s", name, strerror(errno));
    char text[32] = "";
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        const ssize_t size = pread(lock, text, sizeof text - 1, 0);
        text[size > 0 ? size : 0] = '\0';
        (void)close(lock);
        return fault_set(fault, ERR_BUSY,
                         "%s is in use by process %s; one data directory means one living process", path,
                         strtol(text, NULL, 10) > 0 ? text : "(unknown)");
    }
    const int size = snprintf(text, sizeof text, "%ld", (long)getpid());
    if (ftruncate(lock, 0) != 0 || pwrite(lock, text, (size_t)size, 0) != size) {
        const int error = errno;
        (void)close(lock);
        return fault_set(fault, error == ENOSPC ? ERR_NO_SPACE : ERR_IO, "%s: %s", name, strerror(error));
    }
    *ret = lock;
    return ERR_OK;
}

// Reads 16 hex digits from the file; 0 if they are not there.
static uint64_t read_instance(const char *name)
{
    char text[17] = "";
    const int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    const ssize_t size = read(file, text, 16);
    (void)close(file);
    char *end = NULL;
    const uint64_t instance = size == 16 ? strtoull(text, &end, 16) : 0;
    return end != NULL && *end == '\0' ? instance : 0;
}

// Writes a new identity beside the old name and renames it, so that it is never there by half.
static enum err write_instance(const char *path, const char *name, uint64_t instance, struct fault *fault)
{
    char fresh[PATH_MAX + 8];
    char text[18];
    (void)snprintf(fresh, sizeof fresh, "%s.new", name);
    (void)snprintf(text, sizeof text, "%016" PRIx64 "\n", instance);
    const int file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool ok = file >= 0 && write(file, text, 17) == 17 && fsync(file) == 0;
    int error = errno;
    if (file >= 0)
        (void)close(file);
    if (ok && rename(fresh, name) != 0) {
        ok = false;
        error = errno;
    }
    const int folder = ok ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder >= 0) {
        (void)fsync(folder);
        (void)close(folder);
    }
    return ok ? ERR_OK
              : fault_set(fault, error == ENOSPC ? ERR_NO_SPACE : ERR_IO, "%s: %s", name, strerror(error));
}

enum err directory_lock(const char *path, struct directory *ret, struct fault *fault)
{
    struct directory made = {.lock = -1};
    enum err err = make_directory(path, fault);
    if (err == ERR_OK)
        err = take_lock(path, &made.lock, fault);
    if (err != ERR_OK)
        return err;
    char name[PATH_MAX];
    (void)snprintf(name, sizeof name, "%s/instance", path);
    made.instance = read_instance(name);
    if (made.instance == 0) {
        made.instance = clock_entropy();
        err = write_instance(path, name, made.instance, fault);
    }
    if (err != ERR_OK) {
        directory_unlock(&made);
        return err;
    }
    *ret = made;
    return ERR_OK;
}

void directory_unlock(struct directory *self)
{
    if (self->lock >= 0)
        (void)close(self->lock);
    self->lock = -1;
}
