// How the ERP deals with a request of the orders: it works for a while, does what was asked or does not, and
// answers, or does not. Whatever goes wrong, its work is over within the time that was promised, and what it
// has done by then is what it will ever have done.
#include "tests/sim/erp_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    ASK_LIMIT_MS = 30 * 1000, // a question is given up after that, whatever the limit
    KEPT_PERCENT = 98,        // of each promised time: clocks go wrong by 1 %
    MENDED_MAX_S = 60,        // a wrong password is mended by then
    RETRY_AFTER_MAX_S = 30,
};

// What is to become of a request.
struct plan {
    int64_t work_us;          // at work for so long
    int64_t answer_us;        // the answer comes after that; -1: none does
    bool done;                // the order is placed at the end of the work
    struct erp_answer answer; // but for the names of orders
    bool named;               // the answer names the order, or says what the search found
};

// A request in the ERP.
struct job {
    LIST_ENTRY(job) link;       // among all
    struct erp_request request; // as it came; its key is the next
    char key[ERP_KEY_MAX + 1];  // of the order
    uint64_t life;              // of the node that sent it
    uint64_t work;              // its number; 0: it is over
    struct plan plan;           // what becomes of it
    unsigned events;            // in the agenda that still mean it
};

static struct {
    LIST_HEAD(, job) jobs; // under way
    uint32_t fault_ppm;    // of requests with which something is wrong, while that may happen
    uint32_t refuses_ppm;  // of connections alike
    int64_t usual_us;      // at work for an order
    bool checks_tokens;    // it refuses older ones
} ways;

void erp_requests_begin(void)
{
    LIST_INIT(&ways.jobs);
    ways.fault_ppm = (uint32_t)sim_between(0, 300000);
    ways.refuses_ppm = (uint32_t)sim_between(0, 50000);
    ways.usual_us = sim_between(20, 2000) * SIM_MS_US;
    ways.checks_tokens = sim_chance(500000);
}

void erp_requests_end(void)
{
    while (!LIST_EMPTY(&ways.jobs)) {
        struct job *job = LIST_FIRST(&ways.jobs);
        LIST_REMOVE(job, link);
        free(job);
    }
}

bool erp_refuses(void)
{
    return sim_fault(SIM_FAULT_ERP, ways.refuses_ppm);
}

static int64_t kept_us(int64_t promised_ms)
{
    return promised_ms * KEPT_PERCENT / 100 * SIM_MS_US;
}

// ---------------------------------------------------------------- what becomes of a request

static void say(struct plan *plan, int status, bool done)
{
    plan->answer.status = status;
    plan->done = done;
    plan->named = status >= 200 && status <= 299;
}

static int one_of(const int *statuses, size_t count)
{
    return statuses[sim_between(0, (int64_t)count - 1)];
}

#define ONE_OF(...) one_of((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

// A wrong password or address: rare, since it stops all orders until it is mended.
static int misconfigured(void)
{
    return sim_chance(100000) ? ONE_OF(401, 403, 404, 405) : ONE_OF(400, 409, 422);
}

// The connection is lost: before the work is done or after, soon or only by the asker's patience.
static void lose(struct plan *plan, int64_t limit_us)
{
    say(plan, 0, sim_chance(500000));
    if (sim_chance(500000))
        plan->work_us = sim_between(0, limit_us);
    plan->answer_us = sim_chance(500000) ? -1 : sim_between(0, limit_us);
    plan->answer.whole = false;
}

// What is told of it is not the ERP's own word: it goes on behind that.
static void time_out_before_it(struct plan *plan, int64_t limit_us)
{
    say(plan, ONE_OF(502, 504), sim_chance(500000));
    plan->work_us = sim_between(0, limit_us);
    plan->answer_us = sim_between(0, limit_us);
}

static void garble(struct plan *plan)
{
    static const char *const bodies[] = {"",    "<html>maintenance</html>", "{\"id\":", "{}", "[1]", "null",
                                         "[{}]"};
    say(plan, ONE_OF(200, 201, 204), sim_chance(500000));
    plan->named = false;
    snprintf(plan->answer.body, sizeof plan->answer.body, "%s", bodies[sim_between(0, 6)]);
}

// Part of the answer comes, and then the connection breaks.
static void cut_short(struct plan *plan)
{
    const int status = ONE_OF(201, 400, 500, 503);
    say(plan, status, status == 201 || (status != 400 && sim_chance(500000)));
    plan->answer.whole = false;
    plan->named = false;
}

