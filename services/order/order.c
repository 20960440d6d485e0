#include "services/order/order.h"

#include "services/order/calls.h"
#include "services/order/persons.h"

#include <stdlib.h>

struct order {
    struct calls calls;     // with the service, the book and the line, all owned
    struct persons persons; // what the broker is told of the book
    struct fault broken;    // why it had to end
};

static void on_notice(void *arg, const struct syncbus_notice *notice)
{
    struct order *self = arg;
    persons_notice(&self->persons, notice);
    if (notice->kind == SYNCBUS_CALL)
        calls_answer(&self->calls, notice);
    else
        line_notice(self->calls.line, notice);
}

static void on_transfer(void *arg, CURL *easy, CURLcode result)
{
    struct order *self = arg;
    line_transfer(self->calls.line, easy, result);
}

static void on_time(void *arg, int64_t boot_ms, int64_t wall_ms)
{
    struct order *self = arg;
    struct fault fault = {.err = ERR_OK};
    (void)wall_ms;
    line_time(self->calls.line, boot_ms);
    if (persons_time(&self->persons, boot_ms, &fault) != ERR_OK)
        line_break(self->calls.line, &fault);
}

static int64_t on_deadline(void *arg)
{
    const struct order *self = arg;
    const int64_t line = line_deadline(self->calls.line);
    const int64_t persons = persons_deadline(&self->persons);
    return line < persons ? line : persons;
}

static bool on_idle(void *arg)
{
    const struct order *self = arg;
    return !line_holds(self->calls.line);
}

static void on_stop(void *arg)
{
    struct order *self = arg;
    line_stop(self->calls.line);
}

static bool on_stopped(void *arg)
{
    struct order *self = arg;
    return line_stopped(self->calls.line, &self->broken);
}

const struct service_handler order_handler = {.notice = on_notice,
                                              .transfer = on_transfer,
                                              .time = on_time,
                                              .deadline = on_deadline,
                                              .idle = on_idle,
                                              .stop = on_stop,
                                              .stopped = on_stopped};

enum err order_new(const struct config *config, struct service_life *life, struct order **ret,
                   struct fault *fault)
{
    static const char *const serves[] = {"order", NULL};
    const struct service_options options = {.config = config,
                                            .name = "order",
                                            .data = config->orders.data,
                                            .serves = serves,
                                            .locked = &life->directory};
    struct order *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    struct calls *calls = &self->calls;
    enum err err = service_new(&options, &calls->service, fault);
    if (err == ERR_OK)
        err = book_open(config->orders.data, &calls->book, fault);
    if (err == ERR_OK)
        err = line_new(config, calls->service, calls->book, &calls->line, fault);
    if (err != ERR_OK) {
        order_destroy(&self);
        return err;
    }
    persons_init(&self->persons, calls->book, calls->service);
    *ret = self;
    return ERR_OK;
}

void order_destroy(struct order **self_p)
{
    struct order *self = *self_p;
    if (self == NULL)
        return;
    line_destroy(&self->calls.line);
    book_close(&self->calls.book);
    service_destroy(&self->calls.service);
    free(self);
    *self_p = NULL;
}

struct service *order_service(const struct order *self)
{
    return self->calls.service;
}

enum err order_broken(const struct order *self, struct fault *fault)
{
    return self->broken.err == ERR_OK ? ERR_OK : fault_set(fault, self->broken.err, "%s", self->broken.text);
}
