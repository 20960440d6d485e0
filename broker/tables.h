// The core's memory: taken once, at the start.
#ifndef SYNCBUS_BROKER_TABLES_H
#define SYNCBUS_BROKER_TABLES_H

#include <stddef.h>

// Zeroed memory aligned for any type, or NULL. Large tables come in large pages, where the system has them:
// their first use would cost a fault for each small one. Given back with tables_free and the same size; NULL
// is fine.
void *tables_new(size_t size);
void tables_free(void *memory, size_t size);

#endif
