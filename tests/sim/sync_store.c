// What stands in for services/sync/delta.h and feed.h: an entity's store of which only the numbers are kept.
// What it must not do is looked at with each commit (I3, D2), and that the broker keeps what it has
// acknowledged (I12).
#include "tests/sim/check.h"
#include "tests/sim/ledger.h"
#include "tests/sim/sync_own.h"

#include "services/sync/delta.h"
#include "services/sync/feed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FALLS_PPM = 3000,   // processes that are killed right before a commit, and right after it
    FAILS_PPM = 1500,   // commits that end with an error
    BROKEN_PPM = 20000, // exports that cannot be applied
    REASON_MAX = 128
};

// A result that was not acknowledged.
struct waiting_report {
    uint64_t run;            // whose
    uint32_t attempt;        // of the run
    Sb__Result result;       // without its error
    char reason[REASON_MAX]; // its error
    int64_t stored_us;       // when
};

// Changes that were not published.
struct waiting_change {
    uint64_t run;                       // that made them
    uint64_t first, last;               // feed numbers
    uint64_t created, changed, deleted; // so many
};

struct sync_disk {
    uint64_t feed;                  // identity; 0: nobody has made the store yet
    uint64_t last_seq;              // of the feed
    uint64_t published;             // last feed number that was told of
    uint64_t token;                 // the greatest that was accepted
    uint64_t last_run;              // whose result was stored last
    uint32_t last_attempt;          // of that
    uint64_t records;               // that there are
    struct validator validator;     // of the fetch that they came with
    struct waiting_report *reports; // oldest run first, owned
    size_t report_count;            // of them
    size_t report_room;             // for so many
    struct waiting_change *changes; // in order of the feed, owned
    size_t change_count;            // of them
    size_t change_room;             // for so many
};

struct delta {
    const struct config_job *job; // the caller's
    struct node *node;            // whose it is
    struct sync_own *own;         // of the node
    struct sync_disk *disk;       // of the node
};

struct sync_disk *sync_disk_new(void)
{
    struct sync_disk *self = calloc(1, sizeof *self);
    assert(self != NULL);
    return self;
}

void sync_disk_free(struct sync_disk *self)
{
    free(self->reports);
    free(self->changes);
    free(self);
}

size_t sync_disk_reports(const struct sync_disk *self, int64_t before_us)
{
    size_t count = 0;
    for (size_t i = 0; i < self->report_count; i++)
        count += self->reports[i].stored_us < before_us ? 1 : 0;
    return count;
}

// ---------------------------------------------------------------- commits

// What a transaction puts.
typedef void put_fn(struct delta *self, const struct delta_run *run, Sb__Result *result, const char *reason);

// One transaction: all of it, or nothing. The process may fall before or after it; where the disk fails it
// is not known whether it was done.
static enum err commit(struct delta *self, put_fn *put, const struct delta_run *run, Sb__Result *result,
                       const char *reason, struct fault *fault)
{
    if (node_falls(self->node, FALLS_PPM))
        return ERR_OK;
    const bool fails = sim_fault(SIM_FAULT_DISK, FAILS_PPM);
    if (!fails || sim_chance(500000))
        put(self, run, result, reason);
    self->own->moved_us = sim_now_us();
    (void)node_falls(self->node, FALLS_PPM);
    return fails ? fault_set(fault, ERR_IO, "%s: the disk failed", self->job->data) : ERR_OK;
}

static void accept_token(struct delta *self, uint64_t token)
{
    struct sync_disk *disk = self->disk;
    if (token == 0)
        return;
    if (token < disk->token)
        check_broken("I3", "the store of %s accepts token %" PRIu64 " after %" PRIu64, self->job->name, token,
                     disk->token);
    disk->token = token;
}

static struct waiting_report *add_report(struct sync_disk *disk)
{
    if (disk->report_count == disk->report_room) {
        disk->report_room = disk->report_room == 0 ? 4 : 2 * disk->report_room;
        disk->reports = realloc(disk->reports, disk->report_room * sizeof *disk->reports);
        assert(disk->reports != NULL);
    }
    return &disk->reports[disk->report_count++];
}

