// Measures how soon an exclusive lease is granted, beside what it could cost at least and what polling costs.
// lease.py starts what it needs; each part prints one JSON line of microseconds for each thing measured.
#include "proto/syncbus.h"

#include "syncbus.pb-c.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

enum {
    BLOCK = 50,            // of one kind in a row, so that both meet the same machine
    WAIT_MS = 60 * 1000,   // longer than anything here may take
    ORDER_MS = 120 * 1000, // how long an order may go on in the ERP: the broker stores such a lease first
    POLL_MS = 500,         // of the flag, as it was before there was a bus
    WORKERS_MAX = 64,      // that poll
    FRAME_MAX = 64 * 1024, // bytes that the echo takes
};

static const char resource[] = "erp";
static const char reason[] = "bench: how soon?";

// A broker's epochs begin at the seconds of its first start, its sessions and tokens at those << 20.
static const uint64_t epoch = 1800000000;

// ---------------------------------------------------------------- numbers

static int64_t now_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void pause_ms(int64_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

_Noreturn static void fail(const char *what)
{
    (void)fprintf(stderr, "bench-lease: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

// Measured times in the order they came.
struct times {
    int64_t *ns;  // owned
    size_t count; // of them
};

static struct times times_new(size_t count)
{
    struct times times = {.ns = calloc(count + 1, sizeof(int64_t))};
    if (times.ns == NULL)
        fail("memory");
    return times;
}

static int compare(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static double quantile_us(const struct times *times, size_t per_mille)
{
    const size_t rank = (times->count * per_mille + 999) / 1000;
    return times->count == 0 ? 0 : (double)times->ns[rank > 0 ? rank - 1 : 0] / 1000;
}

// Prints the line of one thing measured and frees its times.
static void times_print(struct times *times, const char *name)
{
    qsort(times->ns, times->count, sizeof times->ns[0], compare);
    (void)printf("{\"name\":\"%s\",\"count\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n", name,
                 times->count, quantile_us(times, 500), quantile_us(times, 990), quantile_us(times, 1000));
    free(times->ns);
}

// ---------------------------------------------------------------- the bus

// Waits for a notice of this kind; any refusal or loss ends the bench.
static void wait_for(syncbus_client_t *client, enum syncbus_notice_kind kind, struct syncbus_notice *ret)
{
    for (;;) {
        const int got = syncbus_wait(client, WAIT_MS, ret);
        if (got == 1 && ret->kind == kind)
            return;
        if (got == 1 && ret->kind != SYNCBUS_REFUSED && ret->kind != SYNCBUS_LOST)
            continue;
        (void)fprintf(stderr, "bench-lease: waited for notice %d in vain: %s\n", (int)kind,
                      got == 1 ? ret->text : "nothing came");
        exit(EXIT_FAILURE);
    }
}

static syncbus_client_t *joined(const char *requests, const char *events)
{
    const struct syncbus_options options = {.requests = requests, .events = events, .name = "bench-lease"};
    syncbus_client_t *client = syncbus_new(&options);
    struct syncbus_notice notice;
    if (client == NULL)
        fail(requests);
    wait_for(client, SYNCBUS_CONNECTED, &notice);
    return client;
}

// Takes the lease and gives it back; the time from the wish to the grant is added to `times`.
static void acquire_and_release(syncbus_client_t *client, uint32_t settle_ms, struct times *times)
{
    const struct syncbus_wish wish = {.resource = resource,
                                      .mode = SYNCBUS_EXCLUSIVE,
                                      .reason = reason,
                                      .wait_ms = WAIT_MS,
                                      .settle_ms = settle_ms};
    struct syncbus_notice notice;
    const int64_t begin_ns = now_ns();
    const uint64_t claim = syncbus_acquire(client, &wish);
    if (claim == 0)
        fail("acquire");
    wait_for(client, SYNCBUS_GRANTED, &notice);
    times->ns[times->count++] = now_ns() - begin_ns;
    syncbus_release(client, claim, false);
}

static size_t packed(const Sb__Request *request, uint8_t *ret, size_t size_max)
{
    if (sb__request__get_packed_size(request) > size_max)
        fail("a request that is too long");
    return sb__request__pack(request, ret);
}

// How many shared leases the resource has, or 0 while it is not open.
static uint32_t shared_now(syncbus_client_t *client)
{
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    uint8_t bytes[64];
    struct syncbus_notice notice;
    uint32_t shared = 0;
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &snapshot;
    if (syncbus_ask(client, bytes, packed(&request, bytes, sizeof bytes), WAIT_MS) == 0)
        fail("ask");
    wait_for(client, SYNCBUS_REPLY, &notice);
    Sb__Reply *reply = sb__reply__unpack(NULL, notice.body_size, notice.body);
    if (reply == NULL || reply->body_case != SB__REPLY__BODY_STATE)
        fail("no state");
    for (size_t i = 0; i < reply->state->n_resources; i++) {
        const Sb__ResourceState *state = reply->state->resources[i];
        if (strcmp(state->resource, resource) == 0 && state->phase == SB__PHASE__PHASE_OPEN)
            shared = state->shared;
    }
    sb__reply__free_unpacked(reply, NULL);
    return shared;
}

// Returns when the broker has answered all that was sent before, so that the next measure is not behind it.
static void settle(syncbus_client_t *client)
{
    Sb__Ping ping = SB__PING__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    uint8_t bytes[64];
    struct syncbus_notice notice;
    request.body_case = SB__REQUEST__BODY_PING;
    request.ping = &ping;
    if (syncbus_ask(client, bytes, packed(&request, bytes, sizeof bytes), WAIT_MS) == 0)
        fail("ask");
    wait_for(client, SYNCBUS_REPLY, &notice);
}

// ---------------------------------------------------------------- the floor: raw libzmq

// As large as what the bus sends for a wish.
static size_t wish_bytes(uint8_t *ret, size_t size_max)
{
    Sb__Acquire wish = SB__ACQUIRE__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    wish.resource = (char *)(uintptr_t)resource;
    wish.mode = SB__MODE__MODE_EXCLUSIVE;
    wish.wait_ms = WAIT_MS;
    wish.reason = (char *)(uintptr_t)reason;
    wish.claim = UINT64_MAX;
    request.id = 1000;
    request.session = epoch << 20;
    request.body_case = SB__REQUEST__BODY_ACQUIRE;
    request.acquire = &wish;
    return packed(&request, ret, size_max);
}

// As large as what the bus sends for a grant.
static size_t grant_bytes(uint8_t *ret, size_t size_max)
{
    Sb__Granted granted = SB__GRANTED__INIT;
    Sb__Reply reply = SB__REPLY__INIT;
    granted.token = epoch << 20;
    granted.ttl_ms = 10000;
    reply.id = 1000;
    reply.epoch = epoch;
    reply.code = SB__CODE__CODE_OK;
    reply.body_case = SB__REPLY__BODY_GRANTED;
    reply.granted = &granted;
    if (sb__reply__get_packed_size(&reply) > size_max)
        fail("a reply that is too long");
    return sb__reply__pack(&reply, ret);
}

// A process of its own: answers every request with as many bytes as a grant has, until it is ended.
_Noreturn static void serve_echo(const char *endpoint)
{
    uint8_t grant[128];
    char frame[FRAME_MAX];
    const size_t grant_size = grant_bytes(grant, sizeof grant);
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    if (socket == NULL || zmq_bind(socket, endpoint) != 0)
        fail(endpoint);
    (void)puts("listening");
    (void)fflush(stdout);
    for (;;) {
        char peer[256];
        const int size = zmq_recv(socket, peer, sizeof peer, 0);
        if (size < 0 || zmq_recv(socket, frame, 0, 0) < 0 || zmq_recv(socket, frame, sizeof frame, 0) < 0)
            fail("receive");
        if (zmq_send(socket, peer, (size_t)size, ZMQ_SNDMORE) < 0 ||
            zmq_send(socket, "", 0, ZMQ_SNDMORE) < 0 || zmq_send(socket, grant, grant_size, 0) < 0)
            fail("send");
    }
}

static void round_trip(void *socket, const uint8_t *wish, size_t size, struct times *times)
{
    char answer[256];
    const int64_t begin_ns = now_ns();
    if (zmq_send(socket, wish, size, 0) < 0 || zmq_recv(socket, answer, sizeof answer, 0) < 0)
        fail("round trip");
    times->ns[times->count++] = now_ns() - begin_ns;
}

// ---------------------------------------------------------------- the parts

static int measure_idle(const char *requests, const char *echo, size_t count)
{
    uint8_t wish[256];
    const size_t size = wish_bytes(wish, sizeof wish);
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_REQ);
    if (socket == NULL || zmq_connect(socket, echo) != 0)
        fail(echo);
    // No publications: what a grant costs by itself is asked here, not what watching costs.
    syncbus_client_t *client = joined(requests, NULL);
    struct times raw = times_new(count + BLOCK);
    struct times leases = times_new(count + BLOCK);
    struct times turns = times_new(count + BLOCK);
    struct times orders = times_new(count);
    for (size_t done = 0; done < count + BLOCK; done++) {
        if (done == BLOCK) // the first block only warms up
            raw.count = leases.count = turns.count = 0;
        const int64_t begin_ns = now_ns();
        acquire_and_release(client, 0, &leases);
        settle(client);
        turns.ns[turns.count++] = now_ns() - begin_ns;
        for (size_t i = 0; done % BLOCK == BLOCK - 1 && i < BLOCK; i++)
            round_trip(socket, wish, size, &raw);
    }
    // By themselves, as their commits would disturb the others.
    while (orders.count < count) {
        acquire_and_release(client, ORDER_MS, &orders);
        settle(client);
    }
    times_print(&raw, "raw");
    times_print(&leases, "idle");
    times_print(&turns, "idle_and_back");
    times_print(&orders, "idle_order");
    syncbus_destroy(&client);
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
    return EXIT_SUCCESS;
}

// Waits until as many syncs fetch as there are; true if they do before the deadline.
static void wait_for_syncs(syncbus_client_t *client, uint32_t syncs)
{
    const int64_t end_ns = now_ns() + (int64_t)WAIT_MS * 1000000;
    while (shared_now(client) < syncs) {
        if (now_ns() > end_ns) {
            (void)fprintf(stderr, "bench-lease: fewer than %u syncs fetch\n", syncs);
            exit(EXIT_FAILURE);
        }
        pause_ms(5);
    }
    pause_ms(40); // their fetches begin
    (void)shared_now(client);
}

static int measure_busy(const char *requests, const char *events, size_t count, uint32_t syncs)
{
    syncbus_client_t *client = joined(requests, events);
    struct times times = times_new(count);
    struct times orders = times_new(count);
    while (times.count < count) {
        wait_for_syncs(client, syncs);
        acquire_and_release(client, 0, &times);
        if (times.count % 2 == 0)
            continue;
        wait_for_syncs(client, syncs);
        acquire_and_release(client, ORDER_MS, &orders);
    }
    times_print(&times, "busy");
    times_print(&orders, "busy_order");
    syncbus_destroy(&client);
    return EXIT_SUCCESS;
}

// As it was: each sync looks at a flag each 500 ms and stops when it is up.
struct flag {
    atomic_bool up;      // an order wants the ERP
    atomic_uint stopped; // syncs that have seen it
    atomic_bool over;    // the bench has ended
    atomic_uint waked;   // counts the threads that have begun
    pthread_t threads[WORKERS_MAX];
};

static void *poll_the_flag(void *arg)
{
    struct flag *flag = arg;
    bool stopped = false;
    // They did not start together, so they do not look together.
    pause_ms((int64_t)atomic_fetch_add(&flag->waked, 1) * 83 % POLL_MS);
    while (!atomic_load(&flag->over)) {
        const bool up = atomic_load(&flag->up);
        if (up && !stopped)
            (void)atomic_fetch_add(&flag->stopped, 1);
        stopped = up;
        pause_ms(POLL_MS);
    }
    return NULL;
}

static int measure_poll(size_t count, unsigned workers)
{
    static struct flag flag;
    struct times times = times_new(count);
    for (unsigned i = 0; i < workers; i++) {
        if (pthread_create(&flag.threads[i], NULL, poll_the_flag, &flag) != 0)
            fail("thread");
    }
    pause_ms(POLL_MS);
    for (size_t i = 0; i < count; i++) {
        // Orders come at any time between two looks.
        pause_ms((int64_t)(i * 271 % POLL_MS));
        atomic_store(&flag.stopped, 0);
        const int64_t begin_ns = now_ns();
        atomic_store(&flag.up, true);
        while (atomic_load(&flag.stopped) < workers)
            pause_ms(1);
        times.ns[times.count++] = now_ns() - begin_ns;
        atomic_store(&flag.up, false);
        pause_ms(POLL_MS + POLL_MS / 10); // all have seen that it is down
    }
    atomic_store(&flag.over, true);
    for (unsigned i = 0; i < workers; i++)
        (void)pthread_join(flag.threads[i], NULL);
    times_print(&times, "poll");
    return EXIT_SUCCESS;
}

static size_t number(const char *text)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value == 0 || value > 10000000) {
        errno = EINVAL;
        fail(text);
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        serve_echo(argv[2]);
    if (argc == 5 && strcmp(argv[1], "idle") == 0)
        return measure_idle(argv[2], argv[3], number(argv[4]));
    if (argc == 6 && strcmp(argv[1], "busy") == 0)
        return measure_busy(argv[2], argv[3], number(argv[4]), (uint32_t)number(argv[5]));
    if (argc == 4 && strcmp(argv[1], "poll") == 0 && number(argv[3]) <= WORKERS_MAX)
        return measure_poll(number(argv[2]), (unsigned)number(argv[3]));
    (void)fputs(
        "usage: bench-lease echo ENDPOINT | idle REQUESTS ECHO COUNT | busy REQUESTS EVENTS COUNT SYNCS |\n"
        "       poll COUNT SYNCS\n",
        stderr);
    return 2;
}
