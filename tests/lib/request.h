// How tests in C write a request.
#ifndef SYNCBUS_TESTS_LIB_REQUEST_H
#define SYNCBUS_TESTS_LIB_REQUEST_H

#include "syncbus.pb-c.h"

// A request with `message` as its body of this kind, for as long as the block that it stands in.
#define REQUEST(kind, KIND, message)                                                                         \
    (&(Sb__Request){PROTOBUF_C_MESSAGE_INIT(&sb__request__descriptor),                                       \
                    .body_case = SB__REQUEST__BODY_##KIND, .kind = (message)})

#endif
