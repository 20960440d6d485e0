#include "broker/core/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void *arena_take(struct core *self, size_t size)
{
    const size_t aligned = (size + 15) & ~(size_t)15;
    assert(aligned >= size);
    assert(self->arena.used + aligned <= ARENA_SIZE);
    void *place = self->arena.data + self->arena.used;
    self->arena.used += aligned;
    memset(place, 0, aligned);
    return place;
}

char *arena_text(struct core *self, const char *text)
{
    const size_t size = strlen(text) + 1;
    return memcpy(arena_take(self, size), text, size);
}

char *arena_print(struct core *self, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return arena_text(self, text);
}

void text_copy(char *ret, size_t size, const char *text)
{
    size_t length = text != NULL ? strnlen(text, size) : 0;
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    if (length > 0)
        memmove(ret, text, length);
    ret[length] = '\0';
}

bool update_has_room(const struct core *self)
{
    return self->publication_count + ROOM_A_JOB * 2 <= PUBLICATIONS_A_STEP &&
           self->record_count + ROOM_A_JOB * 2 <= RECORDS_A_STEP && self->arena.used + 65536 <= ARENA_SIZE;
}

Sb__Reply *reply_add(struct core *self, uint64_t peer, uint64_t request, Sb__Code code, const char *text)
{
    assert(self->reply_count < self->reply_max);
    Sb__Reply *reply = arena_take(self, sizeof *reply);
    sb__reply__init(reply);
    reply->id = request;
    reply->epoch = self->epoch;
    reply->code = code;
    if (text != NULL)
        reply->text = arena_text(self, text);
    self->replies[self->reply_count++] = (struct core_reply){.peer = peer, .reply = reply};
    return reply;
}

void reply_durable(struct core *self)
{
    assert(self->reply_count > 0);
    self->replies[self->reply_count - 1].durable = true;
}

void topic_init(struct topic *topic, const char *kind, const char *name)
{
    *topic = (struct topic){.kind = kind, .name = name};
}

const char *topic_text(struct core *self, const struct topic *topic)
{
    return arena_print(self, "%s%s%s", topic->kind, topic->name[0] != '\0' ? "." : "", topic->name);
}

Sb__Event *publish(struct core *self, struct topic *topic, bool durable)
{
    assert(self->publication_count < PUBLICATIONS_A_STEP);
    assert(topic->kind != NULL);
    Sb__Event *event = arena_take(self, sizeof *event);
    sb__event__init(event);
    event->epoch = self->epoch;
    event->seq = ++topic->seq;
    event->time_ms = self->wall_ms;
    topic->beat = self->beat;
    list_prepend(&self->changed, &topic->changed);
    self->publications[self->publication_count++] =
        (struct core_publication){.topic = topic_text(self, topic), .durable = durable, .event = event};
    return event;
}

ProtobufCBinaryData histogram_bytes(struct core *self, const struct histogram *histogram)
{
    return (ProtobufCBinaryData){
        .len = sizeof *histogram,
        .data = memcpy(arena_take(self, sizeof *histogram), histogram, sizeof *histogram)};
}

void record_add(struct core *self, enum core_table table, const void *key, size_t key_size,
                const ProtobufCMessage *value)
{
    assert(self->record_count < RECORDS_A_STEP);
    assert(key_size <= CORE_KEY_MAX);
    struct core_record *record = &self->records[self->record_count++];
    record->table = table;
    memcpy(record->key, key, key_size);
    record->key_size = key_size;
    record->value = value;
}

static void put_number(uint8_t *ret, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        ret[i] = (uint8_t)(number >> (56 - 8 * i));
}

size_t key_number(uint8_t key[CORE_KEY_MAX], uint64_t number)
{
    put_number(key, number);
    return 8;
}

size_t key_slot(uint8_t key[CORE_KEY_MAX], const char *job, int64_t slot_ms)
{
    const size_t size = strlen(job) + 1;
    assert(size + 8 <= CORE_KEY_MAX);
    memcpy(key, job, size);
    put_number(key + size, (uint64_t)slot_ms);
    return size + 8;
}
