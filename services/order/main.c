// syncbus-order: takes orders durably and places each exactly once.
#include "proto/io/log.h"
#include "proto/io/program.h"
#include "proto/io/say.h"
#include "services/order/order.h"

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

static bool take(void *arg, int option, const char *value)
{
    (void)arg;
    (void)option;
    say(stderr, "syncbus-order: takes no word: %s\n", value);
    return false;
}

// Serves until a signal ends it; `life` has what an earlier life left, and then what this one does.
static enum err live(const struct config *config, struct service_life *life, struct fault *fault)
{
    struct order *order = NULL;
    enum err err = order_new(config, life, &order, fault);
    if (err == ERR_OK)
        err = service_run(order_service(order), &order_handler, order, fault);
    if (err == ERR_OK)
        err = order_broken(order, fault);
    if (err == ERR_OK)
        service_leave(order_service(order), life);
    order_destroy(&order);
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
        struct fault fault = {.err = ERR_OK};
        life.next = NULL;
        if (live(*config_p, &life, &fault) != ERR_OK) {
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
