// An order in memory: what the book (book.c) stores.
#include "services/order/book.h"

#include <stdlib.h>
#include <string.h>

bool book_is_open(Sb__OrderStatus status)
{
    return status == SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED ||
           status == SB__ORDER_STATUS__ORDER_STATUS_SENDING ||
           status == SB__ORDER_STATUS__ORDER_STATUS_UNKNOWN;
}

// Replaces a text of a message; the old one is freed.
static void replace(char **field, char *text)
{
    if (*field != protobuf_c_empty_string)
        free(*field);
    *field = text;
}

static Sb__OrderStep *step_new(Sb__OrderStatus status, const char *what, const char *by, int64_t wall_ms)
{
    Sb__OrderStep *step = malloc(sizeof *step);
    if (step == NULL)
        return NULL;
    sb__order_step__init(step);
    step->status = status;
    step->time_ms = wall_ms;
    step->what = strdup(what);
    step->by = strdup(by);
    if (step->what != NULL && step->by != NULL)
        return step;
    free(step->what);
    free(step->by);
    free(step);
    return NULL;
}

// A history of attempts without end would outgrow its record: what lies between the first and the latest
// goes.
static void shorten(Sb__OrderState *state)
{
    if (state->n_history < BOOK_HISTORY_MAX)
        return;
    Sb__OrderStep **gone = &state->history[BOOK_HISTORY_FIRST_MAX];
    sb__order_step__free_unpacked(*gone, NULL);
    memmove(gone, gone + 1, (state->n_history - BOOK_HISTORY_FIRST_MAX - 1) * sizeof(Sb__OrderStep *));
    state->n_history--;
}

enum err book_order_change(Sb__StoredOrder *order, Sb__OrderStatus status, const char *what, const char *by,
                           int64_t wall_ms)
{
    Sb__OrderState *state = order->state;
    Sb__OrderStep **history = realloc(state->history, (state->n_history + 1) * sizeof(Sb__OrderStep *));
    if (history == NULL)
        return ERR_NO_MEMORY;
    state->history = history;
    Sb__OrderStep *step = step_new(status, what, by, wall_ms);
    char *why = strdup(what);
    if (step == NULL || why == NULL) {
        sb__order_step__free_unpacked(step, NULL);
        free(why);
        return ERR_NO_MEMORY;
    }
    shorten(state);
    step->token = state->token;
    step->attempt = state->attempts;
    state->history[state->n_history++] = step;
    replace(&state->why, why);
    state->status = status;
    state->changed_ms = wall_ms;
    return ERR_OK;
}

enum err book_order_name(Sb__StoredOrder *order, const char *erp_id)
{
    char *text = strdup(erp_id);
    if (text == NULL)
        return ERR_NO_MEMORY;
    replace(&order->state->erp_id, text);
    return ERR_OK;
}

enum err book_order_new(const char *key, const char *body, const char *by, int64_t wall_ms,
                        Sb__StoredOrder **ret)
{
    Sb__StoredOrder *order = malloc(sizeof *order);
    Sb__OrderState *state = malloc(sizeof *state);
    if (order == NULL || state == NULL) {
        free(order);
        free(state);
        return ERR_NO_MEMORY;
    }
    sb__stored_order__init(order);
    sb__order_state__init(state);
    order->state = state;
    order->body = strdup(body);
    state->key = strdup(key);
    state->by = strdup(by);
    state->accepted_ms = wall_ms;
    enum err err = ERR_NO_MEMORY;
    if (order->body != NULL && state->key != NULL && state->by != NULL)
        err = book_order_change(order, SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED, "", by, wall_ms);
    if (err != ERR_OK) {
        sb__stored_order__free_unpacked(order, NULL);
        return err;
    }
    *ret = order;
    return ERR_OK;
}
