// What stands in for the clocks, the log and the services' loop.
#include "proto/io/clock.h"
#include "proto/io/log.h"
#include "proto/wire.h"
#include "services/service.h"
#include "tests/sim/bus.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int64_t clock_boot_ms(void)
{
    return node_boot_ms(sim->current);
}

int64_t clock_wall_ms(void)
{
    return node_wall_ms(sim->current);
}

uint64_t clock_entropy(void)
{
    return random_next(&sim->random);
}

void log_open(const char *program)
{
    (void)program;
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    char text[512];
    va_list args;
    (void)level;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sim_trace("%s %s", event, text);
}

// ---------------------------------------------------------------- the services' loop: node.c runs it

struct service {
    struct node *node; // whose it is
};

enum err service_new(const struct service_options *options, struct service **ret, struct fault *fault)
{
    (void)fault;
    struct service *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->node = sim->current;
    const struct syncbus_options joining = {.requests = options->config->broker.requests,
                                            .events = options->config->broker.events,
                                            .name = options->name,
                                            .version = SYNCBUS_VERSION,
                                            .instance = self->node->instance,
                                            .jobs = options->jobs,
                                            .serves = options->serves};
    (void)bus_new(self->node, &joining);
    *ret = self;
    return ERR_OK;
}

void service_destroy(struct service **self_p)
{
    struct service *self = *self_p;
    if (self == NULL)
        return;
    bus_destroy(&self->node->client);
    free(self);
    *self_p = NULL;
}

syncbus_client_t *service_client(struct service *self)
{
    return self->node->client;
}

CURLM *service_transfers(struct service *self)
{
    return (CURLM *)self->node;
}

void service_status(struct service *self, const char *format, ...)
{
    (void)self;
    (void)format;
}

uint64_t service_ask(struct service *self, const void *request_message, uint32_t timeout_ms)
{
    struct buffer packed;
    uint64_t ask = 0;
    buffer_init(&packed, WIRE_FRAME_MAX);
    if (wire_pack(request_message, &packed) == ERR_OK)
        ask = syncbus_ask(self->node->client, packed.data, packed.size, timeout_ms);
    buffer_free(&packed);
    return ask;
}

void service_answer(struct service *self, uint64_t call, enum syncbus_code code, const char *text,
                    const void *body_message)
{
    struct buffer packed;
    buffer_init(&packed, WIRE_FRAME_MAX);
    if (body_message == NULL || wire_pack(body_message, &packed) == ERR_OK)
        (void)syncbus_answer(self->node->client, call, code, text, packed.data, packed.size);
    buffer_free(&packed);
}
