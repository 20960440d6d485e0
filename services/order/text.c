#include "services/order/text.h"

#include "proto/base/utf8.h"
#include "proto/json.h"
#include "services/order/book.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

enum { JSON_DEPTH_MAX = 32 };

enum err text_check_key(const char *key, struct fault *fault)
{
    size_t size = strlen(key);
    if (size == 0 || size > BOOK_KEY_MAX)
        return fault_set(fault, ERR_INVALID, "an order's key has 1 to %d characters", BOOK_KEY_MAX);
    for (size_t i = 0; i < size; i++) {
        if (key[i] < 0x21 || key[i] > 0x7e)
            return fault_set(fault, ERR_INVALID,
                             "an order's key holds visible ASCII characters only, no blanks (character %zu)",
                             i + 1);
    }
    return ERR_OK;
}

// Reads a whole text; NULL with the reason when it is not JSON. Nothing but blanks may follow the value.
static struct json_object *parse(const char *data, size_t size, const char **ret_why)
{
    if (size > TEXT_ANSWER_MAX || !utf8_valid(data, size)) {
        *ret_why = "not UTF-8, or too long";
        return NULL;
    }
    struct json_tokener *reader = json_tokener_new_ex(JSON_DEPTH_MAX);
    if (reader == NULL) {
        *ret_why = "out of memory";
        return NULL;
    }
    json_tokener_set_flags(reader, JSON_TOKENER_STRICT);
    struct json_object *value = json_tokener_parse_ex(reader, data, (int)size);
    enum json_tokener_error error = json_tokener_get_error(reader);
    const size_t end = json_tokener_get_parse_end(reader); // behind the blanks that follow the value
    if (error == json_tokener_continue) {                  // a bare number ends only where the text ends
        json_object_put(value);
        value = NULL;
    }
    if (value != NULL && end < size) { // a zero byte, where json-c takes a text to end
        json_object_put(value);
        value = NULL;
        error = json_tokener_error_parse_unexpected;
    }
    json_tokener_free(reader);
    if (value == NULL)
        *ret_why = error == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(error);
    return value;
}

// json-c also takes quotes of the other kind, NaN, Infinity and raw control characters, which the ERP may
// not.
static bool is_plain_json(const char *text)
{
    bool in_string = false;
    for (; *text != '\0'; text++) {
        if (in_string && *text == '\\' && text[1] != '\0')
            text++;
        else if (*text == '"')
            in_string = !in_string;
        else if (in_string ? (unsigned char)*text < 0x20 : strchr("'NI", *text) != NULL)
            return false;
    }
    return true;
}

enum err text_check_order(const char *body, struct fault *fault)
{
    size_t size = strlen(body);
    if (size > BOOK_BODY_MAX)
        return fault_set(fault, ERR_INVALID, "an order has at most %d bytes; this has %zu", BOOK_BODY_MAX,
                         size);
    const char *why = "it is not an object";
    struct json_object *order = parse(body, size, &why);
    if (!json_object_is_type(order, json_type_object)) {
        json_object_put(order);
        return fault_set(fault, ERR_INVALID, "an order is a JSON object: %s", why);
    }
    bool taken = json_object_object_get_ex(order, "reference", NULL);
    json_object_put(order);
    if (!is_plain_json(body))
        return fault_set(
            fault, ERR_INVALID,
            "an order is a JSON object: it holds single quotes, NaN, Infinity or a raw control character");
    if (taken)
        return fault_set(fault, ERR_INVALID,
                         "the field reference of an order is filled in with its key; leave it out");
    return ERR_OK;
}

enum err text_with_reference(const char *body, const char *key, struct buffer *ret)
{
    const char *open = strchr(body, '{');
    if (open == NULL)
        return ERR_INVALID;
    const char *rest = open + 1;
    bool empty = rest[strspn(rest, " \t\r\n")] == '}';
    enum err err = buffer_print(ret, "{\"reference\":");
    err = err ? err : json_string(key, strlen(key), ret);
    if (err == ERR_OK && !empty)
        err = buffer_add_byte(ret, ',');
    return err ? err : buffer_add(ret, rest, strlen(rest));
}

// Takes an id that is a text or a whole number which json-c did not clamp.
static bool take_id(struct json_object *object, char ret_id[TEXT_ERP_ID_MAX + 1])
{
    struct json_object *id = NULL;
    if (!json_object_object_get_ex(object, "id", &id))
        return false;
    if (json_object_is_type(id, json_type_int)) {
        int64_t number = json_object_get_int64(id);
        if (number == INT64_MAX || number == INT64_MIN)
            return false;
    } else if (!json_object_is_type(id, json_type_string)) {
        return false;
    }
    const char *text = json_object_get_string(id);
    size_t size = strlen(text);
    if (size == 0 || size > TEXT_ERP_ID_MAX ||
        (json_object_is_type(id, json_type_string) && size != (size_t)json_object_get_string_len(id)))
        return false;
    memcpy(ret_id, text, size + 1);
    return true;
}

enum err text_placed_id(const char *data, size_t size, char ret_id[TEXT_ERP_ID_MAX + 1])
{
    const char *why = NULL;
    struct json_object *answer = parse(data, size, &why);
    bool found = json_object_is_type(answer, json_type_object) && take_id(answer, ret_id);
    json_object_put(answer);
    return found ? ERR_OK : ERR_NOT_FOUND;
}

// The key of an order that the ERP lists; NULL if it says none.
static const char *key_of(struct json_object *item)
{
    struct json_object *name = NULL;
    const bool there = json_object_is_type(item, json_type_object) &&
                       json_object_object_get_ex(item, "key", &name) &&
                       json_object_is_type(name, json_type_string);
    return there ? json_object_get_string(name) : NULL;
}

enum err text_found_id(const char *data, size_t size, const char *key, char ret_id[TEXT_ERP_ID_MAX + 1])
{
    const char *why = NULL;
    struct json_object *list = parse(data, size, &why);
    enum err err = json_object_is_type(list, json_type_array) ? ERR_NOT_FOUND : ERR_INVALID;
    size_t count = err == ERR_NOT_FOUND ? json_object_array_length(list) : 0;
    bool all_named = true;
    for (size_t i = 0; i < count && err == ERR_NOT_FOUND; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *name = key_of(item);
        all_named = all_named && name != NULL;
        if (name != NULL && strcmp(name, key) == 0)
            err = take_id(item, ret_id) ? ERR_OK : ERR_INVALID;
    }
    if (err == ERR_NOT_FOUND && !all_named) // one of them may be ours: the list settles nothing
        err = ERR_INVALID;
    json_object_put(list);
    return err;
}
