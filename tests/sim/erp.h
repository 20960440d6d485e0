// The one fragile ERP as it truly is, whatever anybody believes: what is at work in it, and which orders it
// has. It works on by itself when who asked is cut off, killed or frozen, but never longer than was promised
// for it (`timeout` of orders, `settle` of jobs).
#ifndef SYNCBUS_TESTS_SIM_ERP_H
#define SYNCBUS_TESTS_SIM_ERP_H

#include "tests/sim/sim.h"

enum { ERP_BODY_MAX = 256, ERP_KEY_MAX = 63 };

// A new world's ERP, its ways drawn by chance; and that it is gone.
void erp_begin(void);
void erp_end(void);

// ---------------------------------------------------------------- work

// Work on behalf of a node goes on in the ERP from now until erp_work_end, under the lease of that token;
// never 0. Checks here that exclusive work meets no work of another token (I2), and that the tokens of
// exclusive work never fall (I3).
uint64_t erp_work_begin(struct node *node, uint64_t token, bool exclusive);

// It has ended; one that has ended before is ignored, as is 0.
void erp_work_end(uint64_t work);

// Call when the node begins to stand still: what it has at work in the ERP may outlive its lease, and is
// exempt from now on. Not so the requests of orders, which end by themselves in time.
void erp_node_frozen(struct node *node);

// ---------------------------------------------------------------- orders

// What comes back for a request.
struct erp_answer {
    int status;              // of HTTP; 0: the connection was cut before
    bool whole;              // all of it came
    int64_t retry_after_ms;  // as its header says; 0: none
    char body[ERP_BODY_MAX]; // as text
};

// A request whose first byte has just come to the ERP.
struct erp_request {
    struct node *node; // who sent it
    uint64_t token;    // of its lease
    uint64_t number;   // of the request, for who sent it
    bool asks;         // for an order of this key, instead of placing it
    const char *key;   // copied; at most ERP_KEY_MAX
    int64_t limit_ms;  // no work for it goes on for longer than that
    // Called at most once, outside of any node's turn, when an answer comes or the connection breaks.
    void (*told)(struct node *node, uint64_t number, const struct erp_answer *answer);
};

void erp_take(const struct erp_request *request);

// True in as many cases as the ERP refuses connections.
bool erp_refuses(void);

// The ERP's name of the order with that key, or NULL; what its search would say now is another matter.
const char *erp_order(const char *key);

// The bus says for good that this order is not in the ERP: checks that it is not, and never will be (O2).
void erp_given_up(const char *key);

#endif
