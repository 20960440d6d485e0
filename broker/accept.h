// Keeps the broker alive when it runs out of descriptors.
//
// libzmq 4.3.4 aborts the process when a connection to an ipc socket cannot be accepted for want of a
// descriptor (EMFILE), so anybody who may connect could end the broker. This part of the program stands in
// for accept4 wherever the program's libraries call it: when there is no descriptor left it uses one kept in
// reserve to take the connection and close it at once. So the newcomer is turned away, all others are served.
#ifndef SYNCBUS_BROKER_ACCEPT_H
#define SYNCBUS_BROKER_ACCEPT_H

#include "proto/base/err.h"

// Takes the descriptor in reserve; once for the process, before the first socket listens. ERR_IO.
SB_MUST_CHECK
enum err accept_guard(struct fault *fault);

#endif
