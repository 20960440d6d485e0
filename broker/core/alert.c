// Alerts: what is wrong, told once when it begins and once when it is over, and kept in between, over
// restarts too.
#include "broker/core/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word; // in the topic and on the wire
    Sb__Severity severity;
} kinds[ALERT_KIND_COUNT] = {
    [ALERT_FAILING] = {"failing", SB__SEVERITY__SEVERITY_CRITICAL},
    [ALERT_STALE] = {"stale", SB__SEVERITY__SEVERITY_WARNING},
    [ALERT_HUNG] = {"hung", SB__SEVERITY__SEVERITY_WARNING},
    [ALERT_NO_SERVICE] = {"no_service", SB__SEVERITY__SEVERITY_CRITICAL},
    [ALERT_WITHHELD] = {"withheld", SB__SEVERITY__SEVERITY_WARNING},
    [ALERT_REJECTS] = {"rejects", SB__SEVERITY__SEVERITY_WARNING},
    [ALERT_CLOCK] = {"clock", SB__SEVERITY__SEVERITY_WARNING},
    [ALERT_PAUSE_TIMEOUT] = {"pause_timeout", SB__SEVERITY__SEVERITY_WARNING},
    [ALERT_LEASE_EXPIRED] = {"lease_expired", SB__SEVERITY__SEVERITY_WARNING},
    [ALERT_ORDER] = {"order", SB__SEVERITY__SEVERITY_CRITICAL},
    [ALERT_ORDERS_STOPPED] = {"orders_stopped", SB__SEVERITY__SEVERITY_CRITICAL},
    [ALERT_CONFLICT] = {"conflict", SB__SEVERITY__SEVERITY_WARNING},
    [ALERT_FULL] = {"full", SB__SEVERITY__SEVERITY_CRITICAL},
};

const char *alert_word(enum alert_kind kind)
{
    return kinds[kind].word;
}

const char *alert_subject(const struct alert *alert)
{
    return alert->id + strlen(kinds[alert->kind].word) + 1;
}

// The name of an alert in its table: kind, ".", subject.
static void id_of(char ret[ALERT_ID_SIZE], enum alert_kind kind, const char *subject)
{
    char whole[ALERT_ID_SIZE];
    const size_t kind_size = strlen(kinds[kind].word);
    memcpy(whole, kinds[kind].word, kind_size);
    whole[kind_size] = '.';
    text_copy(whole + kind_size + 1, sizeof whole - kind_size - 1, subject);
    text_copy(ret, ALERT_ID_SIZE, whole);
}

static struct alert *alert_find(const struct core *self, const char *id)
{
    const uint32_t place = names_find(&self->alert_names, id);
    return place != NAMES_NONE ? &self->alerts[place] : NULL;
}

Sb__Alert *view_alert(struct core *self, const struct alert *alert)
{
    Sb__Alert *state = arena_take(self, sizeof *state);
    sb__alert__init(state);
    state->kind = (char *)kinds[alert->kind].word;
    state->subject = arena_text(self, alert_subject(alert));
    state->severity = kinds[alert->kind].severity;
    state->text = arena_text(self, alert->text);
    state->since_ms = alert->since_ms;
    state->count = alert->count;
    return state;
}

// Stores the alert as it is; or, when it is over, that it is gone.
static void alert_store(struct core *self, const struct alert *alert, bool over)
{
    uint8_t key[CORE_KEY_MAX];
    const size_t size = strlen(alert->id);
    memcpy(key, alert->id, size);
    Sb__StoredAlert *stored = arena_take(self, sizeof *stored);
    sb__stored_alert__init(stored);
    stored->alert = view_alert(self, alert);
    stored->until_ms = alert->until_ms;
    record_add(self, CORE_TABLE_ALERT, key, size, over ? NULL : &stored->base);
}

static void alert_publish(struct core *self, const struct alert *alert, bool over)
{
    Sb__Event *event = publish(self, &self->alert_topics[alert->kind], true);
    event->body_case = SB__EVENT__BODY_ALERT;
    event->alert = view_alert(self, alert);
    event->alert->cleared = over;
}

static const char full_subject[] = "alerts";

static struct alert *find_full(const struct core *self)
{
    char id[ALERT_ID_SIZE];
    id_of(id, ALERT_FULL, full_subject);
    return alert_find(self, id);
}

// How many more find a place: one is kept for the alert that there is none.
static size_t places_left(const struct core *self)
{
    const size_t taken = self->alert_count + (find_full(self) == NULL ? 1 : 0);
    assert(taken <= self->alert_max);
    return self->alert_max - taken;
}

