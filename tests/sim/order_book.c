// Stands in for services/order/book.c: the same book, on a disk that lasts through the lives of its node.
#include "tests/sim/order_book.h"

#include "services/order/book.h"
#include "tests/sim/check.h"
#include "tests/sim/erp.h"
#include "tests/sim/keys.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    FALLS_PPM = 2000, // just before a commit, and just after
    FAILS_PPM = 3000, // of commits, on a bad disk
};

// One order on the disk.
struct entry {
    TAILQ_ENTRY(entry) open;      // among the open ones, if it is; by number
    TAILQ_ENTRY(entry) person;    // among those that need a person, if it is
    uint64_t number;              // of acceptance
    Sb__OrderStatus status;       // as in `data`
    char key[BOOK_KEY_MAX + 1];   // its key
    char erp_id[ERP_KEY_MAX + 1]; // as in `data`
    uint8_t *data;                // as it was packed; owned
    size_t size;                  // of `data`
};

TAILQ_HEAD(entries, entry);

// The disk of one node.
struct disk {
    struct keys entries;   // by key: struct entry, owned
    struct entries open;   // by number
    struct entries person; // that need a person
    size_t open_count;     // of the open ones
    size_t person_count;   // of those
};

struct book {
    struct node *node; // whose it is
    struct disk *disk; // the node's
    uint64_t next;     // number of the next order
};

// ---------------------------------------------------------------- the disk

void order_book_begin(struct node *node)
{
    struct disk *disk = calloc(1, sizeof *disk);
    assert(disk != NULL);
    TAILQ_INIT(&disk->open);
    TAILQ_INIT(&disk->person);
    node->own = disk;
}

void order_book_end(struct node *node)
{
    struct disk *disk = node->own;
    for (size_t i = 0; i < disk->entries.capacity; i++) {
        struct entry *entry = disk->entries.slots[i].value;
        if (entry != NULL)
            free(entry->data);
        free(entry);
    }
    keys_free(&disk->entries);
    free(disk);
    node->own = NULL;
}

static const struct entry *entry_of(const struct node *node, const char *key)
{
    const struct disk *disk = node->own;
    return keys_get(&disk->entries, key);
}

Sb__OrderStatus order_book_status(const struct node *node, const char *key)
{
    const struct entry *entry = entry_of(node, key);
    return entry != NULL ? entry->status : SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED;
}

const char *order_book_erp_id(const struct node *node, const char *key)
{
    const struct entry *entry = entry_of(node, key);
    return entry != NULL ? entry->erp_id : "";
}

size_t order_book_open_count(const struct node *node)
{
    const struct disk *disk = node->own;
    return disk->open_count;
}

const char *order_book_needs_person(const struct node *node, uint64_t choice)
{
    const struct disk *disk = node->own;
    if (disk->person_count == 0)
        return NULL;
    const struct entry *entry = TAILQ_FIRST(&disk->person);
    for (uint64_t i = choice % disk->person_count; i > 0; i--)
        entry = TAILQ_NEXT(entry, person);
    return entry->key;
}

// Puts an order where its status belongs.
static void list(struct disk *disk, struct entry *entry, Sb__OrderStatus status)
{
    const Sb__OrderStatus person = SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON;
    if (book_is_open(entry->status) && !book_is_open(status)) {
        TAILQ_REMOVE(&disk->open, entry, open);
        disk->open_count--;
    } else if (!book_is_open(entry->status) && book_is_open(status)) {
        struct entry *before = TAILQ_LAST(&disk->open, entries);
        while (before != NULL && before->number > entry->number)
            before = TAILQ_PREV(before, entries, open);
        if (before != NULL)
            TAILQ_INSERT_AFTER(&disk->open, before, entry, open);
        else
            TAILQ_INSERT_HEAD(&disk->open, entry, open);
        disk->open_count++;
    }
    if (entry->status == person && status != person) {
        TAILQ_REMOVE(&disk->person, entry, person);
        disk->person_count--;
    } else if (entry->status != person && status == person) {
        TAILQ_INSERT_TAIL(&disk->person, entry, person);
        disk->person_count++;
    }
    entry->status = status;
}

// ---------------------------------------------------------------- what must hold of a commit

static bool is_final(Sb__OrderStatus status)
{
    return status == SB__ORDER_STATUS__ORDER_STATUS_PLACED ||
           status == SB__ORDER_STATUS__ORDER_STATUS_REJECTED ||
           status == SB__ORDER_STATUS__ORDER_STATUS_CANCELLED;
}

// O2: what the book says of an order's end is so, and stays so.
static void check(const struct entry *before, const Sb__OrderState *state)
{
    const char *key = state->key;
    if (is_final(before->status) && state->status != before->status)
        check_broken("O2", "order %s had ended as %d, and is then %d", key, (int)before->status,
                     (int)state->status);
    if (state->status == SB__ORDER_STATUS__ORDER_STATUS_PLACED) {
        const char *id = erp_order(key);
        if (id == NULL || strcmp(id, state->erp_id) != 0)
            check_broken("O2", "order %s is said to be placed as %s, but the ERP has it as %s", key,
                         state->erp_id, id != NULL ? id : "none");
    } else if (is_final(state->status) || state->status == SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON) {
        erp_given_up(key);
    }
}

