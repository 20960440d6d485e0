// The step: takes an event to the part that it concerns, then lets time pass in every part.
#include "broker/core/parts.h"

#include <inttypes.h>
#include <string.h>

// ---------------------------------------------------------------- memory

// Where the tables lie in the memory given: their sizes, one after another.
struct layout {
    size_t resources, jobs, figures, job_names, job_wall, job_boot, touched, sessions, present,
        instance_names, processes, waiters, leases, calls, owners, owner_names, alerts, alert_names, replies,
        publications, records, reads, arena;
    size_t size;
};

static size_t place(size_t *size, size_t items, size_t item_size)
{
    const size_t at = (*size + 63) & ~(size_t)63;
    *size = at + items * item_size;
    return at;
}

static size_t owners_max(const struct core_config *config)
{
    return (size_t)config->jobs_max + config->sessions_max;
}

static size_t processes_max(const struct core_config *config)
{
    return (size_t)config->sessions_max * PROCESSES_A_SESSION;
}

static size_t alerts_max(const struct core_config *config)
{
    return (size_t)config->jobs_max + ALERTS_BESIDE_JOBS + 1; // the one that says that there are no more
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
    layout.resources = place(&size, config->resources_max, sizeof(struct resource));
    layout.jobs = place(&size, config->jobs_max, sizeof(struct job));
    layout.figures = place(&size, config->jobs_max, sizeof(struct figures));
    layout.job_names = place(&size, 1, names_size(config->jobs_max));
    layout.job_wall = place(&size, 1, heap_size(config->jobs_max));
    layout.job_boot = place(&size, 1, heap_size(config->jobs_max));
    layout.touched = place(&size, config->jobs_max, sizeof(uint32_t));
    layout.sessions = place(&size, config->sessions_max, sizeof(struct session));
    layout.present = place(&size, config->sessions_max, sizeof(uint32_t));
    layout.instance_names = place(&size, 1, names_size(config->sessions_max));
    layout.processes = place(&size, processes_max(config), sizeof(struct process));
    layout.waiters = place(&size, config->waiters_max, sizeof(struct waiter));
    layout.leases = place(&size, LEASES_MAX, sizeof(struct lease));
    layout.calls = place(&size, config->calls_max, sizeof(struct call));
    layout.owners = place(&size, owners_max(config), sizeof(struct owner));
    layout.owner_names = place(&size, 1, names_size(owners_max(config)));
    layout.alerts = place(&size, alerts_max(config), sizeof(struct alert));
    layout.alert_names = place(&size, 1, names_size(alerts_max(config)));
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
        {"jobs", config->jobs_max, JOBS_MAX},
        {"resources", config->resources_max, RESOURCES_MAX},
        {"jobs", config->job_count, config->jobs_max},
        {"resources", config->resource_count, config->resources_max},
        {"sessions", config->sessions_max, SESSIONS_MAX},
        {"waiters", config->waiters_max, WAITERS_MAX},
        {"pending calls", config->calls_max, CALLS_MAX},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].value > limits[i].max) {
            (void)fault_set(fault, ERR_FULL,
                            "%" PRIu64 " %s are more than the %" PRIu64 " that there is room for",
                            limits[i].value, limits[i].name, limits[i].max);
            return 0;
        }
    }
    return layout_of(config).size;
}

static void init_tables(struct core *self, const struct layout *at, const struct core_config *config)
{
    const struct layout layout = *at;
    char *base = (char *)self;
    self->resources = (struct resource *)(void *)(base + layout.resources);
    self->jobs = (struct job *)(void *)(base + layout.jobs);
    self->figures = (struct figures *)(void *)(base + layout.figures);
    names_init(&self->job_names, base + layout.job_names, config->jobs_max);
    heap_init(&self->job_wall, base + layout.job_wall, config->jobs_max);
    heap_init(&self->job_boot, base + layout.job_boot, config->jobs_max);
    self->touched = (uint32_t *)(void *)(base + layout.touched);
    self->sessions = (struct session *)(void *)(base + layout.sessions);
    self->present = (uint32_t *)(void *)(base + layout.present);
    names_init(&self->instance_names, base + layout.instance_names, config->sessions_max);
    self->processes = (struct process *)(void *)(base + layout.processes);
    self->process_max = processes_max(config);
    self->waiters = (struct waiter *)(void *)(base + layout.waiters);
    self->leases = (struct lease *)(void *)(base + layout.leases);
    self->calls = (struct call *)(void *)(base + layout.calls);
    self->owners = (struct owner *)(void *)(base + layout.owners);
    self->owner_max = owners_max(config);
    names_init(&self->owner_names, base + layout.owner_names, self->owner_max);
    self->alerts = (struct alert *)(void *)(base + layout.alerts);
    self->alert_max = alerts_max(config);
    self->alert_until_ms = INT64_MAX;
    names_init(&self->alert_names, base + layout.alert_names, self->alert_max);
    self->replies = (struct core_reply *)(void *)(base + layout.replies);
    self->reply_max = replies_max(config);
    self->publications = (struct core_publication *)(void *)(base + layout.publications);
    self->records = (struct core_record *)(void *)(base + layout.records);
    self->reads = (struct core_read *)(void *)(base + layout.reads);
    self->arena.data = base + layout.arena;
}

