#include "services/order/turn.h"

#include "proto/io/clock.h"
#include "proto/io/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

Sb__OrderStatus turn_status_of(enum order_state state)
{
    switch (state) {
    case ORDER_ACCEPTED:
    case ORDER_QUEUED: return SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED;
    case ORDER_SENDING: return SB__ORDER_STATUS__ORDER_STATUS_SENDING;
    case ORDER_PLACED: return SB__ORDER_STATUS__ORDER_STATUS_PLACED;
    case ORDER_REJECTED: return SB__ORDER_STATUS__ORDER_STATUS_REJECTED;
    case ORDER_CANCELLED: return SB__ORDER_STATUS__ORDER_STATUS_CANCELLED;
    case ORDER_NEEDS_PERSON: return SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON;
    default: return SB__ORDER_STATUS__ORDER_STATUS_UNKNOWN;
    }
}

const struct config_resource *turn_resource(const struct line *self)
{
    return &self->config->resources[self->config->orders.resource];
}

bool turn_is_ample(const struct line *self, const struct open_order *order)
{
    const syncbus_client_t *client = service_client(self->service);
    return syncbus_left_ms(client, order->claim) > syncbus_ttl_ms(client, order->claim) / 2;
}

bool turn_waits(const struct open_order *order)
{
    return order->machine.state == ORDER_QUEUED || order->machine.state == ORDER_ASK_QUEUED;
}

void turn_say(struct line *self, const char *what, const char *by)
{
    snprintf(self->what, sizeof self->what, "%s", what);
    snprintf(self->by, sizeof self->by, "%s", by);
}

static void follow(struct line *self, enum order_event_kind kind)
{
    assert(!self->follows);
    self->follows = true;
    self->next = (struct order_event){.kind = kind};
}

// ---------------------------------------------------------------- what the machines decide

void turn_set_blockers(struct open_order *order, const struct syncbus_notice *notice)
{
    order->blocker_count =
        notice->blocker_count < LINE_BLOCKERS_MAX ? notice->blocker_count : LINE_BLOCKERS_MAX;
    for (size_t i = 0; i < order->blocker_count; i++) {
        const struct syncbus_blocker *from = &notice->blockers[i];
        Sb__Blocker *to = &order->blockers[i];
        snprintf(order->blocker_names[i][0], sizeof order->blocker_names[i][0], "%s", from->job);
        snprintf(order->blocker_names[i][1], sizeof order->blocker_names[i][1], "%s", from->holder);
        sb__blocker__init(to);
        to->job = order->blocker_names[i][0];
        to->holder = order->blocker_names[i][1];
        to->run = from->run;
        to->held_ms = from->held_ms;
        to->done = from->done;
        to->total = from->total;
        to->eta_ms = from->eta_ms;
        order->blocker_list[i] = to;
    }
}

void turn_forget_place(struct open_order *order)
{
    order->position = 0;
    order->eta_ms = 0;
    order->blocker_count = 0;
    order->note[0] = '\0';
}

// Commits what the machine has come to; a book that cannot take it ends the service before anything follows.
void turn_store(struct line *self, struct open_order *order)
{
    struct fault fault = {.err = ERR_OK};
    Sb__OrderState *state = order->stored->state;
    state->token = order->machine.token != 0 ? order->machine.token : state->token;
    state->attempts = order->machine.attempts;
    order->stored->uncertain = order->machine.uncertain;
    order->stored->refused = order->machine.refused;
    enum err err = book_order_change(order->stored, turn_status_of(order->machine.state), self->what,
                                     self->by, clock_wall_ms());
    if (err == ERR_OK)
        err = book_put(self->book, order->stored, &fault);
    else
        (void)fault_set(&fault, err, "out of memory");
    if (err != ERR_OK) {
        line_break(self, &fault);
        return;
    }
    line_publish(self, state);
}

static void acquire(struct line *self, struct open_order *order)
{
    char reason[BOOK_KEY_MAX + 16];
    snprintf(reason, sizeof reason, "order %s", order->stored->state->key);
    const struct syncbus_wish wish = {.resource = turn_resource(self)->name,
                                      .mode = SYNCBUS_EXCLUSIVE,
                                      .reason = reason,
                                      .settle_ms = (uint32_t)self->options.timeout_ms};
    turn_forget_place(order);
    order->eta_ms = -1;
    order->claim = syncbus_acquire(service_client(self->service), &wish);
    if (order->claim == 0) // too many wishes at once: again in a while
        follow(self, ORDER_EVENT_REFUSED);
}

// A connection may come to stand long after it was asked for: the lease must still be there, and ample for an
// order.
static bool may_send(void *arg)
{
    const struct line *self = arg;
    if (self->current->machine.state == ORDER_ASKING)
        return syncbus_left_ms(service_client(self->service), self->current->claim) > 0;
    return turn_is_ample(self, self->current);
}

static void start_request(struct line *self, struct open_order *order, bool asks)
{
    const char *key = order->stored->state->key;
    assert(self->current == NULL);
    self->current = order;
    enum err err = asks
                       ? erp_ask(self->erp, key, order->machine.token, may_send, self)
                       : erp_place(self->erp, key, order->stored->body, order->machine.token, may_send, self);
    if (err == ERR_OK)
        return;
    self->current = NULL;
    turn_say(self, "not sent: out of memory", "");
    follow(self, asks ? ORDER_EVENT_NOT_TOLD : ORDER_EVENT_SENT);
}

static void halt(struct line *self)
{
    snprintf(self->halted, sizeof self->halted,
             "no order is sent until the configuration is mended and read again (SIGHUP, or a new start): %s",
             self->what);
    log_write(LOG_LEVEL_ERROR, "halted", "why=%s", self->what);
}

static void act(struct line *self, struct open_order *order, enum order_action action)
{
    syncbus_client_t *client = service_client(self->service);
    struct erp_result result;
    switch (action) {
    case ORDER_ACTION_STORE: turn_store(self, order); break;
    case ORDER_ACTION_ACQUIRE: acquire(self, order); break;
    case ORDER_ACTION_SEND: start_request(self, order, false); break;
    case ORDER_ACTION_ASK: start_request(self, order, true); break;
    case ORDER_ACTION_HALT: halt(self); break;
    case ORDER_ACTION_CUT:
        erp_cut(self->erp, &result);
        self->current = NULL;
        break;
    case ORDER_ACTION_WITHDRAW:
        syncbus_withdraw(client, order->claim);
        order->claim = 0;
        break;
    case ORDER_ACTION_RELEASE:
        syncbus_release(client, order->claim, false);
        order->claim = 0;
        break;
    }
}

// Gives the machine an event, does what it decides, and goes on with what follows from that.
void turn_step(struct line *self, struct open_order *order, struct order_event event)
{
    bool more = true;
    while (more) {
        enum order_state before = order->machine.state;
        struct order_update update;
        event.now_ms = clock_boot_ms();
        (void)order_machine_step(&order->machine, &event, &update);
        if (order->machine.state != before)
            log_write(order->machine.state == ORDER_NEEDS_PERSON ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
                      order_state_name(order->machine.state),
                      "key=%s attempt=%" PRIu32 " token=%" PRIu64 " what=%s", order->stored->state->key,
                      order->machine.attempts, order->machine.token, self->what);
        for (size_t i = 0; i < update.count && self->broken.err == ERR_OK; i++)
            act(self, order, update.actions[i]);
        more = self->follows && self->broken.err == ERR_OK;
        event = self->next;
        self->follows = false;
    }
}
