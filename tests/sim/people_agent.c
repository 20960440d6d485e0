// Agents who order. What they know of their orders is on paper: it lasts through all lives of their process.
#include "proto/wire.h"
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
    OPEN_MAX = 24, // orders that an agent looks after at once
    CALL_MS = 30 * 1000,
    AGAIN_MS = 5 * 1000,      // until a call that failed is made again
    LOOK_FIRST_MS = 4 * 1000, // from one look at an order to the next, doubled each time
    LOOK_MAX_MS = 60 * 1000,
    LOOK_HEALED_MS = 5 * 1000,
    TWICE_PPM = 100000,  // of orders placed by two calls at once
    CANCEL_PPM = 150000, // of orders that are not wanted any more after a while
    CANCEL_MS = 60 * 1000,
    RUSH_PPM = 60000, // of agents who order more than the ERP can bear at times
};

enum errand { ERRAND_PLACE, ERRAND_SHOW, ERRAND_CANCEL, ERRAND_RESOLVE };

// One order on paper.
struct paper {
    char key[ERP_KEY_MAX + 1]; // of the order
    char body[32];             // its text
    uint64_t call;             // under way; 0: none
    enum errand errand;        // what for
    int64_t next_ms;           // BOOTTIME of the next call
    int64_t look_ms;           // from one look at it to the next
    int64_t cancel_ms;         // BOOTTIME from which it is not wanted any more; INT64_MAX: never
    Sb__OrderStatus told;      // what was heard of it last; UNSPECIFIED: it was not acknowledged
    bool cancelled;            // that was acknowledged
};

struct agent {
    struct person person;         // first: what all people are
    int64_t mean_ms;              // between two orders
    int64_t order_ms;             // BOOTTIME of the next one
    struct paper **papers;        // all orders, owned
    size_t count;                 // of them
    size_t capacity;              // room for so many
    struct paper *open[OPEN_MAX]; // that have not ended as far as the agent knows
    size_t open_count;            // of them
};

static bool has_ended(Sb__OrderStatus status)
{
    return status == SB__ORDER_STATUS__ORDER_STATUS_PLACED ||
           status == SB__ORDER_STATUS__ORDER_STATUS_REJECTED ||
           status == SB__ORDER_STATUS__ORDER_STATUS_CANCELLED ||
           status == SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON;
}

// ---------------------------------------------------------------- calls

static uint64_t call_place(struct agent *self, const struct paper *paper)
{
    Sb__PlaceOrder place = SB__PLACE_ORDER__INIT;
    place.key = (char *)(uintptr_t)paper->key;
    place.body = (char *)(uintptr_t)paper->body;
    place.by = self->person.node->name;
    return person_call(&self->person, "place", &place.base, (uint32_t)sim_between(1000, CALL_MS));
}

static uint64_t call_key(struct agent *self, const char *method, const struct paper *paper)
{
    Sb__OrderKey key = SB__ORDER_KEY__INIT;
    key.key = (char *)(uintptr_t)paper->key;
    return person_call(&self->person, method, &key.base, (uint32_t)sim_between(1000, CALL_MS));
}

static uint64_t call_resolve(struct agent *self, const struct paper *paper, const char *id)
{
    Sb__ResolveOrder resolve = SB__RESOLVE_ORDER__INIT;
    resolve.key = (char *)(uintptr_t)paper->key;
    resolve.placed = (char *)(uintptr_t)id;
    resolve.by = self->person.node->name;
    return person_call(&self->person, "resolve", &resolve.base, (uint32_t)sim_between(1000, CALL_MS));
}

static void look_after(struct agent *self, struct paper *paper, int64_t boot_ms)
{
    const char *id = paper->told == SB__ORDER_STATUS__ORDER_STATUS_UNKNOWN ? erp_order(paper->key) : NULL;
    paper->next_ms = boot_ms + person_pause_ms(AGAIN_MS / 2);
    if (paper->told == SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED) {
        paper->errand = ERRAND_PLACE;
        paper->call = call_place(self, paper);
        if (sim_chance(TWICE_PPM))
            (void)call_place(self, paper);
    } else if (boot_ms >= paper->cancel_ms && !paper->cancelled) {
        paper->errand = ERRAND_CANCEL;
        paper->call = call_key(self, "cancel", paper);
    } else if (id != NULL && sim_fault(SIM_FAULT_PEOPLE, 300000)) {
        paper->errand = ERRAND_RESOLVE; // somebody looked into the ERP
        paper->call = call_resolve(self, paper, id);
    } else {
        paper->errand = ERRAND_SHOW;
        paper->call = call_key(self, "show", paper);
    }
}

