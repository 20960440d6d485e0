#include "proto/session_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLL_MS = 1000,       // how long the broker may hold an Acquire; it shortens what is too long for the ttl
    ANSWER_MS = 1000,     // how much later its answer may come, until it is asked anew
    POLL_LEAST_MS = 100,  // between polls, if the broker answers them at once
    WAIT_GRACE_MS = 500,  // the broker's own end of a wait comes first, if it can
    REPEAT_MS = 1000,     // until a Release or Withdraw without an answer is sent again
    FORGET_MS = 60000,    // until one is given up: the lease has long ended by itself
    MARGIN_DIVISOR = 10,  // the holder's view of a ttl is shorter by this part (I9)
    RENEWALS_PER_TTL = 3, // so that two may be lost
};

// ---------------------------------------------------------------- places

// A free place; NULL when there is none. Moves the others: indexes stay, pointers do not.
static struct session_wish *take_place(struct session *self)
{
    for (size_t i = 0; i < self->wish_count; i++) {
        if (self->wishes[i].state == SESSION_WISH_FREE)
            return &self->wishes[i];
    }
    if (self->wish_count == SESSION_WISHES_MAX)
        return NULL;
    struct session_wish *wishes = realloc(self->wishes, (self->wish_count + 1) * sizeof *wishes);
    if (wishes == NULL)
        return NULL;
    self->wishes = wishes;
    wishes[self->wish_count] = (struct session_wish){.state = SESSION_WISH_FREE};
    return &wishes[self->wish_count++];
}

static void free_place(struct session_wish *wish)
{
    free(wish->resource);
    free(wish->job);
    free(wish->reason);
    session_free_news(wish->last);
    *wish = (struct session_wish){.state = SESSION_WISH_FREE};
}

// The program's wish or lease of that claim. One that ends, or a free place, has no claim any more.
static struct session_wish *find(const struct session *self, uint64_t claim)
{
    for (size_t i = 0; claim != 0 && i < self->wish_count; i++) {
        if (self->wishes[i].claim == claim)
            return &self->wishes[i];
    }
    return NULL;
}

void session_lease_free(struct session *self)
{
    for (size_t i = 0; i < self->wish_count; i++)
        free_place(&self->wishes[i]);
    free(self->wishes);
}

// ---------------------------------------------------------------- what is sent

static void send_acquire(struct session *self, struct session_wish *wish)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Acquire acquire = SB__ACQUIRE__INIT;
    acquire.resource = wish->resource;
    acquire.mode = wish->mode == SYNCBUS_EXCLUSIVE ? SB__MODE__MODE_EXCLUSIVE : SB__MODE__MODE_SHARED;
    acquire.run = wish->run;
    acquire.job = wish->job;
    acquire.attempt = wish->attempt;
    acquire.reason = wish->reason;
    acquire.ticket = wish->ticket;
    acquire.claim = wish->wire_claim;
    acquire.settle_ms = wish->settle_ms;
    // The first answer comes at once, with position and blockers; later ones when there is news.
    acquire.poll_ms = wish->told ? POLL_MS : 0;
    if (wish->wait_ms > 0) {
        const int64_t left = wish->end_ms - WAIT_GRACE_MS - self->now_ms;
        acquire.wait_ms = left > 1 ? (uint32_t)left : 1;
    }
    request.body_case = SB__REQUEST__BODY_ACQUIRE;
    request.acquire = &acquire;
    wish->asked_id = session_next_id(self);
    if (wish->first_ms == 0)
        wish->first_ms = self->now_ms;
    wish->next_ms = self->now_ms + acquire.poll_ms + ANSWER_MS;
    session_send(self, &request, wish->asked_id);
}

static void fill_renew(const struct session_wish *wish, Sb__Renew *renew)
{
    *renew = (Sb__Renew)SB__RENEW__INIT;
    renew->token = wish->token;
    renew->resource = wish->resource;
    renew->mode = wish->mode == SYNCBUS_EXCLUSIVE ? SB__MODE__MODE_EXCLUSIVE : SB__MODE__MODE_SHARED;
    renew->run = wish->run;
    renew->job = wish->job;
    renew->attempt = wish->attempt;
    renew->reason = wish->reason;
    renew->claim = wish->wire_claim;
    renew->settle_ms = wish->settle_ms;
    renew->done = wish->done;
    renew->total = wish->total;
}

