// Tells the broker which orders need a person, as the book has it, page after page: after each new session,
// and when a publication was refused. So the broker's alerts are right again whatever was lost in between,
// such as a process that was killed after its commit.
//
// One thread.
#ifndef SYNCBUS_SERVICES_ORDER_PERSONS_H
#define SYNCBUS_SERVICES_ORDER_PERSONS_H

#include "services/order/book.h"
#include "services/service.h"

struct persons {
    struct book *book;            // the caller's
    struct service *service;      // the caller's
    uint64_t ask;                 // the page under way; 0: none
    int64_t due_ms;               // BOOTTIME of the next page; INT64_MAX: none is due
    char after[BOOK_KEY_MAX + 1]; // where it begins
    char last[BOOK_KEY_MAX + 1];  // where the one under way ends
    bool more;                    // there are further ones behind it
};

void persons_init(struct persons *self, struct book *book, struct service *service);

// What the loop brings: a new session, and the replies to all that the service has published.
void persons_notice(struct persons *self, const struct syncbus_notice *notice);

// Sends what is due. An error is the book's: the process must stop.
SB_MUST_CHECK
enum err persons_time(struct persons *self, int64_t boot_ms, struct fault *fault);

// BOOTTIME ms of the next persons_time; INT64_MAX: none.
int64_t persons_deadline(const struct persons *self);

#endif
