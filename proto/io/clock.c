#include "proto/io/clock.h"

#include <assert.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    int failed = clock_gettime(clock, &now);
    assert(failed == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_boot_ms(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t clock_entropy(void)
{
    uint64_t number = 0;
    while (number == 0) {
        ssize_t size = getrandom(&number, sizeof number, 0);
        if (size != (ssize_t)sizeof number)
            number = 0;
    }
    return number;
}
