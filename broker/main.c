// The broker: config → core → loop. It carries events to the core and what follows from them to the journal
// and the sockets; it decides nothing.
#include "broker/core/core.h"
#include "broker/journal.h"
#include "broker/net.h"
#include "broker/post.h"
#include "broker/settings.h"
#include "broker/tables.h"

#include "proto/io/clock.h"
#include "proto/io/directory.h"
#include "proto/io/log.h"
#include "proto/io/notify.h"
#include "proto/io/program.h"
#include "proto/wire.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    BATCH_MAX = 64,               // requests taken between two waits
    DESCRIPTORS_MAX = 65536,      // asked of the system
    LINGER_MS = 500,              // at the end, for the last messages to leave
    PEERS_SPARE = 8192,           // connections remembered beside those of sessions
    PRUNE_EVERY_MS = 3600 * 1000, // between two looks for old history
};

static const uint64_t PEER_SELF = UINT64_MAX; // no connection's number: what is answered to it is logged

// A config that is to be read again.
struct reload {
    bool wanted;                  // soon
    bool under_way;               // the core has it now, and answers
    bool refused;                 // that was its answer
    struct core_reload_wish wish; // whom to answer
};

struct broker {
    struct config *config;   // as last read, owned
    struct net *net;         // owned
    struct journal *journal; // owned
    void *memory;            // of the core, owned
    size_t memory_size;      // bytes of it
    struct core *core;       // in `memory`
    struct post post;        // what is sent, and what waits for the journal
    uint64_t unread;         // messages that were no request
    uint64_t epoch;          // as last said by the core
    int64_t boot_ms;         // last time given to the core
    int64_t prune_at_ms;     // BOOTTIME of the next prune
    struct notify notify;    // tells the service manager
    int signals;             // signalfd
    int timer;               // timerfd
    struct reload reload;    // what was asked for
    bool stopping;           // a clean stop was asked for
    bool stop_now;           // and then asked for again
    struct fault fault;      // what the broker cannot go on after; err is ERR_OK while it can
};

static void break_off(struct broker *self, enum err err, const struct fault *fault)
{
    if (self->fault.err != ERR_OK)
        return;
    self->fault = *fault;
    if (self->fault.err == ERR_OK)
        fault_set(&self->fault, err, "%s", err_text(err));
}

// Answers what the core could not be asked: bytes that are no request.
static void refuse(struct broker *self, uint64_t peer, uint64_t request, const char *why)
{
    Sb__Reply reply = SB__REPLY__INIT;
    reply.id = request;
    reply.epoch = self->epoch;
    reply.code = SB__CODE__CODE_INVALID;
    reply.text = (char *)why;
    self->unread++;
    log_write(LOG_LEVEL_DEBUG, "refused", "why=%s", why);
    const enum err err = post_reply(&self->post, &(struct core_reply){.peer = peer, .reply = &reply}, 0, 0);
    if (err != ERR_OK)
        break_off(self, err, &(struct fault){0});
}

// ---------------------------------------------------------------- the core

static void answer_read(struct broker *self, const struct core_read *read)
{
    struct fault fault = {0};
    ProtobufCMessage **values = NULL;
    size_t count = 0;
    enum err err = journal_read(self->journal, read, &values, &count, &fault);
    if (err != ERR_OK) {
        break_off(self, err, &fault);
        return;
    }
    const struct core_reply reply = {
        .peer = read->peer,
        .reply = core_read_reply(self->core, read, (const ProtobufCMessage *const *)values, count)};
    err = post_reply(&self->post, &reply, 0, 0);
    if (err != ERR_OK)
        break_off(self, err, &fault);
    journal_values_free(values, count);
}

// What the core says to a config that was read again; one whose place is known was told as it was read.
static void take_verdict(struct broker *self, const Sb__Reply *reply)
{
    self->reload.refused = reply->code != SB__CODE__CODE_OK;
    if (!self->reload.refused)
        log_write(LOG_LEVEL_INFO, "reloaded", "path=%s", self->config->path);
    else
        log_write(LOG_LEVEL_ERROR, "reload refused", "path=%s why=%s", self->config->path, reply->text);
}

