#include "services/sync/large.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

void *large_alloc(size_t size)
{
    assert(size > 0);
    if (size < LARGE_PAGE_SIZE)
        return malloc(size);
    if (size > SIZE_MAX - LARGE_PAGE_SIZE)
        return NULL;
    const size_t whole = (size + LARGE_PAGE_SIZE - 1) / LARGE_PAGE_SIZE * LARGE_PAGE_SIZE;
    void *place = aligned_alloc(LARGE_PAGE_SIZE, whole);
    // A system that has no large pages, or keeps them for others, gives small ones: the memory is as good.
    if (place != NULL)
        (void)madvise(place, whole, MADV_HUGEPAGE);
    return place;
}
