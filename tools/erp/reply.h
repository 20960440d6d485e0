// Whole answers, and what a request brought along.
#ifndef SYNCBUS_ERP_REPLY_H
#define SYNCBUS_ERP_REPLY_H

#include "tools/erp/server.h"

// Answers with one line of text.
enum MHD_Result reply_text(struct request *request, unsigned status, const char *text);

// Answers with an object, which it frees.
enum MHD_Result reply_json(struct request *request, unsigned status, json_object *object);

// A header or an argument behind "?"; NULL if it is missing. Valid as long as the request.
const char *request_header(const struct request *request, const char *name);
const char *request_argument(const struct request *request, const char *name);

// The request's fencing token; 0 if it carries none or no number.
uint64_t request_token(const struct request *request);

#endif
