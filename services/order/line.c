#include "services/order/line.h"

#include "proto/io/clock.h"
#include "proto/io/log.h"
#include "services/order/turn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct open_order *find_key(const struct line *self, const char *key)
{
    struct open_order *order;
    TAILQ_FOREACH(order, &self->orders, link)
    {
        if (strcmp(order->stored->state->key, key) == 0)
            return order;
    }
    return NULL;
}

static struct open_order *find_claim(const struct line *self, uint64_t claim)
{
    struct open_order *order;
    TAILQ_FOREACH(order, &self->orders, link)
    {
        if (claim != 0 && order->claim == claim)
            return order;
    }
    return NULL;
}

void line_break(struct line *self, const struct fault *fault)
{
    if (self->broken.err == ERR_OK)
        self->broken = *fault;
}

void line_publish(struct line *self, const Sb__OrderState *state)
{
    Sb__OrderState brief = *state;
    Sb__Publish publish = SB__PUBLISH__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    brief.n_history = 0; // it would make the publication long; who wants it asks
    brief.history = NULL;
    brief.stopped = self->halted[0] != '\0';
    if (brief.stopped && brief.status == SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED)
        brief.why = (char *)self->halted;
    publish.body_case = SB__PUBLISH__BODY_ORDER;
    publish.order = &brief;
    request.body_case = SB__REQUEST__BODY_PUBLISH;
    request.publish = &publish;
    (void)service_ask(self->service, &request, 0); // an alert may hang on it: for as long as it takes
}

// Every wish that stands in line is given up.
static void leave(struct line *self, bool questions_too)
{
    struct open_order *order;
    TAILQ_FOREACH(order, &self->orders, link)
    {
        if (questions_too || order->machine.state == ORDER_QUEUED)
            turn_step(self, order, (struct order_event){.kind = ORDER_EVENT_LEAVE});
    }
}

static void step_and_halt(struct line *self, struct open_order *order, struct order_event event)
{
    bool was_halted = self->halted[0] != '\0';
    turn_step(self, order, event);
    if (was_halted || self->halted[0] == '\0')
        return;
    line_publish(self, order->stored->state);
    leave(self, false);
}

// ---------------------------------------------------------------- what the loop brings

static void on_granted(struct line *self, struct open_order *order, const struct syncbus_notice *notice)
{
    turn_forget_place(order);
    turn_say(self, "", "");
    step_and_halt(self, order,
                  (struct order_event){.kind = ORDER_EVENT_GRANTED,
                                       .token = notice->token,
                                       .ample = turn_is_ample(self, order)});
}

static void on_refused(struct line *self, struct open_order *order, const struct syncbus_notice *notice)
{
    turn_forget_place(order);
    order->claim = 0;
    snprintf(order->note, sizeof order->note, "%s%s",
             notice->code == SYNCBUS_PAUSE_TIMEOUT ? "the ERP did not become free: " : "", notice->text);
    turn_set_blockers(order, notice);
    log_write(LOG_LEVEL_WARNING, "refused", "key=%s code=%d text=%s", order->stored->state->key,
              (int)notice->code, notice->text);
    turn_step(self, order, (struct order_event){.kind = ORDER_EVENT_REFUSED});
}

// The lease is over: the request stops first, and then is judged by what had left already.
static void on_lost(struct line *self, struct open_order *order)
{
    struct erp_result result = {.sent = false};
    order->claim = 0;
    if (self->current == order) {
        erp_cut(self->erp, &result);
        self->current = NULL;
    }
    char what[512];
    snprintf(what, sizeof what, "the lease was lost%s%s", result.what[0] != '\0' ? "; the request was " : "",
             result.what);
    turn_say(self, what, "");
    turn_step(self, order,
              (struct order_event){.kind = ORDER_EVENT_LOST, .sent = result.sent, .sent_ms = result.sent_ms});
}

