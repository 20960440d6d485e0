#include "broker/journal.h"

#include "broker/journal_history.h"

#include "proto/base/buffer.h"
#include "proto/io/store.h"
#include "proto/wire.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MIB (UINT64_C(1024) * 1024)

enum { CHANGES_MAX = 4 * JOURNAL_BACKLOG_MAX };

// What one transaction will write: the changes one behind the other, each a struct change, its key, its
// value.
struct batch {
    struct buffer changes; // owned
    uint64_t update;       // the last whose changes are in it
};

// The head of one change in a batch.
struct change {
    uint32_t value_size; // bytes behind the key
    uint8_t table;       // enum core_table
    uint8_t key_size;    // bytes behind this
    bool deletes;        // there is no value
};

static_assert(CORE_KEY_MAX <= UINT8_MAX, "the size of a key fits its byte");

struct journal {
    struct store *store;  // owned
    pthread_t thread;     // the writer
    bool running;         // the writer was started
    int event;            // eventfd: something became durable, or failed
    struct buffer value;  // the loop's own, to pack into
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t work;  // the writer waits for some
    pthread_cond_t done;  // journal_wait waits for some
    struct batch pending; // handed over, not yet taken by the writer
    struct batch writing; // the writer's, while `busy`
    bool busy;            // a batch is being written
    uint64_t durable;     // last update that is
    int64_t prune_before; // Unix ms; 0: nothing to prune
    bool stop;            // write what is pending and end
    struct fault failure; // of a commit; err is ERR_OK while there is none
};

static enum err write_batch(struct store_txn *txn, void *arg, struct fault *fault)
{
    const struct batch *batch = arg;
    for (size_t at = 0; at < batch->changes.size;) {
        struct change change;
        memcpy(&change, batch->changes.data + at, sizeof change);
        at += sizeof change;
        struct bytes key = {batch->changes.data + at, change.key_size};
        at += change.key_size;
        struct bytes value = {batch->changes.data + at, change.value_size};
        at += change.value_size;
        enum err err =
            change.deletes ? store_delete(txn, change.table, key) : store_put(txn, change.table, key, value);
        if (err == ERR_NOT_FOUND && change.deletes)
            err = ERR_OK;
        if (err != ERR_OK) // a full map is not for people: it grows, and this runs again
            return err == ERR_FULL ? err : fault_set(fault, err, "the journal: %s", err_text(err));
    }
    return ERR_OK;
}

static void signal_event(const struct journal *self)
{
    const uint64_t one = 1;
    ssize_t done = write(self->event, &one, sizeof one);
    assert(done == sizeof one);
}

// Writes one batch; called and left with the lock held, but not held while it writes.
static void commit(struct journal *self)
{
    struct fault fault = {0};
    struct batch swap = self->writing;
    self->writing = self->pending;
    self->pending = swap;
    buffer_clear(&self->pending.changes);
    self->pending.update = self->writing.update;
    self->busy = true;
    (void)pthread_mutex_unlock(&self->lock);
    enum err err = store_write(self->store, write_batch, &self->writing, &fault);
    (void)pthread_mutex_lock(&self->lock);
    self->busy = false;
    if (err == ERR_OK)
        self->durable = self->writing.update;
    else
        self->failure = fault.err == ERR_OK ? (struct fault){.err = err} : fault;
    (void)pthread_cond_broadcast(&self->done);
    signal_event(self);
}

static void prune_some(struct journal *self)
{
    struct prune prune = {.before_ms = self->prune_before};
    struct fault fault = {0};
    (void)pthread_mutex_unlock(&self->lock);
    enum err err = store_write(self->store, journal_prune_some, &prune, &fault);
    (void)pthread_mutex_lock(&self->lock);
    if (err != ERR_OK) {
        self->failure = fault.err == ERR_OK ? (struct fault){.err = err} : fault;
        signal_event(self);
    }
    if (prune.deleted < PRUNE_BATCH)
        self->prune_before = 0;
}

static void *run_writer(void *arg)
{
    struct journal *self = arg;
    (void)pthread_mutex_lock(&self->lock);
    while (self->failure.err == ERR_OK) {
        if (self->pending.changes.size > 0)
            commit(self);
        else if (self->stop)
            break;
        else if (self->prune_before != 0)
            prune_some(self);
        else
            (void)pthread_cond_wait(&self->work, &self->lock);
    }
    (void)pthread_cond_broadcast(&self->done);
    (void)pthread_mutex_unlock(&self->lock);
    return NULL;
}

enum err journal_open(const char *path, struct journal **ret, struct fault *fault)
{
    static const char *const tables[CORE_TABLE_COUNT] = {
        "meta", "job", "run", "ledger", "owner", "lease", "hold", "alert", "resource", "figures", "pause"};
    static const struct store_options options = {.tables = tables,
                                                 .table_count = CORE_TABLE_COUNT,
                                                 .map_size = 16 * MIB,
                                                 .map_size_max = 64 * 1024 * MIB};
    struct journal *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    self->event = -1;
    buffer_init(&self->value, CHANGES_MAX);
    buffer_init(&self->pending.changes, CHANGES_MAX);
    buffer_init(&self->writing.changes, CHANGES_MAX);
    (void)pthread_mutex_init(&self->lock, NULL);
    (void)pthread_cond_init(&self->work, NULL);
    (void)pthread_cond_init(&self->done, NULL);
    enum err err = store_open(path, &options, &self->store, fault);
    if (err != ERR_OK)
        goto fail;
    self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event < 0 || pthread_create(&self->thread, NULL, run_writer, self) != 0) {
        err = fault_set(fault, ERR_IO, "the journal's thread cannot be started: %s", strerror(errno));
        goto fail;
    }
    self->running = true;
    *ret = self;
    return ERR_OK;
