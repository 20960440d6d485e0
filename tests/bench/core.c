// What the broker's core costs with few jobs and with very many: bytes and start, a tick, a whole run with
// its lease. And a crowd of sessions, for measuring beside it how soon a lease is granted.
//
// Each part prints one JSON object a line; core.py puts them side by side.
#include "broker/core/core.h"
#include "broker/tables.h"
#include "tests/lib/request.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { EVERY_MS = 600000, BATCH = 512, CROWD_MAX = 10000, CROWD_PAUSE_S = 4, CONTEXT_SOCKETS = 1000 };

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 10);
}

// ---------------------------------------------------------------- the core alone

// A core with as many jobs as asked for, and the journal that it would have written: packed records.
struct bench {
    struct core *core;
    void *memory;
    size_t size; // bytes of it
    struct core_config config;
    struct core_job_config *jobs;
    char (*names)[32];
    uint64_t *runs;     // by job: the run of its last tick
    uint32_t *attempts; // and its attempt
    size_t *due;        // jobs whose tick came and was not taken, the first due_count
    size_t due_count;   // of them
    uint64_t ticks;     // told so far, repeats left out
    uint64_t record_count, record_bytes;
    int64_t boot_ms, wall_ms;
    uint64_t session, id, token; // of the one client
};

static const struct core_resource_config RESOURCE = {.name = "erp",
                                                     .capacity = 1,
                                                     .lease_ttl_ms = 10000,
                                                     .grant_delay_ms = 1000,
                                                     .max_exclusive_ms = 600000,
                                                     .max_exclusive_streak_ms = 900000,
                                                     .aging_ms = 600000};

static void hear(struct bench *self, const struct core_update *update)
{
    for (size_t i = 0; i < update->publication_count; i++) {
        const Sb__Event *event = update->publications[i].event;
        if (event->body_case != SB__EVENT__BODY_TICK)
            continue;
        const size_t job = number(event->tick->job + 1);
        if (self->runs[job] == event->tick->run)
            continue;
        self->runs[job] = event->tick->run;
        self->attempts[job] = event->tick->attempt;
        self->due[self->due_count++] = job;
        self->ticks++;
    }
    self->record_count += update->record_count;
    for (size_t i = 0; i < update->reply_count; i++) {
        const Sb__Reply *reply = update->replies[i].reply;
        if (reply->body_case == SB__REPLY__BODY_WELCOME)
            self->session = reply->welcome->session;
        if (reply->body_case == SB__REPLY__BODY_GRANTED)
            self->token = reply->granted->token;
        assert(reply->code == SB__CODE__CODE_OK);
    }
}

static void step(struct bench *self, struct core_event *event)
{
    struct core_update update;
    event->boot_ms = self->boot_ms;
    event->wall_ms = self->wall_ms;
    event->durable = core_update_number(self->core);
    core_step(self->core, event, &update);
    hear(self, &update);
}

static void ask(struct bench *self, Sb__Request *request)
{
    request->id = ++self->id;
    request->session = self->session;
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = 1;
    event.request.request = request;
    step(self, &event);
}

// A service that runs the first jobs: as many as one session may.
static void say_hello(struct bench *self, size_t jobs)
{
    char *names[64];
    Sb__Hello hello = SB__HELLO__INIT;
    for (; hello.n_jobs < jobs && hello.n_jobs < 64; hello.n_jobs++)
        names[hello.n_jobs] = self->names[hello.n_jobs];
    hello.name = (char *)(uintptr_t) "sync";
    hello.instance = hello.process = hello.host = 1;
    hello.jobs = names;
    self->session = 0;
    ask(self, REQUEST(hello, HELLO, &hello));
}

// One run of a job that is due: acquire, release, report.
static void run_through(struct bench *self, size_t job)
{
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    Sb__Release release = SB__RELEASE__INIT;
    Sb__Report report = SB__REPORT__INIT;
    Sb__Result result = SB__RESULT__INIT;
    acquire.resource = release.resource = (char *)(uintptr_t)RESOURCE.name;
    acquire.mode = SB__MODE__MODE_SHARED;
    acquire.job = report.job = self->names[job];
    acquire.run = report.run = self->runs[job];
    acquire.attempt = report.attempt = self->attempts[job];
    acquire.claim = self->id + 1;
    acquire.poll_ms = 1000;
    ask(self, REQUEST(acquire, ACQUIRE, &acquire));
    release.token = self->token;
    ask(self, REQUEST(release, RELEASE, &release));
    result.ok = true;
    result.started_ms = self->wall_ms;
    result.ended_ms = self->wall_ms + 1;
    report.result = &result;
    ask(self, REQUEST(report, REPORT, &report));
}