void line_notice(struct line *self, const struct syncbus_notice *notice)
{
    struct open_order *order = find_claim(self, notice->claim);
    if (notice->kind == SYNCBUS_CONNECTED)
        log_write(LOG_LEVEL_INFO, "connected", "open=%zu", self->count);
    if (notice->kind == SYNCBUS_DISCONNECTED)
        log_write(LOG_LEVEL_WARNING, "disconnected", "text=%s", notice->text);
    if (order == NULL || self->broken.err != ERR_OK)
        return;
    switch (notice->kind) {
    case SYNCBUS_GRANTED: on_granted(self, order, notice); break;
    case SYNCBUS_REFUSED: on_refused(self, order, notice); break;
    case SYNCBUS_LOST: on_lost(self, order); break;
    case SYNCBUS_WAITING:
        order->position = notice->position;
        order->eta_ms = notice->eta_ms;
        turn_set_blockers(order, notice);
        break;
    default: break; // an exclusive lease is not asked to yield
    }
}

void line_transfer(struct line *self, CURL *easy, CURLcode result)
{
    if (!erp_is(self->erp, easy))
        return;
    struct open_order *order = self->current;
    struct erp_result ended;
    struct fault fault = {.err = ERR_OK};
    assert(order != NULL);
    self->current = NULL;
    erp_ended(self->erp, result, &ended);
    turn_say(self, ended.what, "");
    struct order_event event = {.kind = ORDER_EVENT_SENT,
                                .sent = ended.sent,
                                .sent_ms = ended.sent_ms,
                                .status = ended.status,
                                .answered = ended.answered,
                                .has_id = ended.has_id,
                                .retry_after_ms = ended.retry_after_ms};
    if (order->machine.state == ORDER_ASKING) {
        event.kind = !ended.told    ? ORDER_EVENT_NOT_TOLD
                     : ended.has_id ? ORDER_EVENT_FOUND
                                    : ORDER_EVENT_NOT_FOUND;
        turn_say(self,
                 !ended.told    ? ended.what
                 : ended.has_id ? "found in the ERP"
                                : "the ERP has no order of this key",
                 "");
        order->note[0] = '\0';
        if (!ended.told) {
            snprintf(order->note, sizeof order->note, "the ERP cannot be asked: %.200s", ended.what);
            log_write(LOG_LEVEL_WARNING, "not told", "key=%s what=%s", order->stored->state->key, ended.what);
        }
    }
    if (ended.has_id && book_order_name(order->stored, ended.id) != ERR_OK) {
        (void)fault_set(&fault, ERR_NO_MEMORY, "out of memory");
        line_break(self, &fault);
        return;
    }
    step_and_halt(self, order, event);
}

// ---------------------------------------------------------------- time

// Whether the time may move this order now. `wishes` stand in line before it.
static bool may_move(const struct line *self, const struct open_order *order, size_t wishes)
{
    if (self->stopping || self->broken.err != ERR_OK)
        return false;
    if (order->machine.state == ORDER_HOLDING)
        return true;
    if (order->machine.state == ORDER_ACCEPTED && self->halted[0] != '\0')
        return false;
    return wishes < LINE_WISHES_MAX;
}

static void remove_order(struct line *self, struct open_order *order)
{
    TAILQ_REMOVE(&self->orders, order, link);
    self->count--;
    sb__stored_order__free_unpacked(order->stored, NULL);
    free(order);
}

static void say_state(struct line *self)
{
    service_status(self->service, "%zu open order%s%s%s", self->count, self->count == 1 ? "" : "s",
                   self->halted[0] != '\0' ? "; sending stopped: " : "", self->halted);
}

void line_time(struct line *self, int64_t boot_ms)
{
    size_t wishes = 0;
    struct open_order *next = NULL;
    for (struct open_order *order = TAILQ_FIRST(&self->orders); order != NULL; order = next) {
        next = TAILQ_NEXT(order, link);
        if (order_machine_ended(&order->machine)) {
            remove_order(self, order);
            continue;
        }
        if (boot_ms >= order_machine_deadline(&order->machine) && may_move(self, order, wishes)) {
            turn_say(self, "", "");
            turn_step(self, order, (struct order_event){.kind = ORDER_EVENT_TIME});
        }
        wishes += turn_waits(order) ? 1 : 0;
    }
    say_state(self);
}