// Runs come in order, so that the newest result is the last one of the list.
static void put_result(struct delta *self, const struct delta_run *run, const Sb__Result *result,
                       const char *reason)
{
    struct sync_disk *disk = self->disk;
    const bool newer =
        run->run > disk->last_run || (run->run == disk->last_run && run->attempt > disk->last_attempt);
    if (!newer)
        check_broken("D2",
                     "job %s stores a result of run %" PRIu64 ", attempt %" PRIu32
                     " after one of run %" PRIu64 ", attempt %" PRIu32,
                     self->job->name, run->run, run->attempt, disk->last_run, disk->last_attempt);
    disk->last_run = run->run;
    disk->last_attempt = run->attempt;
    struct waiting_report *report = add_report(disk);
    *report = (struct waiting_report){
        .run = run->run, .attempt = run->attempt, .result = *result, .stored_us = sim_now_us()};
    (void)snprintf(report->reason, sizeof report->reason, "%s", reason);
    sim_trace("stores: run %" PRIu64 " attempt %" PRIu32 " ok %d token %" PRIu64 " seq %" PRIu64, run->run,
              run->attempt, result->ok, run->token, result->last_seq);
}

static Sb__Result begin_result(const struct delta *self, const struct delta_run *run)
{
    Sb__Result result = SB__RESULT__INIT;
    result.started_ms = run->started_ms;
    result.ended_ms = node_wall_ms(self->node);
    result.fetch_ms = run->fetch_ms;
    result.bytes = run->bytes;
    result.yields = run->yields;
    result.feed = self->disk->feed;
    return result;
}

// ---------------------------------------------------------------- runs

static void put_failure(struct delta *self, const struct delta_run *run, Sb__Result *result,
                        const char *reason)
{
    result->last_seq = self->disk->last_seq;
    put_result(self, run, result, reason);
}

enum err delta_fail(struct delta *self, const struct delta_run *run, struct fault *fault)
{
    Sb__Result result = begin_result(self, run);
    result.over_rejects = run->over_rejects;
    return commit(self, put_failure, run, &result, run->fault.text, fault);
}

static void put_kept(struct delta *self, const struct delta_run *run, Sb__Result *result, const char *reason)
{
    accept_token(self, run->token);
    result->last_seq = self->disk->last_seq;
    put_result(self, run, result, reason);
}

enum err delta_keep(struct delta *self, const struct delta_run *run, Sb__Result *ret, struct fault *fault)
{
    Sb__Result result = begin_result(self, run);
    result.ok = true;
    result.not_modified = true;
    result.seen = result.unchanged = self->disk->records;
    const enum err err = commit(self, put_kept, run, &result, "", fault);
    if (err == ERR_OK)
        *ret = result;
    return err;
}

static void put_changes(struct delta *self, const struct delta_run *run, const Sb__Result *result)
{
    struct sync_disk *disk = self->disk;
    const uint64_t count = result->created + result->changed + result->deleted;
    if (count == 0)
        return;
    if (disk->change_count == disk->change_room) {
        disk->change_room = disk->change_room == 0 ? 4 : 2 * disk->change_room;
        disk->changes = realloc(disk->changes, disk->change_room * sizeof *disk->changes);
        assert(disk->changes != NULL);
    }
    disk->changes[disk->change_count++] = (struct waiting_change){.run = run->run,
                                                                  .first = disk->last_seq + 1,
                                                                  .last = disk->last_seq + count,
                                                                  .created = result->created,
                                                                  .changed = result->changed,
                                                                  .deleted = result->deleted};
    disk->last_seq += count;
}

// Everything of a good run.
static void put_all(struct delta *self, const struct delta_run *run, Sb__Result *result, const char *reason)
{
    struct sync_disk *disk = self->disk;
    accept_token(self, run->token);
    put_changes(self, run, result);
    disk->records += result->created;
    disk->records -= result->deleted;
    if (run->validator != NULL && result->withheld == 0)
        disk->validator = *run->validator;
    result->last_seq = disk->last_seq;
    put_result(self, run, result, reason);
}

// What the export brought.
static void draw(const struct delta *self, const struct delta_run *run, Sb__Result *result)
{
    const uint64_t records = self->disk->records;
    const bool may_delete = run->withhold == NULL && (run->full || self->job->source.complete);
    result->ok = true;
    result->created = (uint64_t)(records == 0 ? sim_between(10, 200) : sim_between(0, 3));
    if (records > 0 && sim_chance(700000))
        result->changed = (uint64_t)sim_between(0, (int64_t)(records < 20 ? records : 20));
    const uint64_t left = records - result->changed;
    if (may_delete && left > 5 && sim_chance(200000))
        result->deleted = (uint64_t)sim_between(1, 5);
    result->withheld = run->withhold != NULL && left > 0 ? 1 : 0;
    result->unchanged = left - result->deleted - result->withheld;
    result->seen = result->created + result->changed + result->unchanged;
}

