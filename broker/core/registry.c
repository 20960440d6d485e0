// Who is there: sessions, the instances behind them, and who owns which name. A session's end, a reconnect or
// an undeliverable reply never ends a lease (†).
#include "broker/core/parts.h"

#include <inttypes.h>
#include <string.h>

struct session *session_find(const struct core *self, uint64_t number)
{
    struct session *session = &self->sessions[number % self->config.sessions_max];
    return number != 0 && session->number == number ? session : NULL;
}

// An instance as a name, for the table of those that are there.
static void instance_name(char ret[INSTANCE_NAME_SIZE], uint64_t instance)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < INSTANCE_NAME_SIZE - 1; i++)
        ret[i] = digits[instance >> (60 - 4 * i) & 15];
    ret[INSTANCE_NAME_SIZE - 1] = '\0';
}

struct session *session_of_instance(const struct core *self, uint64_t instance)
{
    char name[INSTANCE_NAME_SIZE];
    instance_name(name, instance);
    const uint32_t place = names_find(&self->instance_names, name);
    return place != NAMES_NONE ? &self->sessions[place] : NULL;
}

static bool serves(const struct session *session, const char *service)
{
    for (size_t i = 0; i < session->serve_count; i++) {
        if (strcmp(session->serves[i], service) == 0)
            return true;
    }
    return false;
}

struct session *session_serving(const struct core *self, const char *service)
{
    const struct owner *owner = owner_find(self, service);
    struct session *session = owner != NULL ? session_of_instance(self, owner->instance) : NULL;
    return session != NULL && session->peer != 0 && serves(session, service) ? session : NULL;
}

bool session_has_job(const struct core *self, const struct session *session, const struct job *job)
{
    for (size_t i = 0; i < session->job_count; i++) {
        if (&self->jobs[session->jobs[i]] == job)
            return true;
    }
    return false;
}

struct owner *owner_find(const struct core *self, const char *name)
{
    const uint32_t place = names_find(&self->owner_names, name);
    return place != NAMES_NONE ? &self->owners[place] : NULL;
}

bool session_owns_job(const struct core *self, const struct session *session, const struct job *job)
{
    const struct owner *owner = owner_find(self, job->name);
    return owner == NULL || owner->instance == session->instance;
}

struct owner *owner_add(struct core *self, const char *name)
{
    assert(self->owner_count < self->owner_max);
    struct owner *owner = &self->owners[self->owner_count];
    *owner = (struct owner){0};
    text_copy(owner->name, sizeof owner->name, name);
    names_put(&self->owner_names, owner->name, (uint32_t)self->owner_count++);
    return owner;
}

static void owner_remove(struct core *self, struct owner *owner)
{
    struct owner *last = &self->owners[--self->owner_count];
    names_remove(&self->owner_names, owner->name);
    if (last == owner)
        return;
    names_remove(&self->owner_names, last->name);
    *owner = *last;
    names_put(&self->owner_names, owner->name, (uint32_t)(owner - self->owners));
}

void owner_rebind(struct core *self, uint64_t peer, const Sb__Request *request)
{
    struct owner *owner = owner_find(self, request->rebind->name);
    if (owner == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_NOT_FOUND,
                        arena_print(self, "nobody answers for \"%s\"", request->rebind->name));
        return;
    }
    record_add(self, CORE_TABLE_OWNER, owner->name, strlen(owner->name), NULL);
    owner_remove(self, owner);
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    reply_durable(self);
}

// The name of a Hello: its jobs, then the calls it answers.
static const char *name_of(const Sb__Hello *hello, size_t index)
{
    return index < hello->n_jobs ? hello->jobs[index] : hello->serves[index - hello->n_jobs];
}

static void own(struct core *self, const char *name, uint64_t instance, const char *holder)
{
    struct owner *owner = owner_find(self, name);
    if (owner != NULL) {
        assert(owner->instance == instance); // else the Hello was refused
        return;
    }
    owner = owner_add(self, name);
    text_copy(owner->holder, sizeof owner->holder, holder);
    owner->instance = instance;
    Sb__StoredOwner *stored = arena_take(self, sizeof *stored);
    sb__stored_owner__init(stored);
    stored->name = arena_text(self, owner->name);
    stored->instance = instance;
    stored->holder = arena_text(self, owner->holder);
    record_add(self, CORE_TABLE_OWNER, owner->name, strlen(owner->name), &stored->base);
}