// ---------------------------------------------------------------- answers

// O3: what was acknowledged is in the book, whatever happens to whoever keeps it.
static void check_told(const struct paper *paper, Sb__OrderStatus status)
{
    const Sb__OrderStatus kept = order_book_status(people_order_node(), paper->key);
    if (kept == SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED)
        check_broken("O3", "order %s was acknowledged, but it is not in the book", paper->key);
    if (has_ended(status) && status != SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON && kept != status)
        check_broken("O3", "order %s was said to have ended as %d, but the book has it as %d", paper->key,
                     (int)status, (int)kept);
}

static void heard(struct paper *paper, const Sb__OrderState *state, int64_t boot_ms)
{
    const int64_t look_max_ms = people_heals() ? LOOK_HEALED_MS : LOOK_MAX_MS;
    if (strcmp(state->key, paper->key) != 0)
        check_broken("O3", "asked for order %s, and heard of %s", paper->key, state->key);
    check_told(paper, state->status);
    sim_trace("hears that order %s is %d", paper->key, (int)state->status);
    paper->told = state->status;
    if (paper->errand == ERRAND_CANCEL)
        paper->cancelled = true;
    paper->next_ms = boot_ms + person_pause_ms(paper->look_ms / 2);
    paper->look_ms = 2 * paper->look_ms < look_max_ms ? 2 * paper->look_ms : look_max_ms;
}

static void refused(struct paper *paper, enum syncbus_code code, const char *text)
{
    if (paper->errand == ERRAND_PLACE && (code == SYNCBUS_CONFLICT || code == SYNCBUS_INVALID))
        check_broken("O3", "order %s, always the same, is refused: %s", paper->key, text);
    if (paper->errand != ERRAND_PLACE && code == SYNCBUS_NOT_FOUND)
        check_broken("O3", "order %s was acknowledged, but is not known: %s", paper->key, text);
    if (paper->errand == ERRAND_CANCEL && code == SYNCBUS_CONFLICT)
        paper->cancel_ms = INT64_MAX; // too late
}

static void take_answer(struct paper *paper, const struct syncbus_notice *notice, int64_t boot_ms)
{
    Sb__Reply *reply = person_reply(notice);
    ProtobufCMessage *message = NULL;
    paper->call = 0;
    if (notice->code != SYNCBUS_OK) {
        refused(paper, notice->code, notice->text);
    } else if (reply == NULL || reply->body_case != SB__REPLY__BODY_ANSWERED ||
               wire_unpack(&sb__order_state__descriptor, reply->answered->body.data,
                           reply->answered->body.len, &message, NULL) != ERR_OK) {
        check_broken("O3", "the answer about order %s cannot be read", paper->key);
    } else {
        heard(paper, (const Sb__OrderState *)message, boot_ms);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    if (reply != NULL)
        sb__reply__free_unpacked(reply, NULL);
}

static void notice(struct person *person, const struct syncbus_notice *notice)
{
    struct agent *self = (struct agent *)person;
    if (notice->kind != SYNCBUS_REPLY)
        return;
    for (size_t i = 0; i < self->open_count; i++) {
        struct paper *paper = self->open[i];
        if (paper->call == 0 || paper->call != notice->ask)
            continue;
        take_answer(paper, notice, node_boot_ms(person->node));
        if (has_ended(paper->told))
            self->open[i] = self->open[--self->open_count];
        return;
    }
}

// ---------------------------------------------------------------- time

static void order(struct agent *self, int64_t boot_ms)
{
    struct paper *paper = calloc(1, sizeof *paper);
    assert(paper != NULL);
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? 64 : 2 * self->capacity;
        self->papers = realloc(self->papers, self->capacity * sizeof(struct paper *));
        assert(self->papers != NULL);
    }
    self->papers[self->count++] = paper;
    self->open[self->open_count++] = paper;
    snprintf(paper->key, sizeof paper->key, "%s-%zu", self->person.node->name, self->count);
    snprintf(paper->body, sizeof paper->body, "{\"amount\":%zu}", self->count);
    paper->next_ms = boot_ms;
    paper->look_ms = LOOK_FIRST_MS;
    paper->cancel_ms = sim_chance(CANCEL_PPM) ? boot_ms + sim_between(0, CANCEL_MS) : INT64_MAX;
}

