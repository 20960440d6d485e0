#include "services/order/persons.h"

#include "proto/io/clock.h"
#include "proto/io/log.h"

#include <stdio.h>

enum {
    PAGE = 64,        // orders in one publication
    REPEAT_MS = 1000, // how long what the broker could not take waits
};

// A page while it is read.
struct page {
    Sb__StoredOrder *stored[PAGE];  // owned
    Sb__OrderState states[PAGE];    // what is told of them
    Sb__OrderState *pointers[PAGE]; // the same, as messages want them
    size_t count;                   // of them
    bool more;                      // there are further ones
};

void persons_init(struct persons *self, struct book *book, struct service *service)
{
    *self = (struct persons){.book = book, .service = service, .due_ms = INT64_MAX};
}

static void begin(struct persons *self, int64_t due_ms)
{
    self->ask = 0;
    self->after[0] = '\0';
    self->due_ms = due_ms;
}

static void on_reply(struct persons *self, const struct syncbus_notice *notice)
{
    const bool is_page = self->ask != 0 && notice->ask == self->ask;
    // What this broker does not know, or does not take from us, it will not take again.
    const bool is_final = notice->code == SYNCBUS_INVALID || notice->code == SYNCBUS_FORBIDDEN;
    if (notice->code != SYNCBUS_OK) {
        log_write(LOG_LEVEL_WARNING, "publication refused", "code=%d text=%s", (int)notice->code,
                  notice->text);
        begin(self, is_page && is_final ? INT64_MAX : clock_boot_ms() + REPEAT_MS);
    } else if (is_page) {
        self->ask = 0;
        self->due_ms = self->more ? 0 : INT64_MAX;
        (void)snprintf(self->after, sizeof self->after, "%s", self->last);
    }
}

void persons_notice(struct persons *self, const struct syncbus_notice *notice)
{
    if (notice->kind == SYNCBUS_CONNECTED)
        begin(self, 0);
    else if (notice->kind == SYNCBUS_REPLY)
        on_reply(self, notice);
}

static bool read_into_page(void *arg, Sb__StoredOrder *order, bool *ret_taken)
{
    struct page *page = arg;
    if (order->state->status != SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON)
        return true; // resolved by an older program, which knows no list
    if (page->count == PAGE) {
        page->more = true;
        return false;
    }
    Sb__OrderState *state = &page->states[page->count];
    sb__order_state__init(state);
    state->key = order->state->key;
    state->why = order->state->why;
    state->status = order->state->status;
    page->pointers[page->count] = state;
    page->stored[page->count++] = order;
    *ret_taken = true;
    return true;
}

static void publish(struct persons *self, struct page *page)
{
    Sb__NeedsPerson message = SB__NEEDS_PERSON__INIT;
    Sb__Publish publish = SB__PUBLISH__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.after = self->after;
    message.n_orders = page->count;
    message.orders = page->pointers;
    message.more = page->more;
    publish.body_case = SB__PUBLISH__BODY_NEEDS_PERSON;
    publish.needs_person = &message;
    request.body_case = SB__REQUEST__BODY_PUBLISH;
    request.publish = &publish;
    self->more = page->more;
    if (page->count > 0)
        (void)snprintf(self->last, sizeof self->last, "%s", page->stored[page->count - 1]->state->key);
    self->ask = service_ask(self->service, &request, 0);
}

enum err persons_time(struct persons *self, int64_t boot_ms, struct fault *fault)
{
    if (boot_ms < persons_deadline(self))
        return ERR_OK;
    struct page page = {.count = 0};
    self->due_ms = INT64_MAX;
    enum err err = book_read_persons(self->book, self->after, read_into_page, &page, fault);
    if (err == ERR_OK)
        publish(self, &page);
    if (err == ERR_OK && self->ask == 0) // too much is under way already
        self->due_ms = boot_ms + REPEAT_MS;
    for (size_t i = 0; i < page.count; i++)
        sb__stored_order__free_unpacked(page.stored[i], NULL);
    return err;
}

int64_t persons_deadline(const struct persons *self)
{
    return self->ask == 0 ? self->due_ms : INT64_MAX;
}
