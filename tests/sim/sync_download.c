// What stands in for services/sync/download.h: exports of the simulated ERP, in pages or in one piece. Bytes
// come at a rate; an ERP with faults is slow, falls silent, refuses, or stops in the midst of it.
//
// What is under way is work in the ERP. It may go on there for a while after it was cut, but never longer
// than the job's settle time, by the fastest clock that there may be.
#include "services/sync/download.h"

#include "tests/sim/erp.h"
#include "tests/sim/leases.h"
#include "tests/sim/sync_own.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGES_MAX = 8,
    RESUMES_PPM = 500000,      // ERPs that can go on where a transfer was cut
    UNCHANGED_PPM = 400000,    // answers "not modified" where that was asked
    SLIPS_PPM = 50000,         // paged exports whose rows moved meanwhile
    CUT_LINGERS_PPM = 500000,  // transfers that the ERP goes on with when they are cut by their process
    KILL_LINGERS_PPM = 500000, // the same when that is killed
    SLOW_PPM = 50000,          // faults of the ERP, each of a transfer
    SILENT_PPM = 15000,
    REFUSES_PPM = 30000,
    BREAKS_PPM = 20000,
    FREEZES_PPM = 5000, // processes that stand still while they connect
    FREEZE_MAX_S = 60,
    CONNECT_MAX_US = 20000, // until a connection stands
    RATE_LEAST = 1000,      // bytes in a second, however often the ERP slows down
};

struct download {
    const struct config_job *job; // the caller's
    struct node *node;            // whose it is
    struct sync_own *own;         // of the node
    uint64_t life;                // of the node
    fetch_may_send_fn *may_send;  // asked before a request leaves
    void *may_send_arg;           // for that
    struct plan plan;             // of this download
    uint64_t ends[PAGES_MAX];     // where each page that came ends
    size_t count;                 // of them
    size_t pages;                 // that there are in all
    int64_t spent_ms;             // in transfers that have ended
    bool resumes;                 // what was cut can be gone on with
    bool tells_size;              // the ERP says how much there is
    bool slips;                   // its rows moved from page to page
    bool unchanged;               // it ended, as nothing has changed
    bool aimed;                   // the piece in hand was drawn:
    uint64_t size;                // its bytes; 0: it has not changed
    uint64_t had;                 // of them, before the transfer under way
    int64_t rate;                 // bytes a second
    uint64_t transfer;            // serial of the one under way; 0: none
    uint64_t work;                // of it in the ERP; 0: that has ended
    int64_t start_ms;             // its begin, BOOTTIME
    int64_t start_us;             // the same, true time
    int64_t first_us;             // when its first byte comes
    int64_t last_us;              // no byte comes after this
    bool silent;                  // it stalls then, and does not end
    enum err outcome;             // of it
};

enum err download_new(const struct config_job *job, const char *spool, CURLM *multi, struct download **ret,
                      struct fault *fault)
{
    (void)spool;
    struct download *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    self->job = job;
    self->node = node_of_transfers(multi);
    self->own = self->node->own;
    self->life = self->node->life;
    self->own->download = self;
    *ret = self;
    return ERR_OK;
}

static void end_work(void *arg, uint64_t work)
{
    (void)arg;
    erp_work_end(work);
}

void download_guard(struct download *self, fetch_may_send_fn *may_send, void *arg)
{
    self->may_send = may_send;
    self->may_send_arg = arg;
}

// The connection is gone; the ERP notices that now or later.
static void leave_erp(struct download *self, uint32_t lingers_ppm)
{
    const int64_t longest_us = self->own->settle_ms * SIM_MS_US / 100 * 99;
    if (self->work == 0)
        return;
    if (longest_us > 0 && sim_chance(lingers_ppm))
        sim_after(sim_between(0, longest_us), end_work, NULL, self->work);
    else
        erp_work_end(self->work);
    self->work = 0;
}

void download_destroy(struct download **self_p)
{
    struct download *self = *self_p;
    if (self == NULL)
        return;
    leave_erp(self, KILL_LINGERS_PPM);
    self->own->download = NULL;
    free(self);
    *self_p = NULL;
}

enum err download_begin(struct download *self, const struct plan *plan, struct fault *fault)
{
    (void)fault;
    assert(self->transfer == 0);
    self->plan = *plan;
    self->count = 0;
    self->pages = plan->paged ? (size_t)sim_between(1, PAGES_MAX) : 1;
    self->spent_ms = 0;
    self->resumes = sim_chance(RESUMES_PPM);
    self->tells_size = sim_chance(500000);
    self->slips = plan->paged && plan->full && self->pages > 1 && sim_chance(SLIPS_PPM);
    self->unchanged = false;
    self->aimed = false;
    self->size = self->had = 0;
    self->own->moved_us = sim_now_us();
    return ERR_OK;
}

