#include "broker/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum err outbox_put(struct outbox *self, uint64_t update, uint64_t peer, const char *topic, const void *data,
                    size_t size)
{
    assert((topic == NULL) != (peer == 0));
    assert(self->last == NULL || self->last->update <= update);
    struct outbox_item *item = malloc(sizeof *item + size);
    char *copy = topic == NULL ? NULL : strdup(topic);
    if (item == NULL || (topic != NULL && copy == NULL)) {
        free(item);
        free(copy);
        return ERR_NO_MEMORY;
    }
    *item = (struct outbox_item){.update = update, .peer = peer, .topic = copy, .size = size};
    memcpy(item->data, data, size);
    if (self->last == NULL)
        self->first = item;
    else
        self->last->next = item;
    self->last = item;
    self->bytes += size;
    return ERR_OK;
}

bool outbox_may_pass(const struct outbox *self, uint64_t update, uint64_t durable)
{
    return self->first == NULL && update <= durable;
}

struct outbox_item *outbox_take(struct outbox *self, uint64_t durable)
{
    struct outbox_item *item = self->first;
    if (item == NULL || item->update > durable)
        return NULL;
    self->first = item->next;
    if (self->first == NULL)
        self->last = NULL;
    self->bytes -= item->size;
    item->next = NULL;
    return item;
}

void outbox_item_free(struct outbox_item *item)
{
    if (item == NULL)
        return;
    free(item->topic);
    free(item);
}

void outbox_clear(struct outbox *self)
{
    struct outbox_item *item;
    while ((item = outbox_take(self, UINT64_MAX)) != NULL)
        outbox_item_free(item);
}
