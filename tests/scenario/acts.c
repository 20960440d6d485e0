// What clients do in a story, each by the line that says so.
#include "tests/scenario/acts.h"

#include "tests/lib/request.h"
#include "tests/scenario/trace.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct wish *any_wish(struct client *client)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        if (client->wishes[i].acquire.claim != 0)
            return &client->wishes[i];
    }
    line_fail("it has no wish", client->name);
    return NULL;
}

static void want(struct world *world, struct client *client, const struct line *line)
{
    struct wish *wish = world_wish(world, client, world_job(world, line->words[2]));
    Sb__Acquire *acquire = &wish->acquire;
    int64_t wait_ms = 0;
    int64_t settle_ms = acquire->settle_ms;
    wish->asks_again = !line_is(line, line->count - 1, "once");
    line_duration_option(line, "wait", &wait_ms);
    line_duration_option(line, "settle", &settle_ms);
    acquire->wait_ms = (uint32_t)wait_ms;
    acquire->settle_ms = (uint32_t)settle_ms;
    world_ask(world, client, wish, 0);
}

static void hello(struct world *world, struct client *client, const struct line *line)
{
    uint64_t leases[WISHES_MAX];
    uint64_t runs[WISHES_MAX + 1];
    size_t lease_count = 0;
    size_t run_count = 0;
    for (size_t i = 0; i < WISHES_MAX; i++) {
        const struct wish *wish = &client->wishes[i];
        if (wish->acquire.claim != 0 && wish->token != 0 && !line_is(line, 2, "silently"))
            leases[lease_count++] = wish->token;
        if (wish->acquire.claim != 0 && wish->acquire.run != 0)
            runs[run_count++] = wish->acquire.run;
    }
    for (size_t i = line_is(line, 2, "silently") ? 3 : 2; i < line->count; i++) {
        const size_t job = world_job(world, line->words[i]);
        if (job == world->job_count)
            line_fail("no such job", line->words[i]);
        runs[run_count++] = world->due[job].run;
    }
    world_hello(world, client, leases, lease_count, runs, run_count);
}

static void report(struct world *world, struct client *client, const struct line *line)
{
    Sb__Result result = SB__RESULT__INIT;
    const size_t job = world_job(world, line->words[2]);
    const uint32_t last_attempt = world->due[job].attempt;
    line_number_option(line, "attempt", &world->due[job].attempt); // of an earlier one
    result.ok = line_is(line, 3, "ok");
    result.error = (char *)(uintptr_t)(result.ok ? "" : "the export was empty");
    result.guarded = line_is(line, 4, "guarded");
    result.over_rejects = line_is(line, 4, "rejects");
    result.withheld = result.guarded ? 12 : 0;
    world_report(world, client, job, &result);
    world->due[job].attempt = last_attempt;
}

// Gives the lease back, in mid-run or at its end; forgets the wish when it is withdrawn.
static void give_back(struct world *world, struct client *client, const struct line *line)
{
    struct wish *wish = any_wish(client);
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    if (!line_is(line, 1, "withdraws")) {
        world_give_back(world, client, wish, line_is(line, 1, "yields"));
        return;
    }
    withdraw.resource = wish->acquire.resource;
    withdraw.claim = wish->acquire.claim;
    *wish = (struct wish){0};
    world_send(world, client, REQUEST(withdraw, WITHDRAW, &withdraw));
}

static void call(struct world *world, struct client *client, const struct line *line)
{
    Sb__Call message = SB__CALL__INIT;
    message.service = line->words[2];
    message.method = line->words[3];
    client->next_id -= line_is(line, 4, "again") ? 1 : 0;
    world_send(world, client, REQUEST(call, CALL, &message));
}

static void answer(struct world *world, struct client *client)
{
    Sb__Answer message = SB__ANSWER__INIT;
    message.call = client->call;
    message.code = SB__CODE__CODE_OK;
    world_send(world, client, REQUEST(answer, ANSWER, &message));
}

static void publish_change(struct world *world, struct client *client, const struct line *line)
{
    uint32_t count = 0;
    Sb__Withheld withheld = SB__WITHHELD__INIT;
    Sb__Change change = SB__CHANGE__INIT;
    Sb__Publish message = SB__PUBLISH__INIT;
    change.entity = line->words[2];
    if (line_is(line, 3, "withheld")) { // the feed's head, as a service tells it
        line_number_option(line, "count", &count);
        withheld.count = count;
        withheld.guarded = count > 0;
        change.withheld = &withheld;
    }
    message.body_case = SB__PUBLISH__BODY_CHANGE;
    message.change = &change;
    world_send(world, client, REQUEST(publish, PUBLISH, &message));
}

