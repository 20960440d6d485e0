// Operators: what they laid and asked is on paper, and lasts through all lives of their process. When the
// world heals they look whether any hold lies, by whomever, and take it off, until none does.
#include "tests/sim/check.h"
#include "tests/sim/erp.h"
#include "tests/sim/order_book.h"
#include "tests/sim/people_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOLDS_MAX = 8,  // that an operator has in mind at once
    TOKENS_MAX = 8, // of leases that it saw last
    ASK_MS = 15 * 1000,
    HOLD_MAX_MS = 5 * 60 * 1000,
    LOOK_AGAIN_MS = 5 * 1000,
    CLEAR_LOOKS = 3, // without any hold, and the operator is content: a late word may still lay one
};

struct operator_node {
    struct person person;        // first: what all people are
    int64_t mean_ms;             // between two deeds
    int64_t next_ms;             // BOOTTIME of the next one
    uint64_t ask;                // under way; 0: none
    bool looks;                  // it is a Snapshot
    uint64_t lifts;              // the hold that it takes off; 0: none
    uint64_t holds[HOLDS_MAX];   // that may lie
    size_t hold_count;           // of them
    uint64_t tokens[TOKENS_MAX]; // of leases seen last
    size_t token_count;          // of them
    unsigned clear_looks;        // in a row, while the world heals
};

static char *text(const char *words)
{
    return (char *)(uintptr_t)words;
}

static void ask(struct operator_node *self, const Sb__Request *request)
{
    self->ask = person_ask(&self->person, request, (uint32_t)sim_between(1000, ASK_MS));
}

static const char *some_job(void)
{
    return sim->config->jobs[sim_between(0, (int64_t)sim->config->job_count - 1)].name;
}

// ---------------------------------------------------------------- deeds

static void trigger(struct operator_node *self)
{
    Sb__Trigger trigger = SB__TRIGGER__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    trigger.job = text(some_job());
    trigger.cause = sim_chance(500000) ? SB__CAUSE__CAUSE_MANUAL : SB__CAUSE__CAUSE_WEBHOOK;
    trigger.detail = text("by chance");
    request.body_case = SB__REQUEST__BODY_TRIGGER;
    request.trigger = &trigger;
    sim_trace("triggers %s", trigger.job);
    ask(self, &request);
}

static void hold(struct operator_node *self)
{
    Sb__Hold hold = SB__HOLD__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    if (self->hold_count == HOLDS_MAX)
        return;
    if (sim_chance(500000)) {
        hold.job = text(some_job());
    } else {
        hold.resource = sim->config->resources[sim->config->orders.resource].name;
        hold.orders_too = sim_chance(500000);
    }
    hold.by = self->person.node->name;
    hold.reason = text("maintenance");
    hold.since_ms = node_wall_ms(self->person.node);
    hold.until_ms = sim_chance(500000) ? hold.since_ms + sim_between(1000, HOLD_MAX_MS) : 0;
    hold.hold = random_next(&sim->random);
    self->holds[self->hold_count++] = hold.hold;
    request.body_case = SB__REQUEST__BODY_HOLD;
    request.hold = &hold;
    sim_trace("lays hold %" PRIu64 " on %s", hold.hold, hold.job[0] != '\0' ? hold.job : hold.resource);
    ask(self, &request);
}

static void unhold(struct operator_node *self, uint64_t number)
{
    Sb__Unhold unhold = SB__UNHOLD__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    unhold.hold = number;
    unhold.by = self->person.node->name;
    request.body_case = SB__REQUEST__BODY_UNHOLD;
    request.unhold = &unhold;
    sim_trace("takes off hold %" PRIu64, number);
    self->lifts = number;
    ask(self, &request);
}

static void look(struct operator_node *self)
{
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &snapshot;
    self->looks = true;
    ask(self, &request);
}

// Revokes one of the leases that it saw a while ago.
static void revoke(struct operator_node *self)
{
    Sb__Revoke revoke = SB__REVOKE__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    if (self->token_count == 0) {
        look(self);
        return;
    }
    revoke.token = self->tokens[sim_between(0, (int64_t)self->token_count - 1)];
    revoke.by = self->person.node->name;
    revoke.reason = text("it seems to hang");
    request.body_case = SB__REQUEST__BODY_REVOKE;
    request.revoke = &revoke;
    self->token_count = 0;
    sim_trace("revokes lease %" PRIu64, revoke.token);
    ask(self, &request);
}

// Says what became of an order, as the ERP shows it.
static void resolve(struct operator_node *self)
{
    Sb__ResolveOrder resolve = SB__RESOLVE_ORDER__INIT;
    const char *key = order_book_needs_person(people_order_node(), random_next(&sim->random));
    if (key == NULL)
        return;
    const char *id = erp_order(key);
    resolve.key = text(key);
    resolve.placed = text(id != NULL ? id : "");
    resolve.rejected = text(id != NULL ? "" : "the ERP has it not");
    resolve.by = self->person.node->name;
    sim_trace("resolves order %s", key);
    self->ask = person_call(&self->person, "resolve", &resolve.base, (uint32_t)sim_between(1000, ASK_MS));
}

