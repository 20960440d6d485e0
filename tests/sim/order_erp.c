// Stands in for services/order/erp.c: the same judgement of what became of a request, over the simulated ERP.
#include "services/order/erp.h"

#include "services/order/book.h"
#include "tests/sim/erp.h"
#include "tests/sim/order_erp.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000, // as the real one
    ASK_TIMEOUT_MS = 30 * 1000,
    CONNECT_SLOW_MAX_MS = 3000,
    SLOW_PPM = 100000,
    FALLS_PPM = 2000, // just before a first byte leaves, and just after
};

struct erp {
    const struct config_orders *config; // the caller's
    struct node *node;                  // whose it is
    uint64_t life;                      // of the node
    uint64_t number;                    // of the request under way; 0: none
    bool connecting;                    // its connection does not stand yet
    bool ended;                         // it has ended, and its result is the next
    CURLcode result;                    // as libcurl says it
    struct erp_answer answer;           // what came back
    char key[BOOK_KEY_MAX + 1];         // of the order in hand
    uint64_t token;                     // of its lease
    bool asks;                          // it is a question
    bool sent;                          // its first byte has left
    int64_t sent_ms;                    // BOOTTIME of that
    erp_may_send *may_send;             // asked just before
    void *arg;                          // for may_send
};

static struct {
    struct erp *of_node[SIM_NODES_MAX]; // that live now
    uint64_t last;                      // number of the last request
} ways;

void order_erp_begin(void)
{
    memset(&ways, 0, sizeof ways);
}

// The request of that number, if it is still under way.
static struct erp *under_way(const struct node *node, uint64_t number)
{
    struct erp *self = ways.of_node[node->index];
    return self != NULL && self->number == number && !self->ended && node_lives(node, self->life) ? self
                                                                                                  : NULL;
}

// The loop will be told, if the request was not cut by then: a later one has another number.
static void ended(struct erp *self, CURLcode result)
{
    self->ended = true;
    self->result = result;
    node_transfer_ended(self->node, self->life, (void *)(uintptr_t)self->number, (int)result);
}

static void on_told(struct node *node, uint64_t number, const struct erp_answer *answer)
{
    struct erp *self = under_way(node, number);
    if (self == NULL)
        return;
    self->answer = *answer;
    ended(self, answer->whole ? CURLE_OK : CURLE_RECV_ERROR);
}

static void on_timeout(void *arg, uint64_t number)
{
    struct erp *self = under_way(arg, number);
    if (self != NULL)
        ended(self, CURLE_OPERATION_TIMEDOUT);
}

// ---------------------------------------------------------------- the first byte

// Its node is at work: asks whether the request may still go, and sends it.
static void send_now(struct erp *self)
{
    struct node *node = self->node;
    self->connecting = false;
    if (!self->may_send(self->arg)) {
        ended(self, CURLE_ABORTED_BY_CALLBACK);
        return;
    }
    if (node_falls(node, FALLS_PPM))
        return;
    self->sent = true;
    self->sent_ms = node_boot_ms(node);
    sim_trace("%s order %s with token %llu", self->asks ? "asks for" : "places", self->key,
              (unsigned long long)self->token);
    erp_take(&(struct erp_request){.node = node,
                                   .token = self->token,
                                   .number = self->number,
                                   .asks = self->asks,
                                   .key = self->key,
                                   .limit_ms = self->config->timeout_ms,
                                   .told = on_told});
    (void)node_falls(node, FALLS_PPM);
}

static void on_connected(void *arg, uint64_t number)
{
    struct node *node = arg;
    struct erp *self = under_way(node, number);
    if (self == NULL || !self->connecting || node_is_frozen(node))
        return; // order_erp_frozen sees to it
    sim->current = node;
    if (erp_refuses())
        ended(self, CURLE_COULDNT_CONNECT);
    else
        send_now(self);
    sim->current = NULL;
    node_wake(node);
}

void order_erp_frozen(struct node *node)
{
    const struct erp *self = ways.of_node[node->index];
    if (self != NULL && self->number != 0 && self->connecting && !self->ended)
        agenda_put(&sim->agenda, node->frozen_until_us, on_connected, node, self->number);
}

// ---------------------------------------------------------------- requests