// A new alert in the table; false when it is full.
static bool alert_add(struct core *self, const struct alert *alert)
{
    if (alert->kind != ALERT_FULL && places_left(self) == 0)
        return false;
    struct alert *place = &self->alerts[self->alert_count];
    *place = *alert;
    names_put(&self->alert_names, place->id, (uint32_t)self->alert_count++);
    return true;
}

// An alert that finds no place is not told: it could not be told once, nor when it is over. That there are
// such ones is.
static void say_full(struct core *self)
{
    struct alert full = {.kind = ALERT_FULL, .since_ms = self->wall_ms, .count = 1};
    if (find_full(self) != NULL)
        return;
    id_of(full.id, ALERT_FULL, full_subject);
    text_copy(full.text, sizeof full.text, "there are too many alerts: further ones are not told of");
    (void)alert_add(self, &full);
    alert_store(self, &full, false);
    alert_publish(self, &full, false);
}

void alert_raise_until(struct core *self, enum alert_kind kind, const char *subject, const char *text,
                       int64_t until_ms)
{
    struct alert fresh = {.kind = kind, .since_ms = self->wall_ms, .until_ms = until_ms, .count = 1};
    id_of(fresh.id, kind, subject);
    text_copy(fresh.text, sizeof fresh.text, text);
    struct alert *alert = alert_find(self, fresh.id);
    if (until_ms != 0 && until_ms < self->alert_until_ms)
        self->alert_until_ms = until_ms;
    if (alert != NULL) { // it was told; only how it stands is kept
        alert->count++;
        alert->until_ms = until_ms;
        text_copy(alert->text, sizeof alert->text, text);
        alert_store(self, alert, false);
        return;
    }
    if (!alert_add(self, &fresh)) {
        say_full(self);
        return;
    }
    alert_store(self, &fresh, false);
    alert_publish(self, &fresh, false);
}

void alert_raise(struct core *self, enum alert_kind kind, const char *subject, const char *text)
{
    alert_raise_until(self, kind, subject, text, 0);
}

void alert_set(struct core *self, enum alert_kind kind, const char *subject, const char *text)
{
    char id[ALERT_ID_SIZE];
    if (text == NULL) {
        alert_clear(self, kind, subject);
        return;
    }
    id_of(id, kind, subject);
    struct alert *alert = alert_find(self, id);
    if (alert == NULL) {
        alert_raise(self, kind, subject, text);
    } else if (strncmp(alert->text, text, sizeof alert->text - 1) != 0) {
        text_copy(alert->text, sizeof alert->text, text);
        alert_store(self, alert, false);
    }
}

// It is over: the last one of the table takes its place.
static void alert_over(struct core *self, struct alert *alert)
{
    alert_store(self, alert, true);
    alert_publish(self, alert, true);
    struct alert *last = &self->alerts[--self->alert_count];
    names_remove(&self->alert_names, alert->id);
    if (last == alert)
        return;
    names_remove(&self->alert_names, last->id);
    *alert = *last;
    names_put(&self->alert_names, alert->id, (uint32_t)(alert - self->alerts));
}

void alert_clear(struct core *self, enum alert_kind kind, const char *subject)
{
    if (self->alert_count == 0)
        return;
    char id[ALERT_ID_SIZE];
    id_of(id, kind, subject);
    struct alert *alert = alert_find(self, id);
    if (alert != NULL)
        alert_over(self, alert);
}

// An alert that is over by itself is told of no longer than this, though the clock went back.
static int64_t latest_end_ms(const struct core *self)
{
    return self->wall_ms + EXPIRED_TOLD_MS;
}

void alerts_look_again(struct core *self)
{
    if (self->alert_until_ms != INT64_MAX)
        self->alert_until_ms = self->wall_ms;
}

bool alerts_advance(struct core *self)
{
    if (places_left(self) >= ALERTS_FREE_AGAIN && update_has_room(self))
        alert_clear(self, ALERT_FULL, full_subject);
    if (self->wall_ms < self->alert_until_ms)
        return true;
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < self->alert_count;) {
        struct alert *alert = &self->alerts[i];
        if (!update_has_room(self))
            return false;
        if (alert->until_ms != 0 && alert->until_ms <= self->wall_ms) {
            alert_over(self, alert);
            continue;
        }
        if (alert->until_ms > latest_end_ms(self)) {
            alert->until_ms = latest_end_ms(self);
            alert_store(self, alert, false);
        }
        next = alert->until_ms != 0 && alert->until_ms < next ? alert->until_ms : next;
        i++;
    }
    self->alert_until_ms = next;
    return true;
}

