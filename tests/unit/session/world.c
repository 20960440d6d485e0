#include "tests/unit/session/world.h"

#include <stdlib.h>
#include <string.h>

static const char *const jobs[] = {"prices", NULL};
static const char *const serves[] = {"prices", NULL};
static const char *const wanted[] = {"change.", NULL};

char *world_text(size_t size)
{
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    return text;
}

struct world world_of(const struct syncbus_options *client)
{
    const struct session_options options = {.client = client, .process = 12, .host = 13, .seed = 1};
    struct world self = {.now_ms = WORLD_START_MS, .number = 71, .epoch = WORLD_EPOCH};
    self.session = session_new(&options, self.now_ms);
    assert_non_null(self.session);
    return self;
}

void world_join(struct world *self)
{
    world_jump(self, 0);
    world_welcome(self, world_request(self, SB__REQUEST__BODY_HELLO)->id, NULL);
    (void)world_notice(self, SYNCBUS_CONNECTED);
}

struct world world_begin(bool anonymous)
{
    const struct syncbus_options client = {.requests = "ipc://r",
                                           .events = "ipc://e",
                                           .name = "sync-prices",
                                           .instance = 11,
                                           .jobs = anonymous ? NULL : jobs,
                                           .serves = anonymous ? NULL : serves,
                                           .topics = wanted,
                                           .anonymous = anonymous};
    return world_of(&client);
}

struct world world_joined(void)
{
    struct world self = world_begin(false);
    world_join(&self);
    return self;
}

void world_end(struct world *self)
{
    if (self->request != NULL)
        sb__request__free_unpacked(self->request, NULL);
    session_destroy(&self->session);
    assert_null(self->session);
}

static void watch(const struct world *self, bool in)
{
    if (self->watch != NULL)
        self->watch(in);
}

void world_jump(struct world *self, int64_t ms)
{
    self->now_ms += ms;
    watch(self, true);
    session_time(self->session, self->now_ms);
    watch(self, false);
}

void world_pass(struct world *self, int64_t ms)
{
    const int64_t end_ms = self->now_ms + ms;
    while (session_deadline(self->session) <= end_ms) {
        const int64_t deadline_ms = session_deadline(self->session);
        if (deadline_ms > self->now_ms)
            self->now_ms = deadline_ms;
        session_time(self->session, self->now_ms);
        if (session_deadline(self->session) <= self->now_ms)
            session_time(self->session, self->now_ms);
        assert_true(session_deadline(self->session) > self->now_ms);
    }
    self->now_ms = end_ms;
    session_time(self->session, self->now_ms);
}

bool world_next(struct world *self)
{
    struct session_output output;
    if (self->request != NULL)
        sb__request__free_unpacked(self->request, NULL);
    self->request = NULL;
    while (session_output(self->session, &output)) {
        if (output.kind == SESSION_OUTPUT_CONNECT) {
            self->connects++;
            session_done(self->session);
            continue;
        }
        struct fault fault;
        assert_int_equal(wire_request(output.data, output.size, &self->request, &fault), ERR_OK);
        session_done(self->session);
        return true;
    }
    return false;
}

const Sb__Request *world_request(struct world *self, Sb__Request__BodyCase kind)
{
    while (world_next(self)) {
        if (self->request->body_case == SB__REQUEST__BODY_PING && kind != SB__REQUEST__BODY_PING)
            continue;
        assert_int_equal(self->request->body_case, kind);
        return self->request;
    }
    fail_msg("no request of kind %d was sent", (int)kind);
    return NULL;
}

bool world_silent(struct world *self)
{
    while (world_next(self)) {
        if (self->request->body_case != SB__REQUEST__BODY_PING)
            return false;
    }
    return true;
}

void world_drop_requests(struct world *self)
{
    while (world_next(self))
        continue;
}

void world_give(struct world *self, const Sb__Reply *reply)
{
    uint8_t bytes[4096];
    const size_t size = sb__reply__get_packed_size(reply);
    assert_true(size <= sizeof bytes);
    (void)sb__reply__pack(reply, bytes);
    Sb__Reply *copy = NULL;
    struct fault fault;
    assert_int_equal(wire_reply(bytes, size, &copy, &fault), ERR_OK);
    watch(self, true);
    session_reply(self->session, self->now_ms, copy, bytes, size);
    session_time(self->session, self->now_ms);
    watch(self, false);
}

Sb__Reply world_reply(const struct world *self, uint64_t id, Sb__Code code)
{
    Sb__Reply reply = SB__REPLY__INIT;
    reply.id = id;
    reply.epoch = self->epoch;
    reply.code = code;
    return reply;
}