static void begin(struct erp *self, const char *key, uint64_t token, bool asks)
{
    int64_t timeout_ms = self->config->timeout_ms;
    assert(self->number == 0);
    assert(strlen(key) <= BOOK_KEY_MAX);
    if (asks && timeout_ms > ASK_TIMEOUT_MS)
        timeout_ms = ASK_TIMEOUT_MS;
    snprintf(self->key, sizeof self->key, "%s", key);
    self->number = ++ways.last;
    self->token = token;
    self->asks = asks;
    self->connecting = true;
    self->ended = false;
    self->sent = false;
    self->sent_ms = 0;
    self->answer = (struct erp_answer){.status = 0};
    if (self->node->dying)
        return;
    int64_t connect_ms = sim_between(1, 20);
    if (sim_fault(SIM_FAULT_ERP, SLOW_PPM))
        connect_ms = sim_between(20, CONNECT_SLOW_MAX_MS);
    connect_ms = connect_ms < timeout_ms ? connect_ms : timeout_ms;
    sim_after(connect_ms * SIM_MS_US, on_connected, self->node, self->number);
    agenda_put(&sim->agenda, node_true_us(self->node, node_boot_ms(self->node) + timeout_ms), on_timeout,
               self->node, self->number);
}

enum err erp_place(struct erp *self, const char *key, const char *body, uint64_t token,
                   erp_may_send *may_send, void *arg)
{
    assert(body[0] == '{');
    self->may_send = may_send;
    self->arg = arg;
    begin(self, key, token, false);
    return ERR_OK;
}

enum err erp_ask(struct erp *self, const char *key, uint64_t token, erp_may_send *may_send, void *arg)
{
    self->may_send = may_send;
    self->arg = arg;
    begin(self, key, token, true);
    return ERR_OK;
}

bool erp_is(const struct erp *self, const CURL *easy)
{
    return self->number != 0 && self->number == (uintptr_t)easy;
}

// ---------------------------------------------------------------- results

static void describe(const struct erp *self, struct erp_result *ret)
{
    if (self->result != CURLE_OK || ret->status == 0)
        snprintf(ret->what, sizeof ret->what, "%serror %d",
                 ret->sent ? "no whole answer from the ERP: " : "not sent: ", (int)self->result);
    else
        snprintf(ret->what, sizeof ret->what, "the ERP answered %d", ret->status);
}

static void read_answer(const struct erp *self, struct erp_result *ret)
{
    const char *data = self->answer.body;
    const bool good = ret->status >= 200 && ret->status <= 299 && ret->answered;
    if (!good)
        return;
    if (!self->asks) {
        ret->has_id = text_placed_id(data, strlen(data), ret->id) == ERR_OK;
        return;
    }
    const enum err err = text_found_id(data, strlen(data), self->key, ret->id);
    ret->has_id = err == ERR_OK;
    ret->told = ret->status == 200 && (err == ERR_OK || err == ERR_NOT_FOUND);
}

void erp_ended(struct erp *self, CURLcode result, struct erp_result *ret)
{
    assert(self->number != 0 && self->ended);
    *ret = (struct erp_result){.sent = self->sent, .sent_ms = self->sent_ms};
    ret->status = self->sent ? self->answer.status : 0;
    ret->answered = result == CURLE_OK && ret->status != 0;
    ret->retry_after_ms = self->answer.retry_after_ms;
    read_answer(self, ret);
    describe(self, ret);
    self->number = 0;
}

void erp_cut(struct erp *self, struct erp_result *ret)
{
    *ret = (struct erp_result){.sent = self->number != 0 && self->sent, .sent_ms = self->sent_ms};
    snprintf(ret->what, sizeof ret->what, "cut %s",
             ret->sent ? "after its first byte" : "before its first byte");
    self->number = 0;
}

// ---------------------------------------------------------------- life

enum err erp_new(const struct config_orders *config, CURLM *multi, struct erp **ret, struct fault *fault)
{
    (void)fault;
    struct erp *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->config = config;
    self->node = node_of_transfers(multi);
    self->life = self->node->life;
    ways.of_node[self->node->index] = self;
    *ret = self;
    return ERR_OK;
}

void erp_destroy(struct erp **self_p)
{
    struct erp *self = *self_p;
    if (self == NULL)
        return;
    struct erp_result result;
    erp_cut(self, &result);
    ways.of_node[self->node->index] = NULL;
    free(self);
    *self_p = NULL;
}
