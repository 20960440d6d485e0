// Answers as streams: at a rate, and cut, silenced or endless where mischief has it.
#ifndef SYNCBUS_ERP_STREAM_H
#define SYNCBUS_ERP_STREAM_H

#include "tools/erp/server.h"

// Makes the response that streams `size` bytes of `content` from `from` on, and takes over one holder of it.
// The request's access ends just before the last byte leaves, or when the client is gone: whoever has the
// whole answer may rely on the work being over. NULL when out of memory.
struct MHD_Response *stream_new(struct request *request, struct content *content, uint64_t from,
                                uint64_t size, const struct mischief *mischief);

// What takes the place of `content` under html, empty and garbage; else `content` itself. Takes a holder,
// gives one.
struct content *stream_disguise(const struct mischief *mischief, struct content *content);

// Waits as long as the latency and the mischief have it, the client being there (fd) or not (-1). MHD_YES: go
// on. Else it has answered (status) or the connection is to be closed (MHD_NO), with `ret_over` set.
enum MHD_Result stream_prelude(struct request *request, const struct mischief *mischief, int fd,
                               bool *ret_over);

#endif