// Lets time pass; gives the time that steps with ticks took, and asking for the deadline before each, µs.
static double take_time(struct bench *self, int64_t until_boot)
{
    double ticks_us = 0;
    for (;;) {
        const uint64_t before = self->ticks;
        const double since = now_us();
        const int64_t at = core_deadline(self->core);
        if (at > until_boot)
            return ticks_us;
        if (at > self->boot_ms) {
            self->wall_ms += at - self->boot_ms;
            self->boot_ms = at;
        }
        step(self, &(struct core_event){.kind = CORE_EVENT_TIME});
        ticks_us += self->ticks > before ? now_us() - since : 0;
    }
}

static void bench_init(struct bench *self, size_t jobs)
{
    *self = (struct bench){.boot_ms = 1000000, .wall_ms = INT64_C(472222) * 3600000};
    self->jobs = calloc(jobs, sizeof *self->jobs);
    self->names = calloc(jobs, sizeof *self->names);
    self->runs = calloc(jobs, sizeof *self->runs);
    self->attempts = calloc(jobs, sizeof *self->attempts);
    self->due = calloc(2 * jobs, sizeof *self->due);
    assert(self->jobs != NULL);
    assert(self->names != NULL);
    assert(self->runs != NULL);
    assert(self->attempts != NULL);
    assert(self->due != NULL);
    for (size_t i = 0; i < jobs; i++) {
        (void)snprintf(self->names[i], sizeof self->names[i], "j%06zu", i);
        self->jobs[i] = (struct core_job_config){.name = self->names[i],
                                                 .every_ms = EVERY_MS,
                                                 .offset_ms = (int64_t)(i * EVERY_MS / jobs),
                                                 .priority = 3,
                                                 .pause_timeout_ms = 60000,
                                                 .max_yields = 3,
                                                 .yields = true,
                                                 .stall_ms = 60000,
                                                 .settle_ms = 250,
                                                 .retry_after_ms = 30000,
                                                 .fresh_within_ms = 2 * EVERY_MS,
                                                 .max_duration_ms = EVERY_MS,
                                                 .catches_up = true};
    }
    self->config = (struct core_config){.resources = &RESOURCE,
                                        .resource_count = 1,
                                        .jobs = self->jobs,
                                        .job_count = jobs,
                                        .jobs_max = (uint32_t)jobs,
                                        .resources_max = 1,
                                        .beat_ms = 1000,
                                        .session_ttl_ms = 1 << 30,
                                        .sessions_max = 64,
                                        .waiters_max = 64,
                                        .calls_max = 64,
                                        .version = "bench",
                                        .profile = ""};
    self->size = core_size(&self->config, NULL);
    self->memory = tables_new(self->size);
    assert(self->memory != NULL);
}

static void bench_free(struct bench *self)
{
    tables_free(self->memory, self->size);
    free(self->jobs);
    free(self->names);
    free(self->runs);
    free(self->attempts);
    free(self->due);
}

// A journal in which every job has succeeded before, so that nothing but its slots makes it due.
static struct core_record *journal_of(const struct bench *self, size_t *ret_count)
{
    const size_t jobs = self->config.job_count;
    struct core_record *records = calloc(jobs + 1, sizeof *records);
    Sb__StoredJob *stored = calloc(jobs, sizeof *stored);
    static Sb__StoredMeta meta;
    assert(records != NULL);
    assert(stored != NULL);
    sb__stored_meta__init(&meta);
    meta.epoch = 1;
    meta.clean = true;
    records[0] = (struct core_record){.table = CORE_TABLE_META, .value = &meta.base};
    for (size_t i = 0; i < jobs; i++) {
        sb__stored_job__init(&stored[i]);
        stored[i].job = self->names[i];
        stored[i].last_success_ms = stored[i].known_since_ms = self->wall_ms;
        stored[i].last_slot_ms = self->wall_ms - EVERY_MS + self->jobs[i].offset_ms;
        records[i + 1] = (struct core_record){.table = CORE_TABLE_JOB, .value = &stored[i].base};
    }
    *ret_count = jobs + 1;
    return records;
}

// Starts the core on that journal; gives how long it took, µs.
static double start(struct bench *self)
{
    struct core_event event = {.kind = CORE_EVENT_START};
    struct core_record *records = journal_of(self, &event.start.count);
    event.start.records = records;
    const double since = now_us();
    self->core = core_init(self->memory, &self->config);
    step(self, &event);
    const double took = now_us() - since;
    free((void *)(uintptr_t)records[1].value);
    free(records);
    return took;
}

