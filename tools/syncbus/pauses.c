// `syncbus pauses`: how often and how long orders waited for syncs, and for which.
#include "tools/syncbus/cli.h"

#include <inttypes.h>
#include <stdio.h>

// Adds avg, p95, p99 and max of a distribution as cells.
struct cells {
    char avg[32], p95[32], p99[32], max[32];
};

static void fill(struct cells *cells, const Sb__Quantiles *quantiles)
{
    const Sb__Quantiles none = SB__QUANTILES__INIT;
    const Sb__Quantiles *from = quantiles != NULL ? quantiles : &none;
    (void)cli_span(from->avg_ms, cells->avg, sizeof cells->avg);
    (void)cli_span((double)from->p95_ms, cells->p95, sizeof cells->p95);
    (void)cli_span((double)from->p99_ms, cells->p99, sizeof cells->p99);
    (void)cli_span((double)from->max_ms, cells->max, sizeof cells->max);
}

static void print_blockers(const Sb__PauseReport *report)
{
    static const char *const columns[] = {"BLOCKED BY", ">TIMES", ">AVG", ">P95", ">P99", ">MAX"};
    struct table *table = table_new(columns, 6);
    for (size_t i = 0; i < report->n_blockers; i++) {
        const Sb__BlockerTotal *blocker = report->blockers[i];
        struct cells cells;
        char times[24];
        (void)snprintf(times, sizeof times, "%" PRIu64, blocker->times);
        fill(&cells, blocker->wait);
        table_row(table,
                  (const char *const[]){blocker->job, times, cells.avg, cells.p95, cells.p99, cells.max});
    }
    table_print(&table);
}

static void print_recent(const Sb__PauseReport *report)
{
    static const char *const columns[] = {"TIME", "RESOURCE", "OUTCOME",   ">WAITED",
                                          "FOR",  "REASON",   "BLOCKED BY"};
    struct table *table = table_new(columns, 7);
    for (size_t i = 0; i < report->n_recent; i++) {
        const Sb__LeaseState *pause = report->recent[i];
        char time[32], waited[32];
        table_row(table,
                  (const char *const[]){cli_time(pause->time_ms, time, sizeof time), pause->resource,
                                        pause->change == SB__LEASE_CHANGE__LEASE_CHANGE_GRANTED ? "granted"
                                                                                                : "timed out",
                                        cli_span((double)pause->waited_ms, waited, sizeof waited),
                                        pause->holder, pause->reason, pause->blockers});
    }
    table_print(&table);
}

static void print_report(const Sb__PauseReport *report)
{
    struct cells cells;
    fill(&cells, report->wait);
    say(stdout,
        "%" PRIu64 " pauses granted, after %s on average, p95 %s, p99 %s, at most %s; %" PRIu64
        " timed out\n",
        report->count, cells.avg, cells.p95, cells.p99, cells.max, report->timed_out);
    if (report->n_blockers > 0) {
        say(stdout, "\n");
        print_blockers(report);
    }
    if (report->n_recent > 0) {
        say(stdout, "\n");
        print_recent(report);
    }
}

int command_pauses(struct cli *cli)
{
    if (cli->word_count > 1 && !cli_knows_resource(cli, cli->words[1]))
        return EXIT_CODE_USAGE;
    Sb__Pauses pauses = SB__PAUSES__INIT;
    if (cli->word_count > 1)
        pauses.resource = (char *)cli->words[1];
    pauses.limit = cli->limit != 0 ? cli->limit : 20;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_PAUSES;
    request.pauses = &pauses;
    Sb__Reply *reply = NULL;
    int code = cli_ask(cli, &request, 0, &reply);
    if (code != EXIT_CODE_OK)
        return code;
    const Sb__PauseReport none = SB__PAUSE_REPORT__INIT;
    const Sb__PauseReport *report =
        reply->body_case == SB__REPLY__BODY_PAUSE_REPORT ? reply->pause_report : &none;
    if (cli->json)
        code = cli_print_json(report);
    else
        print_report(report);
    sb__reply__free_unpacked(reply, NULL);
    return code;
}