static void send_renew(struct session *self, struct session_wish *wish)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Renew renew;
    fill_renew(wish, &renew);
    request.body_case = SB__REQUEST__BODY_RENEW;
    request.renew = &renew;
    // Each is a new request with its own time of sending; the oldest is forgotten when there are too many.
    struct session_renew *place = &wish->renews[0];
    for (size_t i = 1; i < SESSION_RENEWS_MAX; i++) {
        if (wish->renews[i].id < place->id)
            place = &wish->renews[i];
    }
    *place = (struct session_renew){.id = session_next_id(self), .sent_ms = self->now_ms};
    wish->next_ms = self->now_ms + wish->ttl_ms / RENEWALS_PER_TTL;
    session_send(self, &request, place->id);
}

static void send_end(struct session *self, struct session_wish *wish)
{
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Release release = SB__RELEASE__INIT;
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    if (wish->token != 0) {
        release.token = wish->token;
        release.resource = wish->resource;
        release.yielded = wish->yielded;
        release.pause = wish->yielded ? wish->pause : 0;
        request.body_case = SB__REQUEST__BODY_RELEASE;
        request.release = &release;
    } else {
        withdraw.claim = wish->wire_claim;
        withdraw.resource = wish->resource;
        request.body_case = SB__REQUEST__BODY_WITHDRAW;
        request.withdraw = &withdraw;
    }
    wish->asked_id = session_next_id(self);
    wish->next_ms = self->now_ms + REPEAT_MS;
    session_send(self, &request, wish->asked_id);
}

// Lets the broker know that the wish or lease is over: after `delay_ms`, INT64_MAX for only if it asks.
static void end_wish(struct session *self, struct session_wish *wish, int64_t delay_ms)
{
    wish->state = SESSION_WISH_ENDING;
    wish->claim = 0;
    wish->asked_id = 0;
    wish->next_ms = delay_ms == INT64_MAX ? INT64_MAX : self->now_ms + delay_ms;
    wish->end_ms = self->now_ms + wish->settle_ms + FORGET_MS;
    if (delay_ms == 0 && self->state == SESSION_JOINED)
        send_end(self, wish);
}

// Tells the program that its wish or lease has ended: once in its life, and whatever memory there is.
static struct session_news *tell_last(struct session *self, struct session_wish *wish,
                                      enum syncbus_notice_kind kind)
{
    struct session_news *news = wish->last;
    assert(news != NULL);
    wish->last = NULL;
    session_tell_news(self, news, kind);
    news->notice.claim = wish->claim;
    return news;
}

// The program must stop at once. Nothing is given back: until it has stopped, the broker's own wait protects
// whoever comes next.
static void lose(struct session *self, struct session_wish *wish, const char *why)
{
    struct session_news *news = tell_last(self, wish, SYNCBUS_LOST);
    news->notice.token = wish->token;
    session_tell_text(news, why);
    end_wish(self, wish, INT64_MAX);
}

// ---------------------------------------------------------------- answers

static void ask_to_yield(struct session *self, struct session_wish *wish, uint64_t pause)
{
    if (wish->mode != SYNCBUS_SHARED || pause == 0 || pause <= wish->pause)
        return;
    struct session_news *news = session_tell(self, SYNCBUS_YIELD);
    if (news == NULL)
        return; // told again by the next renewal
    wish->pause = pause;
    news->notice.claim = wish->claim;
    news->notice.token = wish->token;
    news->notice.pause = pause;
}

// The wish goes on under a new claim: the old one's lease is over, though the program never had it.
static void claim_anew(struct session *self, struct session_wish *wish)
{
    wish->wire_claim = random_next(&self->random);
    wish->asked_id = 0;
    wish->first_ms = 0;
    wish->next_ms = self->now_ms;
}

// A grant that came after its life by the holder's clock, or that nobody can be told of, is given back
// unused.
static void refuse_grant(struct session *self, size_t index, uint64_t token)
{
    struct session_wish *place = take_place(self);
    struct session_wish *wish = &self->wishes[index];
    char *resource = strdup(wish->resource);
    if (place != NULL && resource != NULL) {
        *place = (struct session_wish){.resource = resource, .token = token};
        end_wish(self, place, 0);
    } else {
        free(resource);
    }
    claim_anew(self, wish);
}

