// The judge of the broker's journal (I1, I12): every slot of a job's grid gets one outcome, and one run at
// most; what was recorded stays as it is. Pure: told of each record as it becomes durable, and of nothing
// else.
//
// The same transaction that moves a job's place in the schedule has what became of the slots in between: an
// entry for each, one for a stretch, or the open run that is to bring the outcome.
#ifndef SYNCBUS_TESTS_SIM_LEDGER_H
#define SYNCBUS_TESTS_SIM_LEDGER_H

#include "broker/core/core.h"
#include "proto/io/config.h"

// A new journal; forgets everything. And gives the memory back.
void ledger_init(void);
void ledger_free(void);

// The broker starts with this config, or takes it over: its grids count from now on. Not kept.
void ledger_config(const struct config *config);

// A record has become durable: each one, in the order in which the core gave them.
void ledger_note(const struct core_record *record);

// The broker starts anew with these records: nothing that is needed for what was durable is missing (I12).
void ledger_recovered(const struct core_record *records, size_t count);

// Whether the journal has that run of a job as one that goes on, in this attempt or an earlier one.
bool ledger_goes_on(const char *job, uint64_t run, uint32_t attempt);

// Between two transactions, at any time: every run that has ended has told the outcome of its slot. With
// `wall_ms` (else 0) also: all slots up to that time, but for the last minute, were taken. That holds once
// the broker runs without faults and its clock is right.
void ledger_check(int64_t wall_ms);

#endif
