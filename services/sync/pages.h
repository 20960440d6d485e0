// Which page of an export is fetched next, when it is whole, and whether its rows may have slipped from one
// page to another while they were fetched: as a pure state machine.
//
// The end is a page with fewer records than were asked for, and nothing else: a number of records that the
// ERP tells is never taken for the end, since a wrong one would cut the export short. Rows that are inserted
// or removed meanwhile push others over the edge of a page, so that one may be missed that is still there.
// So an export of more than one page is firm, and may delete, only if its first page, fetched again at the
// end, has the same rows, and every answer told the same total.
//
// Pure: no clock, no I/O, no memory of its own. One thread.
#ifndef SYNCBUS_SERVICES_SYNC_PAGES_H
#define SYNCBUS_SERVICES_SYNC_PAGES_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What one page had in it.
struct page {
    uint64_t records; // rows, bad ones too
    uint64_t hash[2]; // of its rows in their order, in their canonical form
    bool counted;     // the ERP told how many records there are in all:
    uint64_t total;   // so many
};

// What is to be fetched next.
enum pages_step {
    PAGES_NEXT,  // the page pages_number
    PAGES_CHECK, // the same: the first page, to be compared only
    PAGES_DONE,  // nothing: the export is whole
};

struct pages {
    uint64_t size;        // records asked for
    uint32_t first;       // number of the first page
    bool check;           // whether it matters that the export is firm
    uint64_t count;       // pages that came, without the check
    uint64_t records;     // in them
    struct page start;    // the first page
    struct page last;     // the page that came last
    bool checking;        // the check is under way
    const char *withheld; // why nothing may be deleted, or NULL so far
};

// Before the first page.
void pages_init(struct pages *self, uint64_t size, uint32_t first, bool check);

// Takes the page that was fetched. ERR_INVALID, with the reason: the ERP does not do what it was asked for,
// and the fetch cannot go on.
SB_MUST_CHECK
enum err pages_take(struct pages *self, const struct page *page, enum pages_step *ret, struct fault *fault);

// Number of the page to fetch.
uint64_t pages_number(const struct pages *self);

// How many records there will be in all; 0: not known.
uint64_t pages_total(const struct pages *self);

#endif