static void do_something(struct operator_node *self)
{
    const int64_t choice = sim_between(0, 99);
    if (choice < 35)
        trigger(self);
    else if (choice < 50)
        hold(self);
    else if (choice < 75 && self->hold_count > 0)
        unhold(self, self->holds[sim_between(0, (int64_t)self->hold_count - 1)]);
    else if (choice < 85)
        revoke(self);
    else
        resolve(self);
}

// ---------------------------------------------------------------- answers

static void forget_hold(struct operator_node *self, uint64_t number)
{
    for (size_t i = 0; i < self->hold_count; i++) {
        if (self->holds[i] == number) {
            self->holds[i] = self->holds[--self->hold_count];
            return;
        }
    }
}

static void note_token(struct operator_node *self, uint64_t token)
{
    if (token != 0 && self->token_count < TOKENS_MAX)
        self->tokens[self->token_count++] = token;
}

static void note_state(struct operator_node *self, const Sb__State *state)
{
    self->token_count = 0;
    for (size_t i = 0; i < state->n_resources; i++)
        note_token(self, state->resources[i]->token);
    for (size_t i = 0; i < state->n_jobs; i++)
        note_token(self, state->jobs[i]->current != NULL ? state->jobs[i]->current->token : 0);
    if (!people_heals())
        return;
    self->clear_looks = state->n_holds == 0 ? self->clear_looks + 1 : 0;
    self->hold_count = 0;
    for (size_t i = 0; i < state->n_holds && i < HOLDS_MAX; i++)
        self->holds[self->hold_count++] = state->holds[i]->hold;
}

static void notice(struct person *person, const struct syncbus_notice *notice)
{
    struct operator_node *self = (struct operator_node *)person;
    if (notice->kind != SYNCBUS_REPLY || self->ask == 0 || notice->ask != self->ask)
        return;
    const bool done = notice->code == SYNCBUS_OK || notice->code == SYNCBUS_NOT_FOUND;
    if (self->lifts != 0 && done)
        forget_hold(self, self->lifts);
    Sb__Reply *reply = self->looks ? person_reply(notice) : NULL;
    if (reply != NULL && notice->code == SYNCBUS_OK && reply->body_case == SB__REPLY__BODY_STATE)
        note_state(self, reply->state);
    if (reply != NULL)
        sb__reply__free_unpacked(reply, NULL);
    self->ask = 0;
    self->lifts = 0;
    self->looks = false;
}

// ---------------------------------------------------------------- time

static void lift_all(struct operator_node *self)
{
    if (self->hold_count > 0)
        unhold(self, self->holds[0]);
    else if (self->clear_looks < CLEAR_LOOKS)
        look(self);
    else
        self->next_ms = INT64_MAX;
}

static void take_turn(struct person *person, int64_t boot_ms)
{
    struct operator_node *self = (struct operator_node *)person;
    const int64_t soon_ms = boot_ms + LOOK_AGAIN_MS;
    if (people_heals() && self->clear_looks < CLEAR_LOOKS && self->next_ms > soon_ms)
        self->next_ms = soon_ms;
    if (self->ask != 0 || boot_ms < self->next_ms)
        return;
    self->next_ms = people_heals() ? soon_ms : boot_ms + person_pause_ms(self->mean_ms);
    if (people_heals())
        lift_all(self);
    else if ((sim->faults & SIM_FAULT_PEOPLE) != 0)
        do_something(self);
}

static int64_t deadline(const struct person *person)
{
    const struct operator_node *self = (const struct operator_node *)person;
    return self->ask != 0 ? INT64_MAX : self->next_ms;
}

// ---------------------------------------------------------------- life

static void begin(struct person *person)
{
    struct operator_node *self = (struct operator_node *)person;
    self->ask = 0;
    self->lifts = 0;
    self->looks = false;
    self->next_ms = node_boot_ms(person->node) + person_pause_ms(self->mean_ms);
}

static void end(struct person *person)
{
    (void)person;
}

static void check_end(const struct person *person)
{
    const struct operator_node *self = (const struct operator_node *)person;
    if (self->clear_looks < CLEAR_LOOKS)
        check_broken("I6", "%s could not see that no hold lies any more", person->node->name);
}

static void free_operator(struct person *person)
{
    free(person);
}

struct node *people_operator_add(const char *name)
{
    static const struct person_kind kind = {.begin = begin,
                                            .end = end,
                                            .notice = notice,
                                            .time = take_turn,
                                            .deadline = deadline,
                                            .stop = end,
                                            .check_end = check_end,
                                            .free = free_operator};
    struct operator_node *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->mean_ms = person_mean_ms(5, 200);
    self->person.anonymous = sim_chance(500000);
    return person_add(name, &self->person, &kind);
}
