// Any sequence of wishes, renewals, reports, kills and reloads keeps the invariants, as the simulator's
// judges see them from outside: bytes say who does what next, what of it is lost, and how much time passes.
//
// The clients keep the protocol, as judges must assume it: a claim of its own for each wish, and nothing is
// done with a lease past its end. All else is theirs to choose. (fuzz_core breaks the protocol, too.)
#include "tests/fuzz/bus/broker.h"
#include "tests/sim/leases.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 400 };

// One client, and what it knows.
struct client {
    struct syncbus_client belief; // what the judges see
    uint64_t process;             // of its present life
    uint64_t session;             // as last welcomed
    uint64_t token;               // of its lease; 0: none
    bool exclusive;               // its mode, or that of its wish
    uint32_t resource;            // of it
    uint64_t run;                 // of it, when shared
    uint32_t attempt;             // the same
    uint64_t ticket;              // of its wish, as last told
    uint32_t settle_ms;           // of its wish
    uint64_t asked_id;            // of the last request for the wish, or to renew
    int64_t asked_ms;             // when that was sent
    bool deaf;                    // the next answer is lost on its way
};

static struct {
    const uint8_t *data; // what is left of the input
    size_t size;         // bytes of it
    struct client clients[BUS_CLIENTS];
    uint64_t runs[BUS_JOBS]; // as last ticked
    uint32_t attempts[BUS_JOBS];
    uint64_t next_id;    // of a request
    uint64_t next_claim; // of a wish
} play;

static uint8_t next(void)
{
    if (play.size == 0)
        return 0;
    play.size--;
    return *play.data++;
}

static struct node *node_of(const struct client *client)
{
    return &sim->nodes[1 + (client - play.clients)];
}

// Its wish is over, however it came.
static void drop(struct client *client)
{
    client->belief = (struct syncbus_client){.claim = 0};
    client->token = 0;
}

// ---------------------------------------------------------------- what is heard

static void hear_lease(struct client *client, const struct bus_news *news)
{
    const int64_t until_ms = client->asked_ms + news->ttl_ms - news->ttl_ms / 10;
    if (until_ms <= bus_boot_ms()) { // too late: it is never asked for again
        if (client->token == 0)
            drop(client);
        return;
    }
    client->belief.until_ms = until_ms > client->belief.until_ms ? until_ms : client->belief.until_ms;
    if (client->token != 0)
        return;
    client->token = news->token;
    leases_held(node_of(client), client->belief.claim, client->token);
}

static void hear(const struct bus_news *news)
{
    if (news->client == BUS_CLIENTS) {
        for (size_t i = 0; i < BUS_JOBS; i++) {
            if (news->job == bus_jobs[i]) {
                play.runs[i] = news->run;
                play.attempts[i] = news->attempt;
            }
        }
        return;
    }
    struct client *client = &play.clients[news->client];
    if (client->deaf) {
        client->deaf = false;
        return;
    }
    if (news->session != 0)
        client->session = news->session;
    if (news->no_session)
        client->session = 0;
    if (news->id != client->asked_id || client->belief.claim == 0 || news->no_session)
        return;
    if (news->token != 0 || (news->renewed && client->token != 0))
        hear_lease(client, news);
    else if (news->waits)
        client->ticket = news->ticket;
    else if (client->token == 0)
        drop(client); // its wish was refused
}

// A lease that is over by its holder's clock is dead.
static void let_go(void)
{
    for (size_t i = 0; i < BUS_CLIENTS; i++) {
        struct client *client = &play.clients[i];
        if (client->token != 0 && client->belief.until_ms <= bus_boot_ms()) {
            leases_lost(node_of(client), client->belief.claim);
            drop(client);
        }
    }
}

// ---------------------------------------------------------------- what is said

static void send(struct client *client, Sb__Request *request)
{
    request->id = ++play.next_id;
    request->session = request->body_case == SB__REQUEST__BODY_HELLO ? 0 : client->session;
    struct core_event event = {.kind = CORE_EVENT_REQUEST};
    event.request.peer = (uint64_t)(client - play.clients) + 1;
    event.request.request = request;
    bus_step(&event);
}

static size_t job_of(const struct client *client)
{
    return (size_t)(client - play.clients) % BUS_JOBS;
}

