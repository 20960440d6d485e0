#include "tests/sim/sync_node.h"

#include "tests/sim/check.h"
#include "tests/sim/sync_own.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETIRE_MAX_S = 120 };

// Nothing of a run, not even its place in the queue, takes longer than this in a world without faults.
static const int64_t STANDSTILL_US = INT64_C(20) * 60 * SIM_SECOND_US;

// Nor does a result wait for longer to be acknowledged.
static const int64_t ACKNOWLEDGED_US = INT64_C(60) * SIM_SECOND_US;

// A run and a service may each go by another config than the one that is in force, so that the ERP keeps the
// least of all promises.
static void take_promise(struct sync_own *own)
{
    const struct config_job *job = config_job(sim->config, own->job, NULL);
    if (job != NULL && job->settle_ms < own->settle_ms)
        own->settle_ms = job->settle_ms;
}

// ---------------------------------------------------------------- a job that the config has not

static void absent_time(void *arg, int64_t boot_ms, int64_t wall_ms)
{
    (void)arg;
    (void)boot_ms;
    (void)wall_ms;
}

static int64_t absent_deadline(void *arg)
{
    (void)arg;
    return INT64_MAX;
}

static bool absent_idle(void *arg)
{
    (void)arg;
    return true;
}

static void absent_stop(void *arg)
{
    (void)arg;
}

static bool absent_stopped(void *arg)
{
    (void)arg;
    return false;
}

// Nobody is there until the job is.
static const struct service_handler absent = {.time = absent_time,
                                              .deadline = absent_deadline,
                                              .idle = absent_idle,
                                              .stop = absent_stop,
                                              .stopped = absent_stopped};

// ---------------------------------------------------------------- life

// A start that fails is a life that ends at once; whoever starts services tries again later.
static void start(struct node *node)
{
    struct sync_own *own = node->own;
    struct fault fault = {.err = ERR_OK};
    const struct config_job *job = config_job(sim->config, own->job, &fault);
    own->life = (struct service_life){.directory = {.lock = -1}};
    own->moved_us = sim_now_us();
    node->handler = job != NULL ? &sync_handler : &absent;
    if (job == NULL)
        return;
    if (sync_new(sim->config, job, false, &own->life, &own->sync, &fault) != ERR_OK) {
        sim_trace("cannot start: %s", fault.text);
        node->dying = true;
        return;
    }
    node->arg = own->sync;
}

static void end(struct node *node)
{
    struct sync_own *own = node->own;
    sync_destroy(&own->sync);
}

struct node *sync_node_add(const char *job)
{
    char name[SIM_NAME_MAX];
    struct sync_own *own = calloc(1, sizeof *own);
    assert(own != NULL);
    (void)snprintf(own->job, sizeof own->job, "%s", job);
    (void)snprintf(name, sizeof name, "sync-%.*s", SIM_NAME_MAX - 6, job);
    own->disk = sync_disk_new();
    own->settle_ms = INT64_MAX;
    take_promise(own);
    struct node *node = node_add(name);
    node->own = own;
    node->start = start;
    node->end = end;
    return node;
}

static bool is_sync(const struct node *node)
{
    return node->start == start;
}

static bool has_job(const struct node *node)
{
    const struct sync_own *own = node->own;
    return config_job(sim->config, own->job, NULL) != NULL;
}

// Whoever took a job out of the config ends its service, too, sooner or later.
static void retire(void *arg, uint64_t life)
{
    struct node *node = arg;
    if (node_lives(node, life) && node->handler == &sync_handler && !has_job(node))
        node_stop(node);
}

void sync_node_configured(void)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        struct node *node = &sim->nodes[i];
        if (!is_sync(node))
            continue;
        take_promise(node->own);
        if (!has_job(node))
            sim_after(sim_between(0, RETIRE_MAX_S) * SIM_SECOND_US, retire, node, node->life);
        else if (node->handler == &absent)
            node_kill(node); // and soon there is a service
    }
}

void sync_node_check_end(void)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        const struct node *node = &sim->nodes[i];
        const struct sync_own *own = node->own;
        // A job that has left the config has no session to report in.
        if (!is_sync(node) || !node->up || !has_job(node))
            continue;
        const int64_t still_us = sim_now_us() - own->moved_us;
        const size_t waiting = sync_disk_reports(own->disk, sim_now_us() - ACKNOWLEDGED_US);
        if (waiting > 0)
            check_broken("I6", "job %s: %zu results wait for their acknowledgement", own->job, waiting);
        if (!node->handler->idle(node->arg) && still_us > STANDSTILL_US)
            check_broken("I6", "job %s: its run has not moved for %" PRId64 " s", own->job,
                         still_us / SIM_SECOND_US);
    }
}

void sync_node_free(void)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        struct node *node = &sim->nodes[i];
        if (!is_sync(node))
            continue;
        struct sync_own *own = node->own;
        assert(own->sync == NULL);
        sync_disk_free(own->disk);
        free(own);
        node->own = NULL;
    }
}
