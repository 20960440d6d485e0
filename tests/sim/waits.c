#include "tests/sim/waits.h"

#include "tests/sim/check.h"
#include "tests/sim/leases.h"

#include <inttypes.h>
#include <string.h>

enum {
    LOOK_MS = 1000,
    // The longest recovery: the greatest ttl, delay and settle time that a world has.
    RECOVERY_MAX_MS = 150 * 1000,
    // Longer than any silence after which a place in the line is lost.
    IDLE_MAX_MS = 30 * 1000,
    // The longest limit of a pause, and what a revoked lease lasts beyond it; or what is left of one that
    // is waited for.
    DRAIN_MAX_MS = 180 * 1000,
};

static struct {
    int64_t started_ms;  // BOOTTIME of the life's first event; 0: there was none
    int64_t looked_ms;   // of the last look
    uint64_t idle_claim; // waited while nobody used the ERP, at each look
    int64_t idle_ms;     // since then
    bool drains;         // a pause waits for the shared leases to end
    int64_t drains_ms;   // since then
} all;

void waits_init(void)
{
    memset(&all, 0, sizeof all);
}

static void note_phase(const struct core_event *event, const Sb__ResourceState *state)
{
    const bool drains = state->phase == SB__PHASE__PHASE_DRAINING;
    if (drains && !all.drains)
        all.drains_ms = event->boot_ms;
    all.drains = drains;
}

static void check_idle(int64_t now_ms)
{
    const uint64_t claim = leases_idle_wish(now_ms);
    if (claim == 0 || claim != all.idle_claim)
        all.idle_ms = now_ms;
    all.idle_claim = claim;
    if (claim != 0 && now_ms - all.idle_ms > IDLE_MAX_MS)
        check_broken("I6", "claim %" PRIx64 " waits since %" PRId64 " ms, and nobody uses the ERP", claim,
                     now_ms - all.idle_ms);
}

void waits_step(const struct core_event *event, const struct core_update *update)
{
    const int64_t now_ms = event->boot_ms;
    if (all.started_ms == 0)
        all.started_ms = now_ms;
    for (size_t i = 0; i < update->publication_count; i++) {
        if (update->publications[i].event->body_case == SB__EVENT__BODY_RESOURCE)
            note_phase(event, update->publications[i].event->resource);
    }
    if (now_ms - all.looked_ms < LOOK_MS)
        return;
    all.looked_ms = now_ms;
    if (all.drains && now_ms - all.drains_ms > DRAIN_MAX_MS)
        check_broken("I6", "a pause waits since %" PRId64 " ms for those who use the ERP",
                     now_ms - all.drains_ms);
    if (now_ms - all.started_ms > RECOVERY_MAX_MS)
        check_idle(now_ms);
}
