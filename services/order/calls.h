// The calls of service "order": place, show, list, cancel, resolve.
#ifndef SYNCBUS_SERVICES_ORDER_CALLS_H
#define SYNCBUS_SERVICES_ORDER_CALLS_H

#include "services/order/book.h"
#include "services/order/line.h"
#include "services/service.h"

// What answers calls.
struct calls {
    struct service *service; // to answer by
    struct book *book;       // every order
    struct line *line;       // the open ones
};

// Answers one SYNCBUS_CALL notice, always exactly once.
void calls_answer(const struct calls *self, const struct syncbus_notice *notice);

#endif
