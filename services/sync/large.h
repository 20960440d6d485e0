// Memory for what is large and is met in no order: in large pages where the system has them, which spares it
// most of the faults of the first use and most of the misses of each. Any thread.
#ifndef SYNCBUS_SERVICES_SYNC_LARGE_H
#define SYNCBUS_SERVICES_SYNC_LARGE_H

#include <stddef.h>

enum { LARGE_PAGE_SIZE = 2 << 20 };

// Memory of `size` > 0 bytes, not cleared, to be given back with free(). NULL: there is none.
void *large_alloc(size_t size);

#endif
