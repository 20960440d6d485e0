#include "services/order/calls.h"

#include "proto/base/utf8.h"
#include "proto/io/clock.h"
#include "proto/io/log.h"
#include "proto/wire.h"
#include "services/order/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIST_MAX = 100,             // orders in one answer
    LIST_SIZE_MAX = 192 * 1024, // bytes of them, below what an answer may have
};

static enum syncbus_code code_of(enum err err)
{
    switch (err) {
    case ERR_INVALID: return SYNCBUS_INVALID;
    case ERR_NOT_FOUND: return SYNCBUS_NOT_FOUND;
    case ERR_CONFLICT:
    case ERR_EXISTS: return SYNCBUS_CONFLICT;
    case ERR_BUSY: return SYNCBUS_BUSY;
    default: return SYNCBUS_INTERNAL;
    }
}

static void refuse(const struct calls *self, uint64_t call, enum err err, const struct fault *fault)
{
    const char *text = fault->text[0] != '\0' ? fault->text : err_text(err);
    if (code_of(err) == SYNCBUS_INTERNAL)
        log_write(LOG_LEVEL_ERROR, "call failed", "text=%s", text);
    service_answer(self->service, call, code_of(err), text, NULL);
}

// Answers with the order as it is now, from the line or the book.
static void answer_order(const struct calls *self, uint64_t call, const char *key)
{
    struct fault fault = {.err = ERR_OK};
    Sb__OrderState view;
    if (line_view(self->line, key, &view)) {
        service_answer(self->service, call, SYNCBUS_OK, "", &view);
        return;
    }
    Sb__StoredOrder *order = NULL;
    enum err err = book_get(self->book, key, &order, &fault);
    if (err == ERR_NOT_FOUND)
        (void)fault_set(&fault, err, "there is no order with the key %s", key);
    if (err != ERR_OK) {
        refuse(self, call, err, &fault);
        return;
    }
    service_answer(self->service, call, SYNCBUS_OK, "", order->state);
    sb__stored_order__free_unpacked(order, NULL);
}

// ---------------------------------------------------------------- place

static enum err check_same(const Sb__StoredOrder *there, const Sb__PlaceOrder *asked, struct fault *fault)
{
    if (strcmp(there->body, asked->body) == 0)
        return ERR_OK;
    return fault_set(
        fault, ERR_CONFLICT,
        "there is another order with the key %s; the same key means the same order, byte for byte",
        asked->key);
}

// Makes the order durable and puts it into the line.
static enum err accept_new(const struct calls *self, const Sb__PlaceOrder *asked, struct fault *fault)
{
    enum err err = line_has_room(self->line, fault);
    if (err != ERR_OK)
        return err;
    Sb__StoredOrder *order = NULL;
    err = book_order_new(asked->key, asked->body, asked->by, clock_wall_ms(), &order);
    if (err != ERR_OK)
        return fault_set(fault, err, "out of memory");
    err = book_add(self->book, order, fault);
    if (err != ERR_OK) {
        if (err == ERR_IO) // what is on disk is not known any more
            line_break(self->line, fault);
        sb__stored_order__free_unpacked(order, NULL);
        return err;
    }
    log_write(LOG_LEVEL_INFO, "accepted", "key=%s by=%s", asked->key, asked->by);
    return line_add(self->line, order, fault);
}

