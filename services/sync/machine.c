#include "services/sync/machine.h"

#include <assert.h>

#define BIT(state) (1U << (state))

// Which state may follow which: everything else is a programmer's mistake.
static const unsigned allowed[SYNC_STATE_COUNT] = {
    [SYNC_IDLE] = BIT(SYNC_DUE),
    [SYNC_DUE] = BIT(SYNC_QUEUED) | BIT(SYNC_IDLE) | BIT(SYNC_DUE),
    [SYNC_QUEUED] = BIT(SYNC_FETCHING) | BIT(SYNC_DUE) | BIT(SYNC_IDLE),
    [SYNC_FETCHING] = BIT(SYNC_APPLYING) | BIT(SYNC_YIELDED) | BIT(SYNC_QUEUED) | BIT(SYNC_FAILED) |
                      BIT(SYNC_DUE) | BIT(SYNC_IDLE),
    [SYNC_YIELDED] = BIT(SYNC_QUEUED),
    [SYNC_APPLYING] = BIT(SYNC_SUCCEEDED) | BIT(SYNC_FAILED),
    [SYNC_SUCCEEDED] = BIT(SYNC_DUE),
    [SYNC_FAILED] = BIT(SYNC_DUE),
};

// What must hold after each step.
static void check(const struct sync_machine *self)
{
    assert(self->state < SYNC_STATE_COUNT);
    assert(self->run != 0 || self->state == SYNC_IDLE);
    assert(self->yields <= self->options.max_yields);
    assert(!self->asked || self->state == SYNC_FETCHING);
    assert(self->next_run == 0 || self->state == SYNC_APPLYING);
    // What is fetched or applied was fetched under some lease.
    assert((self->state != SYNC_FETCHING && self->state != SYNC_APPLYING) || self->token != 0);
}

static void enter(struct sync_machine *self, enum sync_state state)
{
    assert(allowed[self->state] & BIT(state));
    self->state = state;
    self->asked = false;
}

static void act(struct sync_update *update, enum sync_action action)
{
    assert(update->count < SYNC_ACTIONS_MAX);
    update->actions[update->count++] = action;
}

// Leaves whatever the run in hand holds, in the order in which the ERP is left before its lease is.
static void leave(struct sync_machine *self, struct sync_update *update)
{
    if (self->state == SYNC_FETCHING) {
        act(update, SYNC_ACTION_CUT);
        act(update, SYNC_ACTION_RELEASE);
    } else if (self->state == SYNC_QUEUED) {
        act(update, SYNC_ACTION_WITHDRAW);
    }
}

static void queue(struct sync_machine *self, struct sync_update *update)
{
    enter(self, SYNC_QUEUED);
    act(update, SYNC_ACTION_ACQUIRE);
}

static void begin(struct sync_machine *self, uint64_t run, uint32_t attempt, struct sync_update *update)
{
    enter(self, SYNC_DUE);
    self->run = run;
    self->attempt = attempt;
    self->token = 0;
    self->yields = 0;
    act(update, SYNC_ACTION_BEGIN);
    queue(self, update);
}

static bool in_hand(const struct sync_machine *self)
{
    return self->state >= SYNC_DUE && self->state <= SYNC_APPLYING;
}

// A tick of the run and attempt in hand, or of one that ended, is a repeat; a run's number never falls.
static bool is_news(uint64_t run, uint32_t attempt, uint64_t known_run, uint32_t known_attempt)
{
    return run > known_run || (run == known_run && attempt > known_attempt);
}

static void on_tick(struct sync_machine *self, const struct sync_event *event, struct sync_update *update)
{
    if (self->stopping || event->run == 0 || !is_news(event->run, event->attempt, self->run, self->attempt))
        return;
    if (self->state == SYNC_APPLYING) {
        // What is being applied ends first: its good result mends a run that was given up for lost.
        if (is_news(event->run, event->attempt, self->next_run, self->next_attempt)) {
            self->next_run = event->run;
            self->next_attempt = event->attempt;
        }
        return;
    }
    // The broker gave the run in hand up: it would not be granted any more.
    leave(self, update);
    begin(self, event->run, event->attempt, update);
}

static void on_refused(struct sync_machine *self, const struct sync_event *event, struct sync_update *update)
{
    if (self->state != SYNC_QUEUED)
        return;
    if (event->over) {
        enter(self, SYNC_IDLE);
        act(update, SYNC_ACTION_DROP);
        // Should it be due all the same, its next tick begins it again.
        self->run = 0;
        self->attempt = 0;
        return;
    }
    enter(self, SYNC_DUE);
    self->retry_ms = event->now_ms + SYNC_RETRY_MS;
}

