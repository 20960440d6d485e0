// `syncbus runs` and `syncbus ledger`: what was.
#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"

#include <inttypes.h>
#include <stdio.h>

static void print_runs(const Sb__RunList *list)
{
    static const char *const columns[] = {">RUN",  "JOB",      "DUE",      "STAGE",    ">YIELDS", ">QUEUED",
                                          ">TOOK", ">CREATED", ">CHANGED", ">DELETED", "NOTE"};
    struct table *table = table_new(columns, 11);
    for (size_t i = 0; i < list->n_runs; i++) {
        const Sb__RunState *run = list->runs[i];
        const Sb__Result none = SB__RESULT__INIT;
        const Sb__Result *result = run->result != NULL ? run->result : &none;
        char number[24], due[32], yields[16], queued[32], took[32], created[24], changed[24], deleted[24];
        char note[512];
        (void)snprintf(number, sizeof number, "%" PRIu64, run->run);
        (void)snprintf(yields, sizeof yields, "%" PRIu32, run->yields);
        (void)snprintf(created, sizeof created, "%" PRIu64, result->created);
        (void)snprintf(changed, sizeof changed, "%" PRIu64, result->changed);
        (void)snprintf(deleted, sizeof deleted, "%" PRIu64, result->deleted);
        table_row(table,
                  (const char *const[]){number, run->job, cli_time(run->due_ms, due, sizeof due),
                                        json_enum(&sb__stage__descriptor, (int)run->stage), yields,
                                        duration_format((int64_t)run->queued_ms, queued, sizeof queued),
                                        run->ended_ms > 0
                                            ? duration_format(run->ended_ms - run->due_ms, took, sizeof took)
                                            : "-",
                                        created, changed, deleted, cli_note(result, note, sizeof note)});
    }
    table_print(&table);
}

static void print_ledger(const Sb__LedgerList *list)
{
    static const char *const columns[] = {"JOB", "SLOT", "OUTCOME", ">SLOTS", ">RUN", ">LATE", "WHY"};
    struct table *table = table_new(columns, 7);
    for (size_t i = 0; i < list->n_entries; i++) {
        const Sb__LedgerEntry *entry = list->entries[i];
        char slot[32], slots[24], run[24], late[32];
        (void)snprintf(slots, sizeof slots, "%" PRIu64, entry->slots > 0 ? entry->slots : 1);
        (void)snprintf(run, sizeof run, "%" PRIu64, entry->run);
        table_row(table, (const char *const[]){
                             entry->job, cli_time(entry->slot_ms, slot, sizeof slot),
                             json_enum(&sb__stage__descriptor, (int)entry->outcome), slots,
                             entry->run != 0 ? run : "-",
                             entry->late_ms > 0 ? duration_format(entry->late_ms, late, sizeof late) : "-",
                             entry->why});
    }
    table_print(&table);
}

int command_runs(struct cli *cli)
{
    Sb__Runs runs = SB__RUNS__INIT;
    if (cli->word_count > 1)
        runs.job = (char *)cli->words[1];
    runs.limit = cli->limit != 0 ? cli->limit : CLI_PAGE;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_RUNS;
    request.runs = &runs;
    Sb__Reply *reply = NULL;
    int code = cli_ask(cli, &request, 0, &reply);
    if (code != EXIT_CODE_OK)
        return code;
    const Sb__RunList none = SB__RUN_LIST__INIT;
    const Sb__RunList *list = reply->body_case == SB__REPLY__BODY_RUN_LIST ? reply->run_list : &none;
    if (!cli->json)
        print_runs(list);
    for (size_t i = 0; cli->json && i < list->n_runs && code == EXIT_CODE_OK; i++)
        code = cli_print_json(list->runs[i]);
    sb__reply__free_unpacked(reply, NULL);
    return code;
}

int command_ledger(struct cli *cli)
{
    Sb__Ledger ledger = SB__LEDGER__INIT;
    if (cli->word_count > 1)
        ledger.job = (char *)cli->words[1];
    ledger.limit = cli->limit != 0 ? cli->limit : CLI_PAGE;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_LEDGER;
    request.ledger = &ledger;
    Sb__Reply *reply = NULL;
    int code = cli_ask(cli, &request, 0, &reply);
    if (code != EXIT_CODE_OK)
        return code;
    const Sb__LedgerList none = SB__LEDGER_LIST__INIT;
    const Sb__LedgerList *list = reply->body_case == SB__REPLY__BODY_LEDGER_LIST ? reply->ledger_list : &none;
    if (!cli->json)
        print_ledger(list);
    for (size_t i = 0; cli->json && i < list->n_entries && code == EXIT_CODE_OK; i++)
        code = cli_print_json(list->entries[i]);
    sb__reply__free_unpacked(reply, NULL);
    return code;
}
