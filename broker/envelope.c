#include "broker/envelope.h"

#include "broker/peers.h"

enum { BARE = 2, DELIMITED = 3 }; // frames of a request, its sender's identity among them

enum err envelope_read(const size_t sizes[ENVELOPE_FRAMES_MAX], size_t count, struct envelope *ret)
{
    if (count == 0 || sizes[0] == 0 || sizes[0] > PEER_IDENTITY_MAX)
        return ERR_INVALID;
    const bool delimiter = count >= DELIMITED && sizes[1] == 0;
    *ret = (struct envelope){.body = count == BARE ? 1 : 2,
                             .delimiter = delimiter,
                             .malformed = count != BARE && !(count == DELIMITED && delimiter)};
    return ERR_OK;
}
