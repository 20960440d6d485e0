#include "services/sync/sync.h"

#include "proto/io/clock.h"
#include "proto/io/log.h"
#include "services/service.h"
#include "services/sync/apply.h"
#include "services/sync/calls.h"
#include "services/sync/download.h"
#include "services/sync/machine.h"
#include "services/sync/news.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sync {
    const struct config_job *job;
    const char *resource;        // its name
    struct service *service;     // loop, bus, transfers
    struct delta *store;         // the entity's
    struct news *news;           // tells the broker of results and changes
    struct download *download;   // the export
    struct apply *apply;         // under way in its thread, or NULL
    struct sync_machine machine; // what to do next
    uint64_t claim;              // of the wish or lease in hand; 0: none
    struct delta_run run;        // what the store is to know of the run in hand
    struct validator known;      // what it remembered when the run began
    struct validator found;      // what it is to remember
    int64_t transfer_ms;         // BOOTTIME at which the transfer under way began; 0: none is
    bool follows;                // an action had an outcome at once:
    struct sync_event next;      // this
    struct fault broken;         // why the service cannot go on; it stops then
};

// ---------------------------------------------------------------- what the machine decides

// Notes an outcome that an action had at once: the machine hears of it after all its actions.
static void follow(struct sync *self, enum sync_event_kind kind, bool ok)
{
    assert(!self->follows);
    self->follows = true;
    self->next = (struct sync_event){.kind = kind, .ok = ok};
}

// A store that cannot take a result can take nothing: the process ends, and whoever starts it sees why.
static void break_off(struct sync *self, const struct fault *fault)
{
    if (self->broken.err == ERR_OK)
        self->broken = *fault;
}

static void count_transfer(struct sync *self)
{
    if (self->transfer_ms != 0)
        self->run.fetch_ms += (uint64_t)(clock_boot_ms() - self->transfer_ms);
    self->transfer_ms = 0;
}

static void begin_run(struct sync *self)
{
    struct fault fault = {.err = ERR_OK};
    struct plan plan;
    self->run = (struct delta_run){
        .run = self->machine.run, .attempt = self->machine.attempt, .started_ms = clock_wall_ms()};
    enum err err = delta_validator(self->store, &self->known, &fault);
    if (err == ERR_OK)
        err = plan_fetch(self->job, NULL, &self->known, self->run.started_ms, &plan, &fault);
    if (err == ERR_OK)
        err = download_begin(self->download, &plan, &fault);
    if (err == ERR_OK)
        self->run.full = plan.full;
    else
        break_off(self, &fault);
    (void)syncbus_run_begin(service_client(self->service), self->job->name, self->machine.run,
                            self->machine.attempt);
}

static void acquire(struct sync *self)
{
    const struct syncbus_wish wish = {.resource = self->resource,
                                      .mode = SYNCBUS_SHARED,
                                      .reason = self->job->name,
                                      .settle_ms = (uint32_t)self->job->settle_ms,
                                      .job = self->job->name,
                                      .run = self->machine.run,
                                      .attempt = self->machine.attempt};
    self->claim = syncbus_acquire(service_client(self->service), &wish);
    if (self->claim == 0) // too many wishes at once: again in a while
        follow(self, SYNC_EVENT_REFUSED, false);
}

static void start_fetch(struct sync *self)
{
    struct fault fault = {.err = ERR_OK};
    self->run.token = self->machine.token;
    self->transfer_ms = clock_boot_ms();
    if (download_start(self->download, self->transfer_ms, &fault) == ERR_OK)
        return;
    self->run.fault = fault;
    follow(self, SYNC_EVENT_FETCHED, false);
}

// Nothing has changed: that is stored at once, as it is one small entry.
static void keep(struct sync *self)
{
    struct fault fault = {.err = ERR_OK};
    Sb__Result result = SB__RESULT__INIT;
    if (delta_keep(self->store, &self->run, &result, &fault) != ERR_OK) {
        break_off(self, &fault);
        return;
    }
    news_look(self->news);
    follow(self, SYNC_EVENT_APPLIED, true);
}

static void start_apply(struct sync *self)
{
    struct fault fault = {.err = ERR_OK};
    struct delta_run *run = &self->run;
    run->bytes = download_done(self->download);
    run->yields = self->machine.yields;
    if (download_not_modified(self->download)) {
        keep(self);
        return;
    }
    self->found = download_remember(self->download, &self->known, run->started_ms);
    run->validator = &self->found;
    run->page_ends = download_pages(self->download, &run->page_count);
    run->withhold = download_withheld(self->download);
    if (run->withhold != NULL)
        log_write(LOG_LEVEL_WARNING, "deletions withheld", "job=%s run=%" PRIu64 " why=%s", self->job->name,
                  run->run, run->withhold);
    if (apply_start(self->store, download_spool(self->download), run, service_transfers(self->service),
                    &self->apply, &fault) == ERR_OK)
        return;
    break_off(self, &fault);
}