static enum err place(const struct calls *self, const Sb__PlaceOrder *asked, struct fault *fault)
{
    enum err err = text_check_key(asked->key, fault);
    if (err != ERR_OK)
        return err;
    if (strlen(asked->by) > WIRE_NAME_MAX || !utf8_plain(asked->by, strlen(asked->by)))
        return fault_set(fault, ERR_INVALID, "who orders is named in at most %d bytes without controls",
                         WIRE_NAME_MAX);
    Sb__StoredOrder *there = NULL;
    err = book_get(self->book, asked->key, &there, fault);
    if (err == ERR_OK) {
        err = check_same(there, asked, fault);
        sb__stored_order__free_unpacked(there, NULL);
        return err;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    err = text_check_order(asked->body, fault);
    return err != ERR_OK ? err : accept_new(self, asked, fault);
}

static void call_place(const struct calls *self, uint64_t call, const ProtobufCMessage *body)
{
    const Sb__PlaceOrder *asked = (const Sb__PlaceOrder *)body;
    struct fault fault = {.err = ERR_OK};
    enum err err = place(self, asked, &fault);
    if (err != ERR_OK)
        refuse(self, call, err, &fault);
    else
        answer_order(self, call, asked->key);
}

// ---------------------------------------------------------------- show, list

static void call_show(const struct calls *self, uint64_t call, const ProtobufCMessage *body)
{
    const Sb__OrderKey *asked = (const Sb__OrderKey *)body;
    struct fault fault = {.err = ERR_OK};
    enum err err = text_check_key(asked->key, &fault);
    if (err != ERR_OK)
        refuse(self, call, err, &fault);
    else
        answer_order(self, call, asked->key);
}

// A page of orders while it is read.
struct page {
    struct line *line;                  // for the place of those that wait
    Sb__OrderStatus status;             // wanted; 0: any
    size_t limit;                       // orders
    Sb__StoredOrder *stored[LIST_MAX];  // owned
    Sb__OrderState states[LIST_MAX];    // as they are now
    Sb__OrderState *pointers[LIST_MAX]; // the same, as messages want them
    size_t count;                       // of them
    size_t size;                        // bytes of them, packed
    bool more;                          // there are further ones
};

static bool read_into_page(void *arg, Sb__StoredOrder *order, bool *ret_taken)
{
    struct page *page = arg;
    Sb__OrderState state;
    if (!line_view(page->line, order->state->key, &state))
        state = *order->state;
    if (page->status != SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED && state.status != page->status)
        return true;
    state.n_history = 0; // shown one by one
    state.history = NULL;
    size_t size = sb__order_state__get_packed_size(&state) + 8;
    if (page->count == page->limit || page->size + size > LIST_SIZE_MAX) {
        page->more = true;
        return false;
    }
    page->stored[page->count] = order;
    page->states[page->count] = state;
    page->pointers[page->count] = &page->states[page->count];
    page->count++;
    page->size += size;
    *ret_taken = true;
    return true;
}

static void call_list(const struct calls *self, uint64_t call, const ProtobufCMessage *body)
{
    const Sb__OrderQuery *asked = (const Sb__OrderQuery *)body;
    struct fault fault = {.err = ERR_OK};
    enum err err = asked->after[0] == '\0' ? ERR_OK : text_check_key(asked->after, &fault);
    struct page *page = calloc(1, sizeof *page);
    if (err == ERR_OK && page == NULL)
        err = fault_set(&fault, ERR_NO_MEMORY, "out of memory");
    if (err == ERR_OK) {
        page->line = self->line;
        page->status = asked->status;
        page->limit = asked->limit == 0 || asked->limit > LIST_MAX ? LIST_MAX : asked->limit;
        err = book_read(self->book, asked->after, read_into_page, page, &fault);
    }
    if (err == ERR_OK) {
        Sb__OrderList list = SB__ORDER_LIST__INIT;
        list.n_orders = page->count;
        list.orders = page->pointers;
        list.more = page->more;
        service_answer(self->service, call, SYNCBUS_OK, "", &list);
    } else {
        refuse(self, call, err, &fault);
    }
    for (size_t i = 0; page != NULL && i < page->count; i++)
        sb__stored_order__free_unpacked(page->stored[i], NULL);
    free(page);
}

// ---------------------------------------------------------------- cancel, resolve

// An order that is not in the line has ended: cancelling it is either done already or too late.
static enum err cancel_ended(const struct calls *self, const char *key, struct fault *fault)
{
    Sb__StoredOrder *order = NULL;
    enum err err = book_get(self->book, key, &order, fault);
    if (err == ERR_NOT_FOUND)
        return fault_set(fault, err, "there is no order with the key %s", key);
    if (err != ERR_OK)
        return err;
    bool cancelled = order->state->status == SB__ORDER_STATUS__ORDER_STATUS_CANCELLED;
    sb__stored_order__free_unpacked(order, NULL);
    return cancelled ? ERR_OK
                     : fault_set(fault, ERR_CONFLICT, "order %s has ended; too late to cancel it", key);
}

static void call_cancel(const struct calls *self, uint64_t call, const ProtobufCMessage *body)
{
    const Sb__OrderKey *asked = (const Sb__OrderKey *)body;
    struct fault fault = {.err = ERR_OK};
    enum err err = text_check_key(asked->key, &fault);
    if (err == ERR_OK)
        err = line_cancel(self->line, asked->key, &fault);
    if (err == ERR_NOT_FOUND)
        err = cancel_ended(self, asked->key, &fault);
    if (err != ERR_OK)
        refuse(self, call, err, &fault);
    else
        answer_order(self, call, asked->key);
}

// Says how an order that needs a person ended; saying the same again is fine.
static enum err resolve_waiting(const struct calls *self, const Sb__ResolveOrder *asked,
                                Sb__StoredOrder *order, struct fault *fault)
{
    bool placed = asked->placed[0] != '\0';
    Sb__OrderStatus status =
        placed ? SB__ORDER_STATUS__ORDER_STATUS_PLACED : SB__ORDER_STATUS__ORDER_STATUS_REJECTED;
    if (order->state->status == status && (!placed || strcmp(order->state->erp_id, asked->placed) == 0))
        return ERR_OK;
    if (order->state->status != SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON)
        return fault_set(fault, ERR_CONFLICT, "order %s has ended; nothing is left to resolve", asked->key);
    enum err err = placed ? book_order_name(order, asked->placed) : ERR_OK;
    if (err == ERR_OK)
        err = book_order_change(order, status, placed ? "said to be placed" : asked->rejected, asked->by,
                                clock_wall_ms());
    if (err != ERR_OK)
        return fault_set(fault, err, "out of memory");
    err = book_put(self->book, order, fault);
    if (err == ERR_OK)
        line_publish(self->line, order->state);
    else if (err == ERR_IO)
        line_break(self->line, fault);
    return err;
}

static enum err resolve_ended(const struct calls *self, const Sb__ResolveOrder *asked, struct fault *fault)
{
    Sb__StoredOrder *order = NULL;
    enum err err = book_get(self->book, asked->key, &order, fault);
    if (err == ERR_NOT_FOUND)
        return fault_set(fault, err, "there is no order with the key %s", asked->key);
    if (err != ERR_OK)
        return err;
    err = resolve_waiting(self, asked, order, fault);
    sb__stored_order__free_unpacked(order, NULL);
    return err;
}

static enum err check_resolve(const Sb__ResolveOrder *asked, struct fault *fault)
{
    if ((asked->placed[0] == '\0') == (asked->rejected[0] == '\0'))
        return fault_set(fault, ERR_INVALID,
                         "say either under which id it was placed or why it was rejected");
    if (strlen(asked->placed) > TEXT_ERP_ID_MAX || strlen(asked->rejected) > 400 ||
        strlen(asked->by) > WIRE_NAME_MAX)
        return fault_set(fault, ERR_INVALID, "the id has at most %d bytes, the reason 400, who says so %d",
                         TEXT_ERP_ID_MAX, WIRE_NAME_MAX);
    const char *const texts[] = {asked->placed, asked->rejected, asked->by};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!utf8_plain(texts[i], strlen(texts[i])))
            return fault_set(fault, ERR_INVALID, "an id, a reason and a name hold no control characters");
    }
    return text_check_key(asked->key, fault);
}