static void take_granted(struct session *self, size_t index, const Sb__Granted *granted)
{
    struct session_wish *wish = &self->wishes[index];
    const int64_t end_ms = wish->first_ms + granted->ttl_ms - granted->ttl_ms / MARGIN_DIVISOR;
    struct session_news *news = self->now_ms < end_ms ? session_tell(self, SYNCBUS_GRANTED) : NULL;
    if (news == NULL) {
        refuse_grant(self, index, granted->token);
        return;
    }
    wish->state = SESSION_WISH_HELD;
    wish->token = granted->token;
    wish->ttl_ms = granted->ttl_ms;
    wish->end_ms = end_ms;
    wish->next_ms = self->now_ms; // a holder renews first thing
    wish->asked_id = 0;
    memset(wish->renews, 0, sizeof wish->renews);
    news->notice.claim = wish->claim;
    news->notice.token = wish->token;
    news->notice.waited_ms = granted->waited_ms;
}

static void take_waiting(struct session *self, struct session_wish *wish, Sb__Reply **reply_p)
{
    const Sb__Waiting *waiting = (*reply_p)->waiting;
    const bool too_soon = wish->told && self->now_ms - wish->first_ms < POLL_LEAST_MS;
    wish->asked_id = 0;
    wish->first_ms = 0;
    wish->told = true;
    wish->ticket = waiting->ticket;
    wish->next_ms = self->now_ms + (too_soon ? POLL_LEAST_MS : 0);
    struct session_news *news = session_tell(self, SYNCBUS_WAITING);
    if (news == NULL)
        return;
    news->notice.claim = wish->claim;
    news->notice.position = waiting->position;
    news->notice.eta_ms = waiting->eta_ms;
    session_tell_blockers(news, waiting->n_blockers, waiting->blockers);
    news->reply = *reply_p;
    *reply_p = NULL;
}

static void take_refusal(struct session *self, struct session_wish *wish, Sb__Reply **reply_p)
{
    const Sb__Reply *reply = *reply_p;
    struct session_news *news = tell_last(self, wish, SYNCBUS_REFUSED);
    // An OK without a grant is no answer of this protocol.
    news->notice.code = reply->code == SB__CODE__CODE_OK ? SYNCBUS_INTERNAL : (enum syncbus_code)reply->code;
    session_tell_text(news, reply->text);
    if (reply->body_case == SB__REPLY__BODY_WAITING) {
        session_tell_blockers(news, reply->waiting->n_blockers, reply->waiting->blockers);
        news->reply = *reply_p;
        *reply_p = NULL;
    }
    free_place(wish);
}

static void take_acquire_reply(struct session *self, size_t index, Sb__Reply **reply_p)
{
    const Sb__Reply *reply = *reply_p;
    struct session_wish *wish = &self->wishes[index];
    const bool ok = reply->code == SB__CODE__CODE_OK;
    if (ok && reply->body_case == SB__REPLY__BODY_GRANTED && reply->granted->token != 0)
        take_granted(self, index, reply->granted);
    else if (ok && reply->body_case == SB__REPLY__BODY_WAITING)
        take_waiting(self, wish, reply_p);
    else if (reply->code == SB__CODE__CODE_LEASE_LOST)
        claim_anew(self, wish);
    else
        take_refusal(self, wish, reply_p);
}

static bool is_lost(Sb__Code code)
{
    return code == SB__CODE__CODE_LEASE_LOST || code == SB__CODE__CODE_CONFLICT ||
           code == SB__CODE__CODE_NOT_FOUND || code == SB__CODE__CODE_FORBIDDEN;
}

static void take_renew_reply(struct session *self, struct session_wish *wish, struct session_renew *renew,
                             const Sb__Reply *reply)
{
    const int64_t sent_ms = renew->sent_ms;
    *renew = (struct session_renew){.id = 0};
    const bool renewed = reply->code == SB__CODE__CODE_OK && reply->body_case == SB__REPLY__BODY_RENEWED;
    if (wish->state == SESSION_WISH_ENDING) {
        // Dead here, alive there: it is given back, after its work has surely settled.
        if (renewed && wish->next_ms == INT64_MAX)
            wish->next_ms = self->now_ms + wish->settle_ms;
        return;
    }
    if (is_lost(reply->code)) {
        lose(self, wish, reply->text[0] != '\0' ? reply->text : "the broker refused to renew it");
        return;
    }
    if (!renewed)
        return; // tried again at its time, for as long as the lease lives
    const uint32_t ttl_ms = reply->renewed->ttl_ms;
    const int64_t end_ms = sent_ms + ttl_ms - ttl_ms / MARGIN_DIVISOR;
    wish->ttl_ms = ttl_ms;
    if (end_ms > wish->end_ms)
        wish->end_ms = end_ms;
    if (reply->renewed->yield)
        ask_to_yield(self, wish, reply->renewed->pause);
}

