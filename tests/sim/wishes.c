#include "tests/sim/wishes.h"

#include "tests/sim/check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    WISHES_MAX = 256,
    RESOURCE_NAME_MAX = 64,
    RETURN_MAX_MS = 110 * 1000, // a little less than what the broker waits for those who were in line
    GIVEN_UP_MS = 60 * 1000,    // one that was not asked for in so long is a wish no more
};

static struct {
    struct wish wishes[WISHES_MAX];
    char resources[WISHES_RESOURCES_MAX][RESOURCE_NAME_MAX];
    uint64_t words;     // asks and answers up to now
    int64_t started_ms; // when the broker's life began
} all;

void wishes_init(void)
{
    memset(&all, 0, sizeof all);
}

void wishes_broker_started(int64_t boot_ms)
{
    all.started_ms = boot_ms;
}

uint32_t wishes_resource(const char *name)
{
    uint32_t i = 0;
    while (i < WISHES_RESOURCES_MAX && all.resources[i][0] != '\0' && strcmp(all.resources[i], name) != 0)
        i++;
    assert(i < WISHES_RESOURCES_MAX);
    (void)snprintf(all.resources[i], sizeof all.resources[i], "%s", name);
    return i;
}

const char *wishes_resource_name(uint32_t resource)
{
    return all.resources[resource];
}

struct wish *wishes_of_request(uint64_t peer, uint64_t id)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        if (all.wishes[i].claim != 0 && all.wishes[i].peer == peer && all.wishes[i].id == id)
            return &all.wishes[i];
    }
    return NULL;
}

static struct wish *find_claim(uint64_t claim)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        if (claim != 0 && all.wishes[i].claim == claim)
            return &all.wishes[i];
    }
    return NULL;
}

static bool is_waiting(const struct wish *self, int64_t boot_ms)
{
    return self->claim != 0 && self->life == sim->broker->life &&
           boot_ms < self->asked_ms + 2 * self->poll_ms && boot_ms < self->until_ms;
}

// A free place. A wish that nobody has asked for in a long time was given up, and nobody said so.
static struct wish *vacant(int64_t boot_ms)
{
    struct wish *oldest = &all.wishes[0];
    for (size_t i = 0; i < WISHES_MAX; i++) {
        struct wish *wish = &all.wishes[i];
        if (wish->claim == 0)
            return wish;
        if (wish->life < oldest->life || (wish->life == oldest->life && wish->asked_ms < oldest->asked_ms))
            oldest = wish;
    }
    assert(oldest->life != sim->broker->life || oldest->asked_ms + GIVEN_UP_MS < boot_ms);
    oldest->claim = 0;
    return oldest;
}

void wishes_asked(const struct core_event *event, struct node *node)
{
    const Sb__Acquire *acquire = event->request.request->acquire;
    sim_trace("is asked by %s for claim %" PRIx64 ", ticket %" PRIu64, node->name, acquire->claim,
              acquire->ticket);
    struct wish *wish = find_claim(acquire->claim);
    if (wish == NULL)
        wish = vacant(event->boot_ms);
    // Who comes back to a broker that has just started has the old place in the line by the ticket.
    const bool returns = wish->claim != 0 && wish->life != sim->broker->life && acquire->ticket != 0 &&
                         acquire->ticket == wish->ticket && event->boot_ms - all.started_ms <= RETURN_MAX_MS;
    if (wish->claim == 0 || wish->life != sim->broker->life)
        *wish =
            (struct wish){.claim = acquire->claim,
                          .ticket = acquire->ticket,
                          .entered = ++all.words,
                          .until_ms = acquire->wait_ms > 0 ? event->boot_ms + acquire->wait_ms : INT64_MAX};
    wish->returns = returns;
    wish->unsure = !returns && (wish->unsure || !is_waiting(wish, event->boot_ms));
    wish->peer = event->request.peer;
    wish->id = event->request.request->id;
    wish->exclusive = acquire->mode == SB__MODE__MODE_EXCLUSIVE;
    wish->resource = wishes_resource(acquire->resource);
    wish->life = sim->broker->life;
    wish->asked_ms = event->boot_ms;
    wish->poll_ms = acquire->poll_ms;
    // A sync's settle time is that of the config in which its run began, which may be an earlier one.
    wish->settle_ms = wish->exclusive || sim->changes == 0 ? acquire->settle_ms : 0;
    wish->node = node;
}

void wishes_told(struct wish *self, const Sb__Waiting *waiting)
{
    if (self->returns && waiting->ticket != self->ticket)
        check_broken("I7", "claim %" PRIx64 " came back to its ticket %" PRIu64 " and has %" PRIu64 " now",
                     self->claim, self->ticket, waiting->ticket);
    self->ticket = waiting->ticket;
    self->told = ++all.words;
    self->entered = all.words + 1; // it has no place if that is 0, until it asks again
    self->unsure = false;
}

// Whoever does not ask just now may have been refused with it, and hears of that later.
void wishes_refused(struct wish *self)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        struct wish *other = &all.wishes[i];
        other->unsure = other->unsure || (self->exclusive && other->resource == self->resource);
    }
    self->claim = 0;
}

void wishes_withdrawn(uint64_t claim)
{
    struct wish *wish = find_claim(claim);
    if (wish != NULL)
        wish->claim = 0;
}

void wishes_forget(const struct node *node)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        if (all.wishes[i].node == node)
            all.wishes[i].claim = 0;
    }
}

uint64_t wishes_first(int64_t boot_ms)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        const struct wish *wish = &all.wishes[i];
        if (wish->exclusive && !wish->unsure && is_waiting(wish, boot_ms))
            return wish->claim;
    }
    return 0;
}

// Whether one had its place before the other asked for one. Their tickets tell, once they are known.
static bool came_before(const struct wish *one, const struct wish *other)
{
    if (one->ticket == 0)
        return false;
    return other->ticket != 0 ? one->ticket < other->ticket : one->told < other->entered;
}

void wishes_check_line(const struct wish *self, int64_t boot_ms)
{
    for (size_t i = 0; self->exclusive && i < WISHES_MAX; i++) {
        const struct wish *other = &all.wishes[i];
        if (other != self && other->exclusive && other->resource == self->resource &&
            is_waiting(other, boot_ms) && !other->unsure && came_before(other, self))
            check_broken("I7",
                         "claim %" PRIx64 " was granted before claim %" PRIx64 " with the ticket %" PRIu64,
                         self->claim, other->claim, other->ticket);
    }
}
