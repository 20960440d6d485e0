// What the headers of one HTTP answer say that a fetch must know: its validators, whether its rest can be
// asked for, which part it is, and how many records there are in all.
//
// Total: any line is taken, and what does not read well counts as not said. One thread.
#ifndef SYNCBUS_SERVICES_SYNC_ANSWER_H
#define SYNCBUS_SERVICES_SYNC_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANSWER_ETAG_MAX = 256, ANSWER_DATE_MAX = 64 };

// Zeroed: nothing was said.
struct answer {
    char etag[ANSWER_ETAG_MAX];          // as it stands, weak or strong; "": none
    char last_modified[ANSWER_DATE_MAX]; // as it stands; "": none
    int64_t date_s;                      // when it was sent, Unix s; 0: not said
    bool ranges;                         // byte ranges can be asked for
    bool ranged;                         // Content-Range was given:
    uint64_t range_from;                 // its first byte
    uint64_t range_total;                // bytes of the whole; 0: not said
    bool counted;                        // the number of all records was given:
    uint64_t records;                    // this
};

// Takes one line of headers. A status line makes what was said before void, as it was of an interim answer.
// `total_header` names the header with the number of all records; NULL: none.
void answer_line(struct answer *self, const char *line, size_t size, const char *total_header);

// True for an entity tag that vouches for each byte (RFC 9110, 8.8.3): quoted, and not weak.
bool answer_is_strong(const char *etag);

// True if two tags name the same content, weak or not.
bool answer_same(const char *etag, const char *other);

// True if a change right after this answer would show in another Last-Modified: it is older than the answer
// by more than the second that it is told in.
bool answer_dates_tell(const struct answer *self);

#endif
