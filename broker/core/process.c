// The processes of each instance, in the order in which they came. A Hello of an earlier one can come late,
// by a connection that outlived its process: it must end nothing that a later one has. Once that one is gone
// it may be there again, as where a copied data directory was put away.
#include "broker/core/parts.h"

// The last places, from the newest one back to the oldest that is remembered.
static const struct process *process_back(const struct core *self, size_t back)
{
    const uint64_t number = self->process_count - 1 - back;
    return &self->processes[number % self->process_max];
}

static size_t processes_kept(const struct core *self)
{
    return self->process_count < self->process_max ? (size_t)self->process_count : self->process_max;
}

enum process_age process_age(const struct core *self, uint64_t instance, uint64_t process)
{
    bool had_later = false;
    for (size_t back = 0; back < processes_kept(self); back++) {
        const struct process *one = process_back(self, back);
        if (one->instance != instance)
            continue;
        if (one->process == process)
            return had_later ? PROCESS_PAST : PROCESS_LATEST;
        had_later = true;
    }
    return PROCESS_NEW;
}

void process_note(struct core *self, uint64_t instance, uint64_t process)
{
    if (process_age(self, instance, process) != PROCESS_LATEST)
        self->processes[self->process_count++ % self->process_max] =
            (struct process){.instance = instance, .process = process};
}
