#include "tests/sim/erp.h"

#include "tests/sim/check.h"
#include "tests/sim/erp_parts.h"
#include "tests/sim/keys.h"
#include "tests/sim/order_erp.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKS_MAX = 256 };

// Something at work in the ERP.
struct work {
    uint64_t number;   // of it
    struct node *node; // for whom
    uint64_t token;    // of the lease that it is done under
    bool exclusive;    // so is that lease
    bool bounded;      // it ends in time even if its node stands still
    bool exempt;       // its node stood still meanwhile
};

// An order that the ERP has, or never will.
struct erp_order {
    char key[ERP_KEY_MAX + 1]; // of it
    char id[24];               // the ERP's name of it; "": it has it not
    int64_t visible_us;        // from when on the search finds it
    bool given_up;             // the bus said that it is not here
};

static struct {
    struct work works[WORKS_MAX]; // at work now, in order of their beginning
    size_t work_count;            // of them
    uint64_t last_work;           // number of the last one
    uint64_t token;               // the greatest of exclusive work
    struct keys orders;           // by key: struct erp_order, owned
    uint64_t order_count;         // that it has
} erp;

void erp_begin(void)
{
    memset(&erp, 0, sizeof erp);
    erp_requests_begin();
    order_erp_begin();
}

void erp_end(void)
{
    erp_requests_end();
    for (size_t i = 0; i < erp.orders.capacity; i++)
        free(erp.orders.slots[i].value);
    keys_free(&erp.orders);
    memset(&erp, 0, sizeof erp);
}

// ---------------------------------------------------------------- work

uint64_t erp_greatest_token(void)
{
    return erp.token;
}

static const char *kind_of(bool exclusive)
{
    return exclusive ? "exclusive" : "shared";
}

static uint64_t begin(struct node *node, uint64_t token, bool exclusive, bool bounded)
{
    for (size_t i = 0; i < erp.work_count; i++) {
        const struct work *other = &erp.works[i];
        if (other->token != token && (exclusive || other->exclusive) && !other->exempt)
            check_broken(
                "I2", "%s work of %s (token %" PRIu64 ") in the ERP meets %s work of %s (token %" PRIu64 ")",
                kind_of(exclusive), node->name, token, kind_of(other->exclusive), other->node->name,
                other->token);
    }
    if (exclusive && token < erp.token)
        check_broken("I3", "%s works in the ERP with token %" PRIu64 " after token %" PRIu64, node->name,
                     token, erp.token);
    if (exclusive && token > erp.token)
        erp.token = token;
    assert(erp.work_count < WORKS_MAX);
    erp.works[erp.work_count++] = (struct work){
        .number = ++erp.last_work, .node = node, .token = token, .exclusive = exclusive, .bounded = bounded};
    return erp.last_work;
}

uint64_t erp_work_begin(struct node *node, uint64_t token, bool exclusive)
{
    return begin(node, token, exclusive, false);
}

uint64_t erp_request_begin(struct node *node, uint64_t token)
{
    return begin(node, token, true, true);
}

void erp_work_end(uint64_t work)
{
    for (size_t i = 0; work != 0 && i < erp.work_count; i++) {
        if (erp.works[i].number != work)
            continue;
        erp.work_count--;
        memmove(&erp.works[i], &erp.works[i + 1], (erp.work_count - i) * sizeof erp.works[0]);
        return;
    }
}

void erp_node_frozen(struct node *node)
{
    for (size_t i = 0; i < erp.work_count; i++) {
        if (erp.works[i].node == node && !erp.works[i].bounded)
            erp.works[i].exempt = true;
    }
    order_erp_frozen(node);
}

// ---------------------------------------------------------------- orders

static struct erp_order *order_of(const char *key)
{
    struct erp_order *order = keys_get(&erp.orders, key);
    if (order != NULL)
        return order;
    order = calloc(1, sizeof *order);
    assert(order != NULL && strlen(key) <= ERP_KEY_MAX);
    snprintf(order->key, sizeof order->key, "%s", key);
    keys_add(&erp.orders, order->key, order);
    return order;
}

const char *erp_order(const char *key)
{
    const struct erp_order *order = keys_get(&erp.orders, key);
    return order != NULL && order->id[0] != '\0' ? order->id : NULL;
}

const char *erp_found(const char *key)
{
    const struct erp_order *order = keys_get(&erp.orders, key);
    return order != NULL && order->id[0] != '\0' && order->visible_us <= sim_now_us() ? order->id : NULL;
}

const char *erp_put(const char *key, int64_t visible_after_us)
{
    struct erp_order *order = order_of(key);
    if (order->given_up)
        check_broken("O2", "order %s is placed in the ERP, though the bus said that it is not", key);
    if (order->id[0] != '\0' && sim->config->orders.honours_keys)
        return order->id;
    if (order->id[0] != '\0')
        check_broken("O1", "order %s is in the ERP twice", key);
    snprintf(order->id, sizeof order->id, "E-%" PRIu64, ++erp.order_count);
    order->visible_us = sim_now_us() + visible_after_us;
    sim_trace("the ERP has order %s as %s", key, order->id);
    return order->id;
}

void erp_given_up(const char *key)
{
    struct erp_order *order = order_of(key);
    order->given_up = true;
    if (order->id[0] != '\0')
        check_broken("O2", "the bus says that order %s is not in the ERP, but there it is as %s", key,
                     order->id);
}
