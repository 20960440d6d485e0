// The service of orders: joins the calls, the line of open orders and the book in the services' loop.
#ifndef SYNCBUS_SERVICES_ORDER_ORDER_H
#define SYNCBUS_SERVICES_ORDER_ORDER_H

#include "proto/io/config.h"
#include "services/service.h"

struct order;

// What its loop calls; the argument is the order service.
extern const struct service_handler order_handler;

// Joins the bus, opens the book and takes up its open orders. `config` is kept; the locked directory that an
// earlier life left in `life` is taken over. The errors of service_new, book_open and line_new.
SB_MUST_CHECK
enum err order_new(const struct config *config, struct service_life *life, struct order **ret,
                   struct fault *fault);

// Leaves everything as the book has it and frees; sets the pointer to NULL; NULL is fine.
void order_destroy(struct order **self_p);

// Its loop, to be run with order_handler.
struct service *order_service(const struct order *self);

// After the loop: why it had to end; ERR_OK if it did not have to.
SB_MUST_CHECK
enum err order_broken(const struct order *self, struct fault *fault);

#endif
