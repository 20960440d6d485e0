#include "tools/erp/export.h"

#include "tools/erp/reply.h"
#include "tools/erp/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATE_MAX = 40, ENTITY_MAX = 64 };

// A part of some content.
struct range {
    uint64_t from;
    uint64_t size;
    bool part;   // less than the whole was asked for
    bool beyond; // it begins past the end
};

static void write_date(time_t time, char text[DATE_MAX])
{
    struct tm parts;
    gmtime_r(&time, &parts);
    strftime(text, DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

// One range of bytes, as "bytes=5-", "bytes=5-9" or "bytes=-5"; anything else asks for the whole.
static struct range read_range(const char *text, uint64_t size)
{
    struct range whole = {.size = size};
    if (text == NULL || strncmp(text, "bytes=", 6) != 0)
        return whole;
    text += 6;
    char *end;
    if (*text == '-') {
        uint64_t last = strtoull(text + 1, &end, 10);
        if (end == text + 1 || *end != '\0')
            return whole;
        last = last < size ? last : size;
        return (struct range){.from = size - last, .size = last, .part = true, .beyond = last == 0};
    }
    uint64_t from = strtoull(text, &end, 10);
    if (end == text || *end != '-')
        return whole;
    const char *to_text = end + 1;
    uint64_t to = *to_text != '\0' ? strtoull(to_text, &end, 10) : size > 0 ? size - 1 : 0;
    if (*to_text != '\0' && (end == to_text || *end != '\0'))
        return whole;
    if (from >= size || to < from)
        return (struct range){.part = true, .beyond = true};
    to = to < size ? to : size - 1;
    return (struct range){.from = from, .size = to - from + 1, .part = true};
}

// Which part of the content the request is for; If-Range makes it the whole when the content is another one.
static struct range wanted(const struct request *request, const struct content *content)
{
    char date[DATE_MAX];
    write_date(content->modified, date);
    const char *condition = request_header(request, "If-Range");
    if (condition != NULL && strcmp(condition, content->etag) != 0 && strcmp(condition, date) != 0)
        return (struct range){.size = content->bytes.size};
    return read_range(request_header(request, "Range"), content->bytes.size);
}

// Splits /export/ENTITY.FORMAT; false if it is something else.
static bool read_path(const char *path, char entity[ENTITY_MAX], enum format *ret_format)
{
    const char *name = path + strlen("/export/"), *dot = strrchr(name, '.');
    if (dot == NULL || dot == name || (size_t)(dot - name) >= ENTITY_MAX)
        return false;
    memcpy(entity, name, (size_t)(dot - name));
    entity[dot - name] = '\0';
    *ret_format = strcmp(dot, ".json") == 0 ? JSON : CSV;
    return strcmp(dot, ".csv") == 0 || strcmp(dot, ".json") == 0;
}

// Whether the client has this content already, by its tag or else by its time (RFC 9110, 13.2.2).
static bool is_known(const struct request *request, const struct content *content)
{
    const char *tag = request_header(request, "If-None-Match");
    const char *since = request_header(request, "If-Modified-Since");
    char date[DATE_MAX];
    if (tag != NULL)
        return strcmp(strncmp(tag, "W/", 2) == 0 ? tag + 2 : tag, content->etag) == 0;
    write_date(content->modified, date);
    return since != NULL && strcmp(since, date) == 0;
}

// Puts the page that was asked for in the content's place; false: that cannot be.
static bool turn_to_page(const struct request *request, struct content **content, uint64_t *ret_total)
{
    const char *page = request_argument(request, "page"), *size = request_argument(request, "size");
    if (page == NULL && size == NULL)
        return true;
    uint64_t number = page != NULL ? strtoull(page, NULL, 10) : 1,
             records = size != NULL ? strtoull(size, NULL, 10) : 100;
    struct content *part;
    if (number == 0 || records == 0 ||
        content_page(*content, request->erp->options.head, number, records, &part, ret_total) != ERR_OK)
        return false;
    content_drop(content);
    *content = part;
    return true;
}

static void add_validators(struct MHD_Response *response, const struct content *content,
                           enum mischief_kind mischief)
{
    char text[96];
    if (mischief == MISCHIEF_NO_VALIDATOR || mischief == MISCHIEF_UNCHANGED)
        return;
    snprintf(text, sizeof text, "%s%s", mischief == MISCHIEF_WEAK_ETAG ? "W/" : "", content->etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, text);
    write_date(content->modified, text);
    MHD_add_response_header(response, MHD_HTTP_HEADER_LAST_MODIFIED, text);
}

// `total` is NULL where it is not to be told.
static void add_headers(struct MHD_Response *response, const struct content *content,
                        const struct range *range, const uint64_t *total)
{
    char text[96];
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    if (range->part) {
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%zu", range->from,
                 range->from + range->size - 1, content->bytes.size);
        if (range->beyond)
            snprintf(text, sizeof text, "bytes */%zu", content->bytes.size);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    }
    if (total != NULL) {
        snprintf(text, sizeof text, "%" PRIu64, *total);
        MHD_add_response_header(response, "X-Total-Count", text);
    }
}

static enum MHD_Result serve(struct request *request, struct content *content,
                             const struct mischief *mischief)
{
    uint64_t total = 0;
    const bool paged = request_argument(request, "page") != NULL || request_argument(request, "size") != NULL;
    if (!turn_to_page(request, &content, &total)) {
        content_drop(&content);
        return reply_text(request, MHD_HTTP_BAD_REQUEST,
                          "page and size are numbers from 1; only records have pages");
    }
    content = stream_disguise(mischief, content);
    struct range range = wanted(request, content);
    unsigned status = range.beyond ? MHD_HTTP_RANGE_NOT_SATISFIABLE
                      : range.part ? MHD_HTTP_PARTIAL_CONTENT
                                   : MHD_HTTP_OK;
    if (mischief->kind == MISCHIEF_UNCHANGED || is_known(request, content)) {
        status = MHD_HTTP_NOT_MODIFIED;
        range = (struct range){0};
    }
    struct content *held = content_hold(content);
    struct MHD_Response *response = stream_new(request, content, range.from, range.size, mischief);
    enum MHD_Result result = MHD_NO;
    if (response != NULL) {
        add_headers(response, held, &range, paged && mischief->kind != MISCHIEF_NO_TOTAL ? &total : NULL);
        add_validators(response, held, mischief->kind);
        result = MHD_queue_response(request->connection, status, response);
        MHD_destroy_response(response);
    }
    content_drop(&held);
    return result;
}

// Puts the next version of the entity in the content's place; false: it cannot be read, and the content is
// dropped.
static bool turn_to_next(struct erp *erp, const char *entity, enum format format, struct content **content)
{
    struct fault fault = {0};
    content_drop(content);
    json_object_put(catalogue_next(&erp->catalogue, entity));
    return catalogue_get(&erp->catalogue, entity, format, content, &fault) == ERR_OK;
}

enum MHD_Result export_answer(struct request *request)
{
    struct erp *erp = request->erp;
    struct content *content;
    struct fault fault = {0};
    char entity[ENTITY_MAX];
    enum format format;
    if (strcmp(request->method, "GET") != 0)
        return reply_text(request, MHD_HTTP_METHOD_NOT_ALLOWED, "an export can only be fetched");
    if (!read_path(request->path, entity, &format))
        return reply_text(request, MHD_HTTP_NOT_FOUND,
                          "an export is /export/ENTITY.csv or /export/ENTITY.json");
    enum err err = catalogue_get(&erp->catalogue, entity, format, &content, &fault);
    if (err != ERR_OK)
        return reply_text(request, err == ERR_NOT_FOUND ? MHD_HTTP_NOT_FOUND : MHD_HTTP_INTERNAL_SERVER_ERROR,
                          fault.text);
    uint64_t token = request_token(request);
    if (!judge_token(&erp->judge, ACCESS_EXPORT, token)) {
        content_drop(&content);
        return reply_text(request, MHD_HTTP_PRECONDITION_FAILED, "a newer lease was here already");
    }
    request->access = judge_begin(&erp->judge, ACCESS_EXPORT, entity, token, request->fd);
    struct mischief mischief = mischiefs_take(&erp->mischiefs, request->method, request->path);
    if (mischief.kind == MISCHIEF_NEXT && !turn_to_next(erp, entity, format, &content)) {
        judge_end(&erp->judge, request->access);
        return reply_text(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "the next version cannot be read");
    }
    bool over;
    enum MHD_Result result = stream_prelude(request, &mischief, request->fd, &over);
    if (over) {
        content_drop(&content);
        return result;
    }
    return serve(request, content, &mischief);
}
