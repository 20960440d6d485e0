// What the kernel and the ERP must tell the order services' ways to the ERP (services/order/erp.h).
#ifndef SYNCBUS_TESTS_SIM_ORDER_ERP_H
#define SYNCBUS_TESTS_SIM_ORDER_ERP_H

#include "tests/sim/sim.h"

// Forgets all, at the beginning of a world.
void order_erp_begin(void);

// The node begins to stand still. A connection that comes to stand meanwhile is used first thing when it goes
// on, before anything else is looked at: so does the loop of services.
void order_erp_frozen(struct node *node);

#endif
