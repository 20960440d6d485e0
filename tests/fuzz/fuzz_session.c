// A session beside a broker that says anything, at any time: it never crashes, never holds a lease past its
// end, and its queues do not grow without answers.
//
// The input is a script of steps: a byte of kind, two bytes of length or time, and that many bytes of a
// message.
#include "proto/session.h"
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLAIMS_MAX = 8, STEPS_MAX = 2000 };

struct script {
    const uint8_t *data; // what is left of it
    size_t size;         // of `data`
    int64_t now_ms;      // the session's time
    uint64_t last_id;    // of the last request that was sent
    uint64_t claims[CLAIMS_MAX];
    size_t claim_count;
};

static void drain(struct script *script, struct session *session)
{
    struct session_output output;
    struct syncbus_notice notice;
    for (int i = 0; session_output(session, &output); i++) {
        Sb__Request *request = NULL;
        assert(i < 10000);
        if (output.kind == SESSION_OUTPUT_SEND) {
            const enum err err = wire_request(output.data, output.size, &request, NULL);
            assert(err == ERR_OK);
            script->last_id = request->id;
            sb__request__free_unpacked(request, NULL);
        }
        session_done(session);
    }
    while (session_notice(session, &notice)) {
        assert(notice.text != NULL);
        assert(notice.body_size == 0 || notice.body != NULL);
        if (notice.kind == SYNCBUS_LOST)
            assert(session_left_ms(session, script->now_ms, notice.claim) == 0);
    }
}

static void give_reply(struct script *script, struct session *session, size_t size, bool to_last)
{
    Sb__Reply *reply = NULL;
    if (wire_reply(script->data, size, &reply, NULL) != ERR_OK)
        return;
    if (to_last)
        reply->id = script->last_id;
    session_reply(session, script->now_ms, reply, script->data, size);
}

static void give_event(struct script *script, struct session *session, size_t size)
{
    static const char *const topics[] = {"beat", "tick.prices", "pause.erp", "change.ddt"};
    Sb__Event *event = NULL;
    if (size == 0 || wire_event(script->data + 1, size - 1, &event, NULL) != ERR_OK)
        return;
    session_event(session, script->now_ms, topics[script->data[0] % 4], event, script->data + 1, size - 1);
    sb__event__free_unpacked(event, NULL);
}

static void command(struct script *script, struct session *session, unsigned which)
{
    const struct syncbus_wish wish = {.resource = "erp",
                                      .mode = (which & 1) != 0 ? SYNCBUS_EXCLUSIVE : SYNCBUS_SHARED,
                                      .job = "prices",
                                      .run = 5,
                                      .attempt = 1,
                                      .wait_ms = which >> 3};
    const uint64_t claim = script->claims[which % CLAIMS_MAX];
    switch (which % 4) {
    case 0:
    case 1:
        if (script->claim_count < CLAIMS_MAX)
            script->claims[script->claim_count++] = session_acquire(session, script->now_ms, &wish);
        break;
    case 2: session_release(session, script->now_ms, claim, (which & 8) != 0); break;
    default: session_withdraw(session, script->now_ms, claim); break;
    }
}

static void step(struct script *script, struct session *session)
{
    const uint8_t kind = script->data[0] % 5;
    const unsigned number = (unsigned)(script->data[1] | script->data[2] << 8);
    script->data += 3;
    script->size -= 3;
    const size_t size = kind < 3 ? (number < script->size ? number : script->size) : 0;
    switch (kind) {
    case 0: give_reply(script, session, size, true); break;
    case 1: give_reply(script, session, size, false); break;
    case 2: give_event(script, session, size); break;
    case 3: script->now_ms += number; break;
    default: command(script, session, number); break;
    }
    script->data += size;
    script->size -= size;
    session_time(session, script->now_ms);
    drain(script, session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const jobs[] = {"prices", NULL};
    static const char *const wanted[] = {"change.", NULL};
    const struct syncbus_options client = {
        .requests = "r", .events = "e", .name = "fuzz", .instance = 1, .jobs = jobs, .topics = wanted};
    const struct session_options options = {.client = &client, .process = 2, .host = 3, .seed = 4};
    struct script script = {.data = data, .size = size, .now_ms = 1000};
    struct session *session = session_new(&options, script.now_ms);
    assert(session != NULL);
    session_time(session, script.now_ms);
    drain(&script, session);
    for (int i = 0; i < STEPS_MAX && script.size >= 3; i++)
        step(&script, session);
    session_bye(session);
    session_destroy(&session);
    return 0;
}
