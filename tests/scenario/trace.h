// What a story's reader sees: each reply, publication and ledger entry as one line.
#ifndef SYNCBUS_TESTS_SCENARIO_TRACE_H
#define SYNCBUS_TESTS_SCENARIO_TRACE_H

#include "tests/scenario/world.h"

void trace_pauses(struct world *world, const Sb__PauseReport *report);
void trace_reply(struct world *world, struct client *client, const Sb__Reply *reply);
void trace_publication(struct world *world, const struct core_publication *publication);
// What was counted, by job, and of orders.
void trace_tally(struct world *world);
void trace_record(struct world *world, const struct core_record *record);
void trace_line(struct world *world, const char *format, ...) SB_PRINTF(2, 3);

#endif
