// `syncbus status JOB`: all there is to know of one job.
#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"
#include "proto/io/clock.h"

#include <inttypes.h>
#include <stdio.h>

static void print_now(const Sb__JobState *job)
{
    const Sb__RunState *run = job->current;
    if (run == NULL) {
        say(stdout, "  now        no run\n");
        return;
    }
    say(stdout, "  now        run %" PRIu64 " %s", run->run,
        json_enum(&sb__stage__descriptor, (int)run->stage));
    if (run->attempt > 1)
        say(stdout, ", attempt %" PRIu32, run->attempt);
    if (run->service[0] != '\0')
        say(stdout, ", by %s", run->service);
    if (run->token != 0)
        say(stdout, ", lease %" PRIu64, run->token);
    if (run->total > 0)
        say(stdout, ", %" PRIu64 " of %" PRIu64 " done", run->done, run->total);
    else if (run->done > 0)
        say(stdout, ", %" PRIu64 " done", run->done);
    if (run->yields > 0)
        say(stdout, ", yielded %" PRIu32 " times", run->yields);
    say(stdout, "\n");
}

static void print_last(const Sb__JobState *job, int64_t now)
{
    const Sb__RunState *run = job->last;
    if (run == NULL) {
        say(stdout, "  last       no run has ended yet\n");
        return;
    }
    const Sb__Result *result = run->result;
    char ended[48];
    say(stdout, "  last       run %" PRIu64 " %s %s", run->run,
        json_enum(&sb__stage__descriptor, (int)run->stage),
        cli_relative(run->ended_ms, now, ended, sizeof ended));
    if (result != NULL && result->error[0] != '\0')
        say(stdout, ": %s", result->error);
    else if (result != NULL)
        say(stdout,
            ": %" PRIu64 " seen, %" PRIu64 " created, %" PRIu64 " changed, %" PRIu64 " deleted, %" PRIu64
            " rejected",
            result->seen, result->created, result->changed, result->deleted, result->rejected);
    say(stdout, "\n");
    if (result != NULL && result->note[0] != '\0')
        say(stdout, "             it could delete nothing: %s\n", result->note);
}

static void print_freshness(const Sb__JobState *job, int64_t now)
{
    char success[48], within[32];
    const bool stale = job->fresh_within_ms > 0 && now - job->last_success_ms > (int64_t)job->fresh_within_ms;
    if (job->last_success_ms == 0)
        say(stdout, "  data       none yet\n");
    else
        say(stdout, "  data       of %s%s, to be fresh within %s\n",
            cli_relative(job->last_success_ms, now, success, sizeof success), stale ? ", stale" : "",
            duration_format((int64_t)job->fresh_within_ms, within, sizeof within));
}

static void add_figures(struct table *table, const char *name, const Sb__Quantiles *from)
{
    char count[24], avg[32], p50[32], p95[32], p99[32], max[32];
    if (from == NULL || from->count == 0) {
        table_row(table, (const char *const[]){name, "0", "-", "-", "-", "-", "-"});
        return;
    }
    (void)snprintf(count, sizeof count, "%" PRIu64, from->count);
    table_row(table, (const char *const[]){name, count, cli_span(from->avg_ms, avg, sizeof avg),
                                           cli_span((double)from->p50_ms, p50, sizeof p50),
                                           cli_span((double)from->p95_ms, p95, sizeof p95),
                                           cli_span((double)from->p99_ms, p99, sizeof p99),
                                           cli_span((double)from->max_ms, max, sizeof max)});
}

static void print_figures(const Sb__JobState *job)
{
    static const char *const columns[] = {"FIGURE", ">COUNT", ">AVG", ">P50", ">P95", ">P99", ">MAX"};
    struct table *table = table_new(columns, 7);
    add_figures(table, "duration of a good run", job->duration);
    add_figures(table, "queued for its turn", job->queued);
    add_figures(table, "kept an order waiting", job->blocked_others);
    table_print(&table);
}

void job_print(const Sb__State *state)
{
    const Sb__JobState *job = state->jobs[0];
    const int64_t now = clock_wall_ms();
    char every[32], offset[32], next[48], at[32];
    say(stdout, "%s: every %s at offset %s on %s, priority %" PRIu32 "\n", job->job,
        duration_format((int64_t)job->every_ms, every, sizeof every),
        duration_format((int64_t)job->offset_ms, offset, sizeof offset), job->resource, job->priority);
    say(stdout, "  next       %s, %s\n", cli_relative(job->next_ms, now, next, sizeof next),
        cli_time(job->next_ms, at, sizeof at));
    print_now(job);
    print_last(job, now);
    print_freshness(job, now);
    say(stdout, "  runs       %" PRIu64 ", %" PRIu64 " failed (%" PRIu32 " in a row)\n", job->runs,
        job->failures, job->failing_in_a_row);
    say(stdout,
        "  slots      %" PRIu64 " overlapped, %" PRIu64 " skipped, %" PRIu64 " coalesced, %" PRIu64
        " missed\n",
        job->overlaps, job->skipped, job->coalesced, job->missed);
    say(stdout, "  unchanged  %.1f%% of all records seen\n\n", job->unchanged_share * 100);
    print_figures(job);
    alerts_print(state);
    holds_print(state, job->resource);
}
