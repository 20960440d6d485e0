#include "proto/session_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MS = 3000,     // how long an answer may take; then the request is repeated
    CALL_MS = 10000,      // how long a call may take unless it says so
    CALL_GRACE_MS = 1000, // and how much later the broker's word on it may come
};

static void free_ask(struct session_ask *ask)
{
    sb__request__free_unpacked(ask->request, NULL);
    session_free_news(ask->news);
    free(ask);
}

void session_ask_free(struct session *self)
{
    while (self->asks != NULL) {
        struct session_ask *ask = self->asks;
        self->asks = ask->next;
        free_ask(ask);
    }
}

static void remove_ask(struct session *self, struct session_ask **place)
{
    struct session_ask *ask = *place;
    *place = ask->next;
    self->ask_count--;
    free_ask(ask);
}

static bool can_send(const struct session *self)
{
    return self->anonymous || self->state == SESSION_JOINED;
}

static void send_ask(struct session *self, struct session_ask *ask)
{
    ask->repeat_ms = self->now_ms + ask->repeat_every_ms;
    session_send(self, ask->request, ask->id);
}

// Repeats all of them, oldest first: numbers ascend.
void session_ask_joined(struct session *self)
{
    for (struct session_ask *ask = self->asks; ask != NULL; ask = ask->next)
        send_ask(self, ask);
}

// Tells the program that the ask has ended.
static struct session_news *tell_end(struct session *self, struct session_ask *ask)
{
    struct session_news *news = ask->news;
    ask->news = NULL;
    session_tell_news(self, news, SYNCBUS_REPLY);
    news->notice.ask = ask->id;
    return news;
}

bool session_ask_reply(struct session *self, const Sb__Reply *reply, const void *data, size_t size)
{
    struct session_ask **place = &self->asks;
    while (*place != NULL && (*place)->id != reply->id)
        place = &(*place)->next;
    if (*place == NULL)
        return false;
    if (!session_tell_body((*place)->news, data, size))
        return true; // asked again at its time
    struct session_news *news = tell_end(self, *place);
    news->notice.code = (enum syncbus_code)reply->code;
    session_tell_text(news, reply->text);
    remove_ask(self, place);
    return true;
}

static void end_ask(struct session *self, struct session_ask **place)
{
    struct session_news *news = tell_end(self, *place);
    news->notice.code = SYNCBUS_TIMEOUT;
    session_tell_text(news, "no answer came in time");
    remove_ask(self, place);
}

void session_ask_time(struct session *self)
{
    bool late = false;
    struct session_ask **place = &self->asks;
    while (*place != NULL) {
        struct session_ask *ask = *place;
        if (self->now_ms >= ask->end_ms) {
            end_ask(self, place);
            continue;
        }
        if (can_send(self) && self->now_ms >= ask->repeat_ms) {
            late = true;
            if (!self->anonymous)
                send_ask(self, ask);
        }
        place = &ask->next;
    }
    if (late && self->anonymous) {
        // Without a session nothing else tells that the connection is dead.
        session_connect_again(self, "the broker does not answer");
        session_ask_joined(self);
    }
}

int64_t session_ask_deadline(const struct session *self)
{
    int64_t deadline = INT64_MAX;
    for (const struct session_ask *ask = self->asks; ask != NULL; ask = ask->next) {
        if (ask->end_ms < deadline)
            deadline = ask->end_ms;
        if (can_send(self) && ask->repeat_ms < deadline)
            deadline = ask->repeat_ms;
    }
    return deadline;
}

// Takes the request over.
static uint64_t ask(struct session *self, int64_t now_ms, Sb__Request *request, uint32_t timeout_ms)
{
    session_begin(self, now_ms);
    struct session_ask *one = self->ask_count < SESSION_ASKS_MAX ? calloc(1, sizeof *one) : NULL;
    if (one != NULL)
        one->news = session_news_new();
    if (one == NULL || one->news == NULL) {
        sb__request__free_unpacked(request, NULL);
        free(one);
        errno = ENOBUFS;
        return 0;
    }
    one->id = session_next_id(self);
    one->request = request;
    one->end_ms = timeout_ms > 0 ? self->now_ms + timeout_ms : INT64_MAX;
    one->repeat_every_ms = ANSWER_MS;
    if (request->body_case == SB__REQUEST__BODY_CALL) {
        const uint32_t call_ms = request->call->timeout_ms;
        one->repeat_every_ms = (call_ms > 0 ? call_ms : CALL_MS) + CALL_GRACE_MS;
    }
    struct session_ask **place = &self->asks;
    while (*place != NULL)
        place = &(*place)->next;
    *place = one;
    self->ask_count++;
    if (can_send(self))
        send_ask(self, one);
    return one->id;
}

uint64_t session_ask(struct session *self, int64_t now_ms, const void *data, size_t size, uint32_t timeout_ms)
{
    Sb__Request *request = NULL;
    if (data == NULL || wire_request(data, size, &request, NULL) != ERR_OK) {
        errno = EINVAL;
        return 0;
    }
    return ask(self, now_ms, request, timeout_ms);
}

// Encodes a message for session_ask or a frame; false when memory ends.
static bool encode(Sb__Request *request, struct buffer *ret)
{
    buffer_init(ret, WIRE_FRAME_MAX);
    return wire_pack(&request->base, ret) == ERR_OK;
}

uint64_t session_call(struct session *self, int64_t now_ms, const char *service, const char *method,
                      const void *body, size_t size, uint32_t timeout_ms)
{
    if (service == NULL || method == NULL || size > WIRE_BODY_MAX) {
        errno = EINVAL;
        return 0;
    }
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Call call = SB__CALL__INIT;
    call.service = (char *)service;
    call.method = (char *)method;
    call.body.data = (uint8_t *)body;
    call.body.len = size;
    call.timeout_ms = timeout_ms;
    request.body_case = SB__REQUEST__BODY_CALL;
    request.call = &call;
    struct buffer bytes;
    uint64_t id = 0;
    if (encode(&request, &bytes))
        id = session_ask(self, now_ms, bytes.data, bytes.size,
                         (timeout_ms > 0 ? timeout_ms : CALL_MS) + CALL_GRACE_MS);
    else
        errno = ENOBUFS;
    buffer_free(&bytes);
    return id;
}

int session_answer(struct session *self, uint64_t call, enum syncbus_code code, const char *text,
                   const void *body, size_t size)
{
    if (call == 0 || size > WIRE_BODY_MAX || (text != NULL && strlen(text) > WIRE_TEXT_MAX))
        return -EINVAL;
    if (self->state != SESSION_JOINED)
        return -ENOTCONN;
    Sb__Request request = SB__REQUEST__INIT;
    Sb__Answer answer = SB__ANSWER__INIT;
    answer.call = call;
    answer.code = (Sb__Code)code;
    answer.text = text != NULL ? (char *)text : answer.text;
    answer.body.data = (uint8_t *)body;
    answer.body.len = size;
    request.body_case = SB__REQUEST__BODY_ANSWER;
    request.answer = &answer;
    session_send(self, &request, session_next_id(self));
    return 0;
}