// Stores that the run failed, so that the report of it survives a crash.
static void record_failure(struct sync *self)
{
    struct fault fault = {.err = ERR_OK};
    self->run.yields = self->machine.yields;
    log_write(LOG_LEVEL_WARNING, "fetch failed", "job=%s run=%" PRIu64 " attempt=%" PRIu32 " error=%s",
              self->job->name, self->run.run, self->run.attempt, self->run.fault.text);
    if (delta_fail(self->store, &self->run, &fault) != ERR_OK)
        break_off(self, &fault);
    news_look(self->news);
}

static void act(struct sync *self, enum sync_action action)
{
    syncbus_client_t *client = service_client(self->service);
    switch (action) {
    case SYNC_ACTION_BEGIN: begin_run(self); break;
    case SYNC_ACTION_ACQUIRE: acquire(self); break;
    case SYNC_ACTION_WITHDRAW: syncbus_withdraw(client, self->claim); break;
    case SYNC_ACTION_FETCH: start_fetch(self); break;
    case SYNC_ACTION_CUT:
        download_cut(self->download);
        count_transfer(self);
        break;
    case SYNC_ACTION_RELEASE: syncbus_release(client, self->claim, false); break;
    case SYNC_ACTION_YIELD: syncbus_release(client, self->claim, true); break;
    case SYNC_ACTION_APPLY: start_apply(self); break;
    case SYNC_ACTION_RECORD: record_failure(self); break;
    case SYNC_ACTION_DROP: syncbus_run_end(client, self->run.run); break;
    }
}

static void say_state(struct sync *self)
{
    const char *state = sync_state_name(self->machine.state);
    log_write(LOG_LEVEL_INFO, state,
              "job=%s run=%" PRIu64 " attempt=%" PRIu32 " token=%" PRIu64 " yields=%" PRIu32, self->job->name,
              self->machine.run, self->machine.attempt, self->machine.token, self->machine.yields);
    service_status(self->service, "run %" PRIu64 " %s", self->machine.run, state);
}

// Gives the machine an event, does what it decides, and goes on with what follows from that.
static void step(struct sync *self, struct sync_event event)
{
    bool more = true;
    while (more) {
        enum sync_state before = self->machine.state;
        struct sync_update update;
        event.now_ms = clock_boot_ms();
        sync_machine_step(&self->machine, &event, &update);
        if (self->machine.state != before)
            say_state(self);
        for (size_t i = 0; i < update.count; i++)
            act(self, update.actions[i]);
        more = self->follows;
        event = self->next;
        self->follows = false;
    }
}

static void fetched(struct sync *self, enum err err, const struct fault *fault)
{
    count_transfer(self);
    if (err != ERR_OK)
        self->run.fault = *fault;
    step(self, (struct sync_event){.kind = SYNC_EVENT_FETCHED, .ok = err == ERR_OK});
}

static void end_apply(struct sync *self)
{
    struct fault fault = {.err = ERR_OK};
    bool ok = false;
    if (apply_end(&self->apply, &ok, &fault) != ERR_OK)
        break_off(self, &fault);
    else
        log_write(ok ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "applied", "job=%s run=%" PRIu64 " ok=%d error=%s",
                  self->job->name, self->run.run, ok, fault.text);
    news_look(self->news);
    step(self, (struct sync_event){.kind = SYNC_EVENT_APPLIED, .ok = ok});
}

// ---------------------------------------------------------------- what the loop brings

// True when the broker will not grant this run to us however often it is asked.
static bool is_over(enum syncbus_code code)
{
    return code == SYNCBUS_CONFLICT || code == SYNCBUS_NOT_FOUND || code == SYNCBUS_INVALID ||
           code == SYNCBUS_FORBIDDEN;
}

static void on_refused(struct sync *self, const struct syncbus_notice *notice)
{
    log_write(LOG_LEVEL_WARNING, "refused", "job=%s run=%" PRIu64 " code=%d text=%s", self->job->name,
              self->machine.run, (int)notice->code, notice->text);
    step(self, (struct sync_event){.kind = SYNC_EVENT_REFUSED, .over = is_over(notice->code)});
}