// Why these names cannot all be bound to the instance; NULL if they can.
static const char *refuse_names(struct core *self, const Sb__Hello *hello, Sb__Code *ret_code)
{
    size_t fresh = 0;
    *ret_code = SB__CODE__CODE_CONFLICT;
    for (size_t i = 0; i < hello->n_jobs + hello->n_serves; i++) {
        const struct owner *owner = owner_find(self, name_of(hello, i));
        fresh += owner == NULL ? 1 : 0;
        if (owner != NULL && owner->instance != hello->instance) {
            const char *text =
                arena_print(self,
                            "%s is answered for by another store, of %s: start this one on that data "
                            "directory, or rebind the name",
                            owner->name, owner->holder);
            alert_raise(self, ALERT_CONFLICT, hello->name, text);
            return text;
        }
    }
    *ret_code = SB__CODE__CODE_BUSY;
    return self->owner_count + fresh > self->owner_max ? "too many names are answered for already" : NULL;
}

// The first reason why this Hello is refused, with its code; NULL if there is none.
static const char *refuse_hello(struct core *self, const Sb__Hello *hello, Sb__Code *ret_code)
{
    const struct session *earlier = session_of_instance(self, hello->instance);
    *ret_code = SB__CODE__CODE_INVALID;
    if (hello->instance == 0 || hello->process == 0 || hello->host == 0 || hello->name[0] == '\0')
        return "a Hello says name, instance, process and host, none of them empty or 0";
    if (hello->n_jobs > SESSION_JOBS_MAX || hello->n_serves > SESSION_SERVES_MAX)
        return arena_print(self, "a session runs at most %d jobs and answers at most %d calls",
                           SESSION_JOBS_MAX, SESSION_SERVES_MAX);
    for (size_t i = 0; i < hello->n_serves; i++) {
        if (hello->serves[i][0] == '\0')
            return "the name of a call is empty";
    }
    *ret_code = SB__CODE__CODE_NOT_FOUND;
    for (size_t i = 0; i < hello->n_jobs; i++) {
        if (job_find(self, hello->jobs[i]) == NULL)
            return arena_print(self, "no job is called \"%s\"", hello->jobs[i]);
    }
    *ret_code = SB__CODE__CODE_CONFLICT;
    if (earlier != NULL && earlier->host != hello->host) {
        const char *text =
            arena_print(self, "instance %016" PRIx64 " lives on another host: was its data directory copied?",
                        hello->instance);
        alert_raise(self, ALERT_CONFLICT, hello->name, text);
        return text;
    }
    if (process_age(self, hello->instance, hello->process) == PROCESS_PAST &&
        (earlier != NULL || leases_of_instance(self, hello->instance)))
        return arena_print(self,
                           "a later process of instance %016" PRIx64 " is there: this one does not count",
                           hello->instance);
    return refuse_names(self, hello, ret_code);
}

// A free place for a new session, and with it its number; NULL if the table is full.
static struct session *session_add(struct core *self)
{
    for (uint32_t tries = 0; tries < self->config.sessions_max; tries++) {
        const uint64_t number = (self->epoch << 20) | (++self->session_count_ever & 0xfffff);
        struct session *session = &self->sessions[number % self->config.sessions_max];
        if (session->number != 0)
            continue;
        *session = (struct session){.number = number};
        self->present[self->present_count++] = (uint32_t)(session - self->sessions);
        return session;
    }
    return NULL;
}

// Frees a session's place.
static void session_remove(struct core *self, struct session *session)
{
    const uint32_t place = (uint32_t)(session - self->sessions);
    size_t at = 0;
    while (self->present[at] != place) // it is one of them
        at++;
    self->present[at] = self->present[--self->present_count];
    names_remove(&self->instance_names, session->instance_name);
    session->number = 0;
}

static bool lists_run(const Sb__Hello *hello, uint64_t run)
{
    for (size_t i = 0; i < hello->n_runs; i++) {
        if (hello->runs[i]->run == run)
            return true;
    }
    return false;
}

// Runs that this instance took and does not know any more are lost.
static void lose_unlisted_runs(struct core *self, const Sb__Hello *hello)
{
    for (size_t i = 0; i < self->job_count; i++) {
        struct job *job = &self->jobs[i];
        struct run *run = &job->current;
        if (run->number == 0 || run->instance != hello->instance || run->retry_boot != 0)
            continue;
        run->is_unknown = !lists_run(hello, run->number);
        job_touch(self, job);
    }
    step_did(self, jobs_advance(self));
}

