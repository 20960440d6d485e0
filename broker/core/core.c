// The step: takes an event to the part that it concerns, then lets time pass in every part.
#include "broker/core/state.h"

#include <inttypes.h>
#include <string.h>

// ---------------------------------------------------------------- memory

// Where the tables lie in the memory given: their sizes, one after another.
struct layout {
    size_t resources, jobs, sessions, present, waiters, leases, calls, owners, replies, publications, records,
        reads, arena;
    size_t size;
};

static size_t place(size_t *size, size_t items, size_t item_size)
{
    const size_t at = (*size + 63) & ~(size_t)63;
    *size = at + items * item_size;
    return at;
}

static size_t leases_max(const struct core_config *config)
{
    size_t capacity = config->waiters_max;
    for (size_t i = 0; i < config->resource_count; i++)
        capacity += config->resources[i].capacity;
    return capacity < LEASES_MAX ? capacity : LEASES_MAX;
}

static size_t owners_max(const struct core_config *config)
{
    return config->job_count + config->sessions_max;
}

static size_t replies_max(const struct core_config *config)
{
    // Each waiter and each call can be answered in one step, and the request itself with a delivery.
    return (size_t)config->waiters_max * 2 + config->calls_max + 8;
}

static struct layout layout_of(const struct core_config *config)
{
    struct layout layout;
    size_t size = sizeof(struct core);
    layout.resources = place(&size, config->resource_count, sizeof(struct resource));
    layout.jobs = place(&size, config->job_count, sizeof(struct job));
    layout.sessions = place(&size, config->sessions_max, sizeof(struct session));
    layout.present = place(&size, config->sessions_max, sizeof(uint32_t));
    layout.waiters = place(&size, config->waiters_max, sizeof(struct waiter));
    layout.leases = place(&size, leases_max(config), sizeof(struct lease));
    layout.calls = place(&size, config->calls_max, sizeof(struct call));
    layout.owners = place(&size, owners_max(config), sizeof(struct owner));
    layout.replies = place(&size, replies_max(config), sizeof(struct core_reply));
    layout.publications = place(&size, PUBLICATIONS_A_STEP, sizeof(struct core_publication));
    layout.records = place(&size, RECORDS_A_STEP, sizeof(struct core_record));
    layout.reads = place(&size, 1, sizeof(struct core_read));
    layout.arena = place(&size, 1, ARENA_SIZE);
    layout.size = size;
    return layout;
}

size_t core_size(const struct core_config *config, struct fault *fault)
{
    const struct {
        const char *name;
        uint64_t value, max;
    } limits[] = {
        {"jobs", config->job_count, JOBS_MAX},
        {"resources", config->resource_count, RESOURCES_MAX},
        {"sessions", config->sessions_max, SESSIONS_MAX},
        {"waiters", config->waiters_max, WAITERS_MAX},
        {"pending calls", config->calls_max, CALLS_MAX},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].value > limits[i].max) {
            (void)fault_set(fault, ERR_FULL,
                            "%" PRIu64 " %s are more than the %" PRIu64 " that are supported",
                            limits[i].value, limits[i].name, limits[i].max);
            return 0;
        }
    }
    return layout_of(config).size;
}

struct core *core_init(void *memory, const struct core_config *config)
{
    const struct layout layout = layout_of(config);
    char *base = memory;
    memset(memory, 0, layout.arena);
    struct core *self = memory;
    self->config = *config;
    text_copy(self->version, sizeof self->version, config->version);
    text_copy(self->profile, sizeof self->profile, config->profile);
    self->resources = (struct resource *)(void *)(base + layout.resources);
    self->jobs = (struct job *)(void *)(base + layout.jobs);
    self->sessions = (struct session *)(void *)(base + layout.sessions);
    self->present = (uint32_t *)(void *)(base + layout.present);
    self->waiters = (struct waiter *)(void *)(base + layout.waiters);
    self->leases = (struct lease *)(void *)(base + layout.leases);
    self->lease_max = leases_max(config);
    self->calls = (struct call *)(void *)(base + layout.calls);
    self->owners = (struct owner *)(void *)(base + layout.owners);
    self->owner_max = owners_max(config);
    self->replies = (struct core_reply *)(void *)(base + layout.replies);
    self->reply_max = replies_max(config);
    self->publications = (struct core_publication *)(void *)(base + layout.publications);
    self->records = (struct core_record *)(void *)(base + layout.records);
    self->reads = (struct core_read *)(void *)(base + layout.reads);
    self->arena.data = base + layout.arena;
    for (size_t i = 0; i < config->resource_count; i++) {
        self->resources[i].config = config->resources[i];
        text_copy(self->resources[i].name, sizeof self->resources[i].name, config->resources[i].name);
        self->resources[i].config.name = self->resources[i].name;
    }
    for (size_t i = 0; i < config->job_count; i++) {
        self->jobs[i].config = config->jobs[i];
        text_copy(self->jobs[i].name, sizeof self->jobs[i].name, config->jobs[i].name);
        self->jobs[i].config.name = self->jobs[i].name;
        assert(config->jobs[i].resource < config->resource_count);
        assert(config->jobs[i].every_ms > 0);
    }
    return self;
}

// ---------------------------------------------------------------- requests

