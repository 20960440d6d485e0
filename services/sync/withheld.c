#include "services/sync/withheld.h"

#include "proto/base/utf8.h"
#include "proto/io/clock.h"
#include "services/sync/commit.h"

#include <inttypes.h>
#include <string.h>

// ---------------------------------------------------------------- what a sync withholds

// Notes the entries of the table that are not on the list; both are in key order.
static enum err find_gone(struct store_txn *txn, const struct changes *list, struct changes *ret_gone)
{
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    size_t next = 0;
    enum err err = store_scan_begin(txn, TABLE_WITHHELD, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, (struct bytes){.data = NULL}, &key, &value);
    for (; err == ERR_OK; err = store_scan_next(scan, &key, &value)) {
        if (!withheld_still(list, key, &next))
            err = changes_withhold(ret_gone, key);
        if (err != ERR_OK)
            break;
    }
    store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err add_new(struct store_txn *txn, const struct changes *list, uint64_t run, int64_t now_ms,
                        bool *ret_added)
{
    struct bytes value;
    Sb__StoredDeletion deletion = SB__STORED_DELETION__INIT;
    deletion.run = run;
    deletion.since_ms = now_ms;
    for (size_t i = 0; i < list->withheld_count; i++) {
        enum err err = store_get(txn, TABLE_WITHHELD, list->withheld[i], &value);
        if (err == ERR_OK)
            continue;
        if (err == ERR_NOT_FOUND)
            err = delta_put_message(txn, TABLE_WITHHELD, list->withheld[i], &deletion.base);
        if (err != ERR_OK)
            return err;
        *ret_added = true;
    }
    return ERR_OK;
}

enum err withheld_put(struct store_txn *txn, const struct changes *changes, uint64_t run, int64_t now_ms,
                      Sb__StoredEntity *entity)
{
    struct changes gone;
    bool added = false;
    changes_init(&gone);
    enum err err = find_gone(txn, changes, &gone);
    for (size_t i = 0; i < gone.withheld_count && err == ERR_OK; i++)
        err = store_delete(txn, TABLE_WITHHELD, gone.withheld[i]);
    if (err == ERR_OK)
        err = add_new(txn, changes, run, now_ms, &added);
    entity->withheld_list += added || gone.withheld_count > 0;
    changes_free(&gone);
    return err;
}

// ---------------------------------------------------------------- release

// A release under way.
struct release {
    struct delta *self;
    const char *by;    // who
    uint64_t list;     // that he saw; 0: any
    uint64_t released; // records
};

// Notes the records of all entries as to be deleted.
static enum err collect(struct store_txn *txn, struct changes *ret)
{
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    enum err err = store_scan_begin(txn, TABLE_WITHHELD, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, (struct bytes){.data = NULL}, &key, &value);
    for (; err == ERR_OK; err = store_scan_next(scan, &key, &value)) {
        struct stored_record stored;
        err = store_get(txn, TABLE_RECORDS, key, &value);
        if (err == ERR_OK)
            err = delta_read_record(key, value, &stored);
        if (err == ERR_OK) {
            const struct change change = {.op = SB__OP__OP_DELETED, .key = stored.key, .id = stored.id};
            err = changes_add(ret, &change);
        }
        if (err != ERR_OK) {
            err = err == ERR_NOT_FOUND ? ERR_CORRUPT : err; // it names a record that is not there
            break;
        }
    }
    store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err delete_all(struct store_txn *txn, struct release *release, const struct changes *gone,
                           Sb__StoredEntity *entity)
{
    const struct changes none = {.items = NULL};
    struct commit commit = {
        .self = release->self, .entity = entity, .by = release->by, .now_ms = clock_wall_ms()};
    enum err err = commit_begin(&commit, txn);
    for (size_t i = 0; i < gone->count && err == ERR_OK; i++)
        err = commit_change(&commit, txn, &gone->items[i]);
    if (err == ERR_OK)
        err = commit_publication(&commit, txn);
    if (err == ERR_OK)
        err = withheld_put(txn, &none, 0, commit.now_ms, entity);
    entity->guarded = false;
    release->released = commit.deleted;
    commit_end(&commit);
    return err == ERR_OK ? delta_put_entity(txn, entity) : err;
}

// The body of the transaction; it may run again.
static enum err release_all(struct store_txn *txn, void *arg, struct fault *fault)
{
    struct release *release = arg;
    Sb__StoredEntity *entity = NULL;
    struct changes gone;
    enum err err = delta_read_entity(txn, &entity, fault);
    if (err != ERR_OK)
        return err;
    changes_init(&gone);
    if (release->list != 0 && release->list != entity->withheld_list)
        err = fault_set(fault, ERR_CONFLICT,
                        "the list of withheld deletions is no longer number %" PRIu64 " but %" PRIu64
                        ": look at it again",
                        release->list, entity->withheld_list);
    else
        err = collect(txn, &gone);
    if (err == ERR_OK)
        err = delete_all(txn, release, &gone, entity);
    changes_free(&gone);
    sb__stored_entity__free_unpacked(entity, NULL);
    return err;
}

enum err delta_release(struct delta *self, const char *by, uint64_t list, uint64_t *ret_released,
                       struct fault *fault)
{
    enum { BY_MAX = 64 };
    struct release release = {.self = self, .by = by, .list = list};
    if (by[0] == '\0' || strlen(by) > BY_MAX || !utf8_plain(by, strlen(by)))
        return fault_set(fault, ERR_INVALID,
                         "a release needs the name of who made it, 1 to %d bytes without controls", BY_MAX);
    const enum err err = delta_write(self, release_all, &release, fault);
    if (err == ERR_OK)
        *ret_released = release.released;
    return err;
}

enum err delta_withheld(struct delta *self, Sb__Withheld *ret, struct fault *fault)
{
    struct store_txn *txn = NULL;
    Sb__StoredEntity *entity = NULL;
    uint64_t count = 0;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = delta_read_entity(txn, &entity, fault);
    if (err == ERR_OK) {
        err = store_count(txn, TABLE_WITHHELD, &count);
        if (err != ERR_OK)
            err = fault_set(fault, err, "%s: %s", self->job->data, err_text(err));
    }
    store_end(&txn);
    if (err == ERR_OK) {
        *ret = (Sb__Withheld)SB__WITHHELD__INIT;
        ret->count = count;
        ret->guarded = entity->guarded;
    }
    if (entity != NULL)
        sb__stored_entity__free_unpacked(entity, NULL);
    return err;
}