// ---------------------------------------------------------------- transfers

static uint64_t came(const struct download *self)
{
    const int64_t now_us = sim_now_us() < self->last_us ? sim_now_us() : self->last_us;
    if (self->transfer == 0 || now_us <= self->first_us)
        return self->had;
    const uint64_t more = (uint64_t)((now_us - self->first_us) * self->rate / SIM_SECOND_US);
    return more < self->size - self->had ? self->had + more : self->size;
}

// The world's end of a transfer: its process hears of it when it can.
static void transfer_ends(void *arg, uint64_t serial)
{
    struct node *node = arg;
    struct sync_own *own = node->own;
    struct download *self = own->download;
    if (self == NULL || self->transfer != serial)
        return;
    erp_work_end(self->work);
    self->work = 0;
    node_transfer_ended(node, self->life, (void *)(uintptr_t)serial,
                        self->outcome == ERR_CORRUPT ? (int)CURLE_PARTIAL_FILE : (int)CURLE_OK);
}

static void aim(struct download *self)
{
    const bool asks = self->plan.etag[0] != '\0' || self->plan.last_modified[0] != '\0';
    self->aimed = true;
    self->had = 0;
    self->rate = sim_between(100, 1500) * 1000;
    if (self->plan.paged)
        self->size = (uint64_t)sim_between(5, 150) * 1000;
    else if (asks && sim_chance(UNCHANGED_PPM))
        self->size = 0;
    else
        self->size = (uint64_t)sim_between(10, sim_chance(100000) ? 8000 : 1000) * 1000;
}

// Draws what becomes of the transfer that begins now. How long it takes, or 0: it never ends.
static int64_t draw(struct download *self)
{
    int64_t latency_us = sim_between(2000, 150000);
    int64_t rate = self->rate;
    if (sim_fault(SIM_FAULT_ERP, SLOW_PPM)) {
        latency_us += sim_between(0, 10 * SIM_SECOND_US);
        rate /= sim_between(2, 30);
    }
    rate = rate > RATE_LEAST ? rate : RATE_LEAST;
    self->rate = rate;
    int64_t whole_us = latency_us + (int64_t)(self->size - self->had) * SIM_SECOND_US / rate;
    self->first_us = self->start_us + latency_us;
    self->outcome = ERR_OK;
    self->silent = sim_fault(SIM_FAULT_ERP, SILENT_PPM);
    if (self->silent || sim_fault(SIM_FAULT_ERP, BREAKS_PPM)) {
        whole_us = sim_between(1, whole_us);
        self->outcome = ERR_CORRUPT;
    } else if (sim_fault(SIM_FAULT_ERP, REFUSES_PPM)) {
        whole_us = latency_us;
        self->outcome = ERR_REFUSED;
    }
    self->last_us = self->start_us + whole_us;
    return self->silent ? 0 : whole_us;
}

// The connection stands, and its process runs: the request leaves, if it still may.
static void leaves(void *arg, uint64_t serial)
{
    struct node *node = arg;
    struct sync_own *own = node->own;
    struct download *self = own->download;
    if (self == NULL || self->transfer != serial)
        return;
    if (!self->may_send(self->may_send_arg)) {
        node_transfer_ended(node, self->life, (void *)(uintptr_t)serial, (int)CURLE_ABORTED_BY_CALLBACK);
        return;
    }
    self->start_us = sim_now_us();
    // Its request may already be in the ERP when it falls.
    self->work = erp_work_begin(node, 0, false);
    const int64_t us = draw(self);
    if (us > 0)
        sim_after(us, transfer_ends, node, serial);
}

// The first thing that a process does after a freeze: only then does it look at its leases.
static void connected(void *arg, uint64_t serial)
{
    struct node *node = arg;
    if (node_is_frozen(node))
        agenda_put(&sim->agenda, node->frozen_until_us - 1, leaves, node, serial);
    else
        leaves(node, serial);
}

static void freezes(void *arg, uint64_t life)
{
    struct node *node = arg;
    if (node_lives(node, life) && !node_is_frozen(node))
        node_freeze(node, sim_between(1, FREEZE_MAX_S) * SIM_SECOND_US);
}

