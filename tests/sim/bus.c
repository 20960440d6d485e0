#include "tests/sim/bus.h"

#include "proto/session.h"
#include "proto/wire.h"
#include "tests/sim/check.h"
#include "tests/sim/leases.h"
#include "tests/sim/net.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLAYED_PPM = 100000, REPLAY_MAX_S = 1800 };

struct syncbus_client {
    struct session *session; // all decisions
    struct node *node;       // whose it is
    uint64_t epoch;          // the greatest seen
    uint64_t call;           // number of the last call that was delivered
};

static int64_t now_ms(const syncbus_client_t *self)
{
    return node_boot_ms(self->node);
}

// Does what the session wants done.
static void push(syncbus_client_t *self)
{
    struct session_output output;
    while (session_output(self->session, &output)) {
        if (output.kind == SESSION_OUTPUT_CONNECT)
            net_connect(self->node);
        else
            net_request(self->node, output.data, output.size);
        session_done(self->session);
    }
}

syncbus_client_t *bus_new(struct node *node, const struct syncbus_options *options)
{
    syncbus_client_t *self = calloc(1, sizeof *self);
    assert(self != NULL);
    const struct session_options session = {.client = options,
                                            .process = random_next(&sim->random),
                                            .host = node->index + 1,
                                            .seed = random_next(&sim->random)};
    self->node = node;
    self->session = session_new(&session, now_ms(self));
    assert(self->session != NULL);
    node->client = self;
    push(self);
    return self;
}

