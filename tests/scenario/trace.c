#include "tests/scenario/trace.h"

#include "proto/base/duration.h"
#include "proto/json.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void trace_line(struct world *world, const char *format, ...)
{
    char line[1024];
    char time[32];
    va_list arguments;
    if (world->quiet)
        return;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    enum err err = ERR_OK;
    if (world->timed)
        err = buffer_print(&world->trace, "    [%s] %s\n",
                           duration_format(world->boot_ms - world->start_ms, time, sizeof time), line);
    else
        err = buffer_print(&world->trace, "    %s\n", line);
    assert(err == ERR_OK);
}

static size_t number(struct numbering *numbering, uint64_t value)
{
    size_t index = 0;
    while (index < numbering->count && numbering->seen[index] != value)
        index++;
    if (index == numbering->count) {
        assert(numbering->count < NUMBERS_MAX);
        numbering->seen[numbering->count++] = value;
    }
    return index + 1;
}

static void blockers_text(char *text, size_t size, Sb__Blocker *const *blockers, size_t count)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s%s%s", i > 0 ? ", " : " behind ",
                                 blockers[i]->holder, blockers[i]->job[0] != '\0' ? " with " : "",
                                 blockers[i]->job);
}

// ---------------------------------------------------------------- replies

static struct wish *wish_of(struct client *client, const Sb__Reply *reply)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        if (client->wishes[i].acquire.claim != 0 && client->wishes[i].request == reply->id)
            return &client->wishes[i];
    }
    return NULL;
}

static void hear_waiting(struct world *world, struct client *client, const Sb__Reply *reply)
{
    const Sb__Waiting *waiting = reply->waiting;
    struct wish *wish = wish_of(client, reply);
    char blockers[512];
    if (wish == NULL)
        return;
    if (!wish->told_waiting) {
        blockers_text(blockers, sizeof blockers, waiting->blockers, waiting->n_blockers);
        trace_line(world, "%s <- waiting, place %u, eta %lld%s", client->name, waiting->position,
                   (long long)waiting->eta_ms, blockers);
    }
    wish->told_waiting = true;
    wish->acquire.ticket = waiting->ticket;
    if (wish->asks_again && client->alive && !client->hangs)
        world_ask(world, client, wish, 1000);
}

static void hear_granted(struct world *world, struct client *client, const Sb__Reply *reply)
{
    const Sb__Granted *granted = reply->granted;
    struct wish *wish = wish_of(client, reply);
    if (!world->quiet)
        trace_line(world, "%s <- granted t%zu after %u", client->name, number(&world->tokens, granted->token),
                   granted->waited_ms);
    if (client->orders > 0) {
        struct tally *tally = &world->tally;
        tally->orders++;
        tally->order_wait_ms += granted->waited_ms;
        if (granted->waited_ms > tally->order_wait_max_ms)
            tally->order_wait_max_ms = granted->waited_ms;
    }
    if (wish != NULL) {
        wish->granted_boot = world->boot_ms;
        wish->token = granted->token;
        wish->told_yield = false;
    }
}

static void hear_renewed(struct world *world, struct client *client, const Sb__Renewed *renewed)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        struct wish *wish = &client->wishes[i];
        if (!renewed->yield || wish->told_yield || wish->token == 0 ||
            wish->acquire.mode != SB__MODE__MODE_SHARED)
            continue;
        if (!world->quiet)
            trace_line(world, "%s <- renewed t%zu, yield", client->name, number(&world->tokens, wish->token));
        wish->told_yield = true;
    }
}

static void hear_state(struct world *world, const Sb__State *state)
{
    for (size_t i = 0; i < state->n_jobs; i++) {
        const Sb__JobState *job = state->jobs[i];
        trace_line(
            world,
            "  job %s: %s, last %s, runs %llu, failures %llu, skipped %llu, coalesced %llu, missed %llu",
            job->job,
            job->current != NULL ? json_enum(&sb__stage__descriptor, (int)job->current->stage) : "idle",
            job->last != NULL ? json_enum(&sb__stage__descriptor, (int)job->last->stage) : "none",
            (unsigned long long)job->runs, (unsigned long long)job->failures,
            (unsigned long long)job->skipped, (unsigned long long)job->coalesced,
            (unsigned long long)job->missed);
    }
    for (size_t i = 0; i < state->n_holds; i++)
        trace_line(world, "  hold on %s%s by %s: %s", state->holds[i]->job, state->holds[i]->resource,
                   state->holds[i]->by, state->holds[i]->reason);
    for (size_t i = 0; i < state->n_alerts; i++)
        trace_line(world, "  alert %s of %s: %s", state->alerts[i]->kind, state->alerts[i]->subject,
                   state->alerts[i]->text);
    for (size_t i = 0; i < state->n_resources; i++)
        trace_line(world, "  resource %s: %s, shared %u, waiting %u and %u", state->resources[i]->resource,
                   json_enum(&sb__phase__descriptor, (int)state->resources[i]->phase),
                   state->resources[i]->shared, state->resources[i]->waiting_exclusive,
                   state->resources[i]->waiting_shared);
}

