#include "services/sync/pages.h"

#include <assert.h>
#include <inttypes.h>

void pages_init(struct pages *self, uint64_t size, uint32_t first, bool check)
{
    assert(size > 0);
    *self = (struct pages){.size = size, .first = first, .check = check};
}

static bool same_rows(const struct page *a, const struct page *b)
{
    return a->records == b->records && a->hash[0] == b->hash[0] && a->hash[1] == b->hash[1];
}

static void withhold(struct pages *self, const char *why)
{
    if (self->withheld == NULL)
        self->withheld = why;
}

static void compare_totals(struct pages *self, const struct page *page)
{
    if (!page->counted)
        withhold(self, "the ERP does not tell how many records there are in all (source.page.total_header)");
    else if (self->start.counted && page->total != self->start.total)
        withhold(self, "the number of records changed while its pages were fetched");
}

// A page that cannot be one of these.
static enum err judge(const struct pages *self, const struct page *page, struct fault *fault)
{
    const uint64_t number = pages_number(self);
    if (page->records > self->size)
        return fault_set(fault, ERR_INVALID,
                         "page %" PRIu64 " has %" PRIu64 " records where %" PRIu64
                         " were asked for: does the ERP take source.page.size_parameter?",
                         number, page->records, self->size);
    if (self->count > 0 && page->records == self->size && same_rows(page, &self->last))
        return fault_set(fault, ERR_INVALID,
                         "page %" PRIu64
                         " is the same as the one before: does the ERP take source.page.parameter?",
                         number);
    return ERR_OK;
}

// The last page came. The records of all pages are as many as that page's answer told, since the pages before
// it were full: unless the ERP gives smaller pages than it is asked for, and this was not the last.
static enum err end(struct pages *self, const struct page *page, enum pages_step *ret, struct fault *fault)
{
    *ret = PAGES_DONE;
    if (page->counted && self->records < page->total)
        return fault_set(fault, ERR_INVALID,
                         "the ERP told of %" PRIu64 " records, but its pages ended after %" PRIu64
                         ": is source.page.size more than it gives?",
                         page->total, self->records);
    if (page->counted && self->records > page->total)
        withhold(self, "its pages had more records than the ERP told of");
    if (self->check && self->count > 1 && self->withheld == NULL) {
        self->checking = true;
        *ret = PAGES_CHECK;
    }
    return ERR_OK;
}

enum err pages_take(struct pages *self, const struct page *page, enum pages_step *ret, struct fault *fault)
{
    if (self->checking) {
        compare_totals(self, page);
        if (!same_rows(page, &self->start))
            withhold(self, "its first page changed while the others were fetched");
        *ret = PAGES_DONE;
        return ERR_OK;
    }
    enum err err = judge(self, page, fault);
    if (err != ERR_OK)
        return err;
    const bool only = self->count == 0 && page->records < self->size;
    if (self->count == 0)
        self->start = *page;
    if (!only) // one answer is one state of the ERP: nothing slips within it
        compare_totals(self, page);
    self->last = *page;
    self->count++;
    self->records += page->records;
    if (page->records < self->size)
        return end(self, page, ret, fault);
    *ret = PAGES_NEXT;
    return ERR_OK;
}

uint64_t pages_number(const struct pages *self)
{
    return self->checking ? self->first : self->first + self->count;
}

uint64_t pages_total(const struct pages *self)
{
    return self->last.counted ? self->last.total : 0;
}