// The topics that belong to nobody in particular.
static void init_topics(struct core *self)
{
    list_init(&self->due);
    list_init(&self->changed);
    topic_init(&self->beat_topic, "beat", "");
    for (int i = SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED; i <= SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON;
         i++)
        topic_init(&self->order_topics[i], "order", order_topic((Sb__OrderStatus)i));
    for (enum alert_kind kind = 0; kind < ALERT_KIND_COUNT; kind++)
        topic_init(&self->alert_topics[kind], "alert", alert_word(kind));
}

struct core *core_init(void *memory, const struct core_config *config)
{
    const struct layout layout = layout_of(config);
    struct core *self = memory;
    self->config = *config;
    self->config.resources = NULL; // they were copied, and a reload brings others
    self->config.jobs = NULL;
    text_copy(self->version, sizeof self->version, config->version);
    text_copy(self->profile, sizeof self->profile, config->profile);
    init_tables(self, &layout, config);
    init_topics(self);
    for (size_t i = 0; i < config->resource_count; i++)
        (void)resource_add(self, &config->resources[i]);
    for (size_t i = 0; i < config->job_count; i++) {
        assert(config->jobs[i].resource < config->resource_count);
        (void)job_add(self, &config->jobs[i]);
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
    case SB__REQUEST__BODY_PAUSES: view_pauses(self, peer, request); return true;
    case SB__REQUEST__BODY_CALL: route_call(self, peer, request); return true;
    case SB__REQUEST__BODY_HOLD: hold_lay(self, peer, request); return true;
    case SB__REQUEST__BODY_UNHOLD: hold_take_off(self, peer, request); return true;
    case SB__REQUEST__BODY_REVOKE: lease_revoke(self, peer, request); return true;
    case SB__REQUEST__BODY_REBIND: owner_rebind(self, peer, request); return true;
    case SB__REQUEST__BODY_RELOAD: reload_ask(self, peer, request); return true;
    default: return false;
    }
}

static void take_in_session(struct core *self, uint64_t peer, struct session *session,
                            const Sb__Request *request)
{
    switch (request->body_case) {
    case SB__REQUEST__BODY_BYE: session_goodbye(self, peer, session, request); return;
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
    const bool is_known =
        session != NULL || request->session == 0 || request->body_case == SB__REQUEST__BODY_HELLO;
    if (is_known && take_one_shot(self, peer, session, request))
        return;
    if (session == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_NO_SESSION,
                        "say Hello first: this session is not known");
        return;
    }
    take_in_session(self, peer, session, request);
}

// ---------------------------------------------------------------- time

void step_did(struct core *self, bool all)
{
    if (!all)
        self->is_behind = true;
}

// Lets every part take what time brought; what had no room in this step is left to the next, at once.
static void take_time(struct core *self)
{
    const bool was_behind = self->is_behind;
    self->is_behind = false;
    beat_advance(self);
    for (uint32_t i = 0; was_behind && i < self->resource_count; i++)
        resource_advance(self, i); // grants that had no room
    step_did(self, leases_advance(self));
    pauses_advance(self);
    step_did(self, waiters_advance(self));
    step_did(self, holds_advance(self));
    step_did(self, alerts_advance(self));
    step_did(self, jobs_advance(self));
    step_did(self, route_advance(self));
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
        return self->boot_ms + LOOK_MS;
    int64_t deadline = self->next_beat;
    deadline = least(deadline, leases_deadline(self));
    deadline = least(deadline, pauses_deadline(self));
    deadline = least(deadline, waiters_deadline(self));
    deadline = least(deadline, holds_deadline(self));
    deadline = least(deadline, alerts_deadline(self));
    deadline = least(deadline, jobs_deadline(self));
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
    self->wants_reload = false;
    terms_take_effect(self);
    switch (event->kind) { // GCOVR_EXCL_BR_LINE: there is no other kind
    case CORE_EVENT_START: recover_start(self, event); break;
    case CORE_EVENT_REQUEST: take_request(self, event->request.peer, event->request.request); break;
    case CORE_EVENT_PEER_GONE: sessions_lose_peer(self, event->peer_gone); break;
    case CORE_EVENT_RELOAD: reload_take(self, event); break;
    case CORE_EVENT_STOP: recover_stop(self); break;
    case CORE_EVENT_TIME:
        take_time(self);
        reload_advance(self);
        break;
    }
    numbers_keep(self);
    jobs_look(self);
    *ret = (struct core_update){.replies = self->replies,
                                .reply_count = self->reply_count,
                                .publications = self->publications,
                                .publication_count = self->publication_count,
                                .records = self->records,
                                .record_count = self->record_count,
                                .reads = self->reads,
                                .read_count = self->read_count,
                                .reload = self->wants_reload ? &self->reload : NULL};
}

uint64_t core_update_number(const struct core *self)
{
    return self->update_number;
}

bool core_stopped(const struct core *self)
{
    return self->stopping && self->durable >= self->stop_update;
}
