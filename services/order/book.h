// The durable book of orders: one LMDB environment.
//
// Tables: ORDER (key → StoredOrder, store.proto); OPEN (big-endian number of acceptance → key), which lists
// the orders that are not yet ended, so that a restart reads only those; PERSON (key → key), which lists
// those that need a person, behind one entry that no key can have: it says that the list was begun.
//
// One thread.
#ifndef SYNCBUS_SERVICES_ORDER_BOOK_H
#define SYNCBUS_SERVICES_ORDER_BOOK_H

#include "proto/base/err.h"

#include "store.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    BOOK_KEY_MAX = 128,         // bytes of an order's key
    BOOK_BODY_MAX = 64 * 1024,  // bytes of an order
    BOOK_HISTORY_MAX = 64,      // steps that are kept; the first ones and the latest
    BOOK_HISTORY_FIRST_MAX = 8, // of them, the first ones
};

struct book;

// Opens or makes the book in directory `path`; errors as store_open, ERR_CORRUPT.
SB_MUST_CHECK
enum err book_open(const char *path, struct book **ret, struct fault *fault);

// Closes it and sets the pointer to NULL; NULL is fine.
void book_close(struct book **self_p);

// The order of that key; ERR_NOT_FOUND without a fault when there is none. The caller frees it with
// sb__stored_order__free_unpacked(…, NULL).
SB_MUST_CHECK
enum err book_get(struct book *self, const char *key, Sb__StoredOrder **ret, struct fault *fault);

// Commits a new order (number 0): gives it its number. ERR_EXISTS when its key is taken. Durable when it
// returns ERR_OK; otherwise nothing changed, but after ERR_IO nothing may be trusted any more.
SB_MUST_CHECK
enum err book_add(struct book *self, Sb__StoredOrder *order, struct fault *fault);

// Commits the order as it is now; open or not by its status. Errors as book_add.
SB_MUST_CHECK
enum err book_put(struct book *self, const Sb__StoredOrder *order, struct fault *fault);

// Called for each order, which belongs to the callee when `ret_taken` is set; false ends the reading.
typedef bool book_reader(void *arg, Sb__StoredOrder *order, bool *ret_taken);

// Reads the open orders in order of acceptance.
SB_MUST_CHECK
enum err book_read_open(struct book *self, book_reader *reader, void *arg, struct fault *fault);

// Reads all orders whose keys come after `after` ("" for all), in order of their keys.
SB_MUST_CHECK
enum err book_read(struct book *self, const char *after, book_reader *reader, void *arg, struct fault *fault);

// Reads the orders that need a person, from the one after `after` on ("" for all), in order of their keys.
SB_MUST_CHECK
enum err book_read_persons(struct book *self, const char *after, book_reader *reader, void *arg,
                           struct fault *fault);

// Whether an order of this status is still to be worked on.
bool book_is_open(Sb__OrderStatus status);

// A new order in memory, ACCEPTED, with its first step; ERR_NO_MEMORY. The caller frees it.
SB_MUST_CHECK
enum err book_order_new(const char *key, const char *body, const char *by, int64_t wall_ms,
                        Sb__StoredOrder **ret);

// Changes the status in memory and adds a step of history: `what` is told as the reason, `by` may be "".
// ERR_NO_MEMORY leaves the order as it was.
SB_MUST_CHECK
enum err book_order_change(Sb__StoredOrder *order, Sb__OrderStatus status, const char *what, const char *by,
                           int64_t wall_ms);

// Notes the ERP's own name of the order. ERR_NO_MEMORY.
SB_MUST_CHECK
enum err book_order_name(Sb__StoredOrder *order, const char *erp_id);

#endif