static void go_wrong(struct plan *plan, int64_t limit_us)
{
    const bool retry_after = sim_chance(500000);
    switch (sim_between(0, 8)) {
    case 0: // slow, perhaps beyond anybody's patience
        plan->work_us = sim_between(plan->work_us, limit_us);
        plan->answer_us = plan->work_us + (sim_chance(500000) ? sim_between(0, limit_us / 2) : 0);
        break;
    case 1: say(plan, misconfigured(), false); break;
    case 2: say(plan, ONE_OF(412, 425, 429), false); break;
    case 3: say(plan, ONE_OF(408, 503), sim_chance(500000)); break;
    case 4: say(plan, ONE_OF(302, 418, 500, 501), sim_chance(500000)); break;
    case 5: time_out_before_it(plan, limit_us); break;
    case 6: lose(plan, limit_us); break;
    case 7: garble(plan); break;
    default: cut_short(plan); break;
    }
    if (retry_after && plan->answer.status >= 400)
        plan->answer.retry_after_ms = sim_between(0, RETRY_AFTER_MAX_S) * 1000;
}

static void make_plan(const struct erp_request *request, struct plan *ret)
{
    const bool limited = request->asks && request->limit_ms > ASK_LIMIT_MS;
    const int64_t limit_us = kept_us(limited ? ASK_LIMIT_MS : request->limit_ms);
    int64_t work_us = sim_between(ways.usual_us / 2, 2 * ways.usual_us);
    work_us = request->asks ? work_us / 4 : work_us;
    work_us = work_us < limit_us ? work_us : limit_us;
    *ret = (struct plan){.work_us = work_us, .answer = {.whole = true}};
    say(ret, request->asks ? 200 : 201, !request->asks);
    ret->answer_us = ret->work_us;
    if (ways.checks_tokens && request->token < erp_greatest_token())
        say(ret, 412, false);
    else if (sim_fault(SIM_FAULT_ERP, ways.fault_ppm))
        go_wrong(ret, limit_us);
    // Only where whoever placed the order must reckon with it does the work go on behind an answer.
    const int status = ret->answer.status;
    const bool ends_first = request->asks || (ret->answer.whole && status != 502 && status != 504);
    if (ends_first && ret->answer_us >= 0 && ret->answer_us < ret->work_us)
        ret->answer_us = ret->work_us;
}

// ---------------------------------------------------------------- what comes of it

static void let_go(struct job *self)
{
    if (--self->events > 0)
        return;
    LIST_REMOVE(self, link);
    free(self);
}

// An order that is found counts as placed at once, by promise: what else was sent for it is not waited for.
static void end_works_of(const char *key)
{
    struct job *job;
    LIST_FOREACH(job, &ways.jobs, link)
    {
        if (job->request.asks || strcmp(job->key, key) != 0)
            continue;
        erp_work_end(job->work);
        job->work = 0;
    }
}

// What the search finds is what was there when it began.
static void write_found(struct job *self)
{
    const char *id = erp_found(self->key);
    char *body = self->plan.answer.body;
    if (id == NULL) {
        snprintf(body, ERP_BODY_MAX, "[]");
    } else {
        end_works_of(self->key);
        snprintf(body, ERP_BODY_MAX, "[{\"id\":\"%s\",\"key\":\"%s\"}]", id, self->key);
    }
}

static void end_work(void *arg, uint64_t number)
{
    struct job *self = arg;
    (void)number;
    if (self->plan.done && !self->request.asks && !sim->over) {
        const char *id = erp_put(self->key, sim_between(0, kept_us(sim->config->orders.visibility_lag_ms)));
        if (self->plan.named)
            snprintf(self->plan.answer.body, ERP_BODY_MAX, "{\"id\":\"%s\"}", id);
    }
    erp_work_end(self->work);
    self->work = 0;
    let_go(self);
}

static void answer(void *arg, uint64_t number)
{
    struct job *self = arg;
    (void)number;
    if (node_lives(self->request.node, self->life))
        self->request.told(self->request.node, self->request.number, &self->plan.answer);
    let_go(self);
}

// The config is mended: the service begins anew with it.
static void mend(void *arg, uint64_t life)
{
    struct node *node = arg;
    if (!node_lives(node, life))
        return;
    if (node_is_frozen(node))
        sim_after(SIM_SECOND_US, mend, node, life);
    else
        node_stop(node);
}

void erp_take(const struct erp_request *request)
{
    struct job *self = calloc(1, sizeof *self);
    assert(self != NULL && strlen(request->key) <= ERP_KEY_MAX);
    make_plan(request, &self->plan);
    self->request = *request;
    self->request.key = self->key;
    self->life = request->node->life;
    snprintf(self->key, sizeof self->key, "%s", request->key);
    self->work = erp_request_begin(request->node, request->token);
    LIST_INSERT_HEAD(&ways.jobs, self, link);
    const int status = self->plan.answer.status;
    sim_trace("the ERP is to %s order %s: %s, status %d", request->asks ? "find" : "place", self->key,
              self->plan.done ? "done" : "not done", status);
    if (request->asks && self->plan.named)
        write_found(self);
    if (!request->asks && (status == 401 || (status >= 403 && status <= 405)))
        sim_after(sim_between(1, MENDED_MAX_S) * SIM_SECOND_US, mend, request->node, self->life);
    self->events++;
    sim_after(self->plan.work_us, end_work, self, 0);
    if (self->plan.answer_us < 0)
        return;
    self->events++;
    sim_after(self->plan.answer_us, answer, self, 0);
}
