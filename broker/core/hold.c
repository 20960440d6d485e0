// Holds: an operator's maintenance stop of a job or a resource. They are durable and nest: what several lie
// on goes on when the last is gone. What runs already is never broken by one, nor asked to yield.
#include "broker/core/parts.h"

#include <inttypes.h>
#include <string.h>

// The longest that a hold with an end can be laid for.
static const int64_t longest_ms = INT64_C(10) * 366 * 24 * 3600 * 1000;

static struct hold *hold_find(struct core *self, uint64_t number)
{
    for (size_t i = 0; i < self->hold_count; i++) {
        if (self->holds[i].number == number)
            return &self->holds[i];
    }
    return NULL;
}

const struct hold *hold_of_job(const struct core *self, const struct job *job)
{
    const struct resource *resource = &self->resources[job->config.resource];
    const uint32_t place = job_index(self, job);
    if (job->holds == 0)
        return resource->holds > 0 ? hold_of_resource(self, resource, false) : NULL;
    size_t i = 0;
    while (self->holds[i].job != place) {
        i++;
        assert(i < self->hold_count); // one of them is the one that was counted
    }
    return &self->holds[i];
}

const struct hold *hold_of_resource(const struct core *self, const struct resource *resource, bool for_orders)
{
    const uint32_t index = (uint32_t)(resource - self->resources);
    assert((for_orders ? resource->order_holds : resource->holds) > 0);
    size_t i = 0;
    while (self->holds[i].job != JOB_NONE || self->holds[i].resource != index ||
           (for_orders && !self->holds[i].orders_too)) {
        i++;
        assert(i < self->hold_count); // one of them is the one that was counted
    }
    return &self->holds[i];
}

static const char *subject_of(const struct core *self, const struct hold *hold)
{
    return hold->job != JOB_NONE ? self->jobs[hold->job].name : self->resources[hold->resource].name;
}

const char *hold_text(struct core *self, const struct hold *hold)
{
    return arena_print(self, "%s is on hold by %s: %s", subject_of(self, hold), hold->by, hold->reason);
}

Sb__Hold *view_hold(struct core *self, const struct hold *hold)
{
    Sb__Hold *state = arena_take(self, sizeof *state);
    sb__hold__init(state);
    if (hold->job != JOB_NONE)
        state->job = self->jobs[hold->job].name;
    else
        state->resource = self->resources[hold->resource].name;
    state->by = arena_text(self, hold->by);
    state->reason = arena_text(self, hold->reason);
    state->until_ms = hold->until_ms;
    state->orders_too = hold->orders_too;
    state->hold = hold->number;
    state->since_ms = hold->since_ms;
    return state;
}

// Counts a hold where it lies, or takes it away.
static void count(struct core *self, const struct hold *hold, bool lies)
{
    const uint32_t change = lies ? 1 : UINT32_MAX; // one less, modulo 2^32
    if (hold->job != JOB_NONE) {
        self->jobs[hold->job].holds += change;
        return;
    }
    struct resource *resource = &self->resources[hold->resource];
    resource->holds += change;
    resource->order_holds += hold->orders_too ? change : 0;
}

// ---------------------------------------------------------------- laid and taken off

// The first reason why this hold is refused, with its code; NULL if there is none. `lies`: its number is
// known.
static const char *refuse_hold(struct core *self, const Sb__Hold *message, bool lies, Sb__Code *ret_code)
{
    const bool on_job = message->job[0] != '\0', on_resource = message->resource[0] != '\0';
    const struct resource *resource = resource_find(self, message->resource);
    *ret_code = SB__CODE__CODE_INVALID;
    if (on_job == on_resource)
        return "a hold lies on a job or on a resource";
    if (message->by[0] == '\0' || message->reason[0] == '\0')
        return "a hold says by whom it is and why";
    if (message->orders_too && on_job)
        return "orders wait for a hold of their resource, not of a job";
    if (!lies && message->until_ms != 0 && message->until_ms <= self->wall_ms)
        return "the end of the hold has passed already";
    if (!lies && message->until_ms > self->wall_ms + longest_ms)
        return "a hold with an end ends within ten years; one without an end lies until it is taken off";
    *ret_code = SB__CODE__CODE_NOT_FOUND;
    if (on_job && job_find_configured(self, message->job) == NULL)
        return arena_print(self, "no job is called \"%s\"", message->job);
    if (on_resource && (resource == NULL || resource->removed))
        return arena_print(self, "no resource is called \"%s\"", message->resource);
    *ret_code = SB__CODE__CODE_BUSY;
    return self->hold_count == HOLDS_MAX && !lies ? "too many holds lie already" : NULL;
}

static void reply_held(struct core *self, uint64_t peer, const Sb__Request *request, uint64_t number)
{
    Sb__Held *held = arena_take(self, sizeof *held);
    sb__held__init(held);
    held->hold = number;
    Sb__Reply *reply = reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_HELD;
    reply->held = held;
    reply_durable(self);
}

static void hold_store(struct core *self, const struct hold *hold)
{
    Sb__StoredHold *stored = arena_take(self, sizeof *stored);
    sb__stored_hold__init(stored);
    stored->hold = view_hold(self, hold);
    uint8_t key[CORE_KEY_MAX];
    const size_t size = key_number(key, hold->number);
    record_add(self, CORE_TABLE_HOLD, key, size, &stored->base);
}