static void step_aside(struct sync_machine *self, struct sync_update *update)
{
    self->yields++;
    enter(self, SYNC_YIELDED);
    act(update, SYNC_ACTION_YIELD);
    queue(self, update);
}

static void on_yield(struct sync_machine *self, struct sync_update *update)
{
    if (self->state != SYNC_FETCHING || self->options.yield == SYNC_YIELD_NEVER)
        return;
    if (self->yields >= self->options.max_yields)
        return; // orders must not starve a sync for ever
    if (self->options.yield == SYNC_YIELD_PART) {
        self->asked = true;
        return;
    }
    act(update, SYNC_ACTION_CUT);
    step_aside(self, update);
}

static void on_part(struct sync_machine *self, struct sync_update *update)
{
    if (self->state != SYNC_FETCHING)
        return;
    if (self->asked)
        step_aside(self, update);
    else
        act(update, SYNC_ACTION_FETCH);
}

static void on_lost(struct sync_machine *self, struct sync_update *update)
{
    if (self->state != SYNC_FETCHING)
        return;
    act(update, SYNC_ACTION_CUT);
    queue(self, update);
}

static void on_fetched(struct sync_machine *self, const struct sync_event *event, struct sync_update *update)
{
    if (self->state != SYNC_FETCHING)
        return;
    act(update, SYNC_ACTION_RELEASE);
    enter(self, event->ok ? SYNC_APPLYING : SYNC_FAILED);
    act(update, event->ok ? SYNC_ACTION_APPLY : SYNC_ACTION_RECORD);
}

static void on_applied(struct sync_machine *self, const struct sync_event *event, struct sync_update *update)
{
    if (self->state != SYNC_APPLYING)
        return;
    enter(self, event->ok ? SYNC_SUCCEEDED : SYNC_FAILED);
    uint64_t run = self->next_run;
    self->next_run = 0;
    assert(run == 0 || !self->stopping);
    if (run != 0)
        begin(self, run, self->next_attempt, update);
}

static void on_stop(struct sync_machine *self, struct sync_update *update)
{
    self->stopping = true;
    self->next_run = 0;
    if (!in_hand(self) || self->state == SYNC_APPLYING)
        return;
    leave(self, update);
    enter(self, SYNC_IDLE);
    act(update, SYNC_ACTION_DROP);
}

void sync_machine_init(struct sync_machine *self, const struct sync_options *options, uint64_t run,
                       uint32_t attempt)
{
    assert(self != NULL);
    assert(options != NULL);
    *self = (struct sync_machine){.options = *options, .run = run, .attempt = attempt};
    check(self);
}

void sync_machine_step(struct sync_machine *self, const struct sync_event *event, struct sync_update *ret)
{
    *ret = (struct sync_update){.count = 0};
    switch (event->kind) {
    case SYNC_EVENT_TICK: on_tick(self, event, ret); break;
    case SYNC_EVENT_GRANTED:
        if (self->state == SYNC_QUEUED) {
            self->token = event->token;
            enter(self, SYNC_FETCHING);
            act(ret, SYNC_ACTION_FETCH);
        }
        break;
    case SYNC_EVENT_REFUSED: on_refused(self, event, ret); break;
    case SYNC_EVENT_YIELD: on_yield(self, ret); break;
    case SYNC_EVENT_LOST: on_lost(self, ret); break;
    case SYNC_EVENT_PART: on_part(self, ret); break;
    case SYNC_EVENT_FETCHED: on_fetched(self, event, ret); break;
    case SYNC_EVENT_APPLIED: on_applied(self, event, ret); break;
    case SYNC_EVENT_TIME:
        if (self->state == SYNC_DUE && event->now_ms >= self->retry_ms)
            queue(self, ret);
        break;
    case SYNC_EVENT_STOP: on_stop(self, ret); break;
    }
    check(self);
}

int64_t sync_machine_deadline(const struct sync_machine *self)
{
    return self->state == SYNC_DUE ? self->retry_ms : INT64_MAX;
}

bool sync_machine_is_idle(const struct sync_machine *self)
{
    return !in_hand(self);
}

bool sync_machine_stopped(const struct sync_machine *self)
{
    return self->stopping && !in_hand(self);
}

const char *sync_state_name(enum sync_state state)
{
    static const char *const names[SYNC_STATE_COUNT] = {"idle",    "due",      "queued",    "fetching",
                                                        "yielded", "applying", "succeeded", "failed"};
    assert(state < SYNC_STATE_COUNT);
    return names[state];
}
