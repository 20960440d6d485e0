#include "tests/unit/sync_data/kill_at_write.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLED = 99, DONE = 0, FAILED = 1 };

static unsigned left; // writes until it is killed; 0: it is not

static void count_write(void)
{
    if (left > 0 && --left == 0)
        _exit(KILLED);
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

// What the C library has under these names, and then the count.
#define COUNTED(result, name, parameters, arguments)                                                         \
    result name parameters                                                                                   \
    {                                                                                                        \
        static result(*real) parameters;                                                                     \
        if (real == NULL)                                                                                    \
            *(void **)&real = next(#name);                                                                   \
        const result done = real arguments;                                                                  \
        count_write();                                                                                       \
        return done;                                                                                         \
    }

COUNTED(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
COUNTED(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
COUNTED(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
COUNTED(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))

// A kill loses nothing that was written, so that nothing needs to be on the disk.
int fdatasync(int fd)
{
    (void)fd;
    count_write();
    return 0;
}

bool kill_at_write(unsigned number, bool (*work)(void *arg), void *arg)
{
    int status = 0;
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        left = number;
        _exit(work(arg) ? DONE : FAILED);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
        (WEXITSTATUS(status) != KILLED && WEXITSTATUS(status) != DONE)) {
        (void)fprintf(stderr, "the process to be killed ended with %#x\n", (unsigned)status);
        exit(1);
    }
    return WEXITSTATUS(status) == KILLED;
}