enum err delta_apply(struct delta *self, const char *spool, const struct delta_run *run,
                     const atomic_bool *cancel, Sb__Result *ret, struct fault *fault)
{
    struct delta_run failed = *run;
    Sb__Result result = begin_result(self, run);
    (void)spool;
    if (atomic_load(cancel))
        return fault_set(fault, ERR_REFUSED, "given up before the commit");
    if (run->token != 0 && run->token < self->disk->token) {
        // Refused, as it should be; but it is the broker's promise that no later lease has a lesser token.
        check_broken("I3", "job %s fetched under token %" PRIu64 " after it fetched under %" PRIu64,
                     self->job->name, run->token, self->disk->token);
        (void)fault_set(&failed.fault, ERR_STALE, "it was fetched under an older token");
    } else if (sim_fault(SIM_FAULT_ERP, BROKEN_PPM)) {
        (void)fault_set(&failed.fault, ERR_INVALID, "the export is broken");
    }
    if (failed.fault.err != ERR_OK) {
        const enum err err = delta_fail(self, &failed, fault);
        if (err != ERR_OK)
            return err;
        (void)fault_set(fault, failed.fault.err, "%s", failed.fault.text);
    } else {
        draw(self, run, &result);
        const enum err err = commit(self, put_all, run, &result, "", fault);
        if (err != ERR_OK)
            return err;
    }
    *ret = result;
    return ERR_OK;
}

// ---------------------------------------------------------------- life

enum err delta_open(const struct config_job *job, struct delta **ret, struct fault *fault)
{
    struct delta *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    self->job = job;
    self->node = sim->current;
    self->own = self->node->own;
    self->disk = self->own->disk;
    if (self->disk->feed == 0)
        self->disk->feed = (uint64_t)sim_between(1, INT64_MAX);
    *ret = self;
    return ERR_OK;
}

void delta_close(struct delta **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

enum err delta_validator(struct delta *self, struct validator *ret, struct fault *fault)
{
    (void)fault;
    *ret = self->disk->validator;
    return ERR_OK;
}

enum err delta_last_run(struct delta *self, uint64_t *ret_run, uint32_t *ret_attempt, struct fault *fault)
{
    (void)fault;
    *ret_run = self->disk->last_run;
    *ret_attempt = self->disk->last_attempt;
    return ERR_OK;
}

// ---------------------------------------------------------------- news

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    assert(copy != NULL);
    return copy;
}

enum err delta_next_report(struct delta *self, Sb__Report **ret, struct fault *fault)
{
    (void)fault;
    if (self->disk->report_count == 0)
        return ERR_NOT_FOUND;
    const struct waiting_report *waiting = &self->disk->reports[0];
    Sb__Report *report = malloc(sizeof *report);
    Sb__Result *result = malloc(sizeof *result);
    assert(report != NULL && result != NULL);
    sb__report__init(report);
    *result = waiting->result;
    result->error = copy_text(waiting->reason);
    report->run = waiting->run;
    report->attempt = waiting->attempt;
    report->job = copy_text(self->job->name);
    report->result = result;
    *ret = report;
    return ERR_OK;
}

static void remove_report(struct delta *self, const struct delta_run *run, Sb__Result *result,
                          const char *reason)
{
    struct sync_disk *disk = self->disk;
    (void)result;
    (void)reason;
    for (size_t i = 0; i < disk->report_count; i++) {
        if (disk->reports[i].run != run->run || disk->reports[i].attempt != run->attempt)
            continue;
        disk->report_count--;
        memmove(&disk->reports[i], &disk->reports[i + 1], (disk->report_count - i) * sizeof *disk->reports);
        return;
    }
}

// I12: a good result that was acknowledged is kept by the broker, whatever happens to it: its run has ended.
static void check_kept(const struct delta *self, const struct waiting_report *report)
{
    if (report->result.ok && config_job(sim->config, self->job->name, NULL) != NULL &&
        ledger_goes_on(self->job->name, report->run, report->attempt))
        check_broken("I12", "job %s: the result of run %" PRIu64 " was acknowledged, but the run goes on",
                     self->job->name, report->run);
}

