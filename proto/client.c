// The session's zmq shell: one DEALER for requests, one SUB for publications.
//
// Their descriptors are edge-triggered: a wake-up comes once for whatever happened, and any call on a socket
// may swallow it. So every turn reads both sockets to their ends, sends what it can, and then asks both what
// is left; only when that is nothing may anybody wait.
#include "proto/session.h"
#include "proto/wire.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

enum {
    MESSAGE_MAX = 8 * 1024 * 1024, // bytes of one frame from the broker
    READ_BATCH = 1000,             // messages of a socket in one round
    ROUNDS_MAX = 8,                // in one turn; then the program gets its say
    GOODBYE_MS = 200,              // how long the last frames may take to leave
    TOPIC_MAX = 255,               // bytes of a topic
    LAST_TEXT_MAX = 512,
};

struct syncbus_client {
    struct session *session;       // all decisions
    char *requests;                // endpoint
    char *events;                  // endpoint, or NULL
    void *context;                 // of zmq
    void *request_socket;          // DEALER
    void *event_socket;            // SUB, or NULL
    bool again;                    // the last turn ended before the sockets were empty
    char last_text[LAST_TEXT_MAX]; // of syncbus_lease
};

// ---------------------------------------------------------------- the system

static int64_t now_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_BOOTTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static uint64_t entropy(void)
{
    uint64_t value = 0;
    while (value == 0) {
        if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
            value = 0;
    }
    return value;
}

// The same number for all clients of one host: FNV-1a over what names it.
static uint64_t host_number(void)
{
    char name[256] = "";
    FILE *file = fopen("/etc/machine-id", "re");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) == NULL)
            name[0] = '\0';
        (void)fclose(file);
    }
    if (name[0] == '\0' && gethostname(name, sizeof name - 1) != 0)
        name[0] = '?';
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *byte = name; *byte != '\0'; byte++)
        hash = (hash ^ (unsigned char)*byte) * UINT64_C(0x100000001b3);
    return hash != 0 ? hash : 1;
}

// ---------------------------------------------------------------- sockets

static void close_sockets(syncbus_client_t *self, int linger_ms)
{
    void **const sockets[] = {&self->request_socket, &self->event_socket};
    for (size_t i = 0; i < 2; i++) {
        if (*sockets[i] == NULL)
            continue;
        (void)zmq_setsockopt(*sockets[i], ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        (void)zmq_close(*sockets[i]);
        *sockets[i] = NULL;
    }
}

static void *open_socket(void *context, int type, const char *endpoint, const char *const *topics)
{
    static const int64_t size_max = MESSAGE_MAX;
    void *socket = zmq_socket(context, type);
    if (socket == NULL)
        return NULL;
    const struct {
        int option; // of the socket
        int value;  // for it
    } options[] = {{ZMQ_LINGER, 0},
                   {ZMQ_IMMEDIATE, 1},
                   {ZMQ_RECONNECT_IVL, 50},
                   {ZMQ_RECONNECT_IVL_MAX, 1000},
                   {ZMQ_IPV6, strchr(endpoint, '[') != NULL}};
    bool ok = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) == 0;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        ok = ok && zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof(int)) == 0;
    for (; topics != NULL && *topics != NULL; topics++)
        ok = ok && zmq_setsockopt(socket, ZMQ_SUBSCRIBE, *topics, strlen(*topics)) == 0;
    if (ok && zmq_connect(socket, endpoint) == 0)
        return socket;
    const int error = errno;
    (void)zmq_close(socket);
    errno = error;
    return NULL;
}

static bool open_sockets(syncbus_client_t *self)
{
    close_sockets(self, 0);
    self->request_socket = open_socket(self->context, ZMQ_DEALER, self->requests, NULL);
    if (self->request_socket == NULL)
        return false;
    if (self->events == NULL)
        return true;
    self->event_socket = open_socket(self->context, ZMQ_SUB, self->events, session_topics(self->session));
    if (self->event_socket != NULL)
        return true;
    close_sockets(self, 0);
    return false;
}

// What the socket is ready for, asked in the one way that misses nothing.
static int readiness(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    if (socket == NULL || zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) != 0)
        return 0;
    return events;
}

// Reads one message: its first and its last frame, which the caller closes. False when there is none.
static bool read_message(void *socket, zmq_msg_t *ret_first, zmq_msg_t *ret_last, size_t *ret_count)
{
    size_t count = 0;
    for (int more = 1; more; count++) {
        zmq_msg_t *frame = count == 0 ? ret_first : ret_last;
        int size;
        do
            size = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
        while (size < 0 && errno == EINTR);
        if (size < 0)
            break;
        more = zmq_msg_more(frame);
    }
    *ret_count = count;
    return count > 0;
}

static void take_reply(syncbus_client_t *self, zmq_msg_t *frame)
{
    Sb__Reply *reply = NULL;
    const void *data = zmq_msg_data(frame);
    const size_t size = zmq_msg_size(frame);
    // What cannot be read is as good as lost: it is asked again.
    if (wire_reply(data, size, &reply, NULL) == ERR_OK)
        session_reply(self->session, now_ms(), reply, data, size);
}