void world_answer(struct world *self, uint64_t id, Sb__Code code, const char *text)
{
    Sb__Reply reply = world_reply(self, id, code);
    reply.text = (char *)text;
    world_give(self, &reply);
}

void world_welcome(struct world *self, uint64_t id, Sb__State *state)
{
    Sb__Reply reply = world_reply(self, id, SB__CODE__CODE_OK);
    Sb__Welcome welcome = SB__WELCOME__INIT;
    welcome.session = self->number++;
    welcome.beat_ms = WORLD_BEAT_MS;
    welcome.session_ttl_ms = 15000;
    welcome.state = state;
    reply.body_case = SB__REPLY__BODY_WELCOME;
    reply.welcome = &welcome;
    world_give(self, &reply);
}

void world_state(struct world *self, uint64_t id, Sb__State *state)
{
    Sb__Reply reply = world_reply(self, id, SB__CODE__CODE_OK);
    reply.body_case = SB__REPLY__BODY_STATE;
    reply.state = state;
    world_give(self, &reply);
}

void world_granted(struct world *self, uint64_t id, uint64_t token)
{
    Sb__Reply reply = world_reply(self, id, SB__CODE__CODE_OK);
    Sb__Granted granted = SB__GRANTED__INIT;
    granted.token = token;
    granted.ttl_ms = WORLD_TTL_MS;
    reply.body_case = SB__REPLY__BODY_GRANTED;
    reply.granted = &granted;
    world_give(self, &reply);
}

void world_waiting(struct world *self, uint64_t id, uint32_t position)
{
    Sb__Reply reply = world_reply(self, id, SB__CODE__CODE_OK);
    Sb__Waiting waiting = SB__WAITING__INIT;
    Sb__Blocker blocker = SB__BLOCKER__INIT;
    Sb__Blocker *blockers[] = {&blocker};
    blocker.job = (char *)"ddt";
    blocker.holder = (char *)"sync-ddt";
    waiting.ticket = 33;
    waiting.position = position;
    waiting.eta_ms = 4000;
    waiting.n_blockers = 1;
    waiting.blockers = blockers;
    reply.body_case = SB__REPLY__BODY_WAITING;
    reply.waiting = &waiting;
    world_give(self, &reply);
}

void world_renewed(struct world *self, uint64_t id, bool yield, uint64_t pause)
{
    Sb__Reply reply = world_reply(self, id, SB__CODE__CODE_OK);
    Sb__Renewed renewed = SB__RENEWED__INIT;
    renewed.ttl_ms = WORLD_TTL_MS;
    renewed.yield = yield;
    renewed.pause = pause;
    reply.body_case = SB__REPLY__BODY_RENEWED;
    reply.renewed = &renewed;
    world_give(self, &reply);
}

void world_event(struct world *self, const char *topic, const Sb__Event *event)
{
    uint8_t bytes[4096];
    const size_t size = sb__event__get_packed_size(event);
    assert_true(size <= sizeof bytes);
    (void)sb__event__pack(event, bytes);
    watch(self, true);
    session_event(self->session, self->now_ms, topic, event, bytes, size);
    session_time(self->session, self->now_ms);
    watch(self, false);
}

struct syncbus_notice world_notice(struct world *self, enum syncbus_notice_kind kind)
{
    struct syncbus_notice notice = {.kind = 0};
    assert_true(session_notice(self->session, &notice));
    assert_int_equal(notice.kind, kind);
    return notice;
}

void world_no_notice(struct world *self)
{
    assert_false(session_has_notice(self->session));
}

uint64_t world_wish(struct world *self, enum syncbus_mode mode, uint32_t wait_ms)
{
    const bool shared = mode == SYNCBUS_SHARED;
    const struct syncbus_wish wish = {.resource = "erp",
                                      .mode = mode,
                                      .reason = "a test",
                                      .wait_ms = wait_ms,
                                      .settle_ms = 250,
                                      .job = shared ? "prices" : NULL,
                                      .run = shared ? 5 : 0,
                                      .attempt = shared ? 1 : 0};
    const uint64_t claim = session_acquire(self->session, self->now_ms, &wish);
    assert_int_not_equal(claim, 0);
    return claim;
}

uint64_t world_hold(struct world *self, enum syncbus_mode mode, uint64_t token)
{
    const uint64_t claim = world_wish(self, mode, 0);
    world_granted(self, world_request(self, SB__REQUEST__BODY_ACQUIRE)->id, token);
    const struct syncbus_notice notice = world_notice(self, SYNCBUS_GRANTED);
    assert_int_equal(notice.claim, claim);
    assert_int_equal(notice.token, token);
    return claim;
}
