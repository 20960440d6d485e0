#include "tests/scenario/habits.h"

#include "tests/lib/request.h"
#include "tests/scenario/trace.h"

#include <string.h>

enum { SECOND = 1000, RENEW_EVERY = 3, ORDER_TAKES_MS = 3000 };

static void ping(struct world *world, struct client *client)
{
    Sb__Ping message = SB__PING__INIT;
    world->silent = true;
    world_send(world, client, REQUEST(ping, PING, &message));
    world->silent = false;
}

static struct wish *wish_for(struct client *client, const char *job)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        struct wish *wish = &client->wishes[i];
        if (wish->acquire.claim != 0 && strcmp(wish->acquire.job, job) == 0)
            return wish;
    }
    return NULL;
}

// One job of a service that works: it takes the run that is due, fetches, steps aside when asked, and
// reports.
static void work(struct world *world, struct client *client, size_t job)
{
    struct wish *wish = wish_for(client, world->job_names[job]);
    if (wish == NULL) {
        if (!world->due[job].taken && world->due[job].run != 0)
            world_ask(world, client, world_wish(world, client, job), 0);
        return;
    }
    if (wish->token == 0)
        return;
    if (wish->told_yield) {
        world_give_back(world, client, wish, true);
        return;
    }
    wish->done++;
    if (world->boot_ms - wish->granted_boot < client->work_ms)
        return;
    Sb__Result result = SB__RESULT__INIT;
    result.ok = true;
    world->due[job].taken = true;
    world_give_back(world, client, wish, false);
    world_report(world, client, job, &result);
}

static void place_orders(struct world *world, struct client *client)
{
    struct wish *wish = wish_for(client, "");
    if (wish == NULL && world->boot_ms >= client->next_boot) {
        client->next_boot += client->pace_ms;
        world_ask(world, client, world_wish(world, client, world->job_count), 0);
    } else if (wish != NULL && wish->token != 0 && world->boot_ms - wish->granted_boot >= ORDER_TAKES_MS) {
        client->orders--;
        world_give_back(world, client, wish, false);
    }
}

void habits_act(struct world *world)
{
    const bool renews = (world->next_second - world->start_ms) / SECOND % RENEW_EVERY == 0;
    for (size_t i = 0; i < world->client_count; i++) {
        struct client *client = &world->clients[i];
        if (!client->alive || client->hangs || client->session == 0)
            continue;
        ping(world, client);
        for (size_t k = 0; k < WISHES_MAX && renews; k++) {
            if (client->wishes[k].acquire.claim != 0 && client->wishes[k].token != 0)
                world_renew(world, client, &client->wishes[k]);
        }
        for (size_t k = 0; k < 4 && client->work_ms > 0 && client->jobs[k][0] != '\0'; k++)
            work(world, client, world_job(world, client->jobs[k]));
        if (client->orders > 0)
            place_orders(world, client);
    }
    world->next_second += SECOND;
}