int64_t alerts_deadline(const struct core *self)
{
    return self->alert_until_ms == INT64_MAX ? INT64_MAX
                                             : self->boot_ms + (self->alert_until_ms - self->wall_ms);
}

const char *withheld_text(struct core *self, uint64_t count)
{
    return arena_print(self, "%" PRIu64 " deletions wait to be released", count);
}

void alerts_of_job_clear(struct core *self, struct job *job)
{
    for (enum alert_kind kind = ALERT_FAILING; kind <= ALERT_CLOCK; kind++)
        alert_clear(self, kind, job->name);
    alert_clear(self, ALERT_LEASE_EXPIRED, job->name);
    job->is_stale = job->is_hung = false;
}

// The client that did not give a lease of the resource back; NULL: it is an alert of something else.
static const char *client_of(const struct alert *alert, const char *resource)
{
    const char *subject = alert_subject(alert);
    const size_t size = strlen(resource);
    if (alert->kind != ALERT_LEASE_EXPIRED || strncmp(subject, resource, size) != 0 || subject[size] != '/')
        return NULL;
    return subject + size + 1;
}

void alerts_of_resource_clear(struct core *self, const struct resource *resource)
{
    for (size_t i = self->alert_count; i-- > 0;) { // from the end, as the last one takes a freed place
        struct alert *alert = &self->alerts[i];
        const bool is_pause =
            alert->kind == ALERT_PAUSE_TIMEOUT && strcmp(alert_subject(alert), resource->name) == 0;
        if (!is_pause && client_of(alert, resource->name) == NULL)
            continue;
        if (update_has_room(self))
            alert_over(self, alert);
        else // the next step ends it
            alert->until_ms = self->alert_until_ms = self->wall_ms;
    }
}

// Whether the page says of this order that it needs nobody.
static bool is_settled(const Sb__NeedsPerson *page, const char *key)
{
    if (strcmp(key, page->after) <= 0 ||
        (page->more && (page->n_orders == 0 || strcmp(key, page->orders[page->n_orders - 1]->key) > 0)))
        return false; // outside its range
    for (size_t i = 0; i < page->n_orders; i++) {
        if (strcmp(key, page->orders[i]->key) == 0)
            return false;
    }
    return true;
}

bool alerts_of_orders_clear(struct core *self, const Sb__NeedsPerson *page)
{
    for (size_t i = self->alert_count; i-- > 0;) { // from the end, as the last one takes a freed place
        if (self->alerts[i].kind != ALERT_ORDER || !is_settled(page, alert_subject(&self->alerts[i])))
            continue;
        if (!update_has_room(self))
            return false;
        alert_over(self, &self->alerts[i]);
    }
    return true;
}

// Whether what the alert is about is still configured.
static bool is_configured(const struct core *self, const struct alert *alert, const char *subject)
{
    if (alert->kind <= ALERT_CLOCK)
        return job_find(self, subject) != NULL;
    if (alert->kind == ALERT_PAUSE_TIMEOUT)
        return resource_find(self, subject) != NULL;
    if (alert->kind != ALERT_LEASE_EXPIRED)
        return true;
    bool found = job_find(self, subject) != NULL;
    for (size_t i = 0; i < self->resource_count; i++)
        found = found || client_of(alert, self->resources[i].name) != NULL;
    return found;
}

void alert_recover(struct core *self, const Sb__StoredAlert *stored)
{
    const Sb__Alert *state = stored->alert;
    struct alert alert = {.since_ms = state->since_ms, .until_ms = stored->until_ms, .count = state->count};
    while (alert.kind < ALERT_KIND_COUNT && strcmp(kinds[alert.kind].word, state->kind) != 0)
        alert.kind++;
    if (alert.kind == ALERT_KIND_COUNT)
        return;
    alert.until_ms = alert.until_ms > latest_end_ms(self) ? latest_end_ms(self) : alert.until_ms;
    id_of(alert.id, alert.kind, state->subject);
    text_copy(alert.text, sizeof alert.text, state->text);
    if (alert_find(self, alert.id) != NULL)
        return;
    const bool is_about = is_configured(self, &alert, state->subject); // else it ended with that
    if (!is_about || !alert_add(self, &alert)) {
        if (!update_has_room(self)) // it ends at the next start
            return;
        alert_store(self, &alert, true);
        alert_publish(self, &alert, true);
        if (is_about)
            say_full(self);
        return;
    }
    if (alert.until_ms != 0 && alert.until_ms < self->alert_until_ms)
        self->alert_until_ms = alert.until_ms;
    struct job *job = job_find(self, state->subject);
    if (alert.kind == ALERT_STALE)
        job->is_stale = true;
    if (alert.kind == ALERT_HUNG)
        job->is_hung = true;
}