// ---------------------------------------------------------------- life

enum err book_open(const char *path, struct book **ret, struct fault *fault)
{
    (void)path;
    (void)fault;
    struct book *self = calloc(1, sizeof *self);
    assert(self != NULL && sim->current != NULL && sim->current->own != NULL);
    *self = (struct book){.node = sim->current, .disk = sim->current->own, .next = 1};
    const struct entry *last = TAILQ_LAST(&self->disk->open, entries);
    if (last != NULL)
        self->next = last->number + 1;
    *ret = self;
    return ERR_OK;
}

void book_close(struct book **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

// ---------------------------------------------------------------- reading

static Sb__StoredOrder *unpack(const struct entry *entry)
{
    Sb__StoredOrder *order = sb__stored_order__unpack(NULL, entry->size, entry->data);
    assert(order != NULL && order->state != NULL);
    return order;
}

enum err book_get(struct book *self, const char *key, Sb__StoredOrder **ret, struct fault *fault)
{
    (void)fault;
    const struct entry *entry = keys_get(&self->disk->entries, key);
    if (entry == NULL)
        return ERR_NOT_FOUND;
    *ret = unpack(entry);
    return ERR_OK;
}

static bool hand_over(const struct entry *entry, book_reader *reader, void *arg)
{
    bool taken = false;
    Sb__StoredOrder *order = unpack(entry);
    const bool more = reader(arg, order, &taken);
    if (!taken)
        sb__stored_order__free_unpacked(order, NULL);
    return more;
}

enum err book_read_open(struct book *self, book_reader *reader, void *arg, struct fault *fault)
{
    (void)fault;
    const struct entry *entry;
    TAILQ_FOREACH(entry, &self->disk->open, open)
    {
        if (!hand_over(entry, reader, arg))
            break;
    }
    return ERR_OK;
}

static int by_key(const void *one, const void *other)
{
    const struct entry *const *first = one;
    const struct entry *const *second = other;
    return strcmp((*first)->key, (*second)->key);
}

// Those of that status, or all (UNSPECIFIED), in order of their keys.
static enum err read_all(const struct book *self, const char *after, Sb__OrderStatus status,
                         book_reader *reader, void *arg)
{
    const struct keys *keys = &self->disk->entries;
    const struct entry **entries = calloc(keys->count + 1, sizeof *entries);
    size_t count = 0;
    assert(entries != NULL);
    for (size_t i = 0; i < keys->capacity; i++) {
        const struct entry *entry = keys->slots[i].value;
        if (entry != NULL && strcmp(entry->key, after) > 0 &&
            (status == SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED || entry->status == status))
            entries[count++] = entry;
    }
    qsort(entries, count, sizeof entries[0], by_key);
    for (size_t i = 0; i < count && hand_over(entries[i], reader, arg); i++)
        ;
    free(entries);
    return ERR_OK;
}

enum err book_read(struct book *self, const char *after, book_reader *reader, void *arg, struct fault *fault)
{
    (void)fault;
    return read_all(self, after, SB__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED, reader, arg);
}

enum err book_read_persons(struct book *self, const char *after, book_reader *reader, void *arg,
                           struct fault *fault)
{
    (void)fault;
    return read_all(self, after, SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON, reader, arg);
}

// ---------------------------------------------------------------- writing

static void store(struct disk *disk, const Sb__StoredOrder *order)
{
    const Sb__OrderState *state = order->state;
    struct entry *entry = keys_get(&disk->entries, state->key);
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        assert(entry != NULL);
        snprintf(entry->key, sizeof entry->key, "%s", state->key);
        keys_add(&disk->entries, entry->key, entry);
    }
    check(entry, state);
    entry->number = order->number;
    entry->size = sb__stored_order__get_packed_size(order);
    entry->data = realloc(entry->data, entry->size);
    assert(entry->data != NULL);
    (void)sb__stored_order__pack(order, entry->data);
    snprintf(entry->erp_id, sizeof entry->erp_id, "%s", state->erp_id);
    list(disk, entry, state->status);
}

// The commit is the moment at which the process may be killed before, or after.
static enum err commit(struct book *self, const Sb__StoredOrder *order, struct fault *fault)
{
    assert(order->state->n_blockers == 0);
    assert(order->number != 0);
    if (self->node->dying || node_falls(self->node, FALLS_PPM))
        return ERR_OK;
    const bool fails = sim_fault(SIM_FAULT_DISK, FAILS_PPM);
    if (!fails || sim_chance(500000))
        store(self->disk, order);
    if (fails)
        return fault_set(fault, ERR_IO, "the book of orders cannot be written: the disk fails");
    (void)node_falls(self->node, FALLS_PPM);
    return ERR_OK;
}

enum err book_add(struct book *self, Sb__StoredOrder *order, struct fault *fault)
{
    assert(order->number == 0);
    if (keys_get(&self->disk->entries, order->state->key) != NULL)
        return fault_set(fault, ERR_EXISTS, "there is an order of this key");
    order->number = self->next;
    const enum err err = commit(self, order, fault);
    if (err == ERR_OK)
        self->next++;
    else
        order->number = 0;
    return err;
}

enum err book_put(struct book *self, const Sb__StoredOrder *order, struct fault *fault)
{
    return commit(self, order, fault);
}
