// What the ERP's work and orders (erp.c) and its way with requests (erp_requests.c) have in common.
#ifndef SYNCBUS_TESTS_SIM_ERP_PARTS_H
#define SYNCBUS_TESTS_SIM_ERP_PARTS_H

#include "tests/sim/erp.h"

// A new world's ways with requests; and their end.
void erp_requests_begin(void);
void erp_requests_end(void);

// As erp_work_begin, for the request of an order: it ends by itself in time, even if its node stands still.
uint64_t erp_request_begin(struct node *node, uint64_t token);

// The greatest token of exclusive work so far.
uint64_t erp_greatest_token(void);

// What the search for a key gives now: the ERP's name of the order, or NULL.
const char *erp_found(const char *key);

// Places an order, which the search finds after so many µs; its name. Checks that it is the only one of its
// key (O1).
const char *erp_put(const char *key, int64_t visible_after_us);

#endif