enum err download_start(struct download *self, int64_t now_ms, struct fault *fault)
{
    (void)fault;
    assert(self->transfer == 0);
    if (self->node->dying)
        return ERR_OK;
    if (!self->aimed)
        aim(self);
    else if (self->had > 0 && sim_chance(200000)) // another export than the one that was cut
        self->had = 0;
    self->transfer = ++self->own->serial;
    self->start_ms = now_ms;
    self->first_us = self->last_us = INT64_MAX; // nothing comes before the request has left
    self->silent = false;
    self->own->moved_us = sim_now_us();
    const int64_t connect_us = sim_between(0, CONNECT_MAX_US);
    if (sim_fault(SIM_FAULT_FREEZE, FREEZES_PPM))
        sim_after(connect_us / 2, freezes, self->node, self->life);
    sim_after(connect_us, connected, self->node, self->transfer);
    return ERR_OK;
}

void download_cut(struct download *self)
{
    if (self->transfer == 0)
        return;
    self->had = self->resumes ? came(self) : 0;
    self->transfer = 0;
    // What is cut with the lease in hand is given back at once, by promise: no settle time follows.
    leave_erp(self, leases_in_hand(self->node) ? 0 : CUT_LINGERS_PPM);
}

void download_forget(struct download *self)
{
    assert(self->transfer == 0);
    self->had = 0;
}

bool download_is(const struct download *self, const CURL *easy)
{
    return self->transfer != 0 && easy == (const void *)(uintptr_t)self->transfer;
}

enum err download_ended(struct download *self, CURLcode result, int64_t now_ms, bool *ret_more,
                        struct fault *fault)
{
    (void)result;
    assert(self->transfer != 0);
    assert(self->work == 0);
    self->transfer = 0;
    self->own->moved_us = sim_now_us();
    if (self->outcome != ERR_OK) {
        self->had = 0;
        return fault_set(fault, self->outcome, "the export: %s", err_text(self->outcome));
    }
    self->spent_ms += now_ms - self->start_ms;
    self->aimed = false;
    self->had = self->size;
    self->unchanged = self->size == 0;
    if (self->plan.paged) {
        const uint64_t before = self->count > 0 ? self->ends[self->count - 1] : 0;
        self->ends[self->count++] = before + self->size;
    }
    *ret_more = self->plan.paged && self->count < self->pages;
    return ERR_OK;
}

int64_t download_deadline(const struct download *self)
{
    if (self->transfer == 0)
        return INT64_MAX;
    const int64_t silent_ms = self->start_ms + (self->last_us - self->start_us) / SIM_MS_US;
    const int64_t stall = self->silent ? silent_ms + self->job->source.stall_timeout_ms : INT64_MAX;
    const int64_t whole = self->start_ms + self->job->source.timeout_ms - self->spent_ms;
    return stall < whole ? stall : whole;
}

enum err download_time(struct download *self, int64_t now_ms, struct fault *fault)
{
    if (self->transfer == 0 || now_ms < download_deadline(self))
        return ERR_OK;
    download_cut(self);
    download_forget(self);
    return fault_set(fault, ERR_TIMED_OUT, "the export took too long");
}

// ---------------------------------------------------------------- what came

uint64_t download_done(const struct download *self)
{
    const uint64_t before = self->count > 0 ? self->ends[self->count - 1] : 0;
    return before + (!self->plan.paged || self->aimed ? came(self) : 0);
}

uint64_t download_total(const struct download *self)
{
    if (!self->tells_size)
        return 0;
    const uint64_t done = download_done(self);
    const uint64_t total = self->plan.paged && self->count > 0
                               ? self->ends[self->count - 1] / self->count * self->pages
                               : self->size * self->pages;
    return total > done ? total : done;
}

const char *download_spool(const struct download *self)
{
    return self->job->data;
}

bool download_not_modified(const struct download *self)
{
    return self->unchanged;
}

const uint64_t *download_pages(const struct download *self, size_t *ret_count)
{
    *ret_count = self->count;
    return self->count > 0 ? self->ends : NULL;
}

const char *download_withheld(const struct download *self)
{
    return self->slips ? "its first page was another one at its end" : NULL;
}

struct validator download_remember(const struct download *self, const struct validator *known,
                                   int64_t start_ms)
{
    struct answer answer = {.ranges = self->resumes};
    (void)snprintf(answer.etag, sizeof answer.etag, "\"%" PRId64 "\"", start_ms);
    return plan_remember(&self->plan, known, start_ms, self->plan.paged ? NULL : &answer);
}
