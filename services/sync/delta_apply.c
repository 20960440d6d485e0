#include "services/sync/delta.h"

#include "proto/io/clock.h"
#include "services/sync/changes.h"
#include "services/sync/commit.h"
#include "services/sync/decode_pages.h"
#include "services/sync/delta_store.h"
#include "services/sync/look_up.h"
#include "services/sync/pack.h"
#include "services/sync/withheld.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// A comparison under way: rows come in, differences gather.
struct compare {
    struct delta *self;
    const struct delta_run *run;
    struct store_txn *txn;  // the state that the export is compared with
    struct look_up *stored; // finds records in it; owned
    uint64_t ids_end;       // of that state
    uint64_t last_seq;      // the same
    bool guarded;           // the same: the delete guard withheld deletions
    uint8_t *seen;          // one bit for each dense id: the export has a row of it
    uint8_t *kept;          // the same: a rejected row protects it from deletion
    uint64_t met;           // records with either bit
    uint64_t unreadable;    // rejected rows whose key cannot be read
    struct changes changes; // the difference
    Sb__Result *result;     // counts
    struct buffer key;      // of the row in hand
    struct buffer scratch;  // its canonical bytes, or its JSON
    bool moved;             // the store was changed since it was compared
    bool over_rejects;      // more rows were rejected than may be
    enum err broken;        // the store or the memory failed, not the export
};

static bool has_bit(const uint8_t *map, uint64_t id)
{
    return (map[id / 8] >> id % 8 & 1) != 0;
}

static void set_bit(struct compare *self, uint8_t *map, uint64_t id)
{
    self->met += !has_bit(self->seen, id) && !has_bit(self->kept, id);
    map[id / 8] = (uint8_t)(map[id / 8] | 1u << id % 8);
}

// Ends the decoding for a reason that is not the export's.
static enum err give_up(struct compare *self, enum err err, struct fault *fault)
{
    self->broken = err;
    return fault_set(fault, err, "%s: %s", self->self->job->data, err_text(err));
}

// ---------------------------------------------------------------- rows

static enum err reject(struct compare *self, const struct row *row, const char *why, struct fault *fault)
{
    self->result->rejected++;
    enum err err = ERR_OK;
    if (row->raw != NULL) {
        err = changes_reject(&self->changes, row->line, why, row->raw, row->raw_size);
    } else {
        buffer_clear(&self->scratch);
        (void)!record_json(row, &self->scratch); // as much of it as fits
        err = changes_reject(&self->changes, row->line, why, self->scratch.data, self->scratch.size);
    }
    return err == ERR_OK ? err : give_up(self, err, fault);
}

// A row that could not be decoded: sets it aside, and protects the record that it stands for.
static enum err take_bad(struct compare *self, const struct row *row, struct fault *fault)
{
    const struct words *names = &self->self->job->key;
    struct stored_record stored;
    struct bytes key;
    enum err err = record_key(row, names, &self->key, NULL);
    if (err == ERR_NO_MEMORY)
        return give_up(self, err, fault);
    if (err != ERR_OK) {
        self->unreadable++;
        return reject(self, row, row->why, fault);
    }
    key = (struct bytes){.data = self->key.data, .size = self->key.size};
    err = look_up_key(self->stored, key, &stored);
    if (err == ERR_OK)
        set_bit(self, self->kept, stored.id);
    else if (err != ERR_NOT_FOUND)
        return give_up(self, err, fault);
    return reject(self, row, row->why, fault);
}

static enum err add_change(struct compare *self, const struct row *row, struct change *change,
                           struct fault *fault)
{
    buffer_clear(&self->scratch);
    enum err err = record_json(row, &self->scratch);
    if (err == ERR_FULL)
        return reject(self, row, "too large", fault);
    change->key = (struct bytes){.data = self->key.data, .size = self->key.size};
    change->json = (struct bytes){.data = self->scratch.data, .size = self->scratch.size};
    if (err == ERR_OK)
        err = changes_add(&self->changes, change);
    if (err != ERR_OK)
        return give_up(self, err, fault);
    self->result->created += change->op == SB__OP__OP_CREATED;
    self->result->changed += change->op == SB__OP__OP_CHANGED;
    return ERR_OK;
}

