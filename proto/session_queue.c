#include "proto/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------- notices

// NULL when memory ends.
struct session_news *session_news_new(void)
{
    struct session_news *news = calloc(1, sizeof *news);
    if (news != NULL)
        news->notice = (struct syncbus_notice){.text = "", .job = "", .method = "", .from = "", .topic = ""};
    return news;
}

void session_tell_news(struct session *self, struct session_news *news, enum syncbus_notice_kind kind)
{
    news->notice.kind = kind;
    news->notice.eta_ms = kind == SYNCBUS_WAITING ? -1 : 0;
    *self->news_tail = news;
    self->news_tail = &news->next;
}

// NULL when memory ends.
struct session_news *session_tell(struct session *self, enum syncbus_notice_kind kind)
{
    struct session_news *news = session_news_new();
    if (news != NULL)
        session_tell_news(self, news, kind);
    return news;
}

void session_tell_text(struct session_news *news, const char *text)
{
    if (news == NULL)
        return;
    news->text = strdup(text);
    news->notice.text = news->text != NULL ? news->text : "";
}

// False when memory ends.
bool session_tell_body(struct session_news *news, const void *data, size_t size)
{
    assert(size > 0);
    news->body = malloc(size);
    if (news->body == NULL)
        return false;
    memcpy(news->body, data, size);
    news->notice.body = news->body;
    news->notice.body_size = size;
    return true;
}

void session_tell_blockers(struct session_news *news, size_t count, Sb__Blocker *const *blockers)
{
    if (count == 0)
        return;
    news->blockers = calloc(count, sizeof *news->blockers);
    if (news->blockers == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        const Sb__Blocker *from = blockers[i];
        news->blockers[i] = (struct syncbus_blocker){.job = from->job,
                                                     .holder = from->holder,
                                                     .run = from->run,
                                                     .held_ms = from->held_ms,
                                                     .done = from->done,
                                                     .total = from->total,
                                                     .eta_ms = from->eta_ms};
    }
    news->notice.blockers = news->blockers;
    news->notice.blocker_count = count;
}

void session_free_news(struct session_news *news)
{
    if (news == NULL)
        return;
    if (news->reply != NULL)
        sb__reply__free_unpacked(news->reply, NULL);
    free(news->blockers);
    free(news->text);
    free(news->body);
    free(news);
}

bool session_notice(struct session *self, struct syncbus_notice *ret)
{
    session_free_news(self->shown);
    self->shown = self->news;
    if (self->shown == NULL)
        return false;
    self->news = self->shown->next;
    if (self->news == NULL)
        self->news_tail = &self->news;
    *ret = self->shown->notice;
    return true;
}

bool session_has_notice(const struct session *self)
{
    return self->news != NULL;
}

void session_drop_news(struct session *self)
{
    struct syncbus_notice notice;
    while (session_notice(self, &notice))
        continue;
}

// ---------------------------------------------------------------- frames

void session_send(struct session *self, Sb__Request *request, uint64_t id)
{
    assert(request->body_case != SB__REQUEST__BODY__NOT_SET);
    request->id = id;
    request->session = request->body_case == SB__REQUEST__BODY_HELLO ? 0 : self->number;
    const size_t size = sb__request__get_packed_size(request);
    struct session_frame *frame = malloc(sizeof *frame + size);
    if (frame == NULL)
        return; // as if it was lost on the way: it is repeated like any other
    frame->next = NULL;
    frame->size = sb__request__pack(request, frame->data);
    assert(frame->size == size);
    *self->frames_tail = frame;
    self->frames_tail = &frame->next;
}

static void drop_frame(struct session *self)
{
    struct session_frame *frame = self->frames;
    self->frames = frame->next;
    if (self->frames == NULL)
        self->frames_tail = &self->frames;
    free(frame);
}

void session_drop_frames(struct session *self)
{
    while (self->frames != NULL)
        drop_frame(self);
}

bool session_output(const struct session *self, struct session_output *ret)
{
    if (self->connect) {
        *ret = (struct session_output){.kind = SESSION_OUTPUT_CONNECT};
        return true;
    }
    if (self->frames == NULL)
        return false;
    *ret = (struct session_output){
        .kind = SESSION_OUTPUT_SEND, .data = self->frames->data, .size = self->frames->size};
    return true;
}

void session_done(struct session *self)
{
    if (self->connect) {
        self->connect = false;
        return;
    }
    assert(self->frames != NULL);
    drop_frame(self);
}
