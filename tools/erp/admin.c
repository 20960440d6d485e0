#include "tools/erp/admin.h"

#include "tools/erp/reply.h"
#include "tools/erp/sale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A word of the request: from the query, else from its JSON body (which may be NULL).
static const char *word(const struct request *request, json_object *body, const char *name)
{
    json_object *value;
    const char *text = request_argument(request, name);
    return text != NULL                                    ? text
           : json_object_object_get_ex(body, name, &value) ? json_object_get_string(value)
                                                           : NULL;
}

static enum err read_mischief(const struct request *request, json_object *body, struct mischief *ret,
                              struct fault *fault)
{
    const char *kind = word(request, body, "kind"), *path = word(request, body, "path");
    const char *count = word(request, body, "count"), *method = word(request, body, "method");
    const char *retry_after = word(request, body, "retry_after"), *after = word(request, body, "after");
    if (kind == NULL || path == NULL)
        return fault_set(fault, ERR_INVALID, "kind and path are needed");
    enum err err = mischief_parse(kind, word(request, body, "value"), ret, fault);
    if (err != ERR_OK)
        return err;
    ret->count = count != NULL ? strtoull(count, NULL, 10) : 1;
    ret->after = after != NULL ? strtoull(after, NULL, 10) : 0;
    ret->retry_after_s = retry_after != NULL ? (uint32_t)strtoul(retry_after, NULL, 10) : 0;
    snprintf(ret->path, sizeof ret->path, "%s", path);
    snprintf(ret->method, sizeof ret->method, "%s", method != NULL ? method : "");
    return ret->count > 0 ? ERR_OK : fault_set(fault, ERR_INVALID, "count: a number from 1 is expected");
}

static enum MHD_Result take_mischief(struct request *request)
{
    struct mischief mischief;
    struct fault fault = {0};
    if (buffer_add_byte(&request->body, '\0') != ERR_OK)
        return reply_text(request, MHD_HTTP_CONTENT_TOO_LARGE, "too long");
    json_object *body = json_tokener_parse(request->body.data);
    bool clear = word(request, body, "clear") != NULL;
    enum err err = ERR_OK;
    if (clear)
        mischiefs_clear(&request->erp->mischiefs);
    else
        err = read_mischief(request, body, &mischief, &fault);
    if (!clear && err == ERR_OK)
        mischiefs_add(&request->erp->mischiefs, &mischief);
    json_object_put(body);
    return err == ERR_OK ? reply_json(request, MHD_HTTP_OK, json_object_new_object())
                         : reply_text(request, MHD_HTTP_BAD_REQUEST, fault.text);
}

enum MHD_Result admin_answer(struct request *request)
{
    struct erp *erp = request->erp;
    const char *what = request->path + strlen("/admin/");
    if (strcmp(request->method, "GET") == 0) {
        if (strcmp(what, "judge") == 0)
            return reply_json(request, MHD_HTTP_OK, judge_counts(&erp->judge));
        if (strcmp(what, "accesses") == 0)
            return reply_json(request, MHD_HTTP_OK, judge_accesses(&erp->judge));
        if (strcmp(what, "orders") == 0)
            return reply_json(request, MHD_HTTP_OK, sale_list(erp));
    } else if (strcmp(request->method, "POST") == 0) {
        if (strcmp(what, "fault") == 0)
            return take_mischief(request);
        json_object *versions = strcmp(what, "next") == 0
                                    ? catalogue_next(&erp->catalogue, request_argument(request, "entity"))
                                    : NULL;
        if (versions != NULL)
            return reply_json(request, MHD_HTTP_OK, versions);
        if (strcmp(what, "next") == 0)
            return reply_text(request, MHD_HTTP_NOT_FOUND, "no such entity here");
    }
    return reply_text(request, MHD_HTTP_NOT_FOUND,
                      "here are GET /admin/judge, accesses, orders and POST /admin/next, fault");
}