// A second row of a key: none if it says the same as the first, so that the counts are those of records.
static enum err take_again(struct compare *self, const struct row *row, const uint8_t *first,
                           const uint8_t *hash, struct fault *fault)
{
    if (memcmp(first, hash, RECORD_HASH_SIZE) != 0)
        return reject(self, row, "another row of this key came first, with other values", fault);
    return ERR_OK;
}

// A row that has a key, whose hash stands in `change`.
static enum err take_keyed(struct compare *self, const struct row *row, struct change *change,
                           struct fault *fault)
{
    struct stored_record stored;
    const struct bytes key = {.data = self->key.data, .size = self->key.size};
    const enum err err = look_up_key(self->stored, key, &stored);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return give_up(self, err, fault);
    if (err == ERR_NOT_FOUND) {
        const struct change *first = changes_find(&self->changes, key);
        return first != NULL ? take_again(self, row, first->hash, change->hash, fault)
                             : add_change(self, row, change, fault);
    }
    if (has_bit(self->seen, stored.id)) {
        const struct change *first = changes_find(&self->changes, key);
        return take_again(self, row, first != NULL ? first->hash : stored.hash, change->hash, fault);
    }
    set_bit(self, self->seen, stored.id);
    if (memcmp(stored.hash, change->hash, RECORD_HASH_SIZE) == 0) {
        self->result->unchanged++;
        return ERR_OK;
    }
    change->op = SB__OP__OP_CHANGED;
    change->id = stored.id;
    return add_change(self, row, change, fault);
}

static enum err take_row(void *arg, const struct row *row, struct fault *fault)
{
    struct compare *self = arg;
    struct fault why = {.err = ERR_OK};
    struct change change = {.op = SB__OP__OP_CREATED};
    self->result->seen++;
    if (row->why != NULL)
        return take_bad(self, row, fault);
    enum err err = record_hash(row, &self->scratch, change.hash);
    if (err != ERR_OK)
        return give_up(self, err, fault);
    // The hash covers the key, so that an equal one is the same record.
    const uint64_t id = look_up_equal(self->stored, change.hash);
    if (id != 0 && !has_bit(self->seen, id)) {
        set_bit(self, self->seen, id);
        self->result->unchanged++;
        return ERR_OK;
    }
    err = record_key(row, &self->self->job->key, &self->key, &why);
    if (err == ERR_NOT_FOUND || err == ERR_FULL) {
        self->unreadable++;
        return reject(self, row, why.text, fault);
    }
    return err == ERR_OK ? take_keyed(self, row, &change, fault) : give_up(self, err, fault);
}

// ---------------------------------------------------------------- deletions

// Adds what a complete export no longer has. Of the `gone` among `count` records all are withheld if the
// guard says so, else the first so many, in key order, as there are rows whose key cannot be read.
static enum err add_deletions(struct compare *self, uint64_t gone, uint64_t count, struct fault *fault)
{
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    struct stored_record stored;
    uint64_t withhold = gone < self->unreadable ? gone : self->unreadable;
    self->result->guarded = withheld_by_guard(self->self->job, gone - withhold, count);
    withhold = self->result->guarded ? gone : withhold;
    self->result->withheld = withhold;
    enum err err = store_scan_begin(self->txn, TABLE_RECORDS, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, (struct bytes){.data = NULL}, &key, &value);
    for (; err == ERR_OK; err = store_scan_next(scan, &key, &value)) {
        err = delta_read_record(key, value, &stored);
        if (err == ERR_OK && stored.id >= self->ids_end)
            err = ERR_CORRUPT;
        if (err != ERR_OK)
            break;
        if (has_bit(self->seen, stored.id) || has_bit(self->kept, stored.id))
            continue;
        const struct change change = {.op = SB__OP__OP_DELETED, .key = stored.key, .id = stored.id};
        const bool kept = withhold > 0;
        err = kept ? changes_withhold(&self->changes, key) : changes_add(&self->changes, &change);
        if (err != ERR_OK)
            break;
        withhold -= kept;
        self->result->deleted += !kept;
    }
    store_scan_end(&scan);
    return err == ERR_NOT_FOUND ? ERR_OK : give_up(self, err, fault);
}