static void hear_refusal(struct world *world, struct client *client, const Sb__Reply *reply)
{
    char blockers[512] = "";
    if (reply->body_case == SB__REPLY__BODY_WAITING)
        blockers_text(blockers, sizeof blockers, reply->waiting->blockers, reply->waiting->n_blockers);
    const bool says_why =
        reply->code == SB__CODE__CODE_ON_HOLD ||
        (reply->code == SB__CODE__CODE_LEASE_LOST && strstr(reply->text, "revoked") != NULL) ||
        (reply->code == SB__CODE__CODE_INVALID && strstr(reply->text, "room") != NULL);
    trace_line(world, "%s <- %s%s%s%s", client->name, json_enum(&sb__code__descriptor, (int)reply->code),
               blockers, says_why ? ": " : "", says_why ? reply->text : "");
    struct wish *wish = wish_of(client, reply);
    const bool final = reply->code == SB__CODE__CODE_PAUSE_TIMEOUT || reply->code == SB__CODE__CODE_TIMEOUT ||
                       reply->code == SB__CODE__CODE_BUSY || reply->code == SB__CODE__CODE_CONFLICT ||
                       reply->code == SB__CODE__CODE_ON_HOLD || reply->code == SB__CODE__CODE_NOT_FOUND;
    if (wish != NULL && final)
        *wish = (struct wish){0};
    for (size_t i = 0; i < WISHES_MAX && reply->code == SB__CODE__CODE_LEASE_LOST; i++)
        client->wishes[i] = client->wishes[i].token != 0 ? (struct wish){0} : client->wishes[i];
    client->session = reply->code == SB__CODE__CODE_NO_SESSION ? 0 : client->session;
}

void trace_reply(struct world *world, struct client *client, const Sb__Reply *reply)
{
    if (reply->code != SB__CODE__CODE_OK) {
        hear_refusal(world, client, reply);
        return;
    }
    switch (reply->body_case) {
    case SB__REPLY__BODY_WELCOME:
        client->session = reply->welcome->session;
        trace_line(world, "%s <- welcome", client->name);
        break;
    case SB__REPLY__BODY_WAITING: hear_waiting(world, client, reply); break;
    case SB__REPLY__BODY_GRANTED: hear_granted(world, client, reply); break;
    case SB__REPLY__BODY_RENEWED: hear_renewed(world, client, reply->renewed); break;
    case SB__REPLY__BODY_STATE: hear_state(world, reply->state); break;
    case SB__REPLY__BODY_TRIGGERED:
        trace_line(world, "%s <- triggered r%zu%s", client->name, number(&world->runs, reply->triggered->run),
                   reply->triggered->merged ? ", merged" : "");
        break;
    case SB__REPLY__BODY_HELD:
        client->hold = reply->held->hold;
        trace_line(world, "%s <- held", client->name);
        break;
    case SB__REPLY__BODY_DELIVER:
        client->call = reply->deliver->call;
        trace_line(world, "%s <- call %s from %s", client->name, reply->deliver->method,
                   reply->deliver->from);
        break;
    case SB__REPLY__BODY_ANSWERED: trace_line(world, "%s <- answered", client->name); break;
    default:
        if (!world->silent)
            trace_line(world, "%s <- ok", client->name);
        break;
    }
}

void trace_pauses(struct world *world, const Sb__PauseReport *report)
{
    trace_line(world, "  pauses: %llu, waited %.0f on average, timed out %llu",
               (unsigned long long)report->count, report->wait->avg_ms,
               (unsigned long long)report->timed_out);
    for (size_t i = 0; i < report->n_blockers; i++)
        trace_line(world, "  %s was waited for %llu times, %.0f on average", report->blockers[i]->job,
                   (unsigned long long)report->blockers[i]->times, report->blockers[i]->wait->avg_ms);
    for (size_t i = 0; i < report->n_recent && report->n_recent <= 8; i++)
        trace_line(world, "  %s for %s waited %lld%s%s",
                   json_enum(&sb__lease_change__descriptor, (int)report->recent[i]->change),
                   report->recent[i]->holder, (long long)report->recent[i]->waited_ms,
                   report->recent[i]->blockers[0] != '\0' ? " for " : "", report->recent[i]->blockers);
}

