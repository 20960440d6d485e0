#include "tools/erp/stream.h"

#include "tools/erp/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16384, STEPS_PER_SECOND = 20 };

// One answer on its way.
struct stream {
    struct request *request; // lives longer than the answer
    struct content *content; // what is sent; held
    uint64_t from;           // first byte of it
    uint64_t size;           // bytes to send
    uint64_t cut;            // bytes that are sent before `kind` strikes
    enum mischief_kind kind; // what happens then
    int64_t start_ms;        // when the first byte left
};

// Waits until the rate lets more go; false: nobody is there any more.
static bool pace(struct stream *self, uint64_t position)
{
    struct erp *erp = self->request->erp;
    if (erp->options.rate == 0)
        return true;
    if (self->start_ms == 0)
        self->start_ms = steady_ms();
    int64_t due = self->start_ms + (int64_t)(position * 1000 / erp->options.rate);
    int64_t wait = due - steady_ms();
    return wait <= 0 || erp_wait(erp, self->request->fd, wait) == WAITED;
}

static ssize_t strike(struct stream *self)
{
    if (self->kind == MISCHIEF_STALL)
        erp_wait(self->request->erp, self->request->fd, -1);
    judge_end(&self->request->erp->judge, self->request->access);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t read_block(void *arg, uint64_t position, char *place, size_t size_max)
{
    struct stream *self = arg;
    uint64_t rate = self->request->erp->options.rate;
    if (!pace(self, position)) {
        judge_end(&self->request->erp->judge, self->request->access);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    uint64_t size = size_max < BLOCK ? size_max : BLOCK;
    if (rate != 0 && size > rate / STEPS_PER_SECOND + 1)
        size = rate / STEPS_PER_SECOND + 1;
    if (self->kind == MISCHIEF_ENDLESS) {
        for (uint64_t i = 0; i < size; i++)
            place[i] = self->content->bytes.data[(position + i) % self->content->bytes.size];
        return (ssize_t)size;
    }
    if (position >= self->cut)
        return strike(self);
    uint64_t left = self->cut - position;
    // The last byte goes alone, when all others have left.
    size = left == 1 ? 1 : size < left ? size : left - 1;
    if (position + size == self->size)
        judge_end(&self->request->erp->judge, self->request->access);
    memcpy(place, self->content->bytes.data + self->from + position, size);
    return (ssize_t)size;
}

static void end(void *arg)
{
    struct stream *self = arg;
    content_drop(&self->content);
    free(self);
}

// How many bytes go before the mischief strikes.
static uint64_t cut_of(const struct mischief *mischief, uint64_t size)
{
    uint64_t limit = size > 0 ? size - 1 : 0;
    switch (mischief->kind) {
    case MISCHIEF_TRUNCATE:
    case MISCHIEF_STALL:
        return !mischief->valued ? size / 2 : mischief->value < limit ? mischief->value : limit;
    case MISCHIEF_DROP_AFTER: return limit;
    default: return size;
    }
}

struct MHD_Response *stream_new(struct request *request, struct content *content, uint64_t from,
                                uint64_t size, const struct mischief *mischief)
{
    struct stream *self = calloc(1, sizeof *self);
    if (self == NULL)
        abort();
    *self = (struct stream){.request = request, .content = content, .from = from, .size = size};
    self->kind =
        mischief->kind == MISCHIEF_ENDLESS && content->bytes.size == 0 ? MISCHIEF_NONE : mischief->kind;
    self->cut = cut_of(mischief, size);
    if (size == 0)
        judge_end(&request->erp->judge, request->access);
    uint64_t told = self->kind == MISCHIEF_ENDLESS ? MHD_SIZE_UNKNOWN : size;
    struct MHD_Response *response = MHD_create_response_from_callback(told, BLOCK, read_block, self, end);
    if (response == NULL)
        end(self);
    return response;
}

static enum err add_noise(struct buffer *bytes)
{
    enum err err = ERR_OK;
    for (unsigned i = 0; err == ERR_OK && i < 4096; i++)
        err = buffer_add_byte(bytes, (char)(i * 197 + i / 7 + 128));
    return err;
}

struct content *stream_disguise(const struct mischief *mischief, struct content *content)
{
    struct buffer bytes;
    buffer_init(&bytes, EXPORT_SIZE_MAX);
    enum err err = ERR_OK;
    const char *type = content->type;
    switch (mischief->kind) {
    case MISCHIEF_EMPTY: break;
    case MISCHIEF_GARBAGE: err = add_noise(&bytes); break;
    case MISCHIEF_HTML:
        type = "text/html";
        err = buffer_print(&bytes, "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head>\n"
                                   "<body><h1>We will be back soon</h1></body></html>\n");
        break;
    default: return content;
    }
    if (err != ERR_OK)
        abort();
    time_t modified = content->modified;
    content_drop(&content);
    return content_new(&bytes, type, modified);
}

static enum MHD_Result answer_status(struct request *request, const struct mischief *mischief)
{
    char text[64], seconds[16];
    int size = snprintf(text, sizeof text, "told to answer %u\n", (unsigned)mischief->value);
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)size, text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    if (mischief->value >= 300 && mischief->value < 400)
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, "/elsewhere");
    if (mischief->retry_after_s > 0) {
        snprintf(seconds, sizeof seconds, "%u", mischief->retry_after_s);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    enum MHD_Result result = MHD_queue_response(request->connection, (unsigned)mischief->value, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result stream_prelude(struct request *request, const struct mischief *mischief, int fd,
                               bool *ret_over)
{
    struct erp *erp = request->erp;
    int64_t ms = erp->options.latency_ms + (mischief->kind == MISCHIEF_DELAY ? (int64_t)mischief->value : 0);
    *ret_over = true;
    switch (mischief->kind) {
    case MISCHIEF_DROP_BEFORE: return MHD_NO;
    case MISCHIEF_HANG: erp_wait(erp, request->fd, -1); return MHD_NO;
    case MISCHIEF_STATUS: judge_end(&erp->judge, request->access); return answer_status(request, mischief);
    default: break;
    }
    if (ms > 0 && erp_wait(erp, fd, ms) != WAITED)
        return MHD_NO;
    *ret_over = false;
    return MHD_YES;
}