static void fill_session(struct core *self, struct session *session, uint64_t peer, const Sb__Hello *hello)
{
    session->peer = peer;
    session->instance = hello->instance;
    session->process = hello->process;
    session->host = hello->host;
    session->seen_boot = self->boot_ms;
    session->seen_ms = self->wall_ms;
    instance_name(session->instance_name, hello->instance);
    names_put(&self->instance_names, session->instance_name, (uint32_t)(session - self->sessions));
    text_copy(session->name, sizeof session->name, hello->name);
    text_copy(session->version, sizeof session->version, hello->version);
    for (size_t i = 0; i < hello->n_jobs; i++) {
        session->jobs[session->job_count++] = job_index(self, job_find(self, hello->jobs[i]));
        own(self, hello->jobs[i], hello->instance, hello->name);
    }
    for (size_t i = 0; i < hello->n_serves; i++) {
        text_copy(session->serves[session->serve_count++], NAME_MAX_SIZE + 1, hello->serves[i]);
        own(self, hello->serves[i], hello->instance, hello->name);
    }
}

void session_hello(struct core *self, uint64_t peer, const Sb__Request *request)
{
    const Sb__Hello *hello = request->hello;
    Sb__Code code = SB__CODE__CODE_OK;
    const char *why = refuse_hello(self, hello, &code);
    if (why != NULL) {
        (void)reply_add(self, peer, request->id, code, why);
        return;
    }
    struct session *earlier = session_of_instance(self, hello->instance);
    const bool other_process = earlier != NULL && earlier->process != hello->process;
    const uint64_t earlier_number = earlier != NULL ? earlier->number : 0;
    if (other_process)
        route_session_gone(self, earlier_number); // it never answers the calls that it got
    if (earlier != NULL)
        session_remove(self, earlier); // the new one takes its place
    struct session *session = session_add(self);
    if (session == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_BUSY, "too many sessions; ask again later");
        return;
    }
    fill_session(self, session, peer, hello);
    process_note(self, hello->instance, hello->process);
    if (earlier_number != 0)
        route_session_moved(self, earlier_number, session->number);
    waiters_of_process_end(self, hello->instance, hello->process);
    leases_of_process_end(self, hello);
    lose_unlisted_runs(self, hello);
    alert_clear(self, ALERT_CONFLICT, hello->name);
    Sb__Welcome *welcome = arena_take(self, sizeof *welcome);
    sb__welcome__init(welcome);
    welcome->session = session->number;
    welcome->beat_ms = (uint32_t)self->config.beat_ms;
    welcome->session_ttl_ms = (uint32_t)self->config.session_ttl_ms;
    welcome->state = view_welcome(self, session);
    Sb__Reply *reply = reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_WELCOME;
    reply->welcome = welcome;
}

// The runs of a session that ends were last seen alive now.
void session_end(struct core *self, struct session *session)
{
    for (size_t i = 0; i < self->job_count; i++) {
        if (self->jobs[i].current.instance != session->instance)
            continue;
        self->jobs[i].current.seen_boot = session->seen_boot;
        job_touch(self, &self->jobs[i]);
    }
    route_session_gone(self, session->number);
    session_remove(self, session);
}

void session_goodbye(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request)
{
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_OK, NULL);
    session_end(self, session);
    step_did(self, route_advance(self));
}

void sessions_expire(struct core *self)
{
    for (size_t i = self->present_count; i > 0; i--) { // from the end, as the last one takes a freed place
        struct session *session = &self->sessions[self->present[i - 1]];
        if (self->boot_ms - session->seen_boot >= self->config.session_ttl_ms)
            session_end(self, session);
    }
}

void sessions_lose_peer(struct core *self, uint64_t peer)
{
    for (size_t i = 0; i < self->present_count; i++) {
        struct session *session = &self->sessions[self->present[i]];
        if (session->peer != peer)
            continue;
        session->peer = 0;
        route_session_gone(self, session->number);
    }
    // Its asks cannot be answered; the places in the line are kept as long as for any silence.
    for (size_t i = 0; i < self->waiter_count; i++) {
        struct waiter *waiter = &self->waiters[i];
        if (waiter->pending && waiter->peer == peer) {
            waiter->pending = false;
            waiter->drop_boot = self->boot_ms + waiter_silence_ms(waiter);
        }
    }
    step_did(self, route_advance(self));
}
