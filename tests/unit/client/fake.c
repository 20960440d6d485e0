#include "tests/unit/client/fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

static const char *const jobs[] = {"prices", NULL};
static const char *const wanted[] = {"change.", NULL};

static int64_t now_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_BOOTTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void fake_begin(struct fake *self)
{
    *self = (struct fake){.folder = "/tmp/syncbus-fake-XXXXXX", .epoch = 3, .session = 31};
    assert_non_null(mkdtemp(self->folder));
    (void)snprintf(self->requests, sizeof self->requests, "ipc://%s/requests", self->folder);
    (void)snprintf(self->events, sizeof self->events, "ipc://%s/events", self->folder);
    fake_listen(self);
}

void fake_listen(struct fake *self)
{
    const int linger = 0, unlimited = 0;
    self->first_session = self->session;
    self->context = zmq_ctx_new();
    self->router = zmq_socket(self->context, ZMQ_ROUTER);
    self->publisher = zmq_socket(self->context, ZMQ_PUB);
    assert_int_equal(zmq_setsockopt(self->router, ZMQ_LINGER, &linger, sizeof linger), 0);
    assert_int_equal(zmq_setsockopt(self->publisher, ZMQ_LINGER, &linger, sizeof linger), 0);
    assert_int_equal(zmq_setsockopt(self->router, ZMQ_SNDHWM, &unlimited, sizeof unlimited), 0);
    assert_int_equal(zmq_bind(self->router, self->requests), 0);
    assert_int_equal(zmq_bind(self->publisher, self->events), 0);
}

void fake_deaf(struct fake *self)
{
    (void)zmq_close(self->router);
    (void)zmq_close(self->publisher);
    (void)zmq_ctx_term(self->context);
}

void fake_end(struct fake *self)
{
    fake_deaf(self);
    if (self->request != NULL)
        sb__request__free_unpacked(self->request, NULL);
    (void)unlink(self->requests + strlen("ipc://"));
    (void)unlink(self->events + strlen("ipc://"));
    (void)rmdir(self->folder);
}

syncbus_client_t *fake_client(struct fake *self)
{
    const struct syncbus_options options = {.requests = self->requests,
                                            .events = self->events,
                                            .name = "sync-prices",
                                            .jobs = jobs,
                                            .topics = wanted};
    syncbus_client_t *client = syncbus_new(&options);
    assert_non_null(client);
    return client;
}

syncbus_client_t *fake_joined(struct fake *self)
{
    syncbus_client_t *client = fake_client(self);
    fake_welcome(self, fake_receive(self, client, SB__REQUEST__BODY_HELLO)->id);
    (void)fake_notice(self, client, SYNCBUS_CONNECTED);
    return client;
}

// Takes one request, if there is one.
static bool take_request(struct fake *self)
{
    uint8_t bytes[8192];
    int size = zmq_recv(self->router, self->identity, sizeof self->identity, ZMQ_DONTWAIT);
    if (size < 0)
        return false;
    self->identity_size = (size_t)size;
    size = zmq_recv(self->router, bytes, sizeof bytes, ZMQ_DONTWAIT);
    assert_true(size > 0);
    if (self->request != NULL)
        sb__request__free_unpacked(self->request, NULL);
    self->request = NULL;
    struct fault fault;
    assert_int_equal(wire_request(bytes, (size_t)size, &self->request, &fault), ERR_OK);
    return true;
}

static void answer_ping(struct fake *self)
{
    const bool known = self->request->session >= self->first_session;
    fake_answer(self, self->request->id, known ? SB__CODE__CODE_OK : SB__CODE__CODE_NO_SESSION);
}

// Waits until the client or the broker has something to do.
static void wait_for_either(struct fake *self, syncbus_client_t *client)
{
    struct pollfd fds[2];
    const size_t count = syncbus_fds(client, fds, 2);
    zmq_pollitem_t items[3] = {{.socket = self->router, .events = ZMQ_POLLIN}};
    for (size_t i = 0; i < count; i++)
        items[i + 1] = (zmq_pollitem_t){.fd = fds[i].fd, .events = ZMQ_POLLIN};
    const int64_t left = syncbus_deadline_ms(client) - now_ms();
    const long timeout = left <= 0 ? 0 : left < FAKE_LIMIT_MS ? (long)left : FAKE_LIMIT_MS;
    assert_true(zmq_poll(items, (int)count + 1, timeout) >= 0);
}

