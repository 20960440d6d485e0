// A core with two resources and two jobs, a service for each side, and somebody who asks: for tests of
// requests.
#ifndef SYNCBUS_TESTS_UNIT_CORE_ASKING_H
#define SYNCBUS_TESTS_UNIT_CORE_ASKING_H

#include "broker/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOBODY, SYNC, ORDER, STRANGER, CALLS_MAX = 4, HOLDS = 256 };

struct fixture {
    void *memory;
    struct core *core;
    struct core_update update; // of the last step
    int64_t boot_ms, wall_ms;
    uint64_t sessions[4]; // by peer
    uint64_t id;
    uint64_t run; // of prices, as last ticked
};

// Names as messages want them.
extern char *const PRICES, *const DDT, *const ERP, *const CRM, *const SOMEBODY;

// A request of this kind, as an argument.
#define REQUEST(KIND, field, message)                                                                        \
    &(Sb__Request)                                                                                           \
    {                                                                                                        \
        .base = PROTOBUF_C_MESSAGE_INIT(&sb__request__descriptor), .body_case = SB__REQUEST__BODY_##KIND,    \
        .field = (message)                                                                                   \
    }

// For each test: a core with the sessions of SYNC (which runs prices), ORDER (which answers "order") and
// STRANGER.
int set_up(void **state);
int tear_down(void **state);

// Lets time pass, with all that happens in it.
void pass(struct fixture *self, int64_t duration_ms);

// The answer to a request of a peer (NOBODY has no session), or NULL while there is none.
const Sb__Reply *ask_as(struct fixture *self, uint64_t peer, Sb__Request *request);

// A Hello of one's own, whose strings are the caller's; and its answer.
Sb__Hello hello_of(uint64_t number);
Sb__Code hello_as(struct fixture *self, uint64_t peer, Sb__Hello *hello);

// A hold on erp by somebody, to be laid by STRANGER.
Sb__Hold hold_of(void);
Sb__Code lay(struct fixture *self, Sb__Hold *hold);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
