#include "broker/subscriptions.h"

#include "broker/core/limits.h"
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof "resume." + NAME_MAX_SIZE <= TOPIC_SIZE_MAX, "every topic fits");
static_assert(TOPIC_SIZE_MAX <= UINT8_MAX, "a size fits into its byte");

static struct subscription *find(struct subscriptions *self, const char *text, size_t size)
{
    for (size_t i = 0; i < self->count; i++) {
        struct subscription *listed = &self->listed[i];
        if (listed->size == size && memcmp(listed->text, text, size) == 0)
            return listed;
    }
    return NULL;
}

static void add(struct subscriptions *self, const char *text, size_t size)
{
    if (find(self, text, size) != NULL)
        return;
    if (self->count == SUBSCRIPTIONS_MAX) {
        self->unlisted++;
        return;
    }
    struct subscription *added = &self->listed[self->count++];
    added->size = (uint8_t)size;
    memcpy(added->text, text, size);
}

static void forget(struct subscriptions *self, const char *text, size_t size)
{
    struct subscription *listed = find(self, text, size);
    if (listed != NULL)
        *listed = self->listed[--self->count];
    else if (self->unlisted > 0) // else somebody took back what nobody had subscribed to
        self->unlisted--;
}

void subscriptions_take(struct subscriptions *self, const void *data, size_t size)
{
    static const char prefix[] = WIRE_JSON_TOPIC;
    const size_t before = 1 + strlen(prefix); // the first byte says whether it begins or ends
    const char *bytes = data;
    if (size < before || memcmp(bytes + 1, prefix, strlen(prefix)) != 0)
        return;
    // A longer one matches no topic: it needs no place.
    if (size - before > TOPIC_SIZE_MAX)
        return;
    if (bytes[0] == 1)
        add(self, bytes + before, size - before);
    else if (bytes[0] == 0)
        forget(self, bytes + before, size - before);
}

bool subscriptions_want(const struct subscriptions *self, const char *topic)
{
    const size_t size = strlen(topic);
    assert(size <= TOPIC_SIZE_MAX);
    for (size_t i = 0; i < self->count; i++) {
        const struct subscription *listed = &self->listed[i];
        if (listed->size <= size && memcmp(listed->text, topic, listed->size) == 0)
            return true;
    }
    return self->unlisted > 0;
}