// The one call that may write: deletions that it released are a change to be told of, and their alert is
// over.
static void on_deletions(struct sync *self, const struct syncbus_notice *notice)
{
    struct fault fault = {.err = ERR_OK};
    Sb__Withheld before = SB__WITHHELD__INIT;
    Sb__Withheld after = SB__WITHHELD__INIT;
    enum err err = delta_withheld(self->store, &before, &fault);
    if (err == ERR_OK)
        err = sync_answer(service_client(self->service), self->store, notice, &fault);
    if (err == ERR_OK)
        err = delta_withheld(self->store, &after, &fault);
    if (err != ERR_OK)
        break_off(self, &fault);
    else if (after.count != before.count)
        news_released(self->news);
}

static void on_call(struct sync *self, const struct syncbus_notice *notice)
{
    struct fault fault = {.err = ERR_OK};
    if (strcmp(notice->method, "deletions") == 0)
        on_deletions(self, notice);
    else if (sync_answer(service_client(self->service), self->store, notice, &fault) != ERR_OK)
        break_off(self, &fault);
}

static void on_notice(void *arg, const struct syncbus_notice *notice)
{
    struct sync *self = arg;
    bool mine = notice->claim != 0 && notice->claim == self->claim;
    switch (notice->kind) {
    case SYNCBUS_CONNECTED:
        log_write(LOG_LEVEL_INFO, "connected", "job=%s", self->job->name);
        news_connected(self->news);
        break;
    case SYNCBUS_DISCONNECTED:
        log_write(LOG_LEVEL_WARNING, "disconnected", "job=%s text=%s", self->job->name, notice->text);
        break;
    case SYNCBUS_TICK:
        if (strcmp(notice->job, self->job->name) == 0)
            step(self, (struct sync_event){
                           .kind = SYNC_EVENT_TICK, .run = notice->run, .attempt = notice->attempt});
        break;
    case SYNCBUS_GRANTED:
        if (mine)
            step(self, (struct sync_event){.kind = SYNC_EVENT_GRANTED, .token = notice->token});
        break;
    case SYNCBUS_REFUSED:
        if (mine)
            on_refused(self, notice);
        break;
    case SYNCBUS_YIELD:
        if (mine)
            step(self, (struct sync_event){.kind = SYNC_EVENT_YIELD});
        break;
    case SYNCBUS_LOST:
        if (mine)
            step(self, (struct sync_event){.kind = SYNC_EVENT_LOST});
        break;
    case SYNCBUS_CALL: on_call(self, notice); break;
    case SYNCBUS_REPLY: news_reply(self->news, notice); break;
    default: break; // where a wish stands is the broker's to show
    }
}

// What the broker judges by whether a fetch hangs, and says when it will end.
static void tell_progress(struct sync *self)
{
    if (self->transfer_ms != 0)
        syncbus_progress(service_client(self->service), self->claim, download_done(self->download),
                         download_total(self->download));
}

// A connection may come to stand long after it was asked for, as after a freeze: the lease must still be
// there.
static bool may_send(void *arg)
{
    const struct sync *self = arg;
    return syncbus_left_ms(service_client(self->service), self->claim) > 0;
}

static void on_transfer(void *arg, CURL *easy, CURLcode result)
{
    struct sync *self = arg;
    if (!download_is(self->download, easy))
        return;
    // A lease that is over by now may already be an order's: what came after its end does not count.
    if (syncbus_left_ms(service_client(self->service), self->claim) <= 0) {
        download_cut(self->download);
        download_forget(self->download);
        step(self, (struct sync_event){.kind = SYNC_EVENT_LOST});
        return;
    }
    struct fault fault = {.err = ERR_OK};
    bool more = false;
    enum err err = download_ended(self->download, result, clock_boot_ms(), &more, &fault);
    tell_progress(self);
    if (err != ERR_OK || !more) {
        fetched(self, err, &fault);
        return;
    }
    count_transfer(self);
    step(self, (struct sync_event){.kind = SYNC_EVENT_PART});
}

static void on_time(void *arg, int64_t boot_ms, int64_t wall_ms)
{
    (void)wall_ms;
    struct sync *self = arg;
    struct fault fault = {.err = ERR_OK};
    tell_progress(self);
    enum err err = download_time(self->download, boot_ms, &fault);
    if (err != ERR_OK)
        fetched(self, err, &fault);
    if (self->apply != NULL && apply_is_done(self->apply))
        end_apply(self);
    if (boot_ms >= sync_machine_deadline(&self->machine))
        step(self, (struct sync_event){.kind = SYNC_EVENT_TIME});
    if (news_time(self->news, boot_ms, &fault) != ERR_OK)
        break_off(self, &fault);
    if (self->broken.err != ERR_OK && !self->machine.stopping)
        step(self, (struct sync_event){.kind = SYNC_EVENT_STOP});
}