// Requests that need no session.
static bool take_one_shot(struct core *self, uint64_t peer, struct session *session,
                          const Sb__Request *request)
{
    switch (request->body_case) {
    case SB__REQUEST__BODY_HELLO: session_hello(self, peer, request); return true;
    case SB__REQUEST__BODY_TRIGGER: run_trigger(self, peer, session, request); return true;
    case SB__REQUEST__BODY_SNAPSHOT: view_snapshot(self, peer, request); return true;
    case SB__REQUEST__BODY_RUNS: view_runs(self, peer, request); return true;
    case SB__REQUEST__BODY_LEDGER: view_ledger(self, peer, request); return true;
    case SB__REQUEST__BODY_CALL: route_call(self, peer, request); return true;
    default: return false;
    }
}

static void take_in_session(struct core *self, uint64_t peer, struct session *session,
                            const Sb__Request *request)
{
    switch (request->body_case) {
    case SB__REQUEST__BODY_BYE: session_bye(self, peer, session, request); return;
    case SB__REQUEST__BODY_PING: (void)reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL); return;
    case SB__REQUEST__BODY_ACQUIRE: lease_acquire(self, peer, session, request); return;
    case SB__REQUEST__BODY_RENEW: lease_renew(self, peer, session, request); return;
    case SB__REQUEST__BODY_RELEASE: lease_release(self, peer, session, request); return;
    case SB__REQUEST__BODY_WITHDRAW: lease_withdraw(self, peer, session, request); return;
    case SB__REQUEST__BODY_REPORT: run_report(self, peer, session, request); return;
    case SB__REQUEST__BODY_PUBLISH: route_publish(self, peer, session, request); return;
    case SB__REQUEST__BODY_ANSWER: route_answer(self, peer, session, request); return;
    default:
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_INVALID,
                        "this request is not supported by this version");
        return;
    }
}

// Requests that this version knows and does not take, with or without a session.
static bool is_unsupported(const Sb__Request *request)
{
    switch (request->body_case) {
    case SB__REQUEST__BODY_HOLD:
    case SB__REQUEST__BODY_UNHOLD:
    case SB__REQUEST__BODY_REVOKE:
    case SB__REQUEST__BODY_RELOAD:
    case SB__REQUEST__BODY_PAUSES: return true;
    default: return false;
    }
}

static void take_request(struct core *self, uint64_t peer, const Sb__Request *request)
{
    struct session *session = session_find(self, request->session);
    if (session != NULL && self->boot_ms - session->seen_boot >= self->config.session_ttl_ms)
        session = NULL; // it ends with the next beat
    if (session != NULL) {
        session->seen_boot = self->boot_ms;
        session->seen_ms = self->wall_ms;
        session->peer = peer;
    }
    if (is_unsupported(request)) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_INVALID,
                        "this request is not supported by this version");
        return;
    }
    if (take_one_shot(self, peer, session, request))
        return;
    if (session == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_NO_SESSION,
                        "say Hello first: this session is not known");
        return;
    }
    take_in_session(self, peer, session, request);
}

// ---------------------------------------------------------------- time

// Lets every part take what time brought; what had no room in this step is left to the next, at once.
static bool take_time(struct core *self)
{
    const bool was_behind = self->is_behind;
    self->is_behind = false;
    beat_advance(self);
    for (uint32_t i = 0; was_behind && i < self->config.resource_count; i++)
        resource_advance(self, i); // grants that had no room
    bool all = leases_advance(self);
    pauses_advance(self);
    all = waiters_advance(self) && all;
    all = runs_advance(self) && all;
    all = schedule_advance(self) && all;
    all = route_advance(self) && all;
    return all && !self->is_behind;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t core_deadline(const struct core *self)
{
    if (!self->started)
        return INT64_MAX;
    if (self->is_behind)
        return self->boot_ms;
    if (self->stopping && !core_stopped(self))
        return self->boot_ms + STOP_LOOK_MS;
    int64_t deadline = self->next_beat;
    deadline = least(deadline, leases_deadline(self));
    deadline = least(deadline, pauses_deadline(self));
    deadline = least(deadline, waiters_deadline(self));
    deadline = least(deadline, runs_deadline(self));
    deadline = least(deadline, schedule_deadline(self));
    return least(deadline, route_deadline(self));
}

void core_step(struct core *self, const struct core_event *event, struct core_update *ret)
{
    assert(event->boot_ms >= self->boot_ms);
    assert(self->started == (event->kind != CORE_EVENT_START));
    self->boot_ms = event->boot_ms;
    self->wall_ms = event->wall_ms;
    self->durable = event->durable;
    self->update_number++;
    self->arena.used = 0;
    self->reply_count = self->publication_count = self->record_count = self->read_count = 0;
    switch (event->kind) {
    case CORE_EVENT_START: recover_start(self, event); break;
    case CORE_EVENT_REQUEST: take_request(self, event->request.peer, event->request.request); break;
    case CORE_EVENT_PEER_GONE: sessions_lose_peer(self, event->peer_gone); break;
    case CORE_EVENT_STOP: recover_stop(self); break;
    case CORE_EVENT_TIME: self->is_behind = !take_time(self); break;
    }
    numbers_keep(self);
    *ret = (struct core_update){.replies = self->replies,
                                .reply_count = self->reply_count,
                                .publications = self->publications,
                                .publication_count = self->publication_count,
                                .records = self->records,
                                .record_count = self->record_count,
                                .reads = self->reads,
                                .read_count = self->read_count};
}

uint64_t core_update_number(const struct core *self)
{
    return self->update_number;
}

bool core_stopped(const struct core *self)
{
    return self->stopping && self->durable >= self->stop_update;
}