static void fill_renew(const struct client *client, Sb__Renew *renew)
{
    renew->token = client->token;
    renew->resource = (char *)(uintptr_t)bus_resources[client->resource];
    renew->mode = client->exclusive ? SB__MODE__MODE_EXCLUSIVE : SB__MODE__MODE_SHARED;
    renew->claim = client->belief.claim;
    renew->settle_ms = client->settle_ms;
    if (client->exclusive)
        return;
    renew->job = (char *)(uintptr_t)bus_jobs[job_of(client)];
    renew->run = client->run;
    renew->attempt = client->attempt;
}

static void say_hello(struct client *client, Sb__Request *request)
{
    const uint8_t how = next();
    Sb__Hello hello = SB__HELLO__INIT;
    Sb__Renew renew = SB__RENEW__INIT;
    Sb__Renew *renews[] = {&renew};
    Sb__RunState run = SB__RUN_STATE__INIT;
    Sb__RunState *runs[] = {&run};
    char *job = (char *)(uintptr_t)bus_jobs[job_of(client)];
    if ((how & 1U) != 0) { // another process: the one before was killed
        leases_forget(node_of(client));
        drop(client);
        client->process++;
    }
    hello.name = node_of(client)->name;
    hello.instance = node_of(client)->instance;
    hello.process = client->process;
    hello.host = hello.instance;
    hello.jobs = &job;
    hello.n_jobs = client - play.clients < BUS_JOBS;
    fill_renew(client, &renew);
    hello.leases = renews;
    hello.n_leases = client->token != 0;
    run.run = play.runs[job_of(client)];
    run.attempt = play.attempts[job_of(client)];
    run.job = job;
    hello.runs = runs;
    hello.n_runs = hello.n_jobs > 0 && run.run != 0 && (how & 2U) != 0;
    request->body_case = SB__REQUEST__BODY_HELLO;
    request->hello = &hello;
    send(client, request);
}

// A new wish, or the one before asked for again.
static void say_acquire(struct client *client, Sb__Request *request)
{
    if (client->belief.claim == 0) {
        const uint8_t how = next();
        *client = (struct client){.process = client->process,
                                  .session = client->session,
                                  .exclusive = (how & 1U) != 0 || client - play.clients >= BUS_JOBS,
                                  .run = play.runs[job_of(client)],
                                  .attempt = play.attempts[job_of(client)],
                                  .deaf = client->deaf,
                                  .belief = {.claim = ++play.next_claim}};
        client->resource = client->exclusive ? how >> 1 & 1U : 0;
        client->settle_ms = !client->exclusive ? BUS_SETTLE_MS : how & 4U ? 5000 : 0;
    }
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = (char *)(uintptr_t)bus_resources[client->resource];
    acquire.mode = client->exclusive ? SB__MODE__MODE_EXCLUSIVE : SB__MODE__MODE_SHARED;
    acquire.claim = client->belief.claim;
    acquire.ticket = client->ticket;
    acquire.poll_ms = 500;
    acquire.settle_ms = client->settle_ms;
    if (!client->exclusive) {
        acquire.job = (char *)(uintptr_t)bus_jobs[job_of(client)];
        acquire.run = client->run;
        acquire.attempt = client->attempt;
    }
    request->body_case = SB__REQUEST__BODY_ACQUIRE;
    request->acquire = &acquire;
    client->asked_id = play.next_id + 1;
    client->asked_ms = bus_boot_ms();
    send(client, request);
}

static void say_renew(struct client *client, Sb__Request *request)
{
    Sb__Renew renew = SB__RENEW__INIT;
    if (client->token == 0)
        return;
    fill_renew(client, &renew);
    renew.done = next();
    renew.total = UINT8_MAX;
    request->body_case = SB__REQUEST__BODY_RENEW;
    request->renew = &renew;
    client->asked_id = play.next_id + 1;
    client->asked_ms = bus_boot_ms();
    send(client, request);
}

static void say_release(struct client *client, Sb__Request *request)
{
    Sb__Release release = SB__RELEASE__INIT;
    if (client->token == 0)
        return;
    release.token = client->token;
    release.resource = (char *)(uintptr_t)bus_resources[client->resource];
    release.yielded = (next() & 1U) != 0;
    leases_given_back(node_of(client), client->belief.claim);
    drop(client);
    request->body_case = SB__REQUEST__BODY_RELEASE;
    request->release = &release;
    send(client, request);
}

static void say_withdraw(struct client *client, Sb__Request *request)
{
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    if (client->belief.claim == 0)
        return;
    withdraw.claim = client->belief.claim;
    withdraw.resource = (char *)(uintptr_t)bus_resources[client->resource];
    leases_given_back(node_of(client), client->belief.claim);
    drop(client);
    request->body_case = SB__REQUEST__BODY_WITHDRAW;
    request->withdraw = &withdraw;
    send(client, request);
}

