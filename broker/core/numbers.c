// Tokens, runs and tickets are given out from blocks whose end was stored before (I3, I12): none ever comes
// twice, and giving one out costs no commit.
#include "broker/core/parts.h"

uint64_t number_next(struct numbers *numbers)
{
    return numbers->next < numbers->end ? numbers->next++ : 0;
}

bool number_is_left(const struct numbers *numbers)
{
    return numbers->next < numbers->end;
}

// How long after an unclean stop a lease of this resource can still be at work, but for an order's own settle
// time, which lies with it in the journal.
int64_t resource_life_ms(const struct core *self, const struct resource *resource)
{
    int64_t settle = 0;
    for (size_t i = 0; i < self->job_count; i++) {
        const struct core_job_config *config = &self->jobs[i].config;
        if (self->jobs[i].presence != JOB_ABSENT && &self->resources[config->resource] == resource &&
            config->settle_ms > settle)
            settle = config->settle_ms;
    }
    const int64_t ttl =
        resource->ttl_ms > resource->config.lease_ttl_ms ? resource->ttl_ms : resource->config.lease_ttl_ms;
    return ttl + resource->config.grant_delay_ms + settle;
}

void meta_store(struct core *self, bool clean)
{
    Sb__StoredMeta *meta = arena_take(self, sizeof *meta);
    sb__stored_meta__init(meta);
    meta->epoch = self->epoch;
    meta->tokens_end = self->tokens.reserved;
    meta->runs_end = self->runs.reserved;
    meta->tickets_end = self->tickets.reserved;
    meta->clean = clean;
    meta->ttl_max_ms = self->ttl_before_ms;
    meta->ttl_max_ms = self->life_max_ms > meta->ttl_max_ms ? self->life_max_ms : meta->ttl_max_ms;
    meta->slots_gone_ms = self->slots_gone_ms;
    meta->slots_told_ms = self->slots_told_ms;
    record_add(self, CORE_TABLE_META, "meta", 4, &meta->base);
    self->numbers_update = self->update_number;
}

static bool is_low(const struct numbers *numbers)
{
    return numbers->reserved - numbers->next < NUMBER_LOW;
}

void numbers_keep(struct core *self)
{
    struct numbers *const all[] = {&self->tokens, &self->runs, &self->tickets};
    if (self->durable >= self->numbers_update) {
        for (size_t i = 0; i < 3; i++)
            all[i]->end = all[i]->reserved;
    }
    if (self->stopping || !(is_low(all[0]) || is_low(all[1]) || is_low(all[2])))
        return;
    for (size_t i = 0; i < 3; i++)
        all[i]->reserved += NUMBER_BLOCK;
    meta_store(self, false);
}
