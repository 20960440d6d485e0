#include "broker/tables.h"

#include <sys/mman.h>

enum { LARGE = 32 * 1024 * 1024 };

void *tables_new(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (size >= LARGE)
        (void)madvise(memory, size, MADV_HUGEPAGE); // without it all is as it was, only slower
    return memory;
}

void tables_free(void *memory, size_t size)
{
    if (memory != NULL)
        (void)munmap(memory, size);
}