static void take_event(syncbus_client_t *self, zmq_msg_t *topic_frame, zmq_msg_t *frame)
{
    char topic[TOPIC_MAX + 1];
    const size_t topic_size = zmq_msg_size(topic_frame);
    Sb__Event *event = NULL;
    if (topic_size > TOPIC_MAX || memchr(zmq_msg_data(topic_frame), '\0', topic_size) != NULL)
        return;
    memcpy(topic, zmq_msg_data(topic_frame), topic_size);
    topic[topic_size] = '\0';
    // A short prefix gets what others wanted as JSON too; the same has come as a message.
    if (strncmp(topic, WIRE_JSON_TOPIC, strlen(WIRE_JSON_TOPIC)) == 0)
        return;
    const void *data = zmq_msg_data(frame);
    const size_t size = zmq_msg_size(frame);
    if (wire_event(data, size, &event, NULL) != ERR_OK)
        return;
    session_event(self->session, now_ms(), topic, event, data, size);
    sb__event__free_unpacked(event, NULL);
}

// Reads to the end, but for a flood: what is left then is found by `readiness`.
static void drain(syncbus_client_t *self, void *socket)
{
    for (int i = 0; socket != NULL && i < READ_BATCH; i++) {
        zmq_msg_t first, last;
        size_t count = 0;
        (void)zmq_msg_init(&first);
        (void)zmq_msg_init(&last);
        const bool got = read_message(socket, &first, &last, &count);
        if (got && socket == self->event_socket && count == 2)
            take_event(self, &first, &last);
        else if (got && socket == self->request_socket && count <= 2)
            take_reply(self, count == 1 ? &first : &last); // an empty delimiter may come before it
        (void)zmq_msg_close(&first);
        (void)zmq_msg_close(&last);
        if (!got)
            return;
    }
}

// Does what the session wants until the socket takes no more; true when something is still to be done.
static bool flush(syncbus_client_t *self)
{
    struct session_output output;
    while (session_output(self->session, &output)) {
        if (output.kind == SESSION_OUTPUT_CONNECT) {
            // Without descriptors the client stays as it is, and the session tries again.
            (void)open_sockets(self);
        } else if (self->request_socket == NULL) {
            return false;
        } else if (zmq_send(self->request_socket, output.data, output.size, ZMQ_DONTWAIT) < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN)
                return true;
        }
        session_done(self->session);
    }
    return false;
}

// A notice that just came is handed over before anything is sent that can wait until the next call.
static void turn(syncbus_client_t *self)
{
    self->again = true;
    for (int round = 0; self->again && round < ROUNDS_MAX; round++) {
        const bool due = now_ms() >= session_deadline(self->session);
        drain(self, self->event_socket);
        drain(self, self->request_socket);
        if (session_has_notice(self->session) && !due)
            return;
        session_time(self->session, now_ms());
        const bool pending = flush(self);
        const int wanted = ZMQ_POLLIN | (pending ? ZMQ_POLLOUT : 0);
        self->again = (readiness(self->request_socket) & wanted) != 0 ||
                      (readiness(self->event_socket) & ZMQ_POLLIN) != 0;
    }
}

// Sends what a command wants sent. That may have swallowed a wake-up: the next call looks at the sockets.
static void push(syncbus_client_t *self)
{
    (void)flush(self);
    self->again = true;
}

// ---------------------------------------------------------------- life

syncbus_client_t *syncbus_new(const struct syncbus_options *options)
{
    if (options == NULL || options->requests == NULL) {
        errno = EINVAL;
        return NULL;
    }
    syncbus_client_t *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    const struct session_options session_options = {
        .client = options, .process = entropy(), .host = host_number(), .seed = entropy()};
    int error = ENOMEM;
    self->requests = strdup(options->requests);
    self->events = options->events != NULL ? strdup(options->events) : NULL;
    if (self->requests == NULL || (options->events != NULL && self->events == NULL))
        goto fail;
    self->context = zmq_ctx_new();
    if (self->context == NULL) {
        error = errno;
        goto fail;
    }
    self->session = session_new(&session_options, now_ms());
    if (self->session == NULL) {
        error = EINVAL;
        goto fail;
    }
    if (!open_sockets(self)) {
        error = errno;
        goto fail;
    }
    session_done(self->session); // the first connection stands
    turn(self);
    return self;
fail:
    syncbus_destroy(&self);
    errno = error;
    return NULL;
}

