// The line of open orders: each has a machine and, while it waits, a wish of its own with the broker, so that
// the broker's order among all exclusive wishes is that of acceptance. Does what the machines decide, with
// the bus, the ERP and the book.
//
// One thread.
#ifndef SYNCBUS_SERVICES_ORDER_LINE_H
#define SYNCBUS_SERVICES_ORDER_LINE_H

#include "proto/base/err.h"
#include "proto/io/config.h"
#include "services/order/book.h"
#include "services/service.h"

enum {
    LINE_OPEN_MAX = 1024, // open orders; a further one is told to come later
    LINE_WISHES_MAX = 16, // wishes that stand in line at once; further orders stand behind them
    LINE_BLOCKERS_MAX = 8,
};

struct line;

// Takes up the open orders of the book; those that were being sent become UNKNOWN. All arguments are kept.
// ERR_NO_MEMORY, ERR_INVALID (a header), errors of the book.
SB_MUST_CHECK
enum err line_new(const struct config *config, struct service *service, struct book *book, struct line **ret,
                  struct fault *fault);

// Leaves everything as the book has it; a lease in hand is not given back, as its request may be at work.
// Sets the pointer to NULL; NULL is fine.
void line_destroy(struct line **self_p);

// Whether there is room for one more; ERR_BUSY.
SB_MUST_CHECK
enum err line_has_room(const struct line *self, struct fault *fault);

// Takes an order that the book has just accepted, and owns it; ERR_NO_MEMORY: it was freed, and the service
// ends so that its next life takes it up from the book.
SB_MUST_CHECK
enum err line_add(struct line *self, Sb__StoredOrder *order, struct fault *fault);

// The state of an order as it is now, with its place in line, if it is in the line. What it points to belongs
// to the line and is valid until the line's next call.
bool line_view(struct line *self, const char *key, Sb__OrderState *ret);

// A person's wish: to cancel an open order, or to say how an UNKNOWN one ended (`erp_id` when placed, else
// `why`). ERR_NOT_FOUND when it is not in the line, ERR_CONFLICT with the reason when it is too late or too
// soon.
SB_MUST_CHECK
enum err line_cancel(struct line *self, const char *key, struct fault *fault);
SB_MUST_CHECK
enum err line_resolve(struct line *self, const char *key, const char *erp_id, const char *why, const char *by,
                      struct fault *fault);

// Tells everybody of an order's new status.
void line_publish(struct line *self, const Sb__OrderState *state);

// Ends the service: the book cannot be written, and nothing may be promised any more.
void line_break(struct line *self, const struct fault *fault);

// What the loop brings; see service.h. line_stopped fills `ret_broken` with why the service had to end.
void line_notice(struct line *self, const struct syncbus_notice *notice);
void line_transfer(struct line *self, CURL *easy, CURLcode result);
void line_time(struct line *self, int64_t boot_ms);
int64_t line_deadline(const struct line *self);
bool line_holds(const struct line *self); // an order has the lease
void line_stop(struct line *self);
bool line_stopped(const struct line *self, struct fault *ret_broken);

#endif