// Carries out what a step decided: records first, then replies, then publications.
static void carry_out(struct broker *self, const struct core_update *update)
{
    struct fault fault = {0};
    uint64_t number = core_update_number(self->core);
    enum err err = journal_append(self->journal, number, update->records, update->record_count, &fault);
    if (err != ERR_OK) {
        break_off(self, err, &fault);
        return;
    }
    const uint64_t durable = journal_durable(self->journal);
    for (size_t i = 0; i < update->reply_count && err == ERR_OK; i++) {
        const struct core_reply *reply = &update->replies[i];
        self->epoch = reply->reply->epoch;
        if (self->reload.under_way && reply->peer == self->reload.wish.peer &&
            reply->reply->id == self->reload.wish.request)
            take_verdict(self, reply->reply);
        if (reply->peer != PEER_SELF)
            err = post_reply(&self->post, reply, number, durable);
    }
    for (size_t i = 0; i < update->publication_count && err == ERR_OK; i++)
        err = post_event(&self->post, &update->publications[i], number, durable);
    if (err != ERR_OK)
        break_off(self, err, &fault);
    for (size_t i = 0; i < update->read_count; i++)
        answer_read(self, &update->reads[i]);
    if (update->reload != NULL)
        self->reload = (struct reload){.wanted = true, .wish = *update->reload};
}

// Gives one event to the core, at the time that it is now.
static void step(struct broker *self, struct core_event *event)
{
    struct core_update update;
    int64_t boot_ms = clock_boot_ms();
    self->boot_ms = boot_ms > self->boot_ms ? boot_ms : self->boot_ms;
    event->boot_ms = self->boot_ms;
    event->wall_ms = clock_wall_ms();
    event->durable = journal_durable(self->journal);
    core_step(self->core, event, &update);
    carry_out(self, &update);
}

// Tells the core of the peers that could not be reached; that may reach for more of them.
static void tell_gone(struct broker *self)
{
    uint64_t peer;
    while (self->fault.err == ERR_OK && post_take_gone(&self->post, &peer))
        step(self, &(struct core_event){.kind = CORE_EVENT_PEER_GONE, .peer_gone = peer});
}

static void start_core(struct broker *self)
{
    struct fault fault = {0};
    struct core_event event = {.kind = CORE_EVENT_START};
    struct core_record *records = NULL;
    enum err err = journal_recover(self->journal, &records, &event.start.count, &fault);
    if (err != ERR_OK) {
        break_off(self, err, &fault);
        return;
    }
    event.start.records = records;
    event.start.entropy = clock_entropy();
    size_t count = event.start.count;
    step(self, &event);
    journal_recovered_free(records, count);
    if (self->fault.err == ERR_OK) // nothing may be said before the new epoch is on disk (I10)
        err = journal_wait(self->journal, core_update_number(self->core), &fault);
    if (err != ERR_OK)
        break_off(self, err, &fault);
}

// ---------------------------------------------------------------- the loop

static void warn(void *arg, const char *line)
{
    (void)arg;
    log_write(LOG_LEVEL_WARNING, "config", "line=%s", line);
}

// Reads the config again and gives it to the core; a bad one changes nothing.
static void reload(struct broker *self)
{
    struct core_event event = {.kind = CORE_EVENT_RELOAD};
    struct config *config = NULL;
    struct settings settings = {0};
    struct fault fault = {0};
    enum err err = config_load(self->config->path, self->config->speed, warn, NULL, &config, &fault);
    if (err == ERR_OK)
        err = settings_make(config, &settings);
    event.reload.wish = self->reload.wish;
    event.reload.config = err == ERR_OK ? &settings.core : NULL;
    event.reload.why = fault.err != ERR_OK ? fault.text : err_text(err);
    self->reload = (struct reload){.under_way = true, .refused = true, .wish = event.reload.wish};
    step(self, &event);
    const bool refused = self->reload.refused;
    self->reload = (struct reload){0};
    settings_free(&settings);
    config_destroy(refused ? &config : &self->config);
    if (!refused)
        self->config = config;
}

static void reload_if_wanted(struct broker *self)
{
    if (self->reload.wanted && self->fault.err == ERR_OK)
        reload(self);
}

