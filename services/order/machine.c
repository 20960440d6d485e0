#include "services/order/machine.h"

#include <assert.h>

#define BIT(state) (1U << (state))

// Which state may follow which: everything else is a programmer's mistake.
static const unsigned allowed[ORDER_STATE_COUNT] = {
    [ORDER_ACCEPTED] = BIT(ORDER_QUEUED) | BIT(ORDER_CANCELLED),
    [ORDER_QUEUED] = BIT(ORDER_SENDING) | BIT(ORDER_ACCEPTED) | BIT(ORDER_CANCELLED),
    [ORDER_SENDING] = BIT(ORDER_PLACED) | BIT(ORDER_REJECTED) | BIT(ORDER_ACCEPTED) | BIT(ORDER_ASKING) |
                      BIT(ORDER_UNKNOWN),
    [ORDER_UNKNOWN] = BIT(ORDER_ASK_QUEUED) | BIT(ORDER_PLACED) | BIT(ORDER_REJECTED),
    [ORDER_ASK_QUEUED] = BIT(ORDER_ASKING) | BIT(ORDER_UNKNOWN) | BIT(ORDER_PLACED) | BIT(ORDER_REJECTED),
    [ORDER_ASKING] = BIT(ORDER_PLACED) | BIT(ORDER_REJECTED) | BIT(ORDER_ACCEPTED) | BIT(ORDER_UNKNOWN) |
                     BIT(ORDER_HOLDING) | BIT(ORDER_NEEDS_PERSON),
    [ORDER_HOLDING] = BIT(ORDER_ASKING) | BIT(ORDER_UNKNOWN),
    [ORDER_NEEDS_PERSON] = BIT(ORDER_PLACED) | BIT(ORDER_REJECTED),
};

// What must hold after each step.
static void check(const struct order_machine *self)
{
    assert(self->state < ORDER_STATE_COUNT);
    assert(self->state != ORDER_SENDING || self->attempts > 0);
    // O1: what may be in the ERP already is sent again only where the key makes that harmless.
    assert(!self->uncertain || self->options.honours_keys ||
           (self->state != ORDER_ACCEPTED && self->state != ORDER_QUEUED && self->state != ORDER_SENDING));
    assert(self->state != ORDER_CANCELLED || !self->uncertain);
    assert(self->state != ORDER_NEEDS_PERSON || self->uncertain);
}

static void enter(struct order_machine *self, enum order_state state)
{
    assert(allowed[self->state] & BIT(state));
    self->state = state;
}

static void act(struct order_update *update, enum order_action action)
{
    assert(update->count < ORDER_ACTIONS_MAX);
    update->actions[update->count++] = action;
}

