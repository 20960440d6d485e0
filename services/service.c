#include "services/service.h"

#include "proto/io/clock.h"
#include "proto/io/directory.h"
#include "proto/io/log.h"
#include "proto/io/notify.h"
#include "proto/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FDS_MAX = 8, SLEEP_MAX_MS = 60000, STATUS_MAX = 256 };

struct service {
    struct directory directory;  // locked
    syncbus_client_t *client;    // owned
    CURLM *transfers;            // owned
    const struct config *config; // as it is now, the caller's
    struct config *next;         // to begin anew with; owned; NULL: none
    bool winding_up;             // for that
    int signals;                 // signalfd
    unsigned signal_count;       // that asked for the end
    struct notify notify;        // tells the service manager
    bool connected;              // a session stands
    char status[STATUS_MAX];     // what the service is doing, in its own words
};

static enum err open_signals(struct service *self, struct fault *fault)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN); // curl raises it at times in spite of its option
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        self->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return self->signals >= 0 ? ERR_OK
                              : fault_set(fault, ERR_IO, "signals cannot be read: %s", strerror(errno));
}

static void warn(void *arg, const char *line)
{
    (void)arg;
    log_write(LOG_LEVEL_WARNING, "config", "line=%s", line);
}

// Reads the config again; one that is wrong changes nothing.
static void read_config(struct service *self)
{
    struct config *config = NULL;
    struct fault fault = {0};
    if (config_load(self->config->path, self->config->speed, warn, NULL, &config, &fault) != ERR_OK) {
        log_write(LOG_LEVEL_ERROR, "reload refused", "why=%s", fault.text);
        return;
    }
    config_destroy(&self->next);
    self->next = config;
    log_write(LOG_LEVEL_INFO, "reloading", "path=%s", self->config->path);
}

// Counts what came in to end it, and says that the end has begun.
static unsigned read_signals(struct service *self)
{
    struct signalfd_siginfo info;
    const unsigned before = self->signal_count;
    while (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            read_config(self);
            continue;
        }
        log_write(LOG_LEVEL_INFO, "stopping", "signal=%" PRIu32, info.ssi_signo);
        notify_stopping(&self->notify);
        self->signal_count++;
    }
    return self->signal_count - before;
}

static int ms_until(int64_t deadline)
{
    const int64_t left = deadline - clock_boot_ms();
    return left <= 0 ? 0 : left > SLEEP_MAX_MS ? SLEEP_MAX_MS : (int)left;
}

// Sleeps until the process that has the directory has ended, or a signal came.
static enum err stand_by(struct service *self, struct directory_wait **wait, struct fault *fault)
{
    struct pollfd fds[] = {{.fd = self->signals, .events = POLLIN},
                           {.fd = directory_wait_fd(*wait), .events = POLLIN}};
    while (fds[1].revents == 0) {
        if (poll(fds, 2, ms_until(notify_deadline(&self->notify))) < 0 && errno != EINTR)
            return fault_set(fault, ERR_IO, "the directory cannot be waited for: %s", strerror(errno));
        if (read_signals(self) > 0)
            return fault_set(fault, ERR_STOPPED, "%s", err_text(ERR_STOPPED));
        notify_turned(&self->notify, clock_boot_ms());
    }
    return directory_wait_take(wait, &self->directory, fault);
}

// Locks the directory. A standby is ready as soon as it stands by: its manager would otherwise take it for
// one that does not come up, and it would be ended in place of watched.
static enum err lock(struct service *self, const struct service_options *options, struct fault *fault)
{
    struct fault why = {.err = ERR_OK};
    struct directory_wait *wait = NULL;
    if (self->directory.lock >= 0)
        return ERR_OK;
    enum err err = directory_lock(options->data, &self->directory, &why);
    if (err != ERR_BUSY || !options->standby)
        return err == ERR_OK ? ERR_OK : fault_set(fault, err, "%s", why.text);
    err = directory_wait_new(options->data, &wait, fault);
    if (err != ERR_OK)
        return err;
    log_write(LOG_LEVEL_INFO, "standing by", "why=%s", why.text);
    notify_status(&self->notify, "standing by: %s", why.text);
    notify_ready(&self->notify);
    err = stand_by(self, &wait, fault);
    directory_wait_destroy(&wait);
    if (err == ERR_OK)
        log_write(LOG_LEVEL_INFO, "taking over", "data=%s", options->data);
    return err;
}

enum err service_new(const struct service_options *options, struct service **ret, struct fault *fault)
{
    struct service *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
    self->directory.lock = self->signals = -1;
    if (options->locked != NULL) {
        self->directory = *options->locked;
        options->locked->lock = -1;
    }
    self->config = options->config;
    notify_open(&self->notify);
    enum err err = open_signals(self, fault);
    if (err == ERR_OK)
        err = lock(self, options, fault);
    if (err == ERR_OK && curl_global_init(CURL_GLOBAL_DEFAULT) == 0)
        self->transfers = curl_multi_init();
    const struct syncbus_options joining = {.requests = options->config->broker.requests,
                                            .events = options->config->broker.events,
                                            .name = options->name,
                                            .version = SYNCBUS_VERSION,
                                            .instance = self->directory.instance,
                                            .jobs = options->jobs,
                                            .serves = options->serves};
    if (err == ERR_OK && self->transfers != NULL)
        self->client = syncbus_new(&joining);
    if (err == ERR_OK && self->client == NULL)
        err = fault_set(fault, errno == EINVAL ? ERR_INVALID : ERR_NO_MEMORY,
                        "%s cannot join the bus at %s: %s", options->name, joining.requests, strerror(errno));
    if (err != ERR_OK)
        service_destroy(&self);
    else
        *ret = self;
    return err;
}