// Two cycles of slots: of the first nobody takes a tick, so that in the second each slot also ends a run that
// was missed. Then runs of the jobs that one session may have, each from its tick to its report.
static int measure_core(size_t jobs)
{
    enum { CYCLES = 20 };
    struct bench self;
    bench_init(&self, jobs);
    const double start_us = start(&self);
    const double first_us = take_time(&self, self.boot_ms + EVERY_MS - 1);
    const uint64_t first = self.ticks;
    self.due_count = 0;
    const double missed_us = take_time(&self, self.boot_ms + EVERY_MS);
    const uint64_t missed = self.ticks - first;
    double cycle_us = 0;
    size_t cycles = 0;
    say_hello(&self, jobs);
    for (int i = 0; i < CYCLES; i++) {
        self.due_count = 0;
        (void)take_time(&self, self.boot_ms + EVERY_MS);
        const double since = now_us();
        for (size_t k = 0; k < self.due_count; k++) {
            if (self.due[k] >= 64)
                continue;
            run_through(&self, self.due[k]);
            cycles++;
        }
        cycle_us += now_us() - since;
        if (jobs > 10000)
            break;
    }
    printf("{\"name\": \"core\", \"jobs\": %zu, \"bytes\": %zu, \"start_us\": %.0f, \"ticks\": %" PRIu64
           ", \"tick_us\": %.3f, \"missed\": %" PRIu64
           ", \"missed_us\": %.3f, \"cycles\": %zu, \"cycle_us\": %.3f}\n",
           jobs, self.size, start_us, first, first_us / (double)first, missed, missed_us / (double)missed,
           cycles, cycle_us / (double)cycles);
    bench_free(&self);
    return 0;
}

// ---------------------------------------------------------------- a crowd

// One session of the crowd.
struct guest {
    void *socket;
    uint64_t session;
    uint64_t id; // of its last request
};

static void send_request(struct guest *guest, Sb__Request *request)
{
    uint8_t bytes[512];
    request->id = ++guest->id;
    request->session = guest->session;
    assert(sb__request__get_packed_size(request) <= sizeof bytes);
    const size_t size = sb__request__pack(request, bytes);
    if (zmq_send(guest->socket, bytes, size, 0) < 0)
        exit(1);
}

// The guest's next reply; exits when there is none within some seconds.
static Sb__Reply *receive(struct guest *guest)
{
    uint8_t bytes[65536];
    const int size = zmq_recv(guest->socket, bytes, sizeof bytes, 0);
    Sb__Reply *reply =
        size < 0 || (size_t)size > sizeof bytes ? NULL : sb__reply__unpack(NULL, (size_t)size, bytes);
    if (reply == NULL || reply->code != SB__CODE__CODE_OK) {
        (void)fprintf(stderr, "a guest was not welcome: %s\n", reply != NULL ? reply->text : "no answer");
        exit(1);
    }
    return reply;
}

static void join(struct guest *guest, void *context, const char *endpoint, size_t index)
{
    const int patience_ms = 20000;
    Sb__Hello hello = SB__HELLO__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    guest->socket = zmq_socket(context, ZMQ_DEALER);
    assert(guest->socket != NULL);
    (void)zmq_setsockopt(guest->socket, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
    (void)zmq_setsockopt(guest->socket, ZMQ_LINGER, &(int){0}, sizeof(int));
    if (zmq_connect(guest->socket, endpoint) != 0)
        exit(1);
    hello.name = (char *)(uintptr_t) "guest";
    hello.instance = hello.process = 1000000 + index;
    hello.host = 1;
    request.body_case = SB__REQUEST__BODY_HELLO;
    request.hello = &hello;
    send_request(guest, &request);
    Sb__Reply *reply = receive(guest);
    guest->session = reply->welcome->session;
    sb__reply__free_unpacked(reply, NULL);
}

// Sessions that do nothing but stay alive, until the standard input ends.
static int be_crowd(const char *endpoint, size_t count)
{
    static struct guest guests[CROWD_MAX];
    void *contexts[CROWD_MAX / CONTEXT_SOCKETS + 1] = {0};
    if (count > CROWD_MAX)
        return 2;
    for (size_t i = 0; i < count; i++) {
        void **context = &contexts[i / CONTEXT_SOCKETS];
        if (*context == NULL)
            *context = zmq_ctx_new();
        join(&guests[i], *context, endpoint, i);
    }
    printf("joined\n");
    (void)fflush(stdout);
    zmq_pollitem_t input = {.fd = STDIN_FILENO, .events = ZMQ_POLLIN};
    for (size_t i = 0; count > 0; i = (i + 1) % count) { // each once in so many seconds, spread evenly
        Sb__Ping ping = SB__PING__INIT;
        Sb__Request request = SB__REQUEST__INIT;
        request.body_case = SB__REQUEST__BODY_PING;
        request.ping = &ping;
        send_request(&guests[i], &request);
        sb__reply__free_unpacked(receive(&guests[i]), NULL);
        const useconds_t pause = (useconds_t)(CROWD_PAUSE_S * 1000000L / (long)count);
        (void)usleep(pause);
        if (i % 16 == 0 && zmq_poll(&input, 1, 0) > 0)
            break;
    }
    _exit(0); // thousands of sockets need not be closed one by one
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "core") == 0 && number(argv[2]) > 0)
        return measure_core(number(argv[2]));
    if (argc == 4 && strcmp(argv[1], "crowd") == 0)
        return be_crowd(argv[2], number(argv[3]));
    (void)fprintf(stderr, "usage: bench-core core JOBS | crowd ENDPOINT COUNT\n");
    return 2;
}
