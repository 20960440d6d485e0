// What a node's book of orders holds, however its process fares; for the checks.
#ifndef SYNCBUS_TESTS_SIM_ORDER_BOOK_H
#define SYNCBUS_TESTS_SIM_ORDER_BOOK_H

#include "tests/sim/sim.h"

#include "store.pb-c.h"

// A new book for the node (node->own), on its disk; and that the world is over.
void order_book_begin(struct node *node);
void order_book_end(struct node *node);

// The status of an order as it is on the disk; UNSPECIFIED: it is not there.
Sb__OrderStatus order_book_status(const struct node *node, const char *key);

// The ERP's name of it as it is on the disk; "" when it has none.
const char *order_book_erp_id(const struct node *node, const char *key);

// How many orders on the disk are open.
size_t order_book_open_count(const struct node *node);

// Some order that needs a person, by a number that chooses among them; NULL: there is none.
const char *order_book_needs_person(const struct node *node, uint64_t choice);

#endif
