// What lies in the journal, as messages. Pure and total: any bytes are a sound record of their table, or are
// refused; the core may take what is sound for its own.
#ifndef SYNCBUS_BROKER_STORED_H
#define SYNCBUS_BROKER_STORED_H

#include "broker/core/core.h"

// Reads one value of a table; the caller frees it with protobuf_c_message_free_unpacked. ERR_CORRUPT, with
// the kind of record in `fault`.
SB_MUST_CHECK
enum err stored_read(enum core_table table, const void *data, size_t size, ProtobufCMessage **ret,
                     struct fault *fault);

#endif
