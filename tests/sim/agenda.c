#include "tests/sim/agenda.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void agenda_init(struct agenda *self)
{
    memset(self, 0, sizeof *self);
}

void agenda_free(struct agenda *self)
{
    free(self->items);
    memset(self, 0, sizeof *self);
}

static bool comes_before(const struct agenda_item *one, const struct agenda_item *other)
{
    return one->at_us != other->at_us ? one->at_us < other->at_us : one->order < other->order;
}

void agenda_put(struct agenda *self, int64_t at_us, agenda_fn *fn, void *arg, uint64_t number)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? 256 : 2 * self->capacity;
        self->items = realloc(self->items, self->capacity * sizeof *self->items);
        assert(self->items != NULL);
    }
    const struct agenda_item item = {.at_us = at_us > self->now_us ? at_us : self->now_us,
                                     .order = self->order++,
                                     .fn = fn,
                                     .arg = arg,
                                     .number = number};
    size_t place = self->count++;
    for (; place > 0 && comes_before(&item, &self->items[(place - 1) / 2]); place = (place - 1) / 2)
        self->items[place] = self->items[(place - 1) / 2];
    self->items[place] = item;
}

static struct agenda_item take(struct agenda *self)
{
    const struct agenda_item first = self->items[0];
    const struct agenda_item last = self->items[--self->count];
    size_t place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= self->count)
            break;
        if (child + 1 < self->count && comes_before(&self->items[child + 1], &self->items[child]))
            child++;
        if (!comes_before(&self->items[child], &last))
            break;
        self->items[place] = self->items[child];
        place = child;
    }
    self->items[place] = last;
    return first;
}

bool agenda_step(struct agenda *self, int64_t end_us)
{
    if (self->count == 0 || self->items[0].at_us > end_us) {
        self->now_us = end_us;
        return false;
    }
    const struct agenda_item item = take(self);
    self->now_us = item.at_us;
    item.fn(item.arg, item.number);
    return true;
}