fail:
    journal_close(&self);
    return err;
}

void journal_close(struct journal **self_p)
{
    struct journal *self = *self_p;
    if (self == NULL)
        return;
    if (self->running) {
        (void)pthread_mutex_lock(&self->lock);
        self->stop = true;
        (void)pthread_cond_signal(&self->work);
        (void)pthread_mutex_unlock(&self->lock);
        (void)pthread_join(self->thread, NULL);
    }
    if (self->event >= 0)
        (void)close(self->event);
    store_close(&self->store);
    buffer_free(&self->value);
    buffer_free(&self->pending.changes);
    buffer_free(&self->writing.changes);
    (void)pthread_cond_destroy(&self->done);
    (void)pthread_cond_destroy(&self->work);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

static enum err add_change(struct journal *self, const struct core_record *record)
{
    assert(record->key_size >= 1);
    assert(record->key_size <= CORE_KEY_MAX);
    assert(record->table < CORE_TABLE_COUNT);
    buffer_clear(&self->value);
    enum err err = record->value == NULL ? ERR_OK : wire_pack(record->value, &self->value);
    struct change change;
    memset(&change, 0, sizeof change); // so that its padding is written with it as zeros
    change.value_size = (uint32_t)self->value.size;
    change.table = (uint8_t)record->table;
    change.key_size = (uint8_t)record->key_size;
    change.deletes = record->value == NULL;
    struct buffer *changes = &self->pending.changes;
    if (err == ERR_OK)
        err = buffer_add(changes, &change, sizeof change);
    if (err == ERR_OK)
        err = buffer_add(changes, record->key, record->key_size);
    if (err == ERR_OK && self->value.size > 0)
        err = buffer_add(changes, self->value.data, self->value.size);
    return err;
}

enum err journal_append(struct journal *self, uint64_t update, const struct core_record *records,
                        size_t count, struct fault *fault)
{
    enum err err = ERR_OK;
    (void)pthread_mutex_lock(&self->lock);
    size_t before = self->pending.changes.size;
    assert(update > self->pending.update);
    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = add_change(self, &records[i]);
    if (err != ERR_OK) { // the whole update or nothing of it
        self->pending.changes.size = before;
        fault_set(fault, err, "update %llu does not fit the journal's memory: %s", (unsigned long long)update,
                  err_text(err));
    } else {
        self->pending.update = update;
        if (self->pending.changes.size > 0)
            (void)pthread_cond_signal(&self->work);
        else if (self->busy) // nothing to write, but what comes before it is still being written
            self->writing.update = update;
        else
            self->durable = update;
    }
    (void)pthread_mutex_unlock(&self->lock);
    return err;
}

uint64_t journal_durable(struct journal *self)
{
    (void)pthread_mutex_lock(&self->lock);
    uint64_t durable = self->durable;
    (void)pthread_mutex_unlock(&self->lock);
    return durable;
}

bool journal_is_behind(struct journal *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool behind = self->pending.changes.size > JOURNAL_BACKLOG_MAX;
    (void)pthread_mutex_unlock(&self->lock);
    return behind;
}

int journal_fd(const struct journal *self)
{
    return self->event;
}

// The failure of a commit, with the lock held.
static enum err failure_of(const struct journal *self, struct fault *fault)
{
    if (self->failure.err == ERR_OK)
        return ERR_OK;
    return fault_set(fault, self->failure.err, "the journal could not be written: %s",
                     self->failure.text[0] == '\0' ? err_text(self->failure.err) : self->failure.text);
}

enum err journal_settle(struct journal *self, struct fault *fault)
{
    uint64_t count;
    ssize_t done = read(self->event, &count, sizeof count);
    assert(done == sizeof count || errno == EAGAIN || errno == EINTR);
    (void)pthread_mutex_lock(&self->lock);
    enum err err = failure_of(self, fault);
    (void)pthread_mutex_unlock(&self->lock);
    return err;
}

enum err journal_wait(struct journal *self, uint64_t update, struct fault *fault)
{
    (void)pthread_mutex_lock(&self->lock);
    assert(update <= self->pending.update);
    while (self->durable < update && self->failure.err == ERR_OK)
        (void)pthread_cond_wait(&self->done, &self->lock);
    enum err err = failure_of(self, fault);
    (void)pthread_mutex_unlock(&self->lock);
    return err;
}

void journal_prune(struct journal *self, int64_t before_ms)
{
    (void)pthread_mutex_lock(&self->lock);
    self->prune_before = before_ms;
    (void)pthread_cond_signal(&self->work);
    (void)pthread_mutex_unlock(&self->lock);
}

enum err journal_recover(struct journal *self, struct core_record **ret, size_t *ret_count,
                         struct fault *fault)
{
    struct store_txn *txn = NULL;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = journal_recover_in(txn, ret, ret_count, fault);
    store_end(&txn);
    return err;
}

enum err journal_read(struct journal *self, const struct core_read *read, ProtobufCMessage ***ret,
                      size_t *ret_count, struct fault *fault)
{
    struct store_txn *txn = NULL;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = journal_read_in(txn, read, ret, ret_count, fault);
    store_end(&txn);
    return err;
}
