#include "tools/erp/reply.h"

#include <stdlib.h>
#include <string.h>

static enum MHD_Result reply(struct request *request, unsigned status, const char *type, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result reply_text(struct request *request, unsigned status, const char *text)
{
    return reply(request, status, "text/plain", text);
}

enum MHD_Result reply_json(struct request *request, unsigned status, json_object *object)
{
    const char *text =
        json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    enum MHD_Result result = reply(request, status, "application/json", text);
    json_object_put(object);
    return result;
}

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_argument(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

uint64_t request_token(const struct request *request)
{
    const char *text = request_header(request, "X-Fencing-Token");
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}
