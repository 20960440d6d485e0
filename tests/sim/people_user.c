// Who uses the ERP by hand under the exclusive lease.
#include "tests/sim/check.h"
#include "tests/sim/erp.h"
#include "tests/sim/people_parts.h"

#include <assert.h>
#include <stdlib.h>

enum { LONG_WORK_PPM = 50000, LONG_WORK_MS = 60 * 1000, PATIENCE_PPM = 300000, PATIENCE_MS = 120 * 1000 };

struct user {
    struct person person;  // first: what all people are
    int64_t mean_ms;       // between two uses
    int64_t usual_work_ms; // of one use
    uint64_t claim;        // of the wish or the lease; 0: none
    uint64_t token;        // of the lease; 0: it waits
    uint64_t work;         // in the ERP; 0: none
    int64_t next_ms;       // BOOTTIME: to begin, to lose patience, or to end the work
};

static void leave(struct user *self)
{
    erp_work_end(self->work);
    self->work = 0;
    self->claim = 0;
    self->token = 0;
    self->next_ms = node_boot_ms(self->person.node) + person_pause_ms(self->mean_ms);
}

static void begin(struct person *person)
{
    struct user *self = (struct user *)person;
    leave(self);
}

// Its command is ended with it.
static void end(struct person *person)
{
    struct user *self = (struct user *)person;
    leave(self);
}

static void wish(struct user *self, int64_t boot_ms)
{
    const bool patient = !sim_chance(PATIENCE_PPM);
    const struct syncbus_wish wish = {.resource = sim->config->resources[sim->config->orders.resource].name,
                                      .mode = SYNCBUS_EXCLUSIVE,
                                      .reason = "by hand",
                                      .wait_ms = patient ? 0 : (uint32_t)sim_between(100, PATIENCE_MS)};
    self->claim = syncbus_acquire(self->person.node->client, &wish);
    self->next_ms = sim_chance(PATIENCE_PPM) ? boot_ms + sim_between(1, PATIENCE_MS) : INT64_MAX;
    if (self->claim == 0)
        leave(self);
}

static void on_granted(struct user *self, uint64_t token)
{
    const bool is_long = sim_chance(LONG_WORK_PPM);
    self->token = token;
    self->work = erp_work_begin(self->person.node, token, true);
    self->next_ms = node_boot_ms(self->person.node) +
                    (is_long ? sim_between(1, LONG_WORK_MS) : person_pause_ms(self->usual_work_ms));
}

static void notice(struct person *person, const struct syncbus_notice *notice)
{
    struct user *self = (struct user *)person;
    if (self->claim == 0 || notice->claim != self->claim)
        return;
    if (notice->kind == SYNCBUS_GRANTED)
        on_granted(self, notice->token);
    else if (notice->kind == SYNCBUS_LOST || notice->kind == SYNCBUS_REFUSED)
        leave(self);
}

static void give_up(struct user *self)
{
    const uint64_t claim = self->claim;
    const bool held = self->token != 0;
    struct syncbus_client *client = self->person.node->client;
    leave(self);
    if (held)
        syncbus_release(client, claim, false);
    else if (claim != 0)
        syncbus_withdraw(client, claim);
}

static void take_turn(struct person *person, int64_t boot_ms)
{
    struct user *self = (struct user *)person;
    if (boot_ms < self->next_ms)
        return;
    if (self->claim != 0)
        give_up(self);
    else if (people_heals())
        self->next_ms = INT64_MAX;
    else
        wish(self, boot_ms);
}

static int64_t deadline(const struct person *person)
{
    const struct user *self = (const struct user *)person;
    return self->next_ms;
}

static void stop(struct person *person)
{
    give_up((struct user *)person);
}

static void check_end(const struct person *person)
{
    const struct user *self = (const struct user *)person;
    if (self->claim != 0)
        check_broken("I6", "%s still %s", person->node->name,
                     self->token != 0 ? "works in the ERP" : "waits for a lease");
}

static void free_user(struct person *person)
{
    free(person);
}

struct node *people_user_add(const char *name)
{
    static const struct person_kind kind = {.begin = begin,
                                            .end = end,
                                            .notice = notice,
                                            .time = take_turn,
                                            .deadline = deadline,
                                            .stop = stop,
                                            .check_end = check_end,
                                            .free = free_user};
    struct user *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->mean_ms = person_mean_ms(1, 60);
    self->usual_work_ms = sim_between(50, 3000);
    return person_add(name, &self->person, &kind);
}