static int64_t on_deadline(void *arg)
{
    const struct sync *self = arg;
    int64_t deadline = sync_machine_deadline(&self->machine);
    int64_t transfer = download_deadline(self->download);
    int64_t news = news_deadline(self->news);
    deadline = transfer < deadline ? transfer : deadline;
    return news < deadline ? news : deadline;
}

static bool on_idle(void *arg)
{
    const struct sync *self = arg;
    return sync_machine_is_idle(&self->machine);
}

static void on_stop(void *arg)
{
    struct sync *self = arg;
    step(self, (struct sync_event){.kind = SYNC_EVENT_STOP});
}

static bool on_stopped(void *arg)
{
    const struct sync *self = arg;
    return self->broken.err != ERR_OK ? self->apply == NULL : sync_machine_stopped(&self->machine);
}

// ---------------------------------------------------------------- life

static enum err open_all(struct sync *self, const struct config *config, bool standby,
                         struct service_life *life, struct fault *fault)
{
    const char *const names[] = {self->job->name, NULL};
    char name[80];
    char spool[4096];
    snprintf(name, sizeof name, "sync-%s", self->job->name);
    const struct service_options options = {.config = config,
                                            .name = name,
                                            .data = self->job->data,
                                            .jobs = names,
                                            .serves = names,
                                            .standby = standby,
                                            .locked = &life->directory};
    enum err err = service_new(&options, &self->service, fault);
    if (err != ERR_OK)
        return err;
    err = delta_open(self->job, &self->store, fault);
    if (err != ERR_OK)
        return err;
    snprintf(spool, sizeof spool, "%s/spool", self->job->data);
    err = download_new(self->job, spool, service_transfers(self->service), &self->download, fault);
    if (err != ERR_OK)
        return err;
    download_guard(self->download, may_send, self);
    return news_new(self->job->name, self->store, self->service, &self->news, fault);
}

// Between the pages of an export that has none is nowhere: it is cut.
static enum sync_yield yield_of(const struct config_job *job)
{
    switch (job->yield) {
    case YIELD_FINISH: return SYNC_YIELD_NEVER;
    case YIELD_PAGE: return job->source.page_parameter != NULL ? SYNC_YIELD_PART : SYNC_YIELD_CUT;
    default: return SYNC_YIELD_CUT;
    }
}

const struct service_handler sync_handler = {.notice = on_notice,
                                             .transfer = on_transfer,
                                             .time = on_time,
                                             .deadline = on_deadline,
                                             .idle = on_idle,
                                             .stop = on_stop,
                                             .stopped = on_stopped};

enum err sync_new(const struct config *config, const struct config_job *job, bool standby,
                  struct service_life *life, struct sync **ret, struct fault *fault)
{
    struct sync *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    *self = (struct sync){.job = job, .resource = config->resources[job->resource].name};
    const struct sync_options options = {.yield = yield_of(job), .max_yields = job->max_yields};
    uint64_t last_run = 0;
    uint32_t last_attempt = 0;
    enum err err = open_all(self, config, standby, life, fault);
    if (err == ERR_OK)
        err = delta_last_run(self->store, &last_run, &last_attempt, fault);
    if (err != ERR_OK) {
        sync_destroy(&self);
        return err;
    }
    sync_machine_init(&self->machine, &options, last_run, last_attempt);
    service_status(self->service, "no run taken yet");
    *ret = self;
    return ERR_OK;
}

void sync_destroy(struct sync **self_p)
{
    struct sync *self = *self_p;
    if (self == NULL)
        return;
    if (self->apply != NULL) {
        bool ok;
        apply_cancel(self->apply);
        (void)!apply_end(&self->apply, &ok, NULL);
    }
    news_destroy(&self->news);
    download_destroy(&self->download);
    delta_close(&self->store);
    service_destroy(&self->service);
    free(self);
    *self_p = NULL;
}

struct service *sync_service(const struct sync *self)
{
    return self->service;
}

enum err sync_broken(const struct sync *self, struct fault *fault)
{
    return self->broken.err == ERR_OK ? ERR_OK : fault_set(fault, self->broken.err, "%s", self->broken.text);
}
