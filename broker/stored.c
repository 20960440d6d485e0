#include "broker/stored.h"

#include "proto/wire.h"

#include <string.h>

static const ProtobufCMessageDescriptor *const types[CORE_TABLE_COUNT] = {
    [CORE_TABLE_META] = &sb__stored_meta__descriptor,
    [CORE_TABLE_JOB] = &sb__stored_job__descriptor,
    [CORE_TABLE_RUN] = &sb__stored_run__descriptor,
    [CORE_TABLE_LEDGER] = &sb__stored_ledger_entry__descriptor,
    [CORE_TABLE_OWNER] = &sb__stored_owner__descriptor,
    [CORE_TABLE_LEASE] = &sb__stored_lease__descriptor,
    [CORE_TABLE_HOLD] = &sb__stored_hold__descriptor,
    [CORE_TABLE_ALERT] = &sb__stored_alert__descriptor,
    [CORE_TABLE_RESOURCE] = &sb__stored_resource__descriptor,
    [CORE_TABLE_FIGURES] = &sb__stored_figures__descriptor,
    [CORE_TABLE_PAUSE] = &sb__stored_pause__descriptor,
};

// What no clock ever said and no config allows: sums with these would pass what a number can hold.
static const int64_t TIME_MAX_MS = INT64_C(1) << 53;
static const int64_t DURATION_MAX_MS = INT64_C(1) << 42;
static const uint64_t NUMBER_MAX = UINT64_C(1) << 62;
static const uint64_t EPOCH_MAX = UINT64_C(1) << 40;

static bool is_time(int64_t time_ms)
{
    return time_ms >= 0 && time_ms <= TIME_MAX_MS;
}

static bool is_sound_meta(const Sb__StoredMeta *meta)
{
    return meta->epoch <= EPOCH_MAX && meta->tokens_end <= NUMBER_MAX && meta->runs_end <= NUMBER_MAX &&
           meta->tickets_end <= NUMBER_MAX && meta->ttl_max_ms >= 0 && meta->ttl_max_ms <= DURATION_MAX_MS &&
           is_time(meta->slots_gone_ms) && is_time(meta->slots_told_ms);
}

// Its words become those of a record, and its job's name the key of one: both have room for what came over
// the wire. What a service said of its result is the core's to judge, as when it came.
static bool is_sound_run(const Sb__RunState *run)
{
    return strlen(run->job) <= WIRE_NAME_MAX && strlen(run->service) <= WIRE_TEXT_MAX &&
           strlen(run->detail) <= WIRE_TEXT_MAX && is_time(run->slot_ms) && is_time(run->due_ms) &&
           is_time(run->ended_ms);
}

// What its earlier attempts came to: a good one is the last.
static bool is_sound_open_run(const Sb__StoredRun *run)
{
    return is_time(run->retry_ms) && run->before != SB__STAGE__STAGE_SUCCEEDED &&
           (run->run == NULL || is_sound_run(run->run));
}

static bool is_sound_job(const Sb__StoredJob *job)
{
    return (job->lost_run == 0 || (job->failures > 0 && job->lost_failing <= job->failing_in_a_row)) &&
           is_time(job->last_slot_ms) && is_time(job->last_success_ms) && is_time(job->known_since_ms) &&
           is_time(job->lost_slot_ms) && is_time(job->lost_due_ms) &&
           (job->last == NULL || is_sound_run(job->last));
}

static bool is_sound(enum core_table table, const ProtobufCMessage *value)
{
    switch (table) {
    case CORE_TABLE_META: return is_sound_meta((const Sb__StoredMeta *)value);
    case CORE_TABLE_JOB: return is_sound_job((const Sb__StoredJob *)value);
    case CORE_TABLE_RUN: return is_sound_open_run((const Sb__StoredRun *)value);
    default: return true;
    }
}

enum err stored_read(enum core_table table, const void *data, size_t size, ProtobufCMessage **ret,
                     struct fault *fault)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(types[table], NULL, size, data);
    if (message != NULL && !is_sound(table, message)) {
        protobuf_c_message_free_unpacked(message, NULL);
        message = NULL;
    }
    if (message == NULL)
        return fault_set(fault, ERR_CORRUPT, "the journal holds a damaged entry of the kind %s",
                         types[table]->short_name);
    *ret = message;
    return ERR_OK;
}