const Sb__Request *fake_receive(struct fake *self, syncbus_client_t *client, Sb__Request__BodyCase kind)
{
    const int64_t end = now_ms() + FAKE_LIMIT_MS;
    while (now_ms() < end) {
        struct syncbus_notice notice;
        while (syncbus_next(client, &notice) == 1)
            continue;
        while (take_request(self)) {
            if (self->request->body_case == kind)
                return self->request;
            if (self->request->body_case == SB__REQUEST__BODY_PING)
                answer_ping(self);
        }
        wait_for_either(self, client);
    }
    fail_msg("no request of kind %d came", (int)kind);
    return NULL;
}

struct syncbus_notice fake_notice(struct fake *self, syncbus_client_t *client, enum syncbus_notice_kind kind)
{
    const int64_t end = now_ms() + FAKE_LIMIT_MS;
    struct syncbus_notice notice = {.kind = 0};
    while (now_ms() < end) {
        while (syncbus_next(client, &notice) == 1) {
            if (notice.kind == kind)
                return notice;
        }
        while (take_request(self)) {
            if (self->request->body_case == SB__REQUEST__BODY_PING)
                answer_ping(self);
        }
        wait_for_either(self, client);
    }
    fail_msg("no notice of kind %d came", (int)kind);
    return notice;
}

void fake_await_wakeup(syncbus_client_t *client)
{
    struct pollfd fds[2];
    const size_t count = syncbus_fds(client, fds, 2);
    assert_true(poll(fds, (nfds_t)count, FAKE_LIMIT_MS) > 0);
}

void fake_reply(struct fake *self, Sb__Reply *reply)
{
    uint8_t bytes[8192];
    reply->epoch = self->epoch;
    const size_t size = sb__reply__get_packed_size(reply);
    assert_true(size <= sizeof bytes);
    (void)sb__reply__pack(reply, bytes);
    assert_true(zmq_send(self->router, self->identity, self->identity_size, ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(self->router, bytes, size, 0) >= 0);
}

void fake_answer(struct fake *self, uint64_t id, Sb__Code code)
{
    Sb__Reply reply = SB__REPLY__INIT;
    reply.id = id;
    reply.code = code;
    fake_reply(self, &reply);
}

void fake_welcome(struct fake *self, uint64_t id)
{
    Sb__Reply reply = SB__REPLY__INIT;
    Sb__Welcome welcome = SB__WELCOME__INIT;
    welcome.session = self->session++;
    welcome.beat_ms = 200;
    welcome.session_ttl_ms = 15000;
    reply.id = id;
    reply.code = SB__CODE__CODE_OK;
    reply.body_case = SB__REPLY__BODY_WELCOME;
    reply.welcome = &welcome;
    fake_reply(self, &reply);
}

void fake_granted(struct fake *self, uint64_t id, uint64_t token, uint32_t ttl_ms)
{
    Sb__Reply reply = SB__REPLY__INIT;
    Sb__Granted granted = SB__GRANTED__INIT;
    granted.token = token;
    granted.ttl_ms = ttl_ms;
    reply.id = id;
    reply.code = SB__CODE__CODE_OK;
    reply.body_case = SB__REPLY__BODY_GRANTED;
    reply.granted = &granted;
    fake_reply(self, &reply);
}

void fake_call(struct fake *self, uint64_t call)
{
    Sb__Reply reply = SB__REPLY__INIT;
    Sb__Deliver deliver = SB__DELIVER__INIT;
    deliver.call = call;
    deliver.method = (char *)"get";
    reply.code = SB__CODE__CODE_OK;
    reply.body_case = SB__REPLY__BODY_DELIVER;
    reply.deliver = &deliver;
    fake_reply(self, &reply);
}

void fake_publish(struct fake *self, const char *topic, uint64_t seq)
{
    uint8_t bytes[256];
    Sb__Event event = SB__EVENT__INIT;
    Sb__Change change = SB__CHANGE__INIT;
    change.entity = (char *)"ddt";
    event.epoch = self->epoch;
    event.seq = seq;
    event.body_case = SB__EVENT__BODY_CHANGE;
    event.change = &change;
    const size_t size = sb__event__pack(&event, bytes);
    assert_true(zmq_send(self->publisher, topic, strlen(topic), ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(self->publisher, bytes, size, 0) >= 0);
}
