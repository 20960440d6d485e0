#include "tools/erp/sale.h"

#include "tools/erp/reply.h"
#include "tools/erp/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_object *sale_json(size_t number, const struct sale *sale)
{
    char id[32];
    snprintf(id, sizeof id, "E-%zu", number);
    json_object *object = json_object_new_object();
    json_object_object_add(object, "id", json_object_new_string(id));
    if (sale->key[0] != '\0')
        json_object_object_add(object, "key", json_object_new_string(sale->key));
    return object;
}

json_object *sale_list(struct erp *erp)
{
    json_object *array = json_object_new_array();
    pthread_mutex_lock(&erp->sales_lock);
    for (size_t i = 0; i < erp->sale_count; i++)
        json_object_array_add(array, sale_json(i + 1, &erp->sales[i]));
    pthread_mutex_unlock(&erp->sales_lock);
    return array;
}

// Makes an order, or finds the one of its key; gives its number.
static size_t sell(struct erp *erp, const char *key)
{
    pthread_mutex_lock(&erp->sales_lock);
    size_t earlier = 0;
    for (size_t i = 0; key[0] != '\0' && i < erp->sale_count && earlier == 0; i++)
        if (strcmp(erp->sales[i].key, key) == 0)
            earlier = i + 1;
    size_t number = earlier;
    if (earlier == 0 || !erp->options.honours_keys) {
        erp->sales = realloc(erp->sales, (erp->sale_count + 1) * sizeof *erp->sales);
        if (erp->sales == NULL)
            abort();
        struct sale *sale = &erp->sales[erp->sale_count++];
        *sale = (struct sale){.made_ms = wall_ms()};
        snprintf(sale->key, sizeof sale->key, "%s", key);
        number = erp->sale_count;
        judge_order(&erp->judge, earlier != 0);
    }
    pthread_mutex_unlock(&erp->sales_lock);
    return number;
}

// The orders of a key that the search can see already.
static json_object *search(struct erp *erp, const char *key)
{
    json_object *array = json_object_new_array();
    int64_t visible_ms = wall_ms() - erp->options.lag_ms;
    pthread_mutex_lock(&erp->sales_lock);
    for (size_t i = 0; i < erp->sale_count; i++)
        if (strcmp(erp->sales[i].key, key) == 0 && erp->sales[i].made_ms <= visible_ms)
            json_object_array_add(array, sale_json(i + 1, &erp->sales[i]));
    pthread_mutex_unlock(&erp->sales_lock);
    return array;
}

// The key of an order: its header, else its reference. False: the body is no order.
static bool read_order(struct request *request, char key[ORDER_KEY_MAX])
{
    if (buffer_add_byte(&request->body, '\0') != ERR_OK)
        return false;
    json_object *order = json_tokener_parse(request->body.data), *reference = NULL;
    bool good = json_object_is_type(order, json_type_object);
    const char *text = request_header(request, "Idempotency-Key");
    if (good && text == NULL && json_object_object_get_ex(order, "reference", &reference))
        text = json_object_get_string(reference);
    snprintf(key, ORDER_KEY_MAX, "%s", text != NULL ? text : "");
    json_object_put(order);
    return good;
}

// Answers with an object, which it frees, as the mischief has it. The work is over by now.
static enum MHD_Result answer(struct request *request, unsigned status, json_object *object,
                              const struct mischief *mischief)
{
    struct buffer bytes;
    buffer_init(&bytes, EXPORT_SIZE_MAX);
    enum err err =
        buffer_print(&bytes, "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
    json_object_put(object);
    if (err != ERR_OK)
        abort();
    judge_end(&request->erp->judge, request->access);
    struct content *content = stream_disguise(mischief, content_new(&bytes, "application/json", 0));
    const char *type = content->type;
    struct MHD_Response *response = stream_new(request, content, 0, content->bytes.size, mischief);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result sale_answer(struct request *request)
{
    struct erp *erp = request->erp;
    bool post = strcmp(request->method, "POST") == 0, over;
    char key[ORDER_KEY_MAX];
    const char *wanted = request_argument(request, "key");
    if (!post && (strcmp(request->method, "GET") != 0 || wanted == NULL))
        return reply_text(request, MHD_HTTP_BAD_REQUEST, "POST an order, or GET /orders?key=KEY");
    if (post && !read_order(request, key))
        return reply_text(request, MHD_HTTP_BAD_REQUEST, "an order is a JSON object");
    if (!post)
        snprintf(key, sizeof key, "%s", wanted);
    uint64_t token = request_token(request);
    if (!judge_token(&erp->judge, ACCESS_ORDER, token))
        return reply_text(request, MHD_HTTP_PRECONDITION_FAILED, "a newer lease was here already");
    request->access = judge_begin(&erp->judge, ACCESS_ORDER, key, token, -1);
    struct mischief mischief = mischiefs_take(&erp->mischiefs, request->method, request->path);
    enum MHD_Result result = stream_prelude(request, &mischief, -1, &over);
    if (over)
        return result;
    if (!post)
        return answer(request, MHD_HTTP_OK, search(erp, key), &mischief);
    struct sale sale = {0};
    size_t number = sell(erp, key);
    return answer(request, MHD_HTTP_CREATED, sale_json(number, &sale), &mischief);
}