// An export of changes only, or one whose rows may have slipped from page to page, says of no record that it
// is gone, but what it has is no longer missed. What a slipped one of `count` records did not bring counts as
// withheld, and is not put on the list: it may still be there.
static enum err keep_withheld(struct compare *self, uint64_t count, struct fault *fault)
{
    struct store_scan *scan = NULL;
    struct bytes key;
    struct bytes value;
    struct stored_record stored;
    enum err err = store_scan_begin(self->txn, TABLE_WITHHELD, &scan);
    if (err == ERR_OK)
        err = store_scan_seek(scan, (struct bytes){.data = NULL}, &key, &value);
    for (; err == ERR_OK; err = store_scan_next(scan, &key, &value)) {
        err = store_get(self->txn, TABLE_RECORDS, key, &value);
        if (err == ERR_OK)
            err = delta_read_record(key, value, &stored);
        if (err != ERR_OK || stored.id >= self->ids_end) {
            err = err == ERR_OK || err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
            break;
        }
        if (!has_bit(self->seen, stored.id) && !has_bit(self->kept, stored.id))
            err = changes_withhold(&self->changes, key);
        if (err != ERR_OK)
            break;
    }
    store_scan_end(&scan);
    self->result->withheld = self->run->withhold != NULL ? count - self->met : self->changes.withheld_count;
    self->result->guarded = self->guarded && self->changes.withheld_count > 0;
    return err == ERR_NOT_FOUND ? ERR_OK : give_up(self, err, fault);
}

// Looks at the whole of what came: is it an export that may be believed?
static enum err judge(struct compare *self, struct fault *fault)
{
    const struct config_job *job = self->self->job;
    const Sb__Result *result = self->result;
    uint64_t count = 0;
    if ((double)result->rejected * 1e6 > (double)result->seen * job->max_rejects_ppm) {
        const struct reject *first = &self->changes.rejects[0];
        self->over_rejects = true;
        return fault_set(fault, ERR_INVALID,
                         "%" PRIu64 " of %" PRIu64
                         " rows were rejected, more than max_rejects (%g%%); the first, "
                         "at line %" PRIu64 ": %.*s",
                         result->rejected, result->seen, job->max_rejects_ppm / 1e4, first->line,
                         (int)first->why.size, (const char *)first->why.data);
    }
    const enum err err = store_count(self->txn, TABLE_RECORDS, &count);
    if (err != ERR_OK)
        return give_up(self, err, fault);
    if (self->run->withhold != NULL)
        self->result->note = (char *)(uintptr_t)self->run->withhold;
    if ((!job->source.complete && !self->run->full) || self->run->withhold != NULL)
        return keep_withheld(self, count, fault);
    if (count == 0)
        return ERR_OK;
    if (result->seen == result->rejected)
        return fault_set(fault, ERR_INVALID,
                         "the export has no records, but %" PRIu64 " are stored: it is taken for broken",
                         count);
    assert(self->met <= count);
    return self->met == count ? ERR_OK : add_deletions(self, count - self->met, count, fault);
}

// ---------------------------------------------------------------- the commit

// The rejects of this run take the place of the last one's.
static enum err put_rejects(struct store_txn *txn, const struct compare *compare)
{
    enum { LINE = 1, WHY = 2, RAW = 3, RUN = 4 };
    const struct changes *changes = &compare->changes;
    struct buffer *item = (struct buffer *)&compare->scratch;
    uint8_t room[8];
    uint64_t old = 0;
    enum err err = store_count(txn, TABLE_REJECTS, &old);
    for (uint64_t i = changes->reject_count + 1; i <= old && err == ERR_OK; i++)
        err = store_delete(txn, TABLE_REJECTS, store_number(i, room));
    for (uint64_t i = 0; i < changes->reject_count && err == ERR_OK; i++) {
        const struct reject *reject = &changes->rejects[i];
        buffer_clear(item);
        err = pack_number(item, LINE, reject->line);
        if (err == ERR_OK)
            err = pack_bytes(item, WHY, reject->why);
        if (err == ERR_OK)
            err = pack_bytes(item, RAW, reject->raw);
        if (err == ERR_OK)
            err = pack_number(item, RUN, compare->run->run);
        if (err == ERR_OK)
            err = store_put(txn, TABLE_REJECTS, store_number(i + 1, room),
                            (struct bytes){.data = item->data, .size = item->size});
    }
    return err;
}