static void take_request(struct broker *self, const struct net_frame *frame)
{
    struct fault fault = {0};
    Sb__Request *request = NULL;
    if (frame->malformed) {
        refuse(self, frame->peer, 0, "a request is one frame, after an empty delimiter or none");
        return;
    }
    enum err err = wire_request(frame->data, frame->size, &request, &fault);
    if (err != ERR_OK) {
        refuse(self, frame->peer, wire_request_id(frame->data, frame->size), fault.text);
        return;
    }
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = frame->peer;
    event.request.request = request;
    step(self, &event);
    sb__request__free_unpacked(request, NULL);
    reload_if_wanted(self); // each one who asks is answered
}

static void take_requests(struct broker *self)
{
    struct net_frame frame;
    struct fault fault = {0};
    for (int i = 0; i < BATCH_MAX && self->fault.err == ERR_OK; i++) {
        enum err err = net_receive(self->net, &frame, &fault);
        if (err == ERR_NOT_FOUND)
            return;
        if (err != ERR_OK)
            break_off(self, err, &fault);
        else
            take_request(self, &frame);
        tell_gone(self);
    }
}

static void take_signals(struct broker *self)
{
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            self->reload = (struct reload){.wanted = true, .wish = {.peer = PEER_SELF, .request = 1}};
            reload(self);
            continue;
        }
        if (self->stopping) {
            self->stop_now = true;
            continue;
        }
        self->stopping = true;
        notify_stopping(&self->notify);
        log_write(LOG_LEVEL_INFO, "stopping", "signal=%u", info.ssi_signo);
        step(self, &(struct core_event){.kind = CORE_EVENT_STOP});
    }
}

// Sets the timer to the next deadline: absolute and exact, as rounding to ms would cost a tick up to one.
static void set_timer(struct broker *self)
{
    int64_t core = core_deadline(self->core);
    int64_t sign = notify_deadline(&self->notify);
    int64_t deadline = core < sign ? core : sign;
    struct itimerspec spec = {0};
    if (deadline != INT64_MAX) {
        deadline = deadline > 0 ? deadline : 1;
        spec.it_value.tv_sec = deadline / 1000;
        spec.it_value.tv_nsec = deadline % 1000 * 1000000;
    }
    int done = timerfd_settime(self->timer, TFD_TIMER_ABSTIME, &spec, NULL);
    assert(done == 0);
}

static void take_time(struct broker *self)
{
    int64_t now = clock_boot_ms();
    if (self->stopping || core_deadline(self->core) <= now) // a stop ends with a commit, not with a time
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
    reload_if_wanted(self);
    if (now >= self->prune_at_ms) {
        journal_prune(self->journal, clock_wall_ms() - self->config->broker.keep_ms);
        self->prune_at_ms = now + PRUNE_EVERY_MS;
    }
}

// What the service manager hears at the end of a turn.
static void tell(struct broker *self, bool behind)
{
    const struct config *config = self->config;
    if (behind)
        notify_status(&self->notify, "waiting for the disk: requests wait until the journal has caught up");
    else
        notify_status(&self->notify, "serving %zu job%s at %s", config->job_count,
                      config->job_count == 1 ? "" : "s", config->broker.requests);
    notify_turned(&self->notify, clock_boot_ms());
}

static void turn(struct broker *self)
{
    const int fds[] = {self->signals, self->timer, journal_fd(self->journal)};
    struct fault fault = {0};
    bool behind = journal_is_behind(self->journal);
    set_timer(self);
    enum err err = net_wait(self->net, fds, sizeof fds / sizeof *fds, !behind, -1, &fault);
    if (err == ERR_OK)
        err = journal_settle(self->journal, &fault);
    if (err != ERR_OK) {
        break_off(self, err, &fault);
        return;
    }
    post_settle(&self->post, journal_durable(self->journal));
    tell_gone(self);
    take_signals(self);
    if (!behind)
        take_requests(self);
    take_time(self);
    tell_gone(self);
    tell(self, behind);
}

static bool finished(const struct broker *self)
{
    if (self->fault.err != ERR_OK || self->stop_now)
        return true;
    return self->stopping && core_stopped(self->core) && post_is_empty(&self->post);
}

// ---------------------------------------------------------------- start and end

