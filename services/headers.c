#include "services/headers.h"

#include "proto/base/buffer.h"

#include <stdlib.h>

enum { LINE_SIZE_MAX = 16 * 1024 };

enum err headers_add(struct curl_slist **list, const char *name, const char *value)
{
    struct buffer line;
    buffer_init(&line, LINE_SIZE_MAX);
    enum err err = buffer_print(&line, "%s: %s", name, value);
    err = err ? err : buffer_add_byte(&line, '\0');
    struct curl_slist *longer = err ? NULL : curl_slist_append(*list, line.data);
    buffer_free(&line);
    if (longer == NULL)
        return err ? err : ERR_NO_MEMORY;
    *list = longer;
    return ERR_OK;
}

enum err headers_add_configured(struct curl_slist **list, const struct config_headers *headers,
                                struct fault *fault)
{
    for (size_t i = 0; i < headers->count; i++) {
        const struct config_header *header = &headers->items[i];
        const char *value = header->value_env ? getenv(header->value_env) : header->value;
        if (value == NULL)
            return fault_set(fault, ERR_INVALID, "header %s: the environment has no %s", header->name,
                             header->value_env);
        if (!config_is_header_value(value))
            return fault_set(
                fault, ERR_INVALID,
                "header %s: the environment's %s holds a line break or another control character",
                header->name, header->value_env);
        enum err err = headers_add(list, header->name, value);
        if (err != ERR_OK)
            return fault_set(fault, err, "header %s cannot be sent", header->name);
    }
    return ERR_OK;
}
