#include "proto/io/directory.h"

#include "proto/io/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
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

// Opens the file `lock` of the directory, to be locked.
static enum err open_lock(const char *path, int *ret, struct fault *fault)
{
    char name[PATH_MAX];
    if ((size_t)snprintf(name, sizeof name, "%s/lock", path) >= sizeof name)
        return fault_set(fault, ERR_INVALID, "%s: the path is too long", path);
    const int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (lock < 0)
        return fault_set(fault, ERR_IO, "%s: %s", name, strerror(errno));
    *ret = lock;
    return ERR_OK;
}

// Locks the file; the living process that has it is named by its contents.
static enum err take_lock(const char *path, int lock, struct fault *fault)
{
    char text[32] = "";
    if (flock(lock, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    const ssize_t size = pread(lock, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return fault_set(fault, ERR_BUSY,
                     "%s is in use by process %s; one data directory means one living process", path,
                     strtol(text, NULL, 10) > 0 ? text : "(unknown)");
}

// Names this process as the one that has the lock.
static enum err sign_lock(const char *path, int lock, struct fault *fault)
{
    char text[32];
    const int size = snprintf(text, sizeof text, "%ld", (long)getpid());
    if (ftruncate(lock, 0) == 0 && pwrite(lock, text, (size_t)size, 0) == size)
        return ERR_OK;
    return fault_set(fault, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "%s/lock: %s", path, strerror(errno));
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

// Makes a directory out of its lock, which is held, and owns that; it is given back on failure.
static enum err identify(const char *path, int lock, struct directory *ret, struct fault *fault)
{
    char name[PATH_MAX];
    struct directory made = {.lock = lock};
    enum err err = sign_lock(path, lock, fault);
    (void)snprintf(name, sizeof name, "%s/instance", path);
    if (err == ERR_OK)
        made.instance = read_instance(name);
    if (err == ERR_OK && made.instance == 0) {
        made.instance = clock_entropy();
        err = write_instance(path, name, made.instance, fault);
    }
    if (err == ERR_OK)
        *ret = made;
    else
        directory_unlock(&made);
    return err;
}

enum err directory_lock(const char *path, struct directory *ret, struct fault *fault)
{
    int lock = -1;
    enum err err = make_directory(path, fault);
    if (err == ERR_OK)
        err = open_lock(path, &lock, fault);
    if (err == ERR_OK)
        err = take_lock(path, lock, fault);
    if (err == ERR_OK)
        return identify(path, lock, ret, fault);
    if (lock >= 0)
        (void)close(lock);
    return err;
}

void directory_unlock(struct directory *self)
{
    if (self->lock >= 0)
        (void)close(self->lock);
    self->lock = -1;
}

// ---------------------------------------------------------------- the wait

struct directory_wait {
    char path[PATH_MAX]; // of the directory
    int lock;            // descriptor of its lock: held when the wait is over without `error`
    int over;            // eventfd: the wait is over, and the fields below are the owner's
    bool started;        // there is a thread
    pthread_t thread;    // blocks for the lock, as no lock can be polled for
    int error;           // errno of a wait that failed
};

// An asynchronous cancellation is sound here: flock is one system call, and what it took is the owner's to
// close.
static void *wait_main(void *arg)
{
    struct directory_wait *self = arg;
    int error;
    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    do
        error = flock(self->lock, LOCK_EX) == 0 ? 0 : errno;
    while (error == EINTR);
    (void)pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    self->error = error;
    const bool told = eventfd_write(self->over, 1) == 0;
    assert(told);
    return NULL;
}

static enum err start_wait(struct directory_wait *self, struct fault *fault)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    self->over = eventfd(0, EFD_CLOEXEC);
    if (self->over < 0)
        return fault_set(fault, ERR_IO, "%s: cannot be waited for: %s", self->path, strerror(errno));
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    self->started = pthread_create(&self->thread, NULL, wait_main, self) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return self->started ? ERR_OK
                         : fault_set(fault, ERR_NO_MEMORY, "no thread to wait for %s in", self->path);
}

enum err directory_wait_new(const char *path, struct directory_wait **ret, struct fault *fault)
{
    enum err err = make_directory(path, fault);
    if (err != ERR_OK)
        return err;
    struct directory_wait *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
    self->lock = self->over = -1;
    (void)snprintf(self->path, sizeof self->path, "%s", path); // make_directory saw that it fits
    err = open_lock(path, &self->lock, fault);
    if (err == ERR_OK)
        err = start_wait(self, fault);
    if (err == ERR_OK)
        *ret = self;
    else
        directory_wait_destroy(&self);
    return err;
}

int directory_wait_fd(const struct directory_wait *self)
{
    return self->over;
}

// Whether the lock that is held is still the one that another process would find under the path.
static bool is_in_place(const struct directory_wait *self)
{
    char name[PATH_MAX + 8];
    struct stat held, found;
    (void)snprintf(name, sizeof name, "%s/lock", self->path);
    return fstat(self->lock, &held) == 0 && stat(name, &found) == 0 && held.st_dev == found.st_dev &&
           held.st_ino == found.st_ino;
}

enum err directory_wait_take(struct directory_wait **self_p, struct directory *ret, struct fault *fault)
{
    struct directory_wait *self = *self_p;
    eventfd_t ignored;
    (void)eventfd_read(self->over, &ignored); // after it the thread touches nothing any more
    enum err err = ERR_OK;
    if (self->error != 0)
        err = fault_set(fault, ERR_IO, "%s: cannot be locked: %s", self->path, strerror(self->error));
    else if (!is_in_place(self))
        err = fault_set(fault, ERR_STALE, "%s is another directory than the one that was waited for",
                        self->path);
    if (err == ERR_OK) {
        err = identify(self->path, self->lock, ret, fault);
        self->lock = -1; // it is the directory's now, or given back
    }
    directory_wait_destroy(self_p);
    return err;
}

void directory_wait_destroy(struct directory_wait **self_p)
{
    struct directory_wait *self = *self_p;
    if (self == NULL)
        return;
    if (self->started) {
        (void)pthread_cancel(self->thread);
        (void)pthread_join(self->thread, NULL);
    }
    if (self->lock >= 0)
        (void)close(self->lock);
    if (self->over >= 0)
        (void)close(self->over);
    free(self);
    *self_p = NULL;
}