static void say_about_run(struct client *client, Sb__Request *request)
{
    const uint8_t how = next();
    Sb__Report report = SB__REPORT__INIT;
    Sb__Result result = SB__RESULT__INIT;
    Sb__Trigger trigger = SB__TRIGGER__INIT;
    result.ok = (how & 1U) != 0;
    result.started_ms = result.ended_ms = bus_wall_ms();
    trigger.cause = how & 2U ? SB__CAUSE__CAUSE_WEBHOOK : SB__CAUSE__CAUSE_MANUAL;
    report.job = trigger.job = (char *)(uintptr_t)bus_jobs[job_of(client)];
    report.run = play.runs[job_of(client)];
    report.attempt = play.attempts[job_of(client)];
    report.result = &result;
    request->body_case = how & 4U ? SB__REQUEST__BODY_TRIGGER : SB__REQUEST__BODY_REPORT;
    if (how & 4U)
        request->trigger = &trigger;
    else
        request->report = &report;
    send(client, request);
}

static void say_as_operator(struct client *client, Sb__Request *request)
{
    const uint8_t how = next();
    Sb__Hold hold = SB__HOLD__INIT;
    Sb__Unhold unhold = SB__UNHOLD__INIT;
    Sb__Revoke revoke = SB__REVOKE__INIT;
    hold.job = (char *)(uintptr_t)(how & 4U ? bus_jobs[how >> 3 & 1U] : "");
    hold.resource = (char *)(uintptr_t)(how & 4U ? "" : bus_resources[how >> 3 & 1U]);
    hold.by = hold.reason = revoke.by = revoke.reason = (char *)(uintptr_t) "op";
    hold.until_ms = how & 16U ? bus_wall_ms() + 20000 : 0;
    hold.orders_too = (how & 36U) == 32U;
    hold.hold = unhold.hold = 1 + (how >> 6);
    revoke.token = play.clients[how >> 2 & 3U].token;
    revoke.resource = (char *)(uintptr_t)bus_resources[play.clients[how >> 2 & 3U].resource];
    if ((how & 3U) == 0) {
        request->body_case = SB__REQUEST__BODY_HOLD;
        request->hold = &hold;
    } else if ((how & 3U) == 1) {
        request->body_case = SB__REQUEST__BODY_REVOKE;
        request->revoke = &revoke;
    } else {
        request->body_case = SB__REQUEST__BODY_UNHOLD;
        request->unhold = &unhold;
    }
    send(client, request);
}

// Bits 0 to 3: what; 4 and 5: who; 6: it is not on disk yet; 7: the answer is lost.
static void happen(void)
{
    const uint8_t what = next();
    struct client *client = &play.clients[what >> 4 & 3U];
    Sb__Request request = SB__REQUEST__INIT;
    client->deaf = (what & 128U) != 0;
    switch (what & 15U) {
    case 0: say_hello(client, &request); break;
    case 1:
    case 2:
    case 3: say_acquire(client, &request); break;
    case 4: say_renew(client, &request); break;
    case 5: say_release(client, &request); break;
    case 6: say_withdraw(client, &request); break;
    case 7:
    case 8: say_about_run(client, &request); break;
    case 9: say_as_operator(client, &request); break;
    case 10: bus_jump(((int64_t)next() - 128) * 10000); break;
    case 11:
        bus_step(&(struct core_event){.kind = CORE_EVENT_PEER_GONE,
                                      .peer_gone = (uint64_t)(client - play.clients) + 1});
        break;
    case 12:
        if ((what & 128U) != 0)
            bus_restart(next() & 63U);
        else
            bus_kill(next() & 63U);
        break;
    case 13: bus_reload(next() & 63U); break;
    case 14: bus_pass(next() * INT64_C(250)); break;
    default: bus_pass(next() * INT64_C(10)); break;
    }
    let_go();
    if ((what & 64U) == 0)
        bus_commit();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct syncbus_client *beliefs[BUS_CLIENTS];
    memset(&play, 0, sizeof play);
    play.data = data;
    play.size = size;
    for (size_t i = 0; i < BUS_CLIENTS; i++) {
        play.clients[i].process = 1;
        beliefs[i] = &play.clients[i].belief;
    }
    bus_begin(next() & 63U, 1000000, INT64_C(1700000000000), beliefs, hear);
    for (int i = 0; i < STEPS_MAX && play.size > 0; i++) {
        happen();
        bus_pass(0);
    }
    bus_end();
    return 0;
}