// The message as a hold, whose job or resource is known.
static struct hold hold_of(const struct core *self, const Sb__Hold *message)
{
    const struct job *job = message->job[0] != '\0' ? job_find(self, message->job) : NULL;
    struct hold hold = {.number = message->hold,
                        .job = job != NULL ? job_index(self, job) : JOB_NONE,
                        .since_ms = message->since_ms,
                        .until_ms = message->until_ms,
                        .orders_too = message->orders_too};
    hold.resource = job != NULL ? job->config.resource
                                : (uint32_t)(resource_find(self, message->resource) - self->resources);
    text_copy(hold.by, sizeof hold.by, message->by);
    text_copy(hold.reason, sizeof hold.reason, message->reason);
    return hold;
}

static bool is_same(const struct hold *a, const struct hold *b)
{
    return a->job == b->job && a->resource == b->resource && a->until_ms == b->until_ms &&
           a->orders_too == b->orders_too && strcmp(a->by, b->by) == 0 && strcmp(a->reason, b->reason) == 0;
}

void hold_lay(struct core *self, uint64_t peer, const Sb__Request *request)
{
    Sb__Code code = SB__CODE__CODE_OK;
    struct hold *earlier = hold_find(self, request->hold->hold);
    const char *why = refuse_hold(self, request->hold, earlier != NULL, &code);
    if (why != NULL) {
        (void)reply_add(self, peer, request->id, code, why);
        return;
    }
    struct hold hold = hold_of(self, request->hold);
    if (earlier != NULL && !is_same(earlier, &hold)) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_CONFLICT,
                        "this number stands for another hold; each takes a random one of its own");
        return;
    }
    if (earlier == NULL) {
        hold.number = hold.number != 0 ? hold.number : random_next(&self->random);
        hold.since_ms = self->wall_ms;
        self->holds[self->hold_count++] = hold;
        count(self, &hold, true);
        hold_store(self, &hold);
        if (hold.orders_too)
            exclusive_waiters_end(self, hold.resource, SB__CODE__CODE_ON_HOLD, hold_text(self, &hold));
        resource_advance(self, hold.resource);
        if (hold.job == JOB_NONE)
            publish_phase(self, &self->resources[hold.resource], false);
    }
    reply_held(self, peer, request, hold.number);
}

static void hold_end(struct core *self, size_t index)
{
    const struct hold hold = self->holds[index];
    uint8_t key[CORE_KEY_MAX];
    const size_t size = key_number(key, hold.number);
    self->holds[index] = self->holds[--self->hold_count];
    count(self, &hold, false);
    record_add(self, CORE_TABLE_HOLD, key, size, NULL);
    const struct resource *resource = &self->resources[hold.resource];
    if (hold.job == JOB_NONE && resource_is_open(self, resource))
        publish_phase(self, &self->resources[hold.resource], true);
    resource_advance(self, hold.resource);
    if (hold.job != JOB_NONE && self->jobs[hold.job].terms.resource != hold.resource)
        resource_advance(self, self->jobs[hold.job].terms.resource); // its run waits where it began
}

void hold_take_off(struct core *self, uint64_t peer, const Sb__Request *request)
{
    struct hold *hold = hold_find(self, request->unhold->hold);
    if (hold == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_NOT_FOUND,
                        arena_print(self, "no hold has the number %016" PRIx64, request->unhold->hold));
        return;
    }
    hold_end(self, (size_t)(hold - self->holds));
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    reply_durable(self);
}

bool holds_of_job_end(struct core *self, uint32_t job)
{
    for (size_t i = self->hold_count; i-- > 0;) {
        if (self->holds[i].job != job)
            continue;
        if (!update_has_room(self))
            return false;
        hold_end(self, i);
    }
    return update_has_room(self);
}

void holds_of_job_move(struct core *self, const struct job *job)
{
    const uint32_t place = job_index(self, job);
    for (size_t i = 0; i < self->hold_count; i++) {
        if (self->holds[i].job == place)
            self->holds[i].resource = job->config.resource;
    }
}

// ---------------------------------------------------------------- time and restarts

bool holds_advance(struct core *self)
{
    for (size_t i = self->hold_count; i-- > 0;) {
        if (!update_has_room(self))
            return false;
        if (self->holds[i].until_ms != 0 && self->wall_ms >= self->holds[i].until_ms)
            hold_end(self, i);
    }
    return true;
}

int64_t holds_deadline(const struct core *self)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < self->hold_count; i++) {
        const int64_t until = self->holds[i].until_ms;
        if (until != 0 && self->boot_ms + (until - self->wall_ms) < first)
            first = self->boot_ms + (until - self->wall_ms);
    }
    return first;
}

void hold_recover(struct core *self, const Sb__Hold *message)
{
    const bool known = message->job[0] != '\0' ? job_find(self, message->job) != NULL
                                               : resource_find(self, message->resource) != NULL;
    if (!known || self->hold_count == HOLDS_MAX) { // what it lay on left the config, and the hold with it
        uint8_t key[CORE_KEY_MAX];
        const size_t size = key_number(key, message->hold);
        record_add(self, CORE_TABLE_HOLD, key, size, NULL);
        return;
    }
    struct hold *hold = &self->holds[self->hold_count];
    *hold = hold_of(self, message);
    if (hold->until_ms > self->wall_ms + longest_ms) // the wall clock was set back
        hold->until_ms = self->wall_ms + longest_ms;
    count(self, &self->holds[self->hold_count++], true);
}