static void call_resolve(const struct calls *self, uint64_t call, const ProtobufCMessage *body)
{
    const Sb__ResolveOrder *asked = (const Sb__ResolveOrder *)body;
    struct fault fault = {.err = ERR_OK};
    enum err err = check_resolve(asked, &fault);
    if (err == ERR_OK)
        err = line_resolve(self->line, asked->key, asked->placed, asked->rejected, asked->by, &fault);
    if (err == ERR_NOT_FOUND)
        err = resolve_ended(self, asked, &fault);
    if (err != ERR_OK)
        refuse(self, call, err, &fault);
    else
        answer_order(self, call, asked->key);
}

// ---------------------------------------------------------------- the table

static const struct method {
    const char *name;                       // on the wire
    const ProtobufCMessageDescriptor *type; // of its body
    void (*call)(const struct calls *self, uint64_t call, const ProtobufCMessage *body);
} methods[] = {
    {"place", &sb__place_order__descriptor, call_place},
    {"show", &sb__order_key__descriptor, call_show},
    {"list", &sb__order_query__descriptor, call_list},
    {"cancel", &sb__order_key__descriptor, call_cancel},
    {"resolve", &sb__resolve_order__descriptor, call_resolve},
};

void calls_answer(const struct calls *self, const struct syncbus_notice *notice)
{
    struct fault fault = {.err = ERR_OK};
    uint64_t call = notice->call;
    (void)line_stopped(self->line, &fault);
    if (fault.err != ERR_OK) { // what memory says is not what the book has
        refuse(self, call, fault.err, &fault);
        return;
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(notice->method, methods[i].name) != 0)
            continue;
        ProtobufCMessage *body = NULL;
        enum err err = wire_unpack(methods[i].type, notice->body, notice->body_size, &body, &fault);
        if (err != ERR_OK) {
            refuse(self, call, err, &fault);
            return;
        }
        methods[i].call(self, call, body);
        protobuf_c_message_free_unpacked(body, NULL);
        return;
    }
    (void)fault_set(&fault, ERR_INVALID, "orders know place, show, list, cancel and resolve, not %s",
                    notice->method);
    refuse(self, call, ERR_INVALID, &fault);
}
