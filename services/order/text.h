// The JSON that orders are made of: what clients give, what is sent to the ERP, what the ERP answers. Total
// functions: any bytes give a result or an error. Only the structure is read with json-c; an order's own text
// is kept as it was written, since numbers would suffer.
//
// Pure but for memory; any thread.
#ifndef SYNCBUS_SERVICES_ORDER_TEXT_H
#define SYNCBUS_SERVICES_ORDER_TEXT_H

#include "proto/base/buffer.h"
#include "proto/base/err.h"

#include <stddef.h>

enum {
    TEXT_ERP_ID_MAX = 128,         // bytes of the ERP's name of an order
    TEXT_ANSWER_MAX = 1024 * 1024, // bytes of an answer of the ERP
};

// Whether a key can name an order: 1 to BOOK_KEY_MAX visible ASCII characters. ERR_INVALID.
SB_MUST_CHECK
enum err text_check_key(const char *key, struct fault *fault);

// Whether a text can be an order: a JSON object of at most BOOK_BODY_MAX bytes, without a field `reference`.
// ERR_INVALID, also where memory is short: json-c does not tell that apart.
SB_MUST_CHECK
enum err text_check_order(const char *body, struct fault *fault);

// The order as it is sent: its own text with `"reference": key` put in front. The body has passed
// text_check_order. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err text_with_reference(const char *body, const char *key, struct buffer *ret);

// The id in an answer to an order, {"id": "E-1"} or {"id": 1}. ERR_NOT_FOUND when the answer has none that
// can be used.
SB_MUST_CHECK
enum err text_placed_id(const char *data, size_t size, char ret_id[TEXT_ERP_ID_MAX + 1]);

// The id of the order with that key in an answer to a search, [{"id": "E-1", "key": "K"}]. ERR_NOT_FOUND when
// it is a list without that key; ERR_INVALID when it is no such list, so that nothing is known.
SB_MUST_CHECK
enum err text_found_id(const char *data, size_t size, const char *key, char ret_id[TEXT_ERP_ID_MAX + 1]);

#endif