int64_t line_deadline(const struct line *self)
{
    int64_t nearest = INT64_MAX;
    size_t wishes = 0;
    const struct open_order *order;
    TAILQ_FOREACH(order, &self->orders, link)
    {
        int64_t deadline = order_machine_deadline(&order->machine);
        if (order_machine_ended(&order->machine))
            return 0;
        if (deadline < nearest && may_move(self, order, wishes))
            nearest = deadline;
        wishes += turn_waits(order) ? 1 : 0;
    }
    return nearest;
}

bool line_holds(const struct line *self)
{
    const struct open_order *order;
    TAILQ_FOREACH(order, &self->orders, link)
    {
        if (order_machine_holds(&order->machine))
            return true;
    }
    return false;
}

void line_stop(struct line *self)
{
    self->stopping = true;
    turn_say(self, "", "");
    leave(self, true);
}

bool line_stopped(const struct line *self, struct fault *ret_broken)
{
    *ret_broken = self->broken;
    return self->broken.err != ERR_OK || (self->stopping && self->current == NULL);
}

// ---------------------------------------------------------------- people

// The place of an order that has no wish yet: behind the wishes and the others before it.
static uint32_t place_of(const struct line *self, const struct open_order *order)
{
    uint32_t place = 0;
    const struct open_order *other;
    TAILQ_FOREACH(other, &self->orders, link)
    {
        if (turn_waits(other) && other->position > place)
            place = other->position;
    }
    TAILQ_FOREACH(other, &self->orders, link)
    {
        if (other->machine.state == ORDER_ACCEPTED && other->note[0] == '\0')
            place++;
        if (other == order)
            break;
    }
    return place;
}

bool line_view(struct line *self, const char *key, Sb__OrderState *ret)
{
    struct open_order *order = find_key(self, key);
    if (order == NULL)
        return false;
    *ret = *order->stored->state;
    enum order_state state = order->machine.state;
    ret->n_blockers = order->blocker_count;
    ret->blockers = order->blocker_list;
    ret->position = order->position;
    ret->eta_ms = order->eta_ms;
    ret->stopped = self->halted[0] != '\0';
    if (state == ORDER_ACCEPTED && ret->stopped) {
        ret->why = self->halted;
    } else if (order->note[0] != '\0') {
        ret->why = order->note;
    } else if (state == ORDER_ACCEPTED && order->stored->state->attempts == 0) {
        ret->position = place_of(self, order);
        ret->eta_ms = -1;
    }
    return true;
}

enum err line_cancel(struct line *self, const char *key, struct fault *fault)
{
    struct open_order *order = find_key(self, key);
    if (order == NULL)
        return ERR_NOT_FOUND;
    if (order->machine.state == ORDER_CANCELLED)
        return ERR_OK;
    if (!order_machine_can_cancel(&order->machine))
        return fault_set(fault, ERR_CONFLICT, "order %s is %s: it may be in the ERP already", key,
                         order->machine.state == ORDER_SENDING ? "being sent" : "not certain to have failed");
    turn_say(self,
             order->machine.attempts == 0 ? "cancelled before it was sent"
                                          : "cancelled; every attempt had definitely failed",
             "");
    turn_step(self, order, (struct order_event){.kind = ORDER_EVENT_CANCEL});
    return self->broken.err == ERR_OK ? ERR_OK : fault_set(fault, self->broken.err, "%s", self->broken.text);
}

enum err line_resolve(struct line *self, const char *key, const char *erp_id, const char *why, const char *by,
                      struct fault *fault)
{
    struct open_order *order = find_key(self, key);
    if (order == NULL)
        return ERR_NOT_FOUND;
    bool placed = erp_id[0] != '\0';
    if (!order_machine_can_resolve(&order->machine))
        return fault_set(fault, ERR_CONFLICT,
                         "order %s is %s just now; only an unknown order that holds no lease can be resolved",
                         key, order_state_name(order->machine.state));
    if (placed && book_order_name(order->stored, erp_id) != ERR_OK)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    turn_say(self, placed ? "said to be placed" : why, by);
    turn_step(self, order, (struct order_event){.kind = ORDER_EVENT_RESOLVE, .placed = placed});
    return self->broken.err == ERR_OK ? ERR_OK : fault_set(fault, self->broken.err, "%s", self->broken.text);
}

