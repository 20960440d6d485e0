#include "services/order/book.h"

#include "proto/base/buffer.h"
#include "proto/io/store.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_ORDER, TABLE_OPEN, TABLE_PERSON, TABLE_COUNT };
static const char *const tables[TABLE_COUNT] = {
    [TABLE_ORDER] = "order", [TABLE_OPEN] = "open", [TABLE_PERSON] = "person"};

static const struct bytes list_begun = {.data = "", .size = 1}; // the 0 byte: before every key

enum { MAP_SIZE = 16 * 1024 * 1024, RECORD_SIZE_MAX = 512 * 1024 };

struct book {
    struct store *store; // owned
    uint64_t next;       // number of the next order
};

// What a write transaction works on.
struct change {
    const Sb__StoredOrder *order; // to be stored
    struct bytes value;           // the same, packed
    bool is_new;                  // its key must not be there
};

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){.data = text, .size = strlen(text)};
}

// ---------------------------------------------------------------- life

// Numbers are only compared among open orders, so those of ended ones may come again.
static enum err find_next(struct book *self, struct fault *fault)
{
    struct store_txn *txn = NULL;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    struct store_scan *scan = NULL;
    struct bytes number = {.size = 0};
    struct bytes key = {.size = 0};
    err = store_scan_begin(txn, TABLE_OPEN, &scan);
    if (err == ERR_OK) {
        err = store_scan_last(scan, (struct bytes){.size = 0}, &number, &key);
        if (err == ERR_OK)
            self->next = store_number_of(number) + 1;
        else if (err == ERR_NOT_FOUND)
            err = ERR_OK;
        store_scan_end(&scan);
    }
    store_end(&txn);
    return err == ERR_OK ? ERR_OK : fault_set(fault, err, "the book of orders cannot be read");
}

static enum err find_persons(struct store_txn *txn)
{
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    enum err err = store_scan_begin(txn, TABLE_ORDER, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, (struct bytes){.size = 0}, &key, &value);
    for (; err == ERR_OK; err = store_scan_next(scan, &key, &value)) {
        Sb__StoredOrder *order = sb__stored_order__unpack(NULL, value.size, value.data);
        const bool needs = order != NULL && order->state != NULL &&
                           order->state->status == SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON;
        if (order != NULL)
            sb__stored_order__free_unpacked(order, NULL);
        err = needs ? store_put(txn, TABLE_PERSON, key, key) : ERR_OK;
        if (err != ERR_OK)
            break;
    }
    if (scan != NULL)
        store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? store_put(txn, TABLE_PERSON, list_begun, list_begun) : err;
}

// A book that was kept before there was a list of those that need a person gets one, once.
static enum err begin_list(struct store_txn *txn, void *arg, struct fault *fault)
{
    struct bytes value;
    (void)arg;
    enum err err = store_get(txn, TABLE_PERSON, list_begun, &value);
    if (err == ERR_NOT_FOUND)
        err = find_persons(txn);
    return err == ERR_OK ? ERR_OK : fault_set(fault, err, "the book of orders cannot be read");
}

enum err book_open(const char *path, struct book **ret, struct fault *fault)
{
    struct book *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    self->next = 1;
    const struct store_options options = {.tables = tables,
                                          .table_count = TABLE_COUNT,
                                          .map_size = MAP_SIZE,
                                          .map_size_max = UINT64_C(1) << 36};
    enum err err = store_open(path, &options, &self->store, fault);
    if (err == ERR_OK)
        err = find_next(self, fault);
    if (err == ERR_OK)
        err = store_write(self->store, begin_list, NULL, fault);
    if (err != ERR_OK) {
        book_close(&self);
        return err;
    }
    *ret = self;
    return ERR_OK;
}

