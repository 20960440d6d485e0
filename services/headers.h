// Headers of HTTP requests, as the configuration names them.
#ifndef SYNCBUS_SERVICES_HEADERS_H
#define SYNCBUS_SERVICES_HEADERS_H

#include "proto/base/err.h"
#include "proto/io/config.h"

#include <curl/curl.h>

// Appends one header to the list, which the caller frees. ERR_FULL (longer than 16 KiB), ERR_NO_MEMORY; the
// list stays as it was then.
SB_MUST_CHECK
enum err headers_add(struct curl_slist **list, const char *name, const char *value);

// Appends the configured ones, with values from the environment where it says so. ERR_INVALID names the
// variable that is missing or that no header can carry, never a value.
SB_MUST_CHECK
enum err headers_add_configured(struct curl_slist **list, const struct config_headers *headers,
                                struct fault *fault);

#endif
