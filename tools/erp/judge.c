#include "tools/erp/judge.h"

#include "tools/erp/server.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 20 }; // for a cut to be seen before it counts as an overlap

void judge_init(struct judge *self, uint32_t capacity, bool honours_tokens)
{
    *self = (struct judge){.capacity = capacity, .honours_tokens = honours_tokens};
    int failed = pthread_mutex_init(&self->lock, NULL);
    assert(failed == 0);
}

void judge_free(struct judge *self)
{
    assert(self->running_count == 0);
    free(self->running);
    pthread_mutex_destroy(&self->lock);
}

bool judge_token(struct judge *self, enum access_kind kind, uint64_t token)
{
    pthread_mutex_lock(&self->lock);
    bool stale = token != 0 && token < self->newest;
    bool accepted = !stale || !self->honours_tokens;
    if (stale) {
        self->counts.stale_tokens_presented++;
        self->counts.stale_tokens_accepted += accepted ? 1 : 0;
    } else if (kind == ACCESS_ORDER && token > self->newest) {
        self->newest = token;
    }
    pthread_mutex_unlock(&self->lock);
    return accepted;
}

// Moves a running access to the ended ones; the others keep their order.
static void end(struct judge *self, size_t i)
{
    self->running[i].end_ms = wall_ms();
    self->running[i].fd = -1;
    self->ended[self->ended_count++ % ACCESSES_KEPT] = self->running[i];
    self->running_count--;
    for (; i < self->running_count; i++)
        self->running[i] = self->running[i + 1];
}

// Ends those whose clients have gone: a client that cuts its fetch and then gives its turn back is not to be
// blamed for the time until a write to it fails. Waits up to `patience_ms` for each to be seen gone.
static void end_gone(struct judge *self, int patience_ms)
{
    for (size_t i = self->running_count; i-- > 0;) {
        struct pollfd connection = {.fd = self->running[i].fd, .events = POLLRDHUP};
        if (connection.fd != -1 && poll(&connection, 1, patience_ms) > 0)
            end(self, i);
    }
}

static struct access *running_one(const struct judge *self, uint64_t number)
{
    for (size_t i = 0; i < self->running_count; i++) {
        if (self->running[i].number == number)
            return &self->running[i];
    }
    return NULL;
}

// What the access of that number adds to the counts by those that run now; nothing if it has ended.
static struct counts met(const struct judge *self, uint64_t number)
{
    const struct access *access = running_one(self, number);
    uint32_t others[2] = {0};
    for (size_t i = 0; access != NULL && i < self->running_count; i++)
        others[self->running[i].kind] += &self->running[i] != access ? 1 : 0;
    if (access == NULL)
        return (struct counts){0};
    if (access->kind == ACCESS_ORDER)
        return (struct counts){.order_sync_overlaps = others[ACCESS_EXPORT],
                               .order_order_overlaps = others[ACCESS_ORDER]};
    return (struct counts){.order_sync_overlaps = others[ACCESS_ORDER],
                           .sync_over_capacity = others[ACCESS_EXPORT] >= self->capacity ? 1 : 0};
}

static uint32_t overlaps_of(const struct counts *counts)
{
    return (uint32_t)(counts->order_sync_overlaps + counts->order_order_overlaps +
                      counts->sync_over_capacity);
}

// Counts whom the access that has just begun meets. One whose end is still on its way through the system, as
// its thread was held up, is not met, nor does it meet anybody: before anybody is blamed it gets a moment to
// be seen. `number` is the new one's.
static void meet(struct judge *self, uint64_t number)
{
    end_gone(self, 0);
    struct counts counts = met(self, number);
    if (overlaps_of(&counts) > 0) {
        end_gone(self, PATIENCE_MS);
        counts = met(self, number);
    }
    struct access *access = running_one(self, number);
    if (access == NULL)
        return; // its client had gone before its request was looked at: the ERP does nothing for it
    self->counts.order_sync_overlaps += counts.order_sync_overlaps;
    self->counts.order_order_overlaps += counts.order_order_overlaps;
    self->counts.sync_over_capacity += counts.sync_over_capacity;
    access->overlaps = overlaps_of(&counts);
}

