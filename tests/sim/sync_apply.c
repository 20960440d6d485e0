// What stands in for services/sync/apply.h: applying takes a while, and then all of it is there at once.
#include "services/sync/apply.h"

#include "tests/sim/sync_own.h"

#include <assert.h>
#include <stdlib.h>

struct apply {
    struct node *node;    // whose it is
    struct delta *store;  // the caller's
    struct delta_run run; // what it applies
    uint64_t serial;      // of it, over all lives of the node
    atomic_bool cancel;   // end early
    bool done;            // then what follows is set
    enum err err;         // the store failed, or it was cancelled
    bool ok;              // the run succeeded
    struct fault fault;   // why not
};

static int64_t duration_us(void)
{
    return sim_chance(50000) ? sim_between(1000, 8000) * SIM_MS_US : sim_between(2000, 400000);
}

// A frozen process stands still with all its threads.
static void apply_done(void *arg, uint64_t serial)
{
    struct node *node = arg;
    struct sync_own *own = node->own;
    struct apply *self = own->apply;
    if (self == NULL || self->serial != serial || node->dying)
        return;
    if (node_is_frozen(node)) {
        agenda_put(&sim->agenda, node->frozen_until_us + sim_between(1, 100) * SIM_MS_US, apply_done, node,
                   serial);
        return;
    }
    Sb__Result result = SB__RESULT__INIT;
    sim->current = node;
    self->err = delta_apply(self->store, "", &self->run, &self->cancel, &result, &self->fault);
    self->ok = result.ok;
    self->done = true;
    own->moved_us = sim_now_us();
    sim->current = NULL;
    node_wake(node);
}

enum err apply_start(struct delta *store, const char *spool, const struct delta_run *run, CURLM *wake,
                     struct apply **ret, struct fault *fault)
{
    (void)spool;
    struct node *node = node_of_transfers(wake);
    struct sync_own *own = node->own;
    assert(own->apply == NULL);
    struct apply *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    *self = (struct apply){.node = node, .store = store, .run = *run, .serial = ++own->serial};
    own->apply = self;
    own->moved_us = sim_now_us();
    if (!node->dying)
        sim_after(duration_us(), apply_done, node, self->serial);
    *ret = self;
    return ERR_OK;
}

bool apply_is_done(const struct apply *self)
{
    return self->done;
}

void apply_cancel(struct apply *self)
{
    atomic_store(&self->cancel, true);
}

enum err apply_end(struct apply **self_p, bool *ret_ok, struct fault *fault)
{
    struct apply *self = *self_p;
    struct sync_own *own = self->node->own;
    // Whoever does not wait for its end has cancelled it: nothing is stored.
    const enum err err = self->done ? self->err : ERR_REFUSED;
    assert(self->done || atomic_load(&self->cancel));
    *ret_ok = self->ok;
    if (fault != NULL && self->fault.err != ERR_OK)
        *fault = self->fault;
    own->apply = NULL;
    free(self);
    *self_p = NULL;
    return err;
}
