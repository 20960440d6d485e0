// Orders: POST /orders makes one, GET /orders?key=K finds those of a key.
#ifndef SYNCBUS_ERP_SALE_H
#define SYNCBUS_ERP_SALE_H

#include "tools/erp/server.h"

// Answers a request for /orders. The work goes on when the client leaves, as in a real ERP; the order is made
// at its end.
enum MHD_Result sale_answer(struct request *request);

// All orders, oldest first, as an array that the caller owns.
json_object *sale_list(struct erp *erp);

#endif
