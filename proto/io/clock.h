// The one place that reads clocks and the system's randomness.
#ifndef SYNCBUS_IO_CLOCK_H
#define SYNCBUS_IO_CLOCK_H

#include <stdint.h>

// CLOCK_BOOTTIME, ms: goes on through suspend and never jumps. For leases, deadlines, liveness.
int64_t clock_boot_ms(void);

// The wall clock, Unix ms. For schedules and for people.
int64_t clock_wall_ms(void);

// Random from the kernel, never 0.
uint64_t clock_entropy(void);

#endif