void syncbus_destroy(syncbus_client_t **self_p)
{
    syncbus_client_t *self = *self_p;
    if (self == NULL)
        return;
    if (self->session != NULL && self->request_socket != NULL) {
        session_bye(self->session);
        (void)flush(self);
    }
    close_sockets(self, GOODBYE_MS);
    if (self->context != NULL) {
        while (zmq_ctx_term(self->context) != 0 && errno == EINTR)
            continue;
    }
    session_destroy(&self->session);
    free(self->requests);
    free(self->events);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- notices

int syncbus_next(syncbus_client_t *self, struct syncbus_notice *ret)
{
    *ret = (struct syncbus_notice){.text = ""};
    if (!session_has_notice(self->session) || now_ms() >= session_deadline(self->session))
        turn(self);
    return session_notice(self->session, ret) ? 1 : 0;
}

int64_t syncbus_deadline_ms(const syncbus_client_t *self)
{
    return self->again || session_has_notice(self->session) ? 0 : session_deadline(self->session);
}

size_t syncbus_fds(syncbus_client_t *self, struct pollfd *ret, size_t max)
{
    void *const sockets[] = {self->request_socket, self->event_socket};
    size_t count = 0;
    for (size_t i = 0; i < 2 && count < max; i++) {
        int fd = -1;
        size_t size = sizeof fd;
        if (sockets[i] == NULL || zmq_getsockopt(sockets[i], ZMQ_FD, &fd, &size) != 0)
            continue;
        ret[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    return count;
}

// How long poll may wait until the earlier of two times, INT64_MAX for none.
static int poll_timeout(int64_t deadline_ms, int64_t end_ms)
{
    const int64_t until_ms = deadline_ms < end_ms ? deadline_ms : end_ms;
    if (until_ms == INT64_MAX)
        return -1;
    const int64_t left_ms = until_ms - now_ms();
    if (left_ms <= 0)
        return 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

int syncbus_wait(syncbus_client_t *self, int64_t timeout_ms, struct syncbus_notice *ret)
{
    const int64_t end_ms = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
    for (;;) {
        if (syncbus_next(self, ret) == 1)
            return 1;
        if (now_ms() >= end_ms)
            return 0;
        struct pollfd fds[2];
        const size_t count = syncbus_fds(self, fds, 2);
        if (poll(fds, (nfds_t)count, poll_timeout(syncbus_deadline_ms(self), end_ms)) < 0)
            return errno == EINTR ? -EINTR : -errno;
    }
}

// ---------------------------------------------------------------- commands

uint64_t syncbus_acquire(syncbus_client_t *self, const struct syncbus_wish *wish)
{
    if (wish == NULL) {
        errno = EINVAL;
        return 0;
    }
    const uint64_t claim = session_acquire(self->session, now_ms(), wish);
    if (claim != 0)
        push(self);
    return claim;
}

void syncbus_withdraw(syncbus_client_t *self, uint64_t claim)
{
    session_withdraw(self->session, now_ms(), claim);
    push(self);
}

void syncbus_release(syncbus_client_t *self, uint64_t claim, bool yielded)
{
    session_release(self->session, now_ms(), claim, yielded);
    push(self);
}

void syncbus_progress(syncbus_client_t *self, uint64_t claim, uint64_t done, uint64_t total)
{
    session_progress(self->session, claim, done, total);
}

int64_t syncbus_left_ms(const syncbus_client_t *self, uint64_t claim)
{
    return session_left_ms(self->session, now_ms(), claim);
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
    const uint64_t ask = session_ask(self->session, now_ms(), request, size, timeout_ms);
    const int error = errno;
    push(self);
    errno = error;
    return ask;
}

uint64_t syncbus_call(syncbus_client_t *self, const char *service, const char *method, const void *body,
                      size_t size, uint32_t timeout_ms)
{
    const uint64_t ask = session_call(self->session, now_ms(), service, method, body, size, timeout_ms);
    const int error = errno;
    push(self);
    errno = error;
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

const char *syncbus_last_text(const syncbus_client_t *self)
{
    return self->last_text;
}

enum syncbus_code syncbus_lease(syncbus_client_t *self, const char *resource, const char *reason,
                                uint32_t timeout_ms, uint64_t *ret_claim, uint64_t *ret_token)
{
    const struct syncbus_wish wish = {
        .resource = resource, .mode = SYNCBUS_EXCLUSIVE, .reason = reason, .wait_ms = timeout_ms};
    self->last_text[0] = '\0';
    const uint64_t claim = syncbus_acquire(self, &wish);
    if (claim == 0) {
        (void)snprintf(self->last_text, sizeof self->last_text, "the wish is not valid: %s", strerror(errno));
        return SYNCBUS_INVALID;
    }
    for (;;) {
        struct syncbus_notice notice;
        const int got = syncbus_wait(self, -1, &notice);
        if (got < 0 && got != -EINTR) {
            (void)snprintf(self->last_text, sizeof self->last_text, "cannot wait: %s", strerror(-got));
            syncbus_withdraw(self, claim);
            return SYNCBUS_INTERNAL;
        }
        if (got != 1 || notice.claim != claim)
            continue;
        if (notice.kind == SYNCBUS_GRANTED) {
            *ret_claim = claim;
            *ret_token = notice.token;
            return SYNCBUS_OK;
        }
        if (notice.kind == SYNCBUS_REFUSED) {
            (void)snprintf(self->last_text, sizeof self->last_text, "%s", notice.text);
            return notice.code;
        }
    }
}