// As many descriptors as are allowed: each connection takes one.
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t wanted = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum err open_signals(struct broker *self, struct fault *fault)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL); // before any thread starts: they all inherit it
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error to tell, not a silent end
    self->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    self->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (self->signals < 0 || self->timer < 0)
        return fault_set(fault, ERR_IO, "no descriptors for signals and time: %s", strerror(errno));
    return ERR_OK;
}

static enum err make_core(struct broker *self, struct fault *fault)
{
    struct settings settings = {0};
    enum err err = settings_make(self->config, &settings);
    if (err != ERR_OK)
        return fault_set(fault, err, "no memory for the tables of the config");
    const size_t size = self->memory_size = core_size(&settings.core, fault);
    if (size > 0 && (self->memory = tables_new(size)) != NULL)
        self->core = core_init(self->memory, &settings.core);
    settings_free(&settings);
    if (self->core != NULL)
        return ERR_OK;
    return size == 0 ? ERR_INVALID
                     : fault_set(fault, ERR_NO_MEMORY, "no memory for the tables of the config");
}

// Everything that can refuse to start, the cheapest and most telling first.
static enum err open_all(struct broker *self, struct directory *directory, struct fault *fault)
{
    const struct config_broker *config = &self->config->broker;
    const struct net_options options = {.requests = config->requests,
                                        .events = config->events,
                                        .frame_max = config->frame_max,
                                        .peers_max = 2 * (size_t)config->sessions_max + PEERS_SPARE};
    raise_limit();
    enum err err = open_signals(self, fault);
    if (err == ERR_OK)
        err = make_core(self, fault);
    if (err == ERR_OK)
        err = directory_lock(config->data, directory, fault);
    if (err == ERR_OK)
        err = journal_open(config->data, &self->journal, fault);
    if (err == ERR_OK)
        err = net_open(&options, &self->net, fault);
    post_init(&self->post, self->net);
    return err;
}

static int exit_code_of(enum err err)
{
    switch (err) {
    case ERR_OK: return EXIT_CODE_OK;
    case ERR_INVALID:
    case ERR_REFUSED: return EXIT_CODE_USAGE;
    case ERR_BUSY: return EXIT_CODE_REFUSED;
    default: return EXIT_CODE_FAILED;
    }
}

static int run(struct config *config)
{
    struct broker self = {.config = config, .signals = -1, .timer = -1};
    struct directory directory = {.lock = -1};
    struct fault fault = {0};
    notify_open(&self.notify);
    notify_status(&self.notify, "recovering from the journal");
    enum err err = open_all(&self, &directory, &fault);
    if (err != ERR_OK)
        break_off(&self, err, &fault);
    else
        start_core(&self);
    if (self.fault.err == ERR_OK) { // bound and recovered: whoever asks from here on is answered
        log_write(LOG_LEVEL_INFO, "started", "requests=%s events=%s jobs=%zu", config->broker.requests,
                  config->broker.events, config->job_count);
        notify_ready(&self.notify);
    }
    while (!finished(&self))
        turn(&self);
    journal_close(&self.journal);
    net_close(&self.net, self.fault.err == ERR_OK ? LINGER_MS : 0);
    if (self.fault.err != ERR_OK)
        log_write(LOG_LEVEL_ERROR, "ended", "why=%s", self.fault.text);
    else
        log_write(LOG_LEVEL_INFO, "ended", "clean=%s as_json=%" PRIu64 " unread=%" PRIu64,
                  self.stop_now ? "no" : "yes", self.post.converted, self.unread);
    post_free(&self.post);
    tables_free(self.memory, self.memory_size);
    config_destroy(&self.config);
    directory_unlock(&directory);
    if (self.signals >= 0)
        (void)close(self.signals);
    if (self.timer >= 0)
        (void)close(self.timer);
    return exit_code_of(self.fault.err);
}

int main(int argc, char **argv)
{
    static const struct program program = {
        .name = "syncbus-broker",
        .usage = "syncbus-broker [--config FILE]\n"
                 "\n"
                 "Publishes the ticks of all jobs and lets syncs and orders take turns on each ERP.\n"
                 "SIGHUP: reads the configuration again; a wrong one changes nothing.",
        .needs_config = true,
    };
    struct config *config = NULL;
    log_open("syncbus-broker");
    int code = program_start(&program, argc, argv, NULL, NULL, &config);
    if (code != -1)
        return code;
    return run(config);
}