// ---------------------------------------------------------------- life

enum err line_has_room(const struct line *self, struct fault *fault)
{
    if (self->stopping)
        return fault_set(fault, ERR_BUSY, "the order service is about to end");
    if (self->count >= LINE_OPEN_MAX)
        return fault_set(fault, ERR_BUSY, "%d orders are open already; come again when some have ended",
                         LINE_OPEN_MAX);
    return ERR_OK;
}

static struct open_order *append(struct line *self, Sb__StoredOrder *stored)
{
    struct open_order *order = calloc(1, sizeof *order);
    if (order == NULL)
        return NULL;
    order->stored = stored;
    order_machine_init(&order->machine, &self->options, clock_boot_ms());
    TAILQ_INSERT_TAIL(&self->orders, order, link);
    self->count++;
    return order;
}

enum err line_add(struct line *self, Sb__StoredOrder *stored, struct fault *fault)
{
    if (append(self, stored) == NULL) {
        sb__stored_order__free_unpacked(stored, NULL);
        struct fault broken;
        (void)fault_set(&broken, ERR_NO_MEMORY, "out of memory");
        line_break(self, &broken);
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    }
    line_publish(self, stored->state);
    return ERR_OK;
}

static bool take_up(void *arg, Sb__StoredOrder *stored, bool *ret_taken)
{
    struct line *self = arg;
    struct open_order *order = append(self, stored);
    if (order == NULL) {
        (void)fault_set(&self->broken, ERR_NO_MEMORY, "out of memory");
        return false;
    }
    *ret_taken = true;
    Sb__OrderStatus status = stored->state->status;
    enum order_state state = status == SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED  ? ORDER_ACCEPTED
                             : status == SB__ORDER_STATUS__ORDER_STATUS_SENDING ? ORDER_SENDING
                                                                                : ORDER_UNKNOWN;
    order_machine_restore(&order->machine, state, stored->state->attempts, stored->uncertain, stored->refused,
                          clock_boot_ms());
    return true;
}

// What was being sent when the process ended is not known; the book says so before anything else happens.
static void mark_unknown(struct line *self)
{
    struct open_order *order;
    turn_say(self, "the service ended while it was being sent", "");
    TAILQ_FOREACH(order, &self->orders, link)
    {
        if (order->stored->state->status != turn_status_of(order->machine.state) &&
            self->broken.err == ERR_OK)
            turn_store(self, order);
    }
}

enum err line_new(const struct config *config, struct service *service, struct book *book, struct line **ret,
                  struct fault *fault)
{
    struct line *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    *self = (struct line){.config = config, .service = service, .book = book};
    self->options = (struct order_options){.honours_keys = config->orders.honours_keys,
                                           .timeout_ms = config->orders.timeout_ms,
                                           .visibility_lag_ms = config->orders.visibility_lag_ms};
    TAILQ_INIT(&self->orders);
    enum err err = erp_new(&config->orders, service_transfers(service), &self->erp, fault);
    if (err == ERR_OK)
        err = book_read_open(book, take_up, self, fault);
    if (err == ERR_OK)
        mark_unknown(self);
    if (err == ERR_OK && self->broken.err != ERR_OK)
        err = fault_set(fault, self->broken.err, "%s", self->broken.text);
    if (err != ERR_OK) {
        line_destroy(&self);
        return err;
    }
    *ret = self;
    return ERR_OK;
}

void line_destroy(struct line **self_p)
{
    struct line *self = *self_p;
    if (self == NULL)
        return;
    erp_destroy(&self->erp);
    while (!TAILQ_EMPTY(&self->orders))
        remove_order(self, TAILQ_FIRST(&self->orders));
    free(self);
    *self_p = NULL;
}
