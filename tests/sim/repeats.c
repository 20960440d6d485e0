#include "tests/sim/repeats.h"

#include "tests/sim/check.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    TOLD_MAX = 128,    // triggers that are remembered, of all sessions
    PROMISED_MAX = 32, // so many changes of a session can be repeated
    RUNS_MAX = 64,     // whose stage is known
};

// A trigger that was answered.
struct told {
    uint64_t session, request; // which; 0, 0: none
    uint64_t run;              // what it was answered
    bool merged;               // the same
};

// A run, as the broker told of it last.
struct seen {
    uint64_t number;
    Sb__Stage stage;
};

static struct {
    struct told told[TOLD_MAX]; // the last ones
    uint64_t count;             // of all that there ever were
    struct seen runs[RUNS_MAX]; // the last ones
    size_t run_next;            // the place of the next one
    uint64_t newest;            // the greatest run that a trigger made
} all;

void repeats_init(void)
{
    memset(&all, 0, sizeof all);
}

// ---------------------------------------------------------------- stages

static struct seen *find_run(uint64_t number)
{
    for (size_t i = 0; i < RUNS_MAX; i++) {
        if (all.runs[i].number == number)
            return &all.runs[i];
    }
    return NULL;
}

static void note_stage(uint64_t number, Sb__Stage stage)
{
    struct seen *run = find_run(number);
    if (run == NULL)
        run = &all.runs[all.run_next++ % RUNS_MAX];
    *run = (struct seen){.number = number, .stage = stage};
}

static void note_publication(const Sb__Event *event)
{
    if (event->body_case == SB__EVENT__BODY_RUN)
        note_stage(event->run->run, event->run->stage);
    else if (event->body_case == SB__EVENT__BODY_TICK)
        note_stage(event->tick->run, SB__STAGE__STAGE_DUE);
}

// ---------------------------------------------------------------- triggers

// What the same request was answered before, if the session has asked for few others since; else NULL.
static const struct told *find_told(uint64_t session, uint64_t request)
{
    size_t others = 0;
    for (uint64_t i = all.count; i > 0 && i + TOLD_MAX > all.count && others < PROMISED_MAX; i--) {
        const struct told *told = &all.told[(i - 1) % TOLD_MAX];
        if (told->session == session && told->request == request)
            return told;
        others += told->session == session;
    }
    return NULL;
}

static void check_repeat(const struct told *told, const Sb__Reply *reply, const struct core_update *update)
{
    const Sb__Triggered *now = reply->body_case == SB__REPLY__BODY_TRIGGERED ? reply->triggered : NULL;
    if (reply->code == SB__CODE__CODE_NO_SESSION)
        return;
    if (now == NULL || now->run != told->run || now->merged != told->merged)
        check_broken("I8",
                     "request %" PRIu64 " was answered with run %" PRIu64 "%s, and its repeat with %" PRIu64,
                     told->request, told->run, told->merged ? ", merged," : "", now != NULL ? now->run : 0);
    if (update->record_count > 0)
        check_broken("I8", "the repeat of request %" PRIu64 " has changed something", told->request);
}

static void check_first(const Sb__Triggered *triggered)
{
    const struct seen *run = find_run(triggered->run);
    if (triggered->merged && run != NULL && run->stage != SB__STAGE__STAGE_DUE &&
        run->stage != SB__STAGE__STAGE_QUEUED)
        check_broken("I8", "a trigger has merged with run %" PRIu64 ", which waits no longer: stage %d",
                     triggered->run, (int)run->stage);
    if (!triggered->merged && triggered->run <= all.newest)
        check_broken("I8", "two triggers are said to have made run %" PRIu64, triggered->run);
    if (!triggered->merged)
        all.newest = triggered->run;
}

static void on_trigger(const struct core_event *event, const struct core_update *update)
{
    const Sb__Request *request = event->request.request;
    const Sb__Reply *reply = NULL;
    for (size_t i = 0; i < update->reply_count && reply == NULL; i++) {
        if (update->replies[i].peer == event->request.peer && update->replies[i].reply->id == request->id)
            reply = update->replies[i].reply;
    }
    if (reply == NULL)
        return;
    const struct told *told = request->session != 0 ? find_told(request->session, request->id) : NULL;
    if (told != NULL) {
        check_repeat(told, reply, update);
        return;
    }
    if (reply->body_case != SB__REPLY__BODY_TRIGGERED)
        return;
    check_first(reply->triggered);
    all.told[all.count++ % TOLD_MAX] = (struct told){.session = request->session,
                                                     .request = request->id,
                                                     .run = reply->triggered->run,
                                                     .merged = reply->triggered->merged};
}

void repeats_step(const struct core_event *event, const struct core_update *update)
{
    if (event->kind == CORE_EVENT_REQUEST && event->request.request->body_case == SB__REQUEST__BODY_TRIGGER)
        on_trigger(event, update);
    for (size_t i = 0; i < update->publication_count; i++)
        note_publication(update->publications[i].event);
}