void bus_destroy(syncbus_client_t **self_p)
{
    syncbus_client_t *self = *self_p;
    if (self == NULL)
        return;
    if (!self->node->dying) {
        session_bye(self->session);
        push(self);
    }
    leases_forget(self->node);
    self->node->client = NULL;
    session_destroy(&self->session);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- what comes

void bus_take_reply(struct node *node, const void *data, size_t size)
{
    Sb__Reply *reply = NULL;
    if (node->client == NULL || wire_reply(data, size, &reply, NULL) != ERR_OK)
        return;
    session_reply(node->client->session, node_boot_ms(node), reply, data, size);
    node_wake(node);
}

// A tick that comes once more, long after it was told.
struct late_tick {
    struct node *node; // to whom
    uint64_t life;     // of the node
    char topic[64];
    size_t size; // bytes of the event
    char data[]; // they
};

static void arrive_late(void *arg, uint64_t number)
{
    struct late_tick *late = arg;
    struct node *node = late->node;
    Sb__Event *event = NULL;
    (void)number;
    if (node_lives(node, late->life) && !node_is_frozen(node) && node->client != NULL &&
        wire_event(late->data, late->size, &event, NULL) == ERR_OK) {
        sim_trace("%s hears an old %s again", node->name, late->topic);
        session_event(node->client->session, node_boot_ms(node), late->topic, event, late->data, late->size);
        sb__event__free_unpacked(event, NULL);
        node_wake(node);
    }
    free(late);
}

// Now and then a tick is told again when its slot, its run or its broker is long gone.
static void replay_tick(struct node *node, const char *topic, const void *data, size_t size)
{
    if (strncmp(topic, "tick.", 5) != 0 || !sim_fault(SIM_FAULT_DUPLICATE, REPLAYED_PPM))
        return;
    struct late_tick *late = malloc(sizeof *late + size);
    assert(late != NULL && strlen(topic) < sizeof late->topic);
    *late = (struct late_tick){.node = node, .life = node->life, .size = size};
    (void)snprintf(late->topic, sizeof late->topic, "%s", topic);
    memcpy(late->data, data, size);
    sim_after(sim_between(1, REPLAY_MAX_S) * SIM_SECOND_US, arrive_late, late, 0);
}

void bus_take_event(struct node *node, const char *topic, const Sb__Event *event, const void *data,
                    size_t size)
{
    if (node->client == NULL)
        return;
    replay_tick(node, topic, data, size);
    session_event(node->client->session, node_boot_ms(node), topic, event, data, size);
    node_wake(node);
}

bool bus_wants(const struct node *node, const char *topic)
{
    if (node->client == NULL || sim->silent)
        return false;
    const char *const *wanted = session_topics(node->client->session);
    for (; wanted != NULL && *wanted != NULL; wanted++) {
        if (strncmp(topic, *wanted, strlen(*wanted)) == 0)
            return true;
    }
    return false;
}

int syncbus_next(syncbus_client_t *self, struct syncbus_notice *ret)
{
    *ret = (struct syncbus_notice){.text = ""};
    if (!session_has_notice(self->session) || now_ms(self) >= session_deadline(self->session)) {
        session_time(self->session, now_ms(self));
        push(self);
    }
    if (!session_notice(self->session, ret))
        return 0;
    if (ret->kind == SYNCBUS_GRANTED) {
        sim_trace("has lease %" PRIu64, ret->token);
        leases_held(self->node, ret->claim, ret->token);
    }
    if (ret->kind == SYNCBUS_LOST) {
        sim_trace("has lost lease %" PRIu64 ": %s", ret->token, ret->text);
        leases_lost(self->node, ret->claim);
    }
    return 1;
}

int64_t syncbus_deadline_ms(const syncbus_client_t *self)
{
    return session_has_notice(self->session) ? 0 : session_deadline(self->session);
}

void bus_check(const struct node *node)
{
    syncbus_client_t *self = node->client;
    const uint64_t epoch = session_epoch(self->session);
    if (epoch != 0 && epoch < self->epoch)
        check_broken("I10", "%s was in epoch %" PRIu64 " and then in %" PRIu64, node->name, self->epoch,
                     epoch);
    if (epoch != 0)
        self->epoch = epoch;
    leases_check(node);
}

// ---------------------------------------------------------------- commands

uint64_t syncbus_acquire(syncbus_client_t *self, const struct syncbus_wish *wish)
{
    const uint64_t claim = session_acquire(self->session, now_ms(self), wish);
    push(self);
    return claim;
}

void syncbus_withdraw(syncbus_client_t *self, uint64_t claim)
{
    leases_given_back(self->node, claim);
    session_withdraw(self->session, now_ms(self), claim);
    push(self);
}

void syncbus_release(syncbus_client_t *self, uint64_t claim, bool yielded)
{
    leases_given_back(self->node, claim);
    session_release(self->session, now_ms(self), claim, yielded);
    push(self);
}

void syncbus_progress(syncbus_client_t *self, uint64_t claim, uint64_t done, uint64_t total)
{
    session_progress(self->session, claim, done, total);
}

int64_t syncbus_left_ms(const syncbus_client_t *self, uint64_t claim)
{
    return session_left_ms(self->session, now_ms(self), claim);
}

int64_t syncbus_ttl_ms(const syncbus_client_t *self, uint64_t claim)
{
    return session_ttl_ms(self->session, claim);
}

uint64_t syncbus_session(const syncbus_client_t *self)
{
    return session_number(self->session);
}

uint64_t syncbus_epoch(const syncbus_client_t *self)
{
    return session_epoch(self->session);
}

uint64_t syncbus_ask(syncbus_client_t *self, const void *request, size_t size, uint32_t timeout_ms)
{
    const uint64_t ask = session_ask(self->session, now_ms(self), request, size, timeout_ms);
    push(self);
    return ask;
}

uint64_t syncbus_call(syncbus_client_t *self, const char *service, const char *method, const void *body,
                      size_t size, uint32_t timeout_ms)
{
    const uint64_t ask = session_call(self->session, now_ms(self), service, method, body, size, timeout_ms);
    push(self);
    return ask;
}

int syncbus_answer(syncbus_client_t *self, uint64_t call, enum syncbus_code code, const char *text,
                   const void *body, size_t size)
{
    const int error = session_answer(self->session, call, code, text, body, size);
    push(self);
    return error;
}

int syncbus_run_begin(syncbus_client_t *self, const char *job, uint64_t run, uint32_t attempt)
{
    return session_run_begin(self->session, job, run, attempt);
}

void syncbus_run_end(syncbus_client_t *self, uint64_t run)
{
    session_run_end(self->session, run);
}