static int64_t backoff(struct order_machine *self)
{
    int64_t wait_ms = ORDER_BACKOFF_MS;
    for (uint32_t i = 0; i < self->failures && wait_ms < ORDER_BACKOFF_MAX_MS; i++)
        wait_ms *= 2;
    self->failures++;
    return wait_ms < ORDER_BACKOFF_MAX_MS ? wait_ms : ORDER_BACKOFF_MAX_MS;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// ---------------------------------------------------------------- an attempt

enum order_verdict order_judge(const struct order_event *event, bool honours_keys)
{
    if (!event->sent)
        return ORDER_VERDICT_NOT_SENT;
    switch (event->status) {
    case 400:
    case 409:
    case 422: return ORDER_VERDICT_REFUSED;
    case 401:
    case 403:
    case 404:
    case 405: return ORDER_VERDICT_MISCONFIGURED;
    case 412:
    case 425:
    case 429: return ORDER_VERDICT_LATER;
    case 408:
    case 503: return honours_keys ? ORDER_VERDICT_SAME_KEY : ORDER_VERDICT_UNCLEAR;
    default: break;
    }
    bool good = event->status >= 200 && event->status <= 299;
    return good && event->has_id ? ORDER_VERDICT_PLACED : ORDER_VERDICT_UNCLEAR;
}

static void ask(struct order_machine *self, const struct order_event *event, struct order_update *update)
{
    enter(self, ORDER_ASKING);
    self->asked_ms = event->now_ms;
    act(update, ORDER_ACTION_ASK);
}

static void end(struct order_machine *self, enum order_state state, struct order_update *update)
{
    bool held = order_machine_holds(self);
    enter(self, state);
    self->failures = 0;
    act(update, ORDER_ACTION_STORE);
    if (held)
        act(update, ORDER_ACTION_RELEASE);
}

// The attempt definitely failed: back to the line, later.
static void again(struct order_machine *self, const struct order_event *event, struct order_update *update)
{
    int64_t wait_ms = larger(backoff(self), smaller(event->retry_after_ms, ORDER_RETRY_AFTER_MAX_MS));
    enter(self, ORDER_ACCEPTED);
    self->retry_ms = event->now_ms + wait_ms;
    act(update, ORDER_ACTION_STORE);
}

// Whether the request may be at work in the ERP until its time is over: it was cut, by us or by a gateway
// before the ERP, whose own answer says nothing of what goes on behind it.
static bool may_be_at_work(const struct order_event *event)
{
    return !event->answered || event->status == 502 || event->status == 504;
}

// A first byte left and no answer settles the matter. `kept`: the lease is still ours.
static void become_unknown(struct order_machine *self, const struct order_event *event, bool kept,
                           struct order_update *update)
{
    self->uncertain = true;
    self->certain_ms = event->sent_ms + self->options.timeout_ms + self->options.visibility_lag_ms;
    self->hold_ms = may_be_at_work(event) ? event->sent_ms + self->options.timeout_ms : 0;
    self->failures = 0;
    if (!kept) {
        enter(self, ORDER_UNKNOWN);
        self->retry_ms = event->now_ms;
        act(update, ORDER_ACTION_STORE);
        return;
    }
    act(update, ORDER_ACTION_STORE);
    ask(self, event, update);
}

static void on_sent(struct order_machine *self, const struct order_event *event, struct order_update *update)
{
    if (self->state != ORDER_SENDING)
        return;
    switch (order_judge(event, self->options.honours_keys)) {
    case ORDER_VERDICT_PLACED: end(self, ORDER_PLACED, update); return;
    case ORDER_VERDICT_SAME_KEY:
        self->uncertain = true;
        again(self, event, update);
        act(update, ORDER_ACTION_RELEASE);
        return;
    case ORDER_VERDICT_NOT_SENT:
    case ORDER_VERDICT_LATER:
        again(self, event, update);
        act(update, ORDER_ACTION_RELEASE);
        return;
    case ORDER_VERDICT_MISCONFIGURED:
        again(self, event, update);
        act(update, ORDER_ACTION_RELEASE);
        act(update, ORDER_ACTION_HALT);
        return;
    case ORDER_VERDICT_REFUSED:
        if (!self->uncertain) {
            end(self, ORDER_REJECTED, update);
            return;
        }
        self->refused = true; // perhaps because an earlier attempt had placed it
        become_unknown(self, event, true, update);
        return;
    case ORDER_VERDICT_UNCLEAR: become_unknown(self, event, true, update); return;
    }
}

// ---------------------------------------------------------------- a question

// The answer settles nothing yet: keep the lease while a cut request may be at work, else ask again later.
static void ask_later(struct order_machine *self, const struct order_event *event, int64_t retry_ms,
                      struct order_update *update)
{
    if (event->now_ms < self->hold_ms) {
        enter(self, ORDER_HOLDING);
        self->retry_ms = retry_ms;
        return;
    }
    enter(self, ORDER_UNKNOWN);
    self->hold_ms = 0;
    self->retry_ms = retry_ms;
    act(update, ORDER_ACTION_RELEASE);
}

// The question itself may still be at work, as a request that was cut may; another one waits until it is not.
static void on_not_told(struct order_machine *self, const struct order_event *event,
                        struct order_update *update)
{
    const int64_t busy_ms = event->sent ? event->sent_ms + self->options.timeout_ms : 0;
    self->hold_ms = larger(self->hold_ms, busy_ms);
    ask_later(self, event, larger(event->now_ms + backoff(self), busy_ms), update);
}

static void on_not_found(struct order_machine *self, const struct order_event *event,
                         struct order_update *update)
{
    if (self->state != ORDER_ASKING)
        return;
    if (self->asked_ms < self->certain_ms) {
        // Each question costs the syncs a pause, so the last one comes exactly when it counts.
        int64_t wait_ms = larger(backoff(self), self->options.visibility_lag_ms);
        ask_later(self, event, smaller(event->now_ms + wait_ms, self->certain_ms), update);
    } else if (self->refused) {
        end(self, ORDER_REJECTED, update);
    } else if (self->options.honours_keys) {
        enter(self, ORDER_ACCEPTED);
        self->failures = 0;
        self->retry_ms = event->now_ms;
        act(update, ORDER_ACTION_STORE);
        act(update, ORDER_ACTION_RELEASE);
    } else {
        end(self, ORDER_NEEDS_PERSON, update);
    }
}

// ---------------------------------------------------------------- leases

static void on_granted(struct order_machine *self, const struct order_event *event,
                       struct order_update *update)
{
    if (self->state != ORDER_QUEUED && self->state != ORDER_ASK_QUEUED)
        return;
    self->token = event->token;
    if (self->state == ORDER_ASK_QUEUED) {
        ask(self, event, update);
    } else if (event->ample) {
        enter(self, ORDER_SENDING);
        self->attempts++;
        act(update, ORDER_ACTION_STORE);
        act(update, ORDER_ACTION_SEND);
    } else {
        enter(self, ORDER_ACCEPTED);
        self->retry_ms = event->now_ms + backoff(self);
        act(update, ORDER_ACTION_RELEASE);
    }
}

static void on_refused(struct order_machine *self, const struct order_event *event)
{
    if (self->state != ORDER_QUEUED && self->state != ORDER_ASK_QUEUED)
        return;
    enter(self, self->state == ORDER_QUEUED ? ORDER_ACCEPTED : ORDER_UNKNOWN);
    self->retry_ms = event->now_ms + backoff(self);
}

// A holder whose lease is over leaves the ERP at once.
static void on_lost(struct order_machine *self, const struct order_event *event, struct order_update *update)
{
    if (!order_machine_holds(self))
        return;
    if (self->state != ORDER_HOLDING)
        act(update, ORDER_ACTION_CUT);
    if (self->state == ORDER_SENDING) {
        if (event->sent)
            become_unknown(self, event, false, update);
        else
            again(self, event, update);
        return;
    }
    enter(self, ORDER_UNKNOWN);
    self->retry_ms = event->now_ms + backoff(self);
}

static void on_leave(struct order_machine *self, const struct order_event *event, struct order_update *update)
{
    if (self->state == ORDER_QUEUED || self->state == ORDER_ASK_QUEUED) {
        enter(self, self->state == ORDER_QUEUED ? ORDER_ACCEPTED : ORDER_UNKNOWN);
        self->retry_ms = event->now_ms;
        act(update, ORDER_ACTION_WITHDRAW);
    } else if (self->state == ORDER_ASKING) {
        act(update, ORDER_ACTION_CUT);
        self->hold_ms =
            event->now_ms + self->options.timeout_ms; // the latest that the question may be at work
        ask_later(self, event, event->now_ms + backoff(self), update);
    }
}

// ---------------------------------------------------------------- time and people

static void on_time(struct order_machine *self, const struct order_event *event, struct order_update *update)
{
    if (event->now_ms < order_machine_deadline(self))
        return;
    switch (self->state) {
    case ORDER_ACCEPTED:
        enter(self, ORDER_QUEUED);
        act(update, ORDER_ACTION_ACQUIRE);
        break;
    case ORDER_UNKNOWN:
        enter(self, ORDER_ASK_QUEUED);
        act(update, ORDER_ACTION_ACQUIRE);
        break;
    case ORDER_HOLDING:
        if (event->now_ms < self->hold_ms) {
            ask(self, event, update);
            break;
        }
        enter(self, ORDER_UNKNOWN);
        self->hold_ms = 0;
        self->retry_ms = larger(self->retry_ms, event->now_ms);
        act(update, ORDER_ACTION_RELEASE);
        break;
    default: break;
    }
}

static void on_cancel(struct order_machine *self, struct order_update *update)
{
    if (!order_machine_can_cancel(self))
        return;
    bool queued = self->state == ORDER_QUEUED;
    end(self, ORDER_CANCELLED, update);
    if (queued)
        act(update, ORDER_ACTION_WITHDRAW);
}

static void on_resolve(struct order_machine *self, const struct order_event *event,
                       struct order_update *update)
{
    if (!order_machine_can_resolve(self))
        return;
    bool queued = self->state == ORDER_ASK_QUEUED;
    end(self, event->placed ? ORDER_PLACED : ORDER_REJECTED, update);
    if (queued)
        act(update, ORDER_ACTION_WITHDRAW);
}

// ---------------------------------------------------------------- the machine

void order_machine_init(struct order_machine *self, const struct order_options *options, int64_t now_ms)
{
    *self = (struct order_machine){.options = *options, .state = ORDER_ACCEPTED, .retry_ms = now_ms};
}

void order_machine_restore(struct order_machine *self, enum order_state stored, uint32_t attempts,
                           bool uncertain, bool refused, int64_t now_ms)
{
    assert(stored == ORDER_ACCEPTED || stored == ORDER_SENDING || stored == ORDER_UNKNOWN);
    self->attempts = attempts;
    self->uncertain = uncertain || stored != ORDER_ACCEPTED;
    self->refused = refused;
    // A config that no longer honours keys must not send again what may be there already.
    bool resend = stored == ORDER_ACCEPTED && (!self->uncertain || self->options.honours_keys);
    self->state = resend ? ORDER_ACCEPTED : ORDER_UNKNOWN;
    self->retry_ms = now_ms;
    // The clocks of an earlier life are not trusted: the whole time is waited out again.
    self->certain_ms = now_ms + self->options.timeout_ms + self->options.visibility_lag_ms;
    check(self);
}

bool order_machine_step(struct order_machine *self, const struct order_event *event, struct order_update *ret)
{
    enum order_state before = self->state;
    ret->count = 0;
    switch (event->kind) {
    case ORDER_EVENT_TIME: on_time(self, event, ret); break;
    case ORDER_EVENT_GRANTED: on_granted(self, event, ret); break;
    case ORDER_EVENT_REFUSED: on_refused(self, event); break;
    case ORDER_EVENT_LOST: on_lost(self, event, ret); break;
    case ORDER_EVENT_SENT: on_sent(self, event, ret); break;
    case ORDER_EVENT_FOUND:
        if (self->state == ORDER_ASKING)
            end(self, ORDER_PLACED, ret);
        break;
    case ORDER_EVENT_NOT_FOUND: on_not_found(self, event, ret); break;
    case ORDER_EVENT_NOT_TOLD:
        if (self->state == ORDER_ASKING)
            on_not_told(self, event, ret);
        break;
    case ORDER_EVENT_CANCEL: on_cancel(self, ret); break;
    case ORDER_EVENT_RESOLVE: on_resolve(self, event, ret); break;
    case ORDER_EVENT_LEAVE: on_leave(self, event, ret); break;
    }
    check(self);
    return self->state != before || ret->count > 0;
}

int64_t order_machine_deadline(const struct order_machine *self)
{
    switch (self->state) {
    case ORDER_ACCEPTED:
    case ORDER_UNKNOWN: return self->retry_ms;
    case ORDER_HOLDING: return smaller(self->retry_ms, self->hold_ms);
    default: return INT64_MAX;
    }
}

bool order_machine_can_cancel(const struct order_machine *self)
{
    return (self->state == ORDER_ACCEPTED || self->state == ORDER_QUEUED) && !self->uncertain;
}

bool order_machine_can_resolve(const struct order_machine *self)
{
    return self->state == ORDER_UNKNOWN || self->state == ORDER_ASK_QUEUED ||
           self->state == ORDER_NEEDS_PERSON;
}

bool order_machine_ended(const struct order_machine *self)
{
    return self->state == ORDER_PLACED || self->state == ORDER_REJECTED || self->state == ORDER_CANCELLED ||
           self->state == ORDER_NEEDS_PERSON;
}

bool order_machine_holds(const struct order_machine *self)
{
    return self->state == ORDER_SENDING || self->state == ORDER_ASKING || self->state == ORDER_HOLDING;
}

const char *order_state_name(enum order_state state)
{
    static const char *const names[ORDER_STATE_COUNT] = {
        [ORDER_ACCEPTED] = "accepted",         [ORDER_QUEUED] = "queued",
        [ORDER_SENDING] = "sending",           [ORDER_UNKNOWN] = "unknown",
        [ORDER_ASK_QUEUED] = "ask-queued",     [ORDER_ASKING] = "asking",
        [ORDER_HOLDING] = "holding",           [ORDER_PLACED] = "placed",
        [ORDER_REJECTED] = "rejected",         [ORDER_CANCELLED] = "cancelled",
        [ORDER_NEEDS_PERSON] = "needs-person",
    };
    assert(state < ORDER_STATE_COUNT);
    return names[state];
}