static struct session_renew *find_renew(struct session_wish *wish, uint64_t id)
{
    for (size_t i = 0; i < SESSION_RENEWS_MAX; i++) {
        if (wish->renews[i].id == id)
            return &wish->renews[i];
    }
    return NULL;
}

bool session_lease_reply(struct session *self, Sb__Reply **reply_p)
{
    const uint64_t id = (*reply_p)->id;
    for (size_t i = 0; i < self->wish_count; i++) {
        struct session_wish *wish = &self->wishes[i];
        if (wish->state == SESSION_WISH_FREE)
            continue;
        struct session_renew *renew = find_renew(wish, id);
        if (renew != NULL) {
            take_renew_reply(self, wish, renew, *reply_p);
            return true;
        }
        if (wish->asked_id != id)
            continue;
        if (wish->state == SESSION_WISH_WAITING)
            take_acquire_reply(self, i, reply_p);
        else
            free_place(wish); // the broker has heard of the end, whatever it says to it
        return true;
    }
    return false;
}

// ---------------------------------------------------------------- registration and time

void session_lease_hello(struct session *self, Sb__Hello *hello, Sb__Renew *renews, Sb__Renew **places)
{
    for (size_t i = 0; i < self->wish_count; i++) {
        if (self->wishes[i].state != SESSION_WISH_HELD)
            continue;
        fill_renew(&self->wishes[i], &renews[hello->n_leases]);
        places[hello->n_leases] = &renews[hello->n_leases];
        hello->n_leases++;
    }
    hello->leases = places;
}

// Everything is asked for anew, at once; what was sent before counts on for the ends of leases.
void session_lease_joined(struct session *self)
{
    for (size_t i = 0; i < self->wish_count; i++) {
        struct session_wish *wish = &self->wishes[i];
        // An end that was not told yet keeps its time: what it protected may still be settling.
        if (wish->state == SESSION_WISH_FREE || (wish->state == SESSION_WISH_ENDING && wish->asked_id == 0))
            continue;
        wish->asked_id = 0;
        memset(wish->renews, 0, sizeof wish->renews);
        wish->told = false;
        wish->next_ms = self->now_ms;
    }
    session_lease_time(self);
}

void session_lease_paused(struct session *self, const char *resource, uint64_t pause)
{
    for (size_t i = 0; i < self->wish_count; i++) {
        struct session_wish *wish = &self->wishes[i];
        if (wish->state == SESSION_WISH_HELD && strcmp(wish->resource, resource) == 0)
            ask_to_yield(self, wish, pause);
    }
}

static void end_by_time(struct session *self, struct session_wish *wish)
{
    assert(wish->state != SESSION_WISH_FREE);
    if (wish->state == SESSION_WISH_HELD) {
        lose(self, wish, "it could not be renewed in time");
    } else if (wish->state == SESSION_WISH_ENDING) {
        free_place(wish);
    } else {
        struct session_news *news = tell_last(self, wish, SYNCBUS_REFUSED);
        news->notice.code = SYNCBUS_TIMEOUT;
        session_tell_text(news, "the lease was not granted in time");
        end_wish(self, wish, 0);
    }
}

void session_lease_ends(struct session *self)
{
    for (size_t i = 0; i < self->wish_count; i++) {
        struct session_wish *wish = &self->wishes[i];
        if (wish->state != SESSION_WISH_FREE && self->now_ms >= wish->end_ms)
            end_by_time(self, wish);
    }
}

void session_lease_time(struct session *self)
{
    if (self->state != SESSION_JOINED)
        return;
    for (size_t i = 0; i < self->wish_count; i++) {
        struct session_wish *wish = &self->wishes[i];
        if (self->now_ms < wish->next_ms)
            continue;
        switch (wish->state) {
        case SESSION_WISH_WAITING: send_acquire(self, wish); break;
        case SESSION_WISH_HELD: send_renew(self, wish); break;
        case SESSION_WISH_ENDING: send_end(self, wish); break;
        case SESSION_WISH_FREE: break;
        }
    }
}