uint64_t judge_begin(struct judge *self, enum access_kind kind, const char *name, uint64_t token, int fd)
{
    pthread_mutex_lock(&self->lock);
    if (self->running_count == self->running_capacity) {
        self->running_capacity = 2 * self->running_capacity + 16;
        self->running = realloc(self->running, self->running_capacity * sizeof *self->running);
        if (self->running == NULL)
            abort(); // a judge that misses one access is of no use
    }
    struct access *access = &self->running[self->running_count];
    *access = (struct access){.number = ++self->counts.accesses, .kind = kind, .token = token, .fd = fd};
    snprintf(access->name, sizeof access->name, "%s", name);
    access->start_ms = wall_ms();
    self->running_count++;
    const uint64_t number = access->number;
    meet(self, number);
    pthread_mutex_unlock(&self->lock);
    return number;
}

void judge_end(struct judge *self, uint64_t number)
{
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->running_count; i++) {
        if (self->running[i].number == number) {
            end(self, i);
            break;
        }
    }
    pthread_mutex_unlock(&self->lock);
}

void judge_order(struct judge *self, bool doubled)
{
    pthread_mutex_lock(&self->lock);
    self->counts.orders++;
    self->counts.doubled_orders += doubled ? 1 : 0;
    pthread_mutex_unlock(&self->lock);
}

json_object *judge_counts(struct judge *self)
{
    pthread_mutex_lock(&self->lock);
    struct counts counts = self->counts;
    pthread_mutex_unlock(&self->lock);
    json_object *object = json_object_new_object();
    json_object_object_add(object, "accesses", json_object_new_uint64(counts.accesses));
    json_object_object_add(object, "orders", json_object_new_uint64(counts.orders));
    json_object_object_add(object, "order_sync_overlaps", json_object_new_uint64(counts.order_sync_overlaps));
    json_object_object_add(object, "order_order_overlaps",
                           json_object_new_uint64(counts.order_order_overlaps));
    json_object_object_add(object, "sync_over_capacity", json_object_new_uint64(counts.sync_over_capacity));
    json_object_object_add(object, "stale_tokens_presented",
                           json_object_new_uint64(counts.stale_tokens_presented));
    json_object_object_add(object, "stale_tokens_accepted",
                           json_object_new_uint64(counts.stale_tokens_accepted));
    json_object_object_add(object, "doubled_orders", json_object_new_uint64(counts.doubled_orders));
    return object;
}

static json_object *access_json(const struct access *access)
{
    json_object *object = json_object_new_object();
    json_object_object_add(object, "number", json_object_new_uint64(access->number));
    json_object_object_add(object, "kind",
                           json_object_new_string(access->kind == ACCESS_ORDER ? "order" : "export"));
    json_object_object_add(object, "name", json_object_new_string(access->name));
    json_object_object_add(object, "token", json_object_new_uint64(access->token));
    json_object_object_add(object, "start_ms", json_object_new_int64(access->start_ms));
    json_object_object_add(object, "end_ms", json_object_new_int64(access->end_ms));
    json_object_object_add(object, "overlaps", json_object_new_int64(access->overlaps));
    return object;
}

json_object *judge_accesses(struct judge *self)
{
    json_object *array = json_object_new_array();
    pthread_mutex_lock(&self->lock);
    end_gone(self, 0);
    uint64_t first = self->ended_count > ACCESSES_KEPT ? self->ended_count - ACCESSES_KEPT : 0;
    for (uint64_t i = first; i < self->ended_count; i++)
        json_object_array_add(array, access_json(&self->ended[i % ACCESSES_KEPT]));
    for (size_t i = 0; i < self->running_count; i++)
        json_object_array_add(array, access_json(&self->running[i]));
    pthread_mutex_unlock(&self->lock);
    return array;
}