static void trigger(struct world *world, struct client *client, const struct line *line)
{
    Sb__Trigger message = SB__TRIGGER__INIT;
    message.job = line->words[2];
    message.cause = line_is(line, 3, "webhook") ? SB__CAUSE__CAUSE_WEBHOOK : SB__CAUSE__CAUSE_MANUAL;
    uint32_t back = line_is(line, 3, "again") ? 1 : 0; // so many requests before: the same once more
    line_number_option(line, "back", &back);
    client->next_id -= back;
    world_send(world, client, REQUEST(trigger, TRIGGER, &message));
    client->next_id += back > 0 ? back - 1 : 0;
}

static void look(struct world *world, struct client *client, const struct line *line)
{
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    const bool at_pauses = line_is(line, 2, "pauses");
    snapshot.job = line->count > 2 ? line->words[2] : snapshot.job;
    if (at_pauses)
        world_send(world, client, REQUEST(pauses, PAUSES, &pauses));
    else
        world_send(world, client, REQUEST(snapshot, SNAPSHOT, &snapshot));
}

static void bye(struct world *world, struct client *client)
{
    Sb__Bye message = SB__BYE__INIT;
    client->alive = false;
    world_send(world, client, REQUEST(bye, BYE, &message));
}

// Lays a hold on a job or the resource; the same number again if the line says so.
static void hold(struct world *world, struct client *client, const struct line *line)
{
    Sb__Hold message = SB__HOLD__INIT;
    int64_t length_ms = 0;
    line_duration_option(line, "for", &length_ms);
    if (world_job(world, line->words[2]) < world->job_count)
        message.job = line->words[2];
    else
        message.resource = line->words[2];
    message.by = client->name;
    message.reason = (char *)(uintptr_t) "maintenance";
    message.until_ms = length_ms != 0 ? world->wall_ms + length_ms : 0;
    message.orders_too = line_is(line, line->count - 1, "orders_too");
    message.hold = line_is(line, line->count - 1, "again") ? client->hold : 0;
    world_send(world, client, REQUEST(hold, HOLD, &message));
}

static void unhold(struct world *world, struct client *client)
{
    Sb__Unhold message = SB__UNHOLD__INIT;
    message.hold = client->hold;
    message.by = client->name;
    world_send(world, client, REQUEST(unhold, UNHOLD, &message));
}

static void revoke(struct world *world, struct client *client, const struct line *line)
{
    Sb__Revoke message = SB__REVOKE__INIT;
    message.token = any_wish(world_client(world, line->words[2]))->token;
    message.by = client->name;
    message.reason = (char *)(uintptr_t) "it is in the way";
    world_send(world, client, REQUEST(revoke, REVOKE, &message));
}

static void rebind(struct world *world, struct client *client, const struct line *line)
{
    Sb__Rebind message = SB__REBIND__INIT;
    message.name = line->words[2];
    message.by = client->name;
    world_send(world, client, REQUEST(rebind, REBIND, &message));
}

static void publish_order(struct world *world, struct client *client, const struct line *line)
{
    Sb__OrderState order = SB__ORDER_STATE__INIT;
    Sb__Publish message = SB__PUBLISH__INIT;
    order.key = line->words[3];
    order.status = line_is(line, 4, "needs_person") ? SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON
                   : line_is(line, 4, "placed")     ? SB__ORDER_STATUS__ORDER_STATUS_PLACED
                                                    : SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED;
    order.stopped = line_is(line, 5, "stopped");
    order.why = (char *)(uintptr_t) "the ERP does not say";
    message.body_case = SB__PUBLISH__BODY_ORDER;
    message.order = &order;
    world_send(world, client, REQUEST(publish, PUBLISH, &message));
}

// Which orders need a person: `after` a key (- for none), the keys, and `more` if there are further ones.
static void publish_persons(struct world *world, struct client *client, const struct line *line)
{
    Sb__OrderState orders[WORDS_MAX];
    Sb__OrderState *pointers[WORDS_MAX];
    Sb__NeedsPerson page = SB__NEEDS_PERSON__INIT;
    Sb__Publish message = SB__PUBLISH__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    page.after = line_is(line, 4, "-") ? page.after : line->words[4];
    page.more = line_is(line, line->count - 1, "more");
    page.orders = pointers;
    for (size_t i = 5; i < line->count - (page.more ? 1 : 0); i++) {
        Sb__OrderState *order = &orders[page.n_orders];
        sb__order_state__init(order);
        order->key = line->words[i];
        order->why = (char *)(uintptr_t) "the ERP does not say";
        pointers[page.n_orders++] = order;
    }
    message.body_case = SB__PUBLISH__BODY_NEEDS_PERSON;
    message.needs_person = &page;
    request.body_case = SB__REQUEST__BODY_PUBLISH;
    request.publish = &message;
    world_send(world, client, &request);
}