static void take_turn(struct person *person, int64_t boot_ms)
{
    struct agent *self = (struct agent *)person;
    if (boot_ms >= self->order_ms) {
        if (self->open_count < OPEN_MAX && !people_heals())
            order(self, boot_ms);
        self->order_ms = people_heals() ? INT64_MAX : boot_ms + person_pause_ms(self->mean_ms);
    }
    for (size_t i = 0; i < self->open_count; i++) {
        struct paper *paper = self->open[i];
        if (paper->call == 0 && boot_ms >= paper->next_ms)
            look_after(self, paper, boot_ms);
    }
}

static int64_t deadline(const struct person *person)
{
    const struct agent *self = (const struct agent *)person;
    int64_t nearest = self->order_ms;
    for (size_t i = 0; i < self->open_count; i++) {
        const struct paper *paper = self->open[i];
        if (paper->call == 0 && paper->next_ms < nearest)
            nearest = paper->next_ms;
    }
    return nearest;
}

// ---------------------------------------------------------------- life

// What an earlier life asked is not answered any more.
static void begin(struct person *person)
{
    struct agent *self = (struct agent *)person;
    const int64_t boot_ms = node_boot_ms(person->node);
    for (size_t i = 0; i < self->open_count; i++) {
        self->open[i]->call = 0;
        self->open[i]->next_ms = boot_ms + sim_between(0, AGAIN_MS);
    }
    if (self->order_ms < boot_ms)
        self->order_ms = boot_ms + person_pause_ms(self->mean_ms);
}

static void end(struct person *person)
{
    (void)person;
}

static void check_paper(const struct paper *paper)
{
    const Sb__OrderStatus kept = order_book_status(people_order_node(), paper->key);
    const char *id = erp_order(paper->key);
    const bool placed = kept == SB__ORDER_STATUS__ORDER_STATUS_PLACED;
    if (paper->told == SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED)
        check_broken("I6", "order %s was never acknowledged", paper->key);
    else if (!has_ended(kept))
        check_broken("O2", "order %s was accepted and has not ended: the book has it as %d", paper->key,
                     (int)kept);
    else if (!has_ended(paper->told))
        check_broken("I6", "nobody could tell how order %s ended", paper->key);
    check_told(paper, paper->told);
    if (paper->cancelled && kept != SB__ORDER_STATUS__ORDER_STATUS_CANCELLED)
        check_broken("O3", "order %s was cancelled, but the book has it as %d", paper->key, (int)kept);
    if (placed != (id != NULL))
        check_broken("O2", "order %s is %s the book, but %s the ERP", paper->key,
                     placed ? "placed by" : "not placed by", id != NULL ? "in" : "not in");
}

static void check_end(const struct person *person)
{
    const struct agent *self = (const struct agent *)person;
    for (size_t i = 0; i < self->count && !sim->failed; i++)
        check_paper(self->papers[i]);
}

static void free_agent(struct person *person)
{
    struct agent *self = (struct agent *)person;
    for (size_t i = 0; i < self->count; i++)
        free(self->papers[i]);
    free(self->papers);
    free(self);
}

struct node *people_agent_add(const char *name)
{
    static const struct person_kind kind = {.begin = begin,
                                            .end = end,
                                            .notice = notice,
                                            .time = take_turn,
                                            .deadline = deadline,
                                            .stop = end,
                                            .check_end = check_end,
                                            .free = free_agent};
    struct agent *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->mean_ms = sim_chance(RUSH_PPM) ? person_mean_ms(60, 300) : person_mean_ms(3, 60);
    return person_add(name, &self->person, &kind);
}
