// What a client does when memory ends: each allocation of a story fails in turn, and the story ends well all
// the same.
#include "tests/unit/scarce/scarce.h"
#include "tests/unit/session/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS_MAX = 400,   // of the story, each of which lets STEP_MS pass
    STEP_MS = 250,     // short beside whatever the client waits for
    SILENT_FROM = 3,   // steps in which nobody answers
    SILENT_TO = 30,    // so many that the client loses its broker
    SEED_STORIES = 40, // fewer allocations than these mean that the story did not take place
};

// What the program has heard so far.
struct heard {
    unsigned granted; // leases that it was told of
    bool ended;       // of the wish that nobody grants
    bool lost;        // of the lease that the broker took back
    bool replied;     // to its ask
    bool answered;    // to its call
    bool called;      // by somebody
    bool ticked;      // of the due run
    bool told;        // of a publication
};

struct story {
    struct world world;
    struct heard heard;
    uint64_t claim;   // of the wish that is granted; 0: to be asked for
    uint64_t refused; // of the wish that is not
    uint64_t ask;     // 0: to be asked
    uint64_t call;    // 0: to be made
    bool run;         // run 5 was noted
    bool waited;      // the broker has let it wait once
    bool lost;        // the broker has refused to renew
    uint64_t token;   // of the last lease
    uint64_t seq;     // of the last change
};

// ---------------------------------------------------------------- the broker

static void answer_snapshot(struct story *story, uint64_t id)
{
    Sb__State body = SB__STATE__INIT;
    Sb__JobState job = SB__JOB_STATE__INIT;
    Sb__JobState *jobs[] = {&job};
    Sb__RunState due = SB__RUN_STATE__INIT;
    due.run = 5;
    due.attempt = 1;
    due.stage = SB__STAGE__STAGE_DUE;
    job.job = (char *)"prices";
    job.current = &due;
    body.n_jobs = 1;
    body.jobs = jobs;
    world_state(&story->world, id, &body);
}

static void answer_acquire(struct story *story, uint64_t id, const Sb__Acquire *acquire)
{
    if (strcmp(acquire->reason, "in vain") == 0)
        world_answer(&story->world, id, SB__CODE__CODE_ON_HOLD, "the resource is on hold");
    else if (!story->waited)
        world_waiting(&story->world, id, 1);
    else
        world_granted(&story->world, id, ++story->token);
    story->waited = true;
}

static void answer_renew(struct story *story, uint64_t id)
{
    if (story->heard.granted > 0 && story->seq > 3 && !story->lost) {
        world_answer(&story->world, id, SB__CODE__CODE_LEASE_LOST, "revoked");
        story->lost = true;
    } else {
        world_renewed(&story->world, id, true, 77);
    }
}

static void answer_all(struct story *story)
{
    struct world *world = &story->world;
    while (world_next(world)) {
        const uint64_t id = world->request->id;
        switch (world->request->body_case) {
        case SB__REQUEST__BODY_HELLO: world_welcome(world, id, NULL); break;
        case SB__REQUEST__BODY_ACQUIRE: answer_acquire(story, id, world->request->acquire); break;
        case SB__REQUEST__BODY_RENEW: answer_renew(story, id); break;
        case SB__REQUEST__BODY_SNAPSHOT: answer_snapshot(story, id); break;
        default: world_answer(world, id, SB__CODE__CODE_OK, ""); break;
        }
    }
}

// A change on each topic in turn, some of which the client misses; and somebody calls until an answer comes.
static void publish(struct story *story)
{
    Sb__Event event = SB__EVENT__INIT;
    Sb__Change change = SB__CHANGE__INIT;
    change.entity = (char *)"ddt";
    event.epoch = story->world.epoch;
    event.seq = ++story->seq;
    event.body_case = SB__EVENT__BODY_CHANGE;
    event.change = &change;
    if (story->seq % 4 != 2)
        world_event(&story->world, "change.ddt", &event);
    Sb__Reply reply = SB__REPLY__INIT;
    Sb__Deliver deliver = SB__DELIVER__INIT;
    deliver.call = 9;
    deliver.method = (char *)"get";
    deliver.from = (char *)"cli";
    reply.epoch = story->world.epoch;
    reply.body_case = SB__REPLY__BODY_DELIVER;
    reply.deliver = &deliver;
    if (!story->heard.called)
        world_give(&story->world, &reply);
}

// ---------------------------------------------------------------- the program

static void hear(struct story *story, const struct syncbus_notice *notice)
{
    struct session *session = story->world.session;
    switch (notice->kind) {
    case SYNCBUS_GRANTED:
        assert_int_equal(notice->claim, story->claim);
        assert_true(session_left_ms(session, story->world.now_ms, notice->claim) > 0);
        story->heard.granted++;
        break;
    case SYNCBUS_REFUSED:
        assert_int_equal(notice->claim, story->refused);
        assert_int_equal(notice->code, SYNCBUS_ON_HOLD);
        story->heard.ended = true;
        break;
    case SYNCBUS_LOST:
        assert_int_equal(notice->claim, story->claim);
        assert_int_equal(session_left_ms(session, story->world.now_ms, notice->claim), 0);
        story->heard.lost = true;
        break;
    case SYNCBUS_REPLY:
        // A call is not made twice for an answer that there was no memory for.
        if (notice->ask == story->ask || notice->code != SYNCBUS_TIMEOUT) {
            assert_int_equal(notice->code, SYNCBUS_OK);
            assert_true(notice->body_size > 0);
        }
        story->heard.replied = story->heard.replied || notice->ask == story->ask;
        story->heard.answered = story->heard.answered || notice->ask == story->call;
        break;
    case SYNCBUS_CALL:
        story->heard.called = session_answer(session, notice->call, SYNCBUS_OK, NULL, "body", 4) == 0;
        break;
    case SYNCBUS_TICK: story->heard.ticked = true; break;
    case SYNCBUS_PUBLICATION: story->heard.told = true; break;
    default: break;
    }
}

