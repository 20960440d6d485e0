#include "tests/sim/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// What must happen at last is broken by silence, if there is any: that is I11.
static const char *named(const char *invariant)
{
    const bool must_happen = strcmp(invariant, "I6") == 0 || strcmp(invariant, "O2") == 0;
    return sim->silent && must_happen ? "I11" : invariant;
}

void check_broken(const char *invariant, const char *format, ...)
{
    va_list args;
    if (sim->failed)
        return;
    sim->failed = true;
    invariant = named(invariant);
    (void)snprintf(sim->broken, sizeof sim->broken, "%s", invariant);
    printf("%s is broken with seed %" PRIu64 " at %.6f s: ", invariant, sim->seed,
           (double)sim_now_us() / SIM_SECOND_US);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
    (void)fflush(stdout);
}
