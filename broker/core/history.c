// What was: looks into the journal on behalf of a peer.
#include "broker/core/parts.h"

#include <string.h>

// A look that is under way; its answer comes by core_read_reply.
struct core_read *read_add(struct core *self, uint64_t peer, const Sb__Request *request,
                           enum core_table table, uint32_t limit)
{
    struct core_read *read = &self->reads[self->read_count++];
    *read = (struct core_read){.peer = peer,
                               .request = request->id,
                               .table = table,
                               .limit = limit > 0 && limit < HISTORY_PAGE ? limit : HISTORY_PAGE};
    return read;
}

void read_range(struct core_read *read, const char *name, int64_t from, int64_t to)
{
    read->from_size = key_slot(read->from, name, from);
    read->to_size = key_slot(read->to, name, to);
}

void read_everything(struct core_read *read)
{
    read->from_size = 1;
    memset(read->to, 0xff, CORE_KEY_MAX);
    read->to_size = CORE_KEY_MAX;
}

// The job asked for; false after it was refused because there is none.
static bool known_job(struct core *self, uint64_t peer, const Sb__Request *request, const char *name,
                      const struct job **ret)
{
    *ret = name[0] != '\0' ? job_find(self, name) : NULL;
    if (name[0] == '\0' || *ret != NULL)
        return true;
    (void)reply_add(self, peer, request->id, SB__CODE__CODE_NOT_FOUND,
                    arena_print(self, "no job is called \"%s\"", name));
    return false;
}

void view_runs(struct core *self, uint64_t peer, const Sb__Request *request)
{
    const Sb__Runs *runs = request->runs;
    const struct job *job = NULL;
    if (!known_job(self, peer, request, runs->job, &job))
        return;
    struct core_read *read = read_add(self, peer, request, CORE_TABLE_RUN, runs->limit);
    read->from_size = key_number(read->from, 0);
    read->to_size = key_number(read->to, runs->before > 0 ? runs->before : UINT64_MAX);
    read->job = job != NULL ? job->name : NULL;
}

void view_ledger(struct core *self, uint64_t peer, const Sb__Request *request)
{
    const Sb__Ledger *ledger = request->ledger;
    const struct job *job = NULL;
    if (!known_job(self, peer, request, ledger->job, &job))
        return;
    struct core_read *read = read_add(self, peer, request, CORE_TABLE_LEDGER, ledger->limit);
    read->job = job != NULL ? job->name : NULL;
    if (job != NULL)
        read_range(read, job->name, ledger->from_ms > 0 ? ledger->from_ms : 0,
                   ledger->to_ms > 0 ? ledger->to_ms : INT64_MAX);
    else
        read_everything(read);
}

static void fill_runs(struct core *self, Sb__Reply *reply, const ProtobufCMessage *const *values,
                      size_t count)
{
    Sb__RunList *list = arena_take(self, sizeof *list);
    sb__run_list__init(list);
    list->runs = arena_take(self, (count + 1) * sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        const Sb__StoredRun *stored = (const Sb__StoredRun *)values[i];
        if (stored->run != NULL)
            list->runs[list->n_runs++] = stored->run;
    }
    reply->body_case = SB__REPLY__BODY_RUN_LIST;
    reply->run_list = list;
}

static void fill_ledger(struct core *self, Sb__Reply *reply, const ProtobufCMessage *const *values,
                        size_t count)
{
    Sb__LedgerList *list = arena_take(self, sizeof *list);
    sb__ledger_list__init(list);
    list->entries = arena_take(self, (count + 1) * sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        const Sb__StoredLedgerEntry *stored = (const Sb__StoredLedgerEntry *)values[i];
        if (stored->entry != NULL)
            list->entries[list->n_entries++] = stored->entry;
    }
    reply->body_case = SB__REPLY__BODY_LEDGER_LIST;
    reply->ledger_list = list;
}

const Sb__Reply *core_read_reply(struct core *self, const struct core_read *read,
                                 const ProtobufCMessage *const *values, size_t count)
{
    assert(count <= HISTORY_PAGE);
    self->arena.used = 0; // what the last step gave is not needed any more
    Sb__Reply *reply = arena_take(self, sizeof *reply);
    sb__reply__init(reply);
    reply->id = read->request;
    reply->epoch = self->epoch;
    reply->code = SB__CODE__CODE_OK;
    switch (read->table) {
    case CORE_TABLE_RUN: fill_runs(self, reply, values, count); break;
    case CORE_TABLE_PAUSE: pauses_fill(self, reply, read->job, values, count); break;
    default: fill_ledger(self, reply, values, count); break;
    }
    return reply;
}
