// The judge of waiting (I6), while faults may still happen: an ERP that nobody uses is granted soon to who
// waits for it, and a pause comes to its end. Looks about once a second of the broker's clock.
#ifndef SYNCBUS_TESTS_SIM_WAITS_H
#define SYNCBUS_TESTS_SIM_WAITS_H

#include "broker/core/core.h"

// Forgets all: at the beginning of a life of the broker.
void waits_init(void);

// The broker's core has taken an event and decided; leases_step was told of it before.
void waits_step(const struct core_event *event, const struct core_update *update);

#endif