// ---------------------------------------------------------------- publications and the ledger

static void trace_tick(struct world *world, const Sb__Tick *tick)
{
    const size_t job = world_job(world, tick->job);
    if (world->due[job].run == tick->run && world->due[job].attempt == tick->attempt)
        return; // told again with a beat
    world->due[job].run = tick->run;
    world->due[job].attempt = tick->attempt;
    world->due[job].taken = false;
    if (!world->quiet)
        trace_line(world, "tick.%s r%zu, attempt %u, %s", tick->job, number(&world->runs, tick->run),
                   tick->attempt, json_enum(&sb__cause__descriptor, (int)tick->cause));
}

static void trace_resource(struct world *world, const char *topic, const Sb__ResourceState *state)
{
    char blockers[512];
    blockers_text(blockers, sizeof blockers, state->blockers, state->n_blockers);
    trace_line(world, "%s %s%s", topic, json_enum(&sb__phase__descriptor, (int)state->phase), blockers);
}

void trace_publication(struct world *world, const struct core_publication *publication)
{
    const Sb__Event *event = publication->event;
    const char *topic = publication->topic;
    if (event->body_case == SB__EVENT__BODY_TICK)
        trace_tick(world, event->tick);
    if (world->quiet)
        return;
    switch (event->body_case) {
    case SB__EVENT__BODY_RESOURCE: trace_resource(world, topic, event->resource); break;
    case SB__EVENT__BODY_RUN:
        if (event->run->stage != SB__STAGE__STAGE_DUE) // a tick tells that
            trace_line(world, "%s r%zu %s", topic, number(&world->runs, event->run->run),
                       json_enum(&sb__stage__descriptor, (int)event->run->stage));
        break;
    case SB__EVENT__BODY_LEASE:
        if (event->lease->change == SB__LEASE_CHANGE__LEASE_CHANGE_EXPIRED)
            trace_line(world, "%s t%zu expired", topic, number(&world->tokens, event->lease->token));
        else if (event->lease->change == SB__LEASE_CHANGE__LEASE_CHANGE_REVOKED)
            trace_line(world, "%s t%zu revoked", topic, number(&world->tokens, event->lease->token));
        else if (event->lease->change == SB__LEASE_CHANGE__LEASE_CHANGE_PAUSE_TIMED_OUT)
            trace_line(world, "%s timed out: %s", topic, event->lease->reason);
        break;
    case SB__EVENT__BODY_ALERT:
        trace_line(world, "%s %s: %s", topic, event->alert->subject,
                   event->alert->cleared ? "over" : event->alert->text);
        break;
    case SB__EVENT__BODY_CHANGE:
    case SB__EVENT__BODY_ORDER: trace_line(world, "%s", topic); break;
    default: break;
    }
}

void trace_tally(struct world *world)
{
    const struct tally *tally = &world->tally;
    char average[32], longest[32];
    for (size_t i = 0; i < world->job_count; i++) {
        char text[256] = "";
        size_t used = 0;
        uint64_t slots = 0;
        for (int outcome = SB__STAGE__STAGE_SUCCEEDED; outcome <= SB__STAGE__STAGE_MISSED; outcome++) {
            const uint64_t count = tally->slots[i][outcome];
            slots += count;
            if (count > 0 && used < sizeof text)
                used +=
                    (size_t)snprintf(text + used, sizeof text - used, ", %llu %s", (unsigned long long)count,
                                     json_enum(&sb__stage__descriptor, outcome));
        }
        trace_line(world, "%s: %llu slots%s", world->job_names[i], (unsigned long long)slots, text);
    }
    if (tally->orders > 0)
        trace_line(world, "%llu orders, waited %s on average and %s at most",
                   (unsigned long long)tally->orders,
                   duration_format((int64_t)(tally->order_wait_ms / tally->orders), average, sizeof average),
                   duration_format((int64_t)tally->order_wait_max_ms, longest, sizeof longest));
}

void trace_record(struct world *world, const struct core_record *record)
{
    char from[32];
    if (record->table != CORE_TABLE_LEDGER || record->value == NULL)
        return;
    const Sb__LedgerEntry *entry = ((const Sb__StoredLedgerEntry *)record->value)->entry;
    const size_t job = world_job(world, entry->job);
    if (job < world->job_count)
        world->tally.slots[job][entry->outcome] += entry->slots;
    const int64_t hour = entry->slot_ms % 3600000;
    trace_line(world, "ledger %s %s past the hour, %llu slot%s: %s", entry->job,
               duration_format(hour, from, sizeof from), (unsigned long long)entry->slots,
               entry->slots == 1 ? "" : "s", json_enum(&sb__stage__descriptor, (int)entry->outcome));
}