void book_close(struct book **self_p)
{
    struct book *self = *self_p;
    if (self == NULL)
        return;
    store_close(&self->store);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- reading

static enum err unpack(struct bytes value, Sb__StoredOrder **ret, struct fault *fault)
{
    Sb__StoredOrder *order = sb__stored_order__unpack(NULL, value.size, value.data);
    if (order == NULL || order->state == NULL) {
        sb__stored_order__free_unpacked(order, NULL);
        return fault_set(fault, ERR_CORRUPT, "an order in the book cannot be read; restore a backup");
    }
    *ret = order;
    return ERR_OK;
}

static enum err get(struct store_txn *txn, struct bytes key, Sb__StoredOrder **ret, struct fault *fault)
{
    struct bytes value;
    enum err err = store_get(txn, TABLE_ORDER, key, &value);
    if (err == ERR_NOT_FOUND)
        return err;
    if (err != ERR_OK)
        return fault_set(fault, err, "the book of orders cannot be read");
    return unpack(value, ret, fault);
}

enum err book_get(struct book *self, const char *key, Sb__StoredOrder **ret, struct fault *fault)
{
    struct store_txn *txn = NULL;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = get(txn, text_bytes(key), ret, fault);
    store_end(&txn);
    return err;
}

// Hands one order to the reader; ERR_NOT_FOUND ends the reading.
static enum err hand_over(Sb__StoredOrder *order, book_reader *reader, void *arg)
{
    bool taken = false;
    bool more = reader(arg, order, &taken);
    if (!taken)
        sb__stored_order__free_unpacked(order, NULL);
    return more ? ERR_OK : ERR_NOT_FOUND;
}

static enum err read_all(struct book *self, unsigned table, struct bytes from, book_reader *reader, void *arg,
                         struct fault *fault)
{
    struct store_txn *txn = NULL;
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = store_scan_begin(txn, table, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, from, &key, &value);
    if (err == ERR_OK && from.size > 0 && key.size == from.size && memcmp(key.data, from.data, key.size) == 0)
        err = store_scan_next(scan, &key, &value);
    while (err == ERR_OK) {
        Sb__StoredOrder *order = NULL;
        err = table == TABLE_ORDER ? unpack(value, &order, fault) : get(txn, value, &order, fault);
        if (err == ERR_NOT_FOUND)
            err = fault_set(fault, ERR_CORRUPT, "the book lists an order that it has not");
        if (err == ERR_OK)
            err = hand_over(order, reader, arg);
        if (err == ERR_OK)
            err = store_scan_next(scan, &key, &value);
    }
    if (scan != NULL)
        store_scan_end(&scan);
    store_end(&txn);
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    return err == ERR_CORRUPT ? err : fault_set(fault, err, "the book of orders cannot be read");
}

enum err book_read_open(struct book *self, book_reader *reader, void *arg, struct fault *fault)
{
    return read_all(self, TABLE_OPEN, (struct bytes){.size = 0}, reader, arg, fault);
}

enum err book_read(struct book *self, const char *after, book_reader *reader, void *arg, struct fault *fault)
{
    return read_all(self, TABLE_ORDER, text_bytes(after), reader, arg, fault);
}

enum err book_read_persons(struct book *self, const char *after, book_reader *reader, void *arg,
                           struct fault *fault)
{
    const struct bytes from = after[0] == '\0' ? list_begun : text_bytes(after);
    return read_all(self, TABLE_PERSON, from, reader, arg, fault);
}

// ---------------------------------------------------------------- writing

// Takes an order off the list of open ones. Numbers come again: another order may have this one's by now.
static enum err delist(struct store_txn *txn, struct bytes number, struct bytes key)
{
    struct bytes listed;
    enum err err = store_get(txn, TABLE_OPEN, number, &listed);
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    bool own = listed.size == key.size && memcmp(listed.data, key.data, key.size) == 0;
    return own ? store_delete(txn, TABLE_OPEN, number) : ERR_OK;
}

static enum err list_person(struct store_txn *txn, Sb__OrderStatus status, struct bytes key)
{
    if (status == SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON)
        return store_put(txn, TABLE_PERSON, key, key);
    const enum err err = store_delete(txn, TABLE_PERSON, key);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err write_change(struct store_txn *txn, void *arg, struct fault *fault)
{
    const struct change *change = arg;
    const Sb__OrderState *state = change->order->state;
    struct bytes key = text_bytes(state->key);
    struct bytes there;
    if (change->is_new) {
        enum err err = store_get(txn, TABLE_ORDER, key, &there);
        if (err == ERR_OK)
            return fault_set(fault, ERR_EXISTS, "there is an order of this key");
        if (err != ERR_NOT_FOUND)
            return err;
    }
    uint8_t space[8];
    struct bytes number = store_number(change->order->number, space);
    enum err err = store_put(txn, TABLE_ORDER, key, change->value);
    if (err == ERR_OK)
        err = list_person(txn, state->status, key);
    if (err != ERR_OK)
        return err;
    return book_is_open(state->status) ? store_put(txn, TABLE_OPEN, number, key) : delist(txn, number, key);
}

static enum err commit(struct book *self, const Sb__StoredOrder *order, bool is_new, struct fault *fault)
{
    assert(order->state->n_blockers == 0);
    assert(order->number != 0);
    struct buffer packed;
    buffer_init(&packed, RECORD_SIZE_MAX);
    enum err err = wire_pack(&order->base, &packed);
    if (err == ERR_OK) {
        struct change change = {.order = order, .value = {packed.data, packed.size}, .is_new = is_new};
        err = store_write(self->store, write_change, &change, fault);
    } else {
        err = fault_set(fault, err, "the order cannot be stored: %s", err_text(err));
    }
    buffer_free(&packed);
    return err;
}

enum err book_add(struct book *self, Sb__StoredOrder *order, struct fault *fault)
{
    assert(order->number == 0);
    order->number = self->next;
    enum err err = commit(self, order, true, fault);
    if (err == ERR_OK)
        self->next++;
    else
        order->number = 0;
    return err;
}

enum err book_put(struct book *self, const Sb__StoredOrder *order, struct fault *fault)
{
    return commit(self, order, false, fault);
}
