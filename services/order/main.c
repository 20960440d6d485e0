// syncbus-order: takes orders durably and places each exactly once.
#include "proto/io/log.h"
#include "proto/io/program.h"
#include "proto/io/say.h"
#include "services/order/book.h"
#include "services/order/calls.h"
#include "services/order/line.h"
#include "services/order/persons.h"
#include "services/service.h"

#include <stdio.h>
#include <string.h>

static const struct option options[] = {{NULL, 0, NULL, 0}};

static const struct program program = {
    .name = "syncbus-order",
    .usage = "syncbus-order\n"
             "Takes orders by the bus, keeps them durably, and places each in the ERP exactly once.\n"
             "SIGHUP: reads the configuration again and begins anew with it between two orders.\n",
    .options = options,
    .needs_config = true,
};

// The service and its parts.
struct order_service {
    struct calls calls;     // with the service, the book and the line
    struct persons persons; // what the broker is told of the book
    struct fault broken;    // why it had to end
};

static bool take(void *arg, int option, const char *value)
{
    (void)arg;
    (void)option;
    say(stderr, "syncbus-order: takes no word: %s\n", value);
    return false;
}

static void on_notice(void *arg, const struct syncbus_notice *notice)
{
    struct order_service *self = arg;
    persons_notice(&self->persons, notice);
    if (notice->kind == SYNCBUS_CALL)
        calls_answer(&self->calls, notice);
    else
        line_notice(self->calls.line, notice);
}

static void on_transfer(void *arg, CURL *easy, CURLcode result)
{
    struct order_service *self = arg;
    line_transfer(self->calls.line, easy, result);
}

static void on_time(void *arg, int64_t boot_ms, int64_t wall_ms)
{
    struct order_service *self = arg;
    struct fault fault = {.err = ERR_OK};
    (void)wall_ms;
    line_time(self->calls.line, boot_ms);
    if (persons_time(&self->persons, boot_ms, &fault) != ERR_OK)
        line_break(self->calls.line, &fault);
}

static int64_t on_deadline(void *arg)
{
    const struct order_service *self = arg;
    const int64_t line = line_deadline(self->calls.line);
    const int64_t persons = persons_deadline(&self->persons);
    return line < persons ? line : persons;
}

static bool on_idle(void *arg)
{
    const struct order_service *self = arg;
    return !line_holds(self->calls.line);
}

static void on_stop(void *arg)
{
    struct order_service *self = arg;
    line_stop(self->calls.line);
}

static bool on_stopped(void *arg)
{
    struct order_service *self = arg;
    return line_stopped(self->calls.line, &self->broken);
}

// Serves until a signal ends it; `life` has what an earlier life left, and then what this one does.
static enum err serve(const struct config *config, struct order_service *self, struct service_life *life,
                      struct fault *fault)
{
    static const char *const serves[] = {"order", NULL};
    const struct service_options service = {.config = config,
                                            .name = "order",
                                            .data = config->orders.data,
                                            .serves = serves,
                                            .locked = &life->directory};
    const struct service_handler handler = {.notice = on_notice,
                                            .transfer = on_transfer,
                                            .time = on_time,
                                            .deadline = on_deadline,
                                            .idle = on_idle,
                                            .stop = on_stop,
                                            .stopped = on_stopped};
    enum err err = service_new(&service, &self->calls.service, fault);
    if (err == ERR_OK)
        err = book_open(config->orders.data, &self->calls.book, fault);
    if (err == ERR_OK)
        err = line_new(config, self->calls.service, self->calls.book, &self->calls.line, fault);
    persons_init(&self->persons, self->calls.book, self->calls.service);
    if (err == ERR_OK)
        err = service_run(self->calls.service, &handler, self, fault);
    if (err == ERR_OK && self->broken.err != ERR_OK)
        err = fault_set(fault, self->broken.err, "%s", self->broken.text);
    if (err == ERR_OK)
        service_leave(self->calls.service, life);
    line_destroy(&self->calls.line);
    book_close(&self->calls.book);
    service_destroy(&self->calls.service);
    return err;
}

// Serves life after life: each SIGHUP begins one with the config as it is then.
static int run(struct config **config_p)
{
    struct service_life life = {.directory = {.lock = -1}};
    int code = -1;
    if (!(*config_p)->orders.present) {
        say(stderr, "syncbus-order: the configuration has no orders: section\n");
        return EXIT_CODE_USAGE;
    }
    log_open("order");
    while (code < 0) {
        struct order_service self = {.broken = {.err = ERR_OK}};
        struct fault fault = {.err = ERR_OK};
        life.next = NULL;
        if (serve(*config_p, &self, &life, &fault) != ERR_OK) {
            log_write(LOG_LEVEL_ERROR, "ended", "error=%s", fault.text);
            code = EXIT_CODE_FAILED;
        } else if (life.next == NULL) {
            code = EXIT_CODE_OK;
        } else {
            const struct config_orders *next = &life.next->orders;
            if (!next->present) {
                log_write(LOG_LEVEL_INFO, "ended", "why=%s", "orders are not configured any more");
                code = EXIT_CODE_OK;
            }
            if (!next->present || strcmp(next->data, (*config_p)->orders.data) != 0)
                directory_unlock(&life.directory);
            config_destroy(config_p);
            *config_p = life.next;
        }
    }
    directory_unlock(&life.directory);
    return code;
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    int code = program_start(&program, argc, argv, take, NULL, &config);
    if (code < 0)
        code = run(&config);
    config_destroy(&config);
    return code;
}