// Tries again whatever there was no memory for: so a program does that is told ENOBUFS or ENOMEM.
static void want(struct story *story)
{
    static const uint8_t ping[] = {0x62, 0};
    struct session *session = story->world.session;
    const int64_t now_ms = story->world.now_ms;
    struct syncbus_wish wish = {
        .resource = "erp", .mode = SYNCBUS_SHARED, .job = "prices", .run = 5, .attempt = 1};
    if (!story->run)
        story->run = session_run_begin(session, "prices", 5, 1) == 0;
    if (story->claim == 0)
        story->claim = session_acquire(session, now_ms, &wish);
    wish.mode = SYNCBUS_EXCLUSIVE;
    wish.reason = "in vain";
    if (story->refused == 0)
        story->refused = session_acquire(session, now_ms, &wish);
    if (story->ask == 0)
        story->ask = session_ask(session, now_ms, ping, sizeof ping, 0);
    if (story->call == 0)
        story->call = session_call(session, now_ms, "orders", "list", "body", 4, 5000);
}

static bool is_over(const struct story *story)
{
    const struct heard *heard = &story->heard;
    return heard->granted > 0 && heard->ended && heard->lost && heard->replied && heard->answered &&
           heard->called && heard->ticked && heard->told;
}

// Plays it from the beginning, with memory that ends once; true if it did.
static bool play(unsigned allocations)
{
    struct story story = {.world = world_begin(false)};
    struct syncbus_notice notice;
    story.world.watch = scarce_here;
    scarce_after(allocations);
    scarce_here(false);
    for (unsigned i = 0; i < STEPS_MAX && !is_over(&story); i++) {
        world_jump(&story.world, STEP_MS);
        scarce_here(true);
        want(&story);
        scarce_here(false);
        // For a while in the middle nobody answers.
        if (i < SILENT_FROM || i > SILENT_TO) {
            answer_all(&story);
            publish(&story);
        } else {
            world_drop_requests(&story.world);
        }
        while (session_notice(story.world.session, &notice)) {
            scarce_here(true);
            hear(&story, &notice);
            scarce_here(false);
        }
    }
    const bool failed = scarce_end();
    if (!is_over(&story))
        fail_msg("without allocation %u: granted %u, refused %d, lost %d, replied %d, answered %d, called "
                 "%d, ticked %d, "
                 "told %d",
                 allocations + 1, story.heard.granted, story.heard.ended, story.heard.lost,
                 story.heard.replied, story.heard.answered, story.heard.called, story.heard.ticked,
                 story.heard.told);
    session_bye(story.world.session);
    world_end(&story.world);
    return failed;
}

static void whatever_gets_no_memory_every_wish_ask_and_call_comes_to_its_end(void **state)
{
    (void)state;
    unsigned allocations = 0;
    while (play(allocations))
        allocations++;
    assert_true(allocations > SEED_STORIES);
}

static void a_late_grant_without_memory_lets_the_wish_go_on_all_the_same(void **state)
{
    (void)state;
    bool failed = true;
    for (unsigned allocations = 0; failed; allocations++) {
        struct world world = world_joined();
        const uint64_t claim = world_wish(&world, SYNCBUS_EXCLUSIVE, 0);
        const uint64_t late = world_request(&world, SB__REQUEST__BODY_ACQUIRE)->id;
        world.now_ms += WORLD_TTL_MS;
        scarce_after(allocations);
        world.watch = scarce_here;
        scarce_here(false);
        world_granted(&world, late, 40);
        failed = scarce_end();
        world.watch = NULL;
        world_no_notice(&world);
        world_jump(&world, 2000); // what was not sent then is sent again
        uint64_t again = 0;
        while (world_next(&world)) {
            if (world.request->body_case == SB__REQUEST__BODY_ACQUIRE)
                again = world.request->id;
        }
        world_granted(&world, again, 41);
        assert_int_equal(world_notice(&world, SYNCBUS_GRANTED).claim, claim);
        world_end(&world);
    }
}

static void a_session_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    static const char *const names[] = {"prices", "ddt", NULL};
    const struct syncbus_options client = {
        .requests = "r", .events = "e", .jobs = names, .serves = names, .topics = names};
    const struct session_options options = {.client = &client, .process = 1, .host = 2, .seed = 3};
    struct session *session = NULL;
    unsigned allocations = 0;
    for (; session == NULL; allocations++) {
        scarce_after(allocations);
        session = session_new(&options, 0);
        assert_int_equal(session == NULL, scarce_end());
    }
    assert_true(allocations > 10);
    session_destroy(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_gets_no_memory_every_wish_ask_and_call_comes_to_its_end),
        cmocka_unit_test(a_late_grant_without_memory_lets_the_wish_go_on_all_the_same),
        cmocka_unit_test(a_session_is_made_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
