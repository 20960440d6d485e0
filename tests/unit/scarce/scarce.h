// Memory that ends when a test says so: a program linked with this library gets its memory by way of it, so
// that each allocation of a story can be made to fail in turn. Memory of shared libraries is never scarce.
// One thread.
#ifndef SYNCBUS_TESTS_UNIT_SCARCE_H
#define SYNCBUS_TESTS_UNIT_SCARCE_H

#include <stdbool.h>

// From now on there is memory for so many allocations; the next one gets none, and those after it get some
// again.
void scarce_after(unsigned allocations);

// While it is false there is enough, and nothing is counted: for what is not under test.
void scarce_here(bool here);

// There is enough again. True if an allocation got none since scarce_after.
bool scarce_end(void);

#endif