static enum err put_all(struct store_txn *txn, struct compare *compare, Sb__StoredEntity *entity)
{
    const struct changes *changes = &compare->changes;
    const struct validator nothing = {.full_ms = 0};
    const struct validator *validator = compare->run->validator != NULL ? compare->run->validator : &nothing;
    struct commit commit = {.self = compare->self,
                            .entity = entity,
                            .run = compare->run->run,
                            .now_ms = compare->result->ended_ms};
    enum err err = commit_begin(&commit, txn);
    for (size_t i = 0; i < changes->count && err == ERR_OK; i++)
        err = commit_change(&commit, txn, changes_at(changes, i));
    compare->result->last_seq = entity->last_seq;
    if (err == ERR_OK)
        err = put_rejects(txn, compare);
    if (err == ERR_OK)
        err = commit_publication(&commit, txn);
    if (err == ERR_OK)
        err = withheld_put(txn, changes, compare->run->run, commit.now_ms, entity);
    entity->guarded = compare->result->guarded;
    if (err == ERR_OK)
        err = delta_put_validator(txn, validator, compare->result);
    if (err == ERR_OK)
        err = delta_put_result(txn, compare->self, compare->run, compare->result, entity);
    commit_end(&commit);
    Sb__StoredEntity noted = *entity;
    noted.note = compare->result->note;
    return err == ERR_OK ? delta_put_entity(txn, &noted) : err;
}

// The body of the transaction: it may run again, so all that it counts begins anew.
static enum err write_all(struct store_txn *txn, void *arg, struct fault *fault)
{
    struct compare *compare = arg;
    const uint64_t token = compare->run->token;
    Sb__StoredEntity *entity = NULL;
    enum err err = delta_read_entity(txn, &entity, fault);
    if (err != ERR_OK)
        return err;
    if (entity->last_seq != compare->last_seq) {
        sb__stored_entity__free_unpacked(entity, NULL);
        compare->moved = true; // by a release: what the export was compared with is not what is there
        return ERR_BUSY;
    }
    // I3: what was fetched under an older lease than what is stored is not news.
    if (token != 0 && token < entity->token) {
        err = fault_set(fault, ERR_STALE,
                        "it was fetched under token %" PRIu64 ", but the store has what token %" PRIu64
                        " fetched",
                        token, entity->token);
    } else {
        if (token != 0)
            entity->token = token;
        err = put_all(txn, compare, entity);
        if (err != ERR_OK)
            (void)fault_set(fault, err, "%s: %s", compare->self->job->data, err_text(err));
    }
    sb__stored_entity__free_unpacked(entity, NULL);
    return err;
}

// ---------------------------------------------------------------- all of it

static enum err begin_compare(struct compare *self, struct fault *fault)
{
    Sb__StoredEntity *entity = NULL;
    changes_init(&self->changes);
    buffer_init(&self->key, 2 * (size_t)RECORD_SIZE_MAX);
    buffer_init(&self->scratch, 4 * (size_t)RECORD_SIZE_MAX);
    enum err err = store_read(self->self->store, &self->txn, fault);
    if (err == ERR_OK)
        err = delta_read_entity(self->txn, &entity, fault);
    if (err != ERR_OK)
        return err;
    self->ids_end = entity->ids_end;
    self->last_seq = entity->last_seq;
    self->guarded = entity->guarded;
    sb__stored_entity__free_unpacked(entity, NULL);
    err = look_up_new(self->txn, self->ids_end, &self->stored);
    if (err != ERR_OK)
        return give_up(self, err, fault);
    self->seen = calloc(1, self->ids_end / 8 + 1);
    self->kept = calloc(1, self->ids_end / 8 + 1);
    if (self->seen == NULL || self->kept == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "%s: %s", self->self->job->data, err_text(ERR_NO_MEMORY));
    return ERR_OK;
}

