// What happens next in a simulated world: a queue by time, and by order of entry among equals.
#ifndef SYNCBUS_TESTS_SIM_AGENDA_H
#define SYNCBUS_TESTS_SIM_AGENDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void agenda_fn(void *arg, uint64_t number);

// One thing to do.
struct agenda_item {
    int64_t at_us;   // when
    uint64_t order;  // of entry
    agenda_fn *fn;   // what
    void *arg;       // with what
    uint64_t number; // and that
};

struct agenda {
    struct agenda_item *items; // a heap, owned
    size_t count;              // of them
    size_t capacity;           // room for so many
    uint64_t order;            // of the next entry
    int64_t now_us;            // of what was taken last
};

// Freed by agenda_free; what was not done is forgotten.
void agenda_init(struct agenda *self);
void agenda_free(struct agenda *self);

// Something to do at `at_us`; a time that is over counts as now.
void agenda_put(struct agenda *self, int64_t at_us, agenda_fn *fn, void *arg, uint64_t number);

// Does the next thing, if it is due by `end_us`; the time becomes its time. Else the time becomes `end_us`,
// and nothing is done: false.
bool agenda_step(struct agenda *self, int64_t end_us);

#endif
