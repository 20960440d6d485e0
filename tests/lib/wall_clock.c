// Preloaded into a program, it moves that program's wall clock, and no other clock and nobody else's: a test
// can set it back and forth as an administrator or a broken time server would.
//
// SYNCBUS_WALL_CLOCK names a file with one number: by how many seconds the wall clock is ahead (or, below 0,
// behind). It is read at each look at the clock. No such file: by none.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Raw calls: this runs before a sanitizer has set up those of the library.
static long ahead_s(void)
{
    const char *path = getenv("SYNCBUS_WALL_CLOCK");
    char text[32] = "";
    const long file = path == NULL ? -1 : syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return 0;
    const long size = syscall(SYS_read, file, text, sizeof text - 1);
    (void)syscall(SYS_close, file);
    return size > 0 ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    const int failed = (int)syscall(SYS_clock_gettime, clock, ret);
    const int before = errno;
    if (failed == 0 && clock == CLOCK_REALTIME)
        ret->tv_sec += ahead_s();
    errno = before;
    return failed;
}