static void renew(struct world *world, struct client *client, const struct line *line)
{
    struct wish *wish = any_wish(client);
    uint32_t done = (uint32_t)wish->done;
    uint32_t total = (uint32_t)wish->total;
    line_number_option(line, "done", &done);
    line_number_option(line, "total", &total);
    wish->done = done;
    wish->total = total;
    trace_line(world, "(%s)", wish->token != 0 ? "renews" : "has nothing to renew");
    world_renew(world, client, wish);
}

// What happens to a client, without a request.
static bool befall(struct world *world, struct client *client, const struct line *line)
{
    if (line_is(line, 1, "runs")) {
        for (size_t i = 2; i < line->count; i++)
            (void)snprintf(client->jobs[i - 2], sizeof client->jobs[0], "%s", line->words[i]);
    } else if (line_is(line, 1, "works")) {
        line_duration_option(line, "for", &client->work_ms);
    } else if (line_is(line, 1, "orders")) {
        line_number_option(line, "count", &client->orders);
        line_duration_option(line, "every", &client->pace_ms);
        client->next_boot = world->boot_ms + client->pace_ms;
    } else if (line_is(line, 1, "serves")) {
        (void)snprintf(client->serves, sizeof client->serves, "%s", line->words[2]);
    } else if (line_is(line, 1, "hangs")) {
        client->hangs = true;
    } else if (line_is(line, 1, "wakes")) {
        client->hangs = false;
    } else if (line_is(line, 1, "dies")) { // and forgets; its next life is another process
        client->alive = false;
        client->process++;
        memset(client->wishes, 0, sizeof client->wishes);
    } else if (line_is(line, 1, "haunts")) { // what its process before said comes only now
        client->process--;
        world_hello(world, client, NULL, 0, NULL, 0);
        client->process++;
    } else if (line_is(line, 1, "restarts")) { // it remembers its leases
        client->process++;
    } else if (line_is(line, 1, "moves")) {
        client->host++;
        client->process++;
    } else if (line_is(line, 1, "impersonates")) {
        client->instance = world_client(world, line->words[2])->instance;
    } else if (line_is(line, 1, "steals")) { // the number of another's lease
        client->wishes[0] = world_client(world, line->words[2])->wishes[0];
        client->wishes[0].request = 0;
    } else if (line_is(line, 1, "unreachable")) {
        world_lose(world, client);
    } else {
        return false;
    }
    return true;
}

// What operators and services ask for; false if it is nothing of that.
static bool ask(struct world *world, struct client *client, const struct line *line)
{
    if (line_is(line, 1, "calls"))
        call(world, client, line);
    else if (line_is(line, 1, "answers"))
        answer(world, client);
    else if (line_is(line, 1, "publishes") && line_is(line, 2, "order"))
        publish_order(world, client, line);
    else if (line_is(line, 1, "publishes") && line_is(line, 2, "persons"))
        publish_persons(world, client, line);
    else if (line_is(line, 1, "publishes"))
        publish_change(world, client, line);
    else if (line_is(line, 1, "triggers"))
        trigger(world, client, line);
    else if (line_is(line, 1, "looks"))
        look(world, client, line);
    else if (line_is(line, 1, "bye"))
        bye(world, client);
    else if (line_is(line, 1, "holds"))
        hold(world, client, line);
    else if (line_is(line, 1, "unholds"))
        unhold(world, client);
    else if (line_is(line, 1, "revokes"))
        revoke(world, client, line);
    else if (line_is(line, 1, "rebinds"))
        rebind(world, client, line);
    else
        return false;
    return true;
}

void act(struct world *world, const struct line *line)
{
    struct client *client = world_client(world, line->words[0]);
    if (line->count < 2)
        line_fail("nobody does this", line->words[0]);
    if (befall(world, client, line))
        return;
    if (line_is(line, 1, "hello"))
        hello(world, client, line);
    else if (line_is(line, 1, "wants"))
        want(world, client, line);
    else if (line_is(line, 1, "asks"))
        world_ask(world, client, any_wish(client), 0);
    else if (line_is(line, 1, "renews"))
        renew(world, client, line);
    else if (line_is(line, 1, "releases") || line_is(line, 1, "yields") || line_is(line, 1, "withdraws"))
        give_back(world, client, line);
    else if (line_is(line, 1, "reports"))
        report(world, client, line);
    else if (!ask(world, client, line))
        line_fail("nobody knows how to do this", line->words[1]);
}
