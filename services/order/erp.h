// The ERP's side of orders: one request at a time, to place an order or to ask for it by its key.
//
// Each request has a connection of its own, since libcurl sends a POST a second time by itself when a reused
// one breaks. What may have reached the ERP is judged carefully: from the moment before the first byte is
// written the request counts as sent.
//
// One thread, that of the multi handle.
#ifndef SYNCBUS_SERVICES_ORDER_ERP_H
#define SYNCBUS_SERVICES_ORDER_ERP_H

#include "proto/base/err.h"
#include "proto/io/config.h"
#include "services/order/text.h"

#include <curl/curl.h>

struct erp;

// What became of a request.
struct erp_result {
    bool sent;                    // a first byte may have left
    int64_t sent_ms;              // BOOTTIME at which it did
    int status;                   // of the answer; 0: none came
    bool answered;                // the whole answer came
    bool has_id;                  // it names an order of the ERP
    bool told;                    // of a question: the answer can be trusted, whether it found one or not
    char id[TEXT_ERP_ID_MAX + 1]; // that name
    int64_t retry_after_ms;       // as the ERP asked; 0: it did not
    char what[400];               // for people: what happened
};

// Asked just before the first byte leaves; false ends the request unsent.
typedef bool erp_may_send(void *arg);

// A way to the ERP by `multi`; `config` is kept. ERR_INVALID (a header's environment variable is
// missing), ERR_NO_MEMORY.
SB_MUST_CHECK
enum err erp_new(const struct config_orders *config, CURLM *multi, struct erp **ret, struct fault *fault);

// Cuts what is under way, frees; sets the pointer to NULL; NULL is fine.
void erp_destroy(struct erp **self_p);

// Begins to place an order. None may be under way. ERR_NO_MEMORY, ERR_FULL: nothing was sent.
SB_MUST_CHECK
enum err erp_place(struct erp *self, const char *key, const char *body, uint64_t token,
                   erp_may_send *may_send, void *arg);

// Begins to ask for an order by its key; errors alike.
SB_MUST_CHECK
enum err erp_ask(struct erp *self, const char *key, uint64_t token, erp_may_send *may_send, void *arg);

// True if `easy` is the request under way.
bool erp_is(const struct erp *self, const CURL *easy);

// The request ended (it was removed from the multi): what became of it.
void erp_ended(struct erp *self, CURLcode result, struct erp_result *ret);

// Ends the request at once and tells what became of it; an empty result when none is under way.
void erp_cut(struct erp *self, struct erp_result *ret);

#endif