void service_destroy(struct service **self_p)
{
    struct service *self = *self_p;
    if (self == NULL)
        return;
    syncbus_destroy(&self->client);
    if (self->transfers != NULL)
        (void)curl_multi_cleanup(self->transfers);
    curl_global_cleanup();
    if (self->signals >= 0)
        (void)close(self->signals);
    directory_unlock(&self->directory);
    config_destroy(&self->next);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- the loop

static void take_signals(struct service *self, const struct service_handler *handler, void *arg)
{
    const bool first = self->signal_count == 0 && !self->winding_up;
    bool stops = read_signals(self) > 0;
    if (!stops && first && self->next != NULL && handler->idle(arg))
        stops = self->winding_up = true;
    if (stops && first)
        handler->stop(arg);
}

// Lets curl work, and hands over the transfers that ended.
static CURLMcode take_transfers(struct service *self, const struct service_handler *handler, void *arg)
{
    int running = 0;
    CURLMcode code = curl_multi_perform(self->transfers, &running);
    int left = 0;
    for (CURLMsg *message;
         code == CURLM_OK && (message = curl_multi_info_read(self->transfers, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        const CURLcode result = message->data.result; // the message is gone after the removal
        code = curl_multi_remove_handle(self->transfers, easy);
        handler->transfer(arg, easy, result);
    }
    return code;
}

static void take_notices(struct service *self, const struct service_handler *handler, void *arg)
{
    struct syncbus_notice notice;
    while (syncbus_next(self->client, &notice) == 1) {
        if (notice.kind == SYNCBUS_CONNECTED || notice.kind == SYNCBUS_DISCONNECTED)
            self->connected = notice.kind == SYNCBUS_CONNECTED;
        handler->notice(arg, &notice);
    }
    handler->time(arg, clock_boot_ms(), clock_wall_ms());
}

// What the service manager hears at the end of a turn.
static void tell(struct service *self)
{
    if (self->connected) {
        notify_status(&self->notify, "%s", self->status);
        notify_ready(&self->notify);
    } else {
        notify_status(&self->notify, "waiting for the broker at %s; %s", self->config->broker.requests,
                      self->status);
    }
    notify_turned(&self->notify, clock_boot_ms());
}

// ms until something is due by itself.
static int sleep_ms(struct service *self, const struct service_handler *handler, void *arg)
{
    int64_t nearest = handler->deadline(arg);
    const int64_t bus = syncbus_deadline_ms(self->client);
    const int64_t sign = notify_deadline(&self->notify);
    nearest = bus < nearest ? bus : nearest;
    return ms_until(sign < nearest ? sign : nearest);
}

static CURLMcode sleep_until_something(struct service *self, const struct service_handler *handler, void *arg)
{
    struct pollfd fds[FDS_MAX];
    struct curl_waitfd extra[FDS_MAX + 1] = {{.fd = self->signals, .events = CURL_WAIT_POLLIN}};
    const size_t count = syncbus_fds(self->client, fds, FDS_MAX);
    for (size_t i = 0; i < count; i++)
        extra[i + 1] = (struct curl_waitfd){.fd = fds[i].fd, .events = CURL_WAIT_POLLIN};
    return curl_multi_poll(self->transfers, extra, (unsigned)count + 1, sleep_ms(self, handler, arg), NULL);
}

enum err service_run(struct service *self, const struct service_handler *handler, void *arg,
                     struct fault *fault)
{
    for (;;) {
        CURLMcode code = take_transfers(self, handler, arg);
        take_signals(self, handler, arg);
        take_notices(self, handler, arg);
        tell(self);
        if (self->signal_count > 1 || handler->stopped(arg))
            return ERR_OK;
        if (code == CURLM_OK)
            code = sleep_until_something(self, handler, arg);
        if (code != CURLM_OK)
            return fault_set(fault, ERR_IO, "transfers cannot go on: %s", curl_multi_strerror(code));
    }
}

// ---------------------------------------------------------------- for the handler's use

void service_leave(struct service *self, struct service_life *ret)
{
    *ret = (struct service_life){.directory = {.lock = -1}};
    if (!self->winding_up || self->signal_count > 0)
        return;
    *ret = (struct service_life){.next = self->next, .directory = self->directory};
    self->next = NULL;
    self->directory.lock = -1;
}

syncbus_client_t *service_client(struct service *self)
{
    return self->client;
}

CURLM *service_transfers(struct service *self)
{
    return self->transfers;
}

void service_status(struct service *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(self->status, sizeof self->status, format, arguments);
    va_end(arguments);
}

uint64_t service_ask(struct service *self, const void *request_message, uint32_t timeout_ms)
{
    struct buffer bytes;
    buffer_init(&bytes, WIRE_FRAME_MAX);
    uint64_t ask = 0;
    if (wire_pack(request_message, &bytes) == ERR_OK)
        ask = syncbus_ask(self->client, bytes.data, bytes.size, timeout_ms);
    buffer_free(&bytes);
    return ask;
}

void service_answer(struct service *self, uint64_t call, enum syncbus_code code, const char *text,
                    const void *body_message)
{
    struct buffer bytes;
    buffer_init(&bytes, WIRE_BODY_MAX);
    if (body_message != NULL && wire_pack(body_message, &bytes) != ERR_OK) {
        buffer_clear(&bytes);
        code = SYNCBUS_INTERNAL;
        text = "the answer is larger than 256 KiB; ask for less at once";
    }
    if (syncbus_answer(self->client, call, code, text, bytes.data, bytes.size) != 0)
        log_write(LOG_LEVEL_WARNING, "answer-lost", "call=%" PRIu64, call);
    buffer_free(&bytes);
}