int64_t session_lease_deadline(const struct session *self)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < self->wish_count; i++) {
        const struct session_wish *wish = &self->wishes[i];
        if (wish->state == SESSION_WISH_FREE)
            continue;
        if (wish->end_ms < deadline)
            deadline = wish->end_ms;
        if (self->state == SESSION_JOINED && wish->next_ms < deadline)
            deadline = wish->next_ms;
    }
    return deadline;
}

// ---------------------------------------------------------------- commands

static bool copy_wish(struct session_wish *place, const struct syncbus_wish *wish)
{
    place->resource = strdup(wish->resource);
    place->job = strdup(wish->job != NULL ? wish->job : "");
    place->reason = strdup(wish->reason != NULL ? wish->reason : "");
    place->last = session_news_new();
    return place->resource != NULL && place->job != NULL && place->reason != NULL && place->last != NULL;
}

static bool is_valid(const struct session *self, const struct syncbus_wish *wish)
{
    if (self->anonymous || wish->resource == NULL || !session_fits(wish->resource, WIRE_NAME_MAX))
        return false;
    if (wish->job != NULL && !session_fits(wish->job, WIRE_NAME_MAX))
        return false;
    if (wish->reason != NULL && !session_fits(wish->reason, WIRE_TEXT_MAX))
        return false;
    return wish->mode == SYNCBUS_EXCLUSIVE || (wish->mode == SYNCBUS_SHARED && wish->run != 0);
}

uint64_t session_acquire(struct session *self, int64_t now_ms, const struct syncbus_wish *wish)
{
    session_begin(self, now_ms);
    if (!is_valid(self, wish)) {
        errno = EINVAL;
        return 0;
    }
    struct session_wish *place = take_place(self);
    if (place == NULL || !copy_wish(place, wish)) {
        if (place != NULL)
            free_place(place);
        errno = ENOBUFS;
        return 0;
    }
    place->state = SESSION_WISH_WAITING;
    place->claim = random_next(&self->random);
    place->wire_claim = place->claim;
    place->mode = wish->mode;
    place->run = wish->run;
    place->attempt = wish->attempt;
    place->wait_ms = wish->wait_ms;
    place->settle_ms = wish->settle_ms;
    place->end_ms = wish->wait_ms > 0 ? self->now_ms + wish->wait_ms + WAIT_GRACE_MS : INT64_MAX;
    place->next_ms = self->now_ms;
    if (self->state == SESSION_JOINED)
        send_acquire(self, place);
    return place->claim;
}

// Takes away the notices of a claim that the program has given up.
static void forget_news(struct session *self, uint64_t claim)
{
    struct session_news **place = &self->news;
    while (*place != NULL) {
        struct session_news *news = *place;
        if (news->notice.claim != claim) {
            place = &news->next;
            continue;
        }
        *place = news->next;
        session_free_news(news);
    }
    self->news_tail = place;
}

static void give_up(struct session *self, int64_t now_ms, uint64_t claim, bool yielded)
{
    session_begin(self, now_ms);
    if (claim != 0)
        forget_news(self, claim);
    struct session_wish *wish = find(self, claim);
    if (wish == NULL)
        return;
    wish->yielded = yielded && wish->state == SESSION_WISH_HELD;
    end_wish(self, wish, 0);
}

void session_withdraw(struct session *self, int64_t now_ms, uint64_t claim)
{
    give_up(self, now_ms, claim, false);
}

void session_release(struct session *self, int64_t now_ms, uint64_t claim, bool yielded)
{
    give_up(self, now_ms, claim, yielded);
}

void session_progress(struct session *self, uint64_t claim, uint64_t done, uint64_t total)
{
    struct session_wish *wish = find(self, claim);
    if (wish == NULL)
        return;
    wish->done = done;
    wish->total = total;
}

int64_t session_left_ms(const struct session *self, int64_t now_ms, uint64_t claim)
{
    const struct session_wish *wish = find(self, claim);
    if (wish == NULL || wish->state != SESSION_WISH_HELD || now_ms >= wish->end_ms)
        return 0;
    return wish->end_ms - now_ms;
}

int64_t session_ttl_ms(const struct session *self, uint64_t claim)
{
    const struct session_wish *wish = find(self, claim);
    return wish != NULL && wish->state == SESSION_WISH_HELD ? wish->ttl_ms : 0;
}