enum err delta_acknowledge(struct delta *self, uint64_t run, uint32_t attempt, struct fault *fault)
{
    for (size_t i = 0; i < self->disk->report_count; i++) {
        if (self->disk->reports[i].run == run && self->disk->reports[i].attempt == attempt)
            check_kept(self, &self->disk->reports[i]);
    }
    const struct delta_run which = {.run = run, .attempt = attempt};
    return commit(self, remove_report, &which, NULL, NULL, fault);
}

enum err delta_next_change(struct delta *self, Sb__Change **ret, struct fault *fault)
{
    (void)fault;
    const struct sync_disk *disk = self->disk;
    if (disk->change_count == 0)
        return ERR_NOT_FOUND;
    const struct waiting_change *waiting = &disk->changes[0];
    if (waiting->first != disk->published + 1)
        check_broken("D2", "the feed of %s goes on at %" PRIu64 " after %" PRIu64, self->job->name,
                     waiting->first, disk->published);
    Sb__Change *change = malloc(sizeof *change);
    assert(change != NULL);
    sb__change__init(change);
    change->entity = copy_text(self->job->name);
    change->run = waiting->run;
    change->first = waiting->first;
    change->last = waiting->last;
    change->created = waiting->created;
    change->changed = waiting->changed;
    change->deleted = waiting->deleted;
    change->feed = disk->feed;
    *ret = change;
    return ERR_OK;
}

static void remove_change(struct delta *self, const struct delta_run *run, Sb__Result *result,
                          const char *reason)
{
    struct sync_disk *disk = self->disk;
    (void)result;
    (void)reason;
    for (size_t i = 0; i < disk->change_count; i++) {
        if (disk->changes[i].first != run->run)
            continue;
        disk->published = disk->changes[i].last;
        disk->change_count--;
        memmove(&disk->changes[i], &disk->changes[i + 1], (disk->change_count - i) * sizeof *disk->changes);
        return;
    }
}

enum err delta_published(struct delta *self, uint64_t first, struct fault *fault)
{
    const struct delta_run which = {.run = first}; // the number that remove_change looks for
    return commit(self, remove_change, &which, NULL, NULL, fault);
}

enum err delta_head(struct delta *self, Sb__Change *ret, struct fault *fault)
{
    (void)fault;
    *ret = (Sb__Change)SB__CHANGE__INIT;
    ret->entity = self->job->name;
    ret->last = self->disk->last_seq;
    ret->feed = self->disk->feed;
    return ERR_OK;
}

// ---------------------------------------------------------------- calls

static enum err append(struct buffer *ret, const ProtobufCMessage *message)
{
    uint8_t packed[64];
    assert(protobuf_c_message_get_packed_size(message) <= sizeof packed);
    return buffer_add(ret, packed, protobuf_c_message_pack(message, packed));
}

// There are no records, only their number: each answer is as true as it can be without them.
enum err feed_call(struct delta *self, const char *method, const void *body, size_t body_size,
                   struct buffer *ret, struct fault *fault)
{
    (void)body;
    (void)body_size;
    if (strcmp(method, "feed") == 0) {
        Sb__FeedList list = SB__FEED_LIST__INIT;
        list.last_seq = self->disk->last_seq;
        list.feed = self->disk->feed;
        list.compacted = self->disk->last_seq > 0;
        return append(ret, &list.base);
    }
    if (strcmp(method, "deletions") == 0) {
        Sb__DeletionList list = SB__DELETION_LIST__INIT;
        list.last_seq = self->disk->last_seq;
        return append(ret, &list.base);
    }
    if (strcmp(method, "rejects") == 0)
        return ERR_OK; // none: an empty message
    if (strcmp(method, "get") == 0 || strcmp(method, "list") == 0)
        return fault_set(fault, ERR_NOT_FOUND, "no such record");
    return fault_set(fault, ERR_INVALID, "no such method: %s", method);
}

enum err delta_withheld(struct delta *self, Sb__Withheld *ret, struct fault *fault)
{
    (void)self;
    (void)fault;
    sb__withheld__init(ret); // nothing is ever deleted here
    return ERR_OK;
}
