#include "broker/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int reserve = -1; // a descriptor for the moment when there is no other
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

enum err accept_guard(struct fault *fault)
{
    (void)pthread_mutex_lock(&lock);
    if (reserve < 0)
        reserve = open_reserve();
    int error = errno;
    bool taken = reserve >= 0;
    (void)pthread_mutex_unlock(&lock);
    return taken ? ERR_OK : fault_set(fault, ERR_IO, "no descriptor to keep in reserve: %s", strerror(error));
}

// Takes the connection with the descriptor in reserve and closes it, so that it does not wait there for ever.
static void turn_away(int listener)
{
    (void)pthread_mutex_lock(&lock);
    if (reserve >= 0) {
        (void)close(reserve);
        int newcomer = (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
        if (newcomer >= 0)
            (void)close(newcomer);
    }
    reserve = open_reserve();
    (void)pthread_mutex_unlock(&lock);
}

// In place of the C library's, for libzmq: the same, but that it never fails for want of a descriptor.
int accept4(int listener, struct sockaddr *address, socklen_t *size, int flags)
{
    int taken = (int)syscall(SYS_accept4, listener, address, size, flags);
    if (taken >= 0 || (errno != EMFILE && errno != ENFILE))
        return taken;
    turn_away(listener);
    errno = ECONNABORTED;
    return -1;
}
