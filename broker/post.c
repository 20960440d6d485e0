#include "broker/post.h"

#include "broker/subscriptions.h"

#include "proto/io/log.h"
#include "proto/json.h"
#include "proto/wire.h"

#include <stdio.h>

enum { MESSAGE_MAX = 64 * 1024 * 1024 }; // bytes; what the core gives is far smaller

void post_init(struct post *self, struct net *net)
{
    *self = (struct post){.net = net};
    buffer_init(&self->packed, MESSAGE_MAX);
}

void post_free(struct post *self)
{
    outbox_clear(&self->outbox);
    buffer_free(&self->packed);
}

static bool say_unsendable(const ProtobufCMessage *message, enum err err)
{
    if (err != ERR_OK)
        log_write(LOG_LEVEL_ERROR, "unsendable", "what=%s why=%s", message->descriptor->short_name,
                  err_text(err));
    return err != ERR_OK;
}

static bool pack(struct post *self, const ProtobufCMessage *message)
{
    buffer_clear(&self->packed);
    return !say_unsendable(message, wire_pack(message, &self->packed));
}

// Sends bytes: to a peer, or under a topic.
static void send(struct post *self, uint64_t peer, const char *topic, const void *data, size_t size)
{
    if (topic != NULL)
        net_publish(self->net, topic, data, size);
    else if (net_reply(self->net, peer, data, size) != ERR_OK && self->gone_count < POST_GONE_MAX)
        self->gone[self->gone_count++] = peer; // more than these are found out by their sessions' silence
}

// Sends what was packed, at once or when its update is durable.
static enum err deliver(struct post *self, bool waits, uint64_t update, uint64_t durable, uint64_t peer,
                        const char *topic)
{
    if (waits && !outbox_may_pass(&self->outbox, update, durable))
        return outbox_put(&self->outbox, update, peer, topic, self->packed.data, self->packed.size);
    send(self, peer, topic, self->packed.data, self->packed.size);
    return ERR_OK;
}

enum err post_reply(struct post *self, const struct core_reply *reply, uint64_t update, uint64_t durable)
{
    if (!pack(self, &reply->reply->base))
        return ERR_OK;
    return deliver(self, reply->durable, update, durable, reply->peer, NULL);
}

// The same event as JSON, only if somebody subscribed to that.
static enum err post_json(struct post *self, const struct core_publication *publication, uint64_t update,
                          uint64_t durable)
{
    char topic[sizeof WIRE_JSON_TOPIC + TOPIC_SIZE_MAX];
    const ProtobufCMessage *event = &publication->event->base;
    if (!net_wants_json(self->net, publication->topic))
        return ERR_OK;
    buffer_clear(&self->packed);
    self->converted++;
    (void)snprintf(topic, sizeof topic, WIRE_JSON_TOPIC "%s", publication->topic);
    if (say_unsendable(event, json_message(event, &self->packed)))
        return ERR_OK;
    return deliver(self, publication->durable, update, durable, 0, topic);
}

enum err post_event(struct post *self, const struct core_publication *publication, uint64_t update,
                    uint64_t durable)
{
    enum err err = ERR_OK;
    if (pack(self, &publication->event->base))
        err = deliver(self, publication->durable, update, durable, 0, publication->topic);
    return err != ERR_OK ? err : post_json(self, publication, update, durable);
}

void post_settle(struct post *self, uint64_t durable)
{
    struct outbox_item *item;
    while ((item = outbox_take(&self->outbox, durable)) != NULL) {
        send(self, item->peer, item->topic, item->data, item->size);
        outbox_item_free(item);
    }
}

bool post_is_empty(const struct post *self)
{
    return self->outbox.first == NULL;
}

bool post_take_gone(struct post *self, uint64_t *ret_peer)
{
    if (self->gone_count == 0)
        return false;
    *ret_peer = self->gone[--self->gone_count];
    return true;
}