static void end_compare(struct compare *self)
{
    look_up_destroy(&self->stored);
    store_end(&self->txn);
    changes_free(&self->changes);
    buffer_free(&self->key);
    buffer_free(&self->scratch);
    free(self->seen);
    free(self->kept);
}

// Reads, compares, judges: fills the list of changes, and ends the reading before anything is written.
static enum err compare_all(struct compare *self, const char *spool, const atomic_bool *cancel,
                            struct fault *fault)
{
    const struct decode_sink sink = {.take = take_row, .arg = self};
    const struct delta_run *run = self->run;
    const struct config_job *job = self->self->job;
    enum err err = run->page_ends != NULL
                       ? decode_pages(job, spool, run->page_ends, run->page_count, &sink, cancel, fault)
                       : decode_file(job, spool, &sink, cancel, fault);
    if (err == ERR_OK)
        err = judge(self, fault);
    look_up_destroy(&self->stored);
    store_end(&self->txn);
    if (err == ERR_OK && (err = changes_sort(&self->changes)) != ERR_OK)
        err = give_up(self, err, fault);
    return err;
}

// About what the commit will take of the map: each change lies in the feed, a record beside it, and what is
// there already is copied by whole pages.
static uint64_t room_for(const struct compare *self)
{
    enum { HEADS = 200, PAGE = 4096 };
    const struct changes *changes = &self->changes;
    return 2 * (uint64_t)changes->size + changes->count * (uint64_t)HEADS +
           (changes->count - self->result->created) * (uint64_t)PAGE;
}

static void begin_result(const struct compare *self)
{
    const struct delta_run *run = self->run;
    *self->result = (Sb__Result)SB__RESULT__INIT;
    self->result->started_ms = run->started_ms;
    self->result->fetch_ms = run->fetch_ms;
    self->result->bytes = run->bytes;
    self->result->yields = run->yields;
    self->result->feed = self->self->feed;
}

// Compares and commits. ERR_BUSY: the store was changed in between, nothing is stored.
static enum err apply_once(struct compare *self, const char *spool, const atomic_bool *cancel,
                           struct fault *fault)
{
    Sb__Result *result = self->result;
    const int64_t start_ms = clock_boot_ms();
    begin_result(self);
    enum err err = begin_compare(self, fault);
    self->broken = err;
    if (err == ERR_OK)
        err = compare_all(self, spool, cancel, fault);
    result->ended_ms = clock_wall_ms();
    result->apply_ms = (uint64_t)(clock_boot_ms() - start_ms);
    if (err == ERR_OK && !atomic_load(cancel)) {
        result->ok = true;
        err = delta_make_room(self->self, room_for(self), fault);
        if (err == ERR_OK)
            err = delta_write(self->self, write_all, self, fault);
        if (err != ERR_STALE)
            self->broken = err;
    } else if (err == ERR_OK) {
        err = fault_set(fault, ERR_REFUSED, "given up before the commit");
    }
    end_compare(self);
    return err;
}

enum err delta_apply(struct delta *self, const char *spool, const struct delta_run *run,
                     const atomic_bool *cancel, Sb__Result *ret, struct fault *fault)
{
    Sb__Result result;
    struct compare compare;
    struct fault found = {.err = ERR_OK};
    enum err err;
    do { // again after each release that came in between, and a person makes few of them
        compare = (struct compare){.self = self, .run = run, .result = &result};
        err = apply_once(&compare, spool, cancel, &found);
    } while (err == ERR_BUSY && compare.moved);
    if (compare.broken != ERR_OK || err == ERR_REFUSED)
        return fault_set(fault, err, "%s", found.text);
    if (err != ERR_OK) {
        // A broken export is a result, too: it is stored to be reported, and nothing else is touched.
        struct delta_run failed = *run;
        failed.fault = found;
        failed.over_rejects = compare.over_rejects;
        err = delta_fail(self, &failed, fault);
        if (err != ERR_OK)
            return err;
        begin_result(&compare);
        result.ended_ms = clock_wall_ms();
        result.over_rejects = compare.over_rejects;
        (void)fault_set(fault, found.err, "%s", found.text);
    }
    *ret = result;
    return ERR_OK;
}
