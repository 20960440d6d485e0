// `syncbus status`: one look at the whole bus, or at one job.
#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"
#include "proto/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// "in 5m" or "12s ago", from a wall time.
static const char *relative(int64_t unix_ms, int64_t now_ms, char *text, size_t size)
{
    char span[32];
    if (unix_ms <= 0)
        (void)snprintf(text, size, "-");
    else if (unix_ms >= now_ms)
        (void)snprintf(text, size, "in %s",
                       duration_format((unix_ms - now_ms) / 1000 * 1000, span, sizeof span));
    else
        (void)snprintf(text, size, "%s ago",
                       duration_format((now_ms - unix_ms) / 1000 * 1000, span, sizeof span));
    return text;
}

static void print_resources(const Sb__State *state)
{
    static const char *const columns[] = {"RESOURCE", "PHASE",    ">TOKEN",    "HOLDER",
                                          ">SHARED",  ">WAITING", "BLOCKED BY"};
    struct table *table = table_new(columns, 7);
    for (size_t i = 0; i < state->n_resources; i++) {
        const Sb__ResourceState *resource = state->resources[i];
        char token[24], shared[16], waiting[32], blockers[200] = "";
        (void)snprintf(token, sizeof token, "%" PRIu64, resource->token);
        (void)snprintf(shared, sizeof shared, "%" PRIu32, resource->shared);
        (void)snprintf(waiting, sizeof waiting, "%" PRIu32 "+%" PRIu32, resource->waiting_exclusive,
                       resource->waiting_shared);
        for (size_t k = 0, used = 0; k < resource->n_blockers && used < sizeof blockers; k++)
            used += (size_t)snprintf(blockers + used, sizeof blockers - used, "%s%s", k > 0 ? ", " : "",
                                     resource->blockers[k]->job[0] != '\0' ? resource->blockers[k]->job
                                                                           : resource->blockers[k]->holder);
        table_row(table, (const char *const[]){resource->resource,
                                               json_enum(&sb__phase__descriptor, (int)resource->phase),
                                               resource->token != 0 ? token : "-", resource->holder, shared,
                                               waiting, blockers});
    }
    table_print(&table);
}

static void add_jobs(struct table *table, const Sb__State *state)
{
    const int64_t now = clock_wall_ms();
    for (size_t i = 0; i < state->n_jobs; i++) {
        const Sb__JobState *job = state->jobs[i];
        char every[32], next[48], success[64], runs[24], failures[24], p95[32];
        (void)snprintf(runs, sizeof runs, "%" PRIu64, job->runs);
        (void)snprintf(failures, sizeof failures, "%" PRIu64, job->failures);
        (void)relative(job->last_success_ms, now, success, sizeof success);
        if (job->last_success_ms > 0 && job->fresh_within_ms > 0 &&
            now - job->last_success_ms > (int64_t)job->fresh_within_ms)
            (void)strncat(success, ", stale", sizeof success - strlen(success) - 1);
        table_row(
            table,
            (const char *const[]){
                job->job, duration_format((int64_t)job->every_ms, every, sizeof every),
                relative(job->next_ms, now, next, sizeof next),
                job->current != NULL ? json_enum(&sb__stage__descriptor, (int)job->current->stage) : "-",
                job->last != NULL ? json_enum(&sb__stage__descriptor, (int)job->last->stage) : "-", success,
                runs, failures,
                job->duration != NULL && job->duration->count > 0
                    ? duration_format((int64_t)job->duration->p95_ms, p95, sizeof p95)
                    : "-"});
    }
}

static void print_services(const Sb__State *state)
{
    static const char *const columns[] = {"SERVICE", "JOBS", "ANSWERS", "SEEN", "VERSION"};
    struct table *table = table_new(columns, 5);
    const int64_t now = clock_wall_ms();
    for (size_t i = 0; i < state->n_services; i++) {
        const Sb__ServiceState *service = state->services[i];
        char seen[48];
        table_row(table, (const char *const[]){service->name, service->n_jobs > 0 ? service->jobs[0] : "-",
                                               service->n_serves > 0 ? service->serves[0] : "-",
                                               relative(service->seen_ms, now, seen, sizeof seen),
                                               service->version});
    }
    table_print(&table);
}

// One page of the state, the jobs behind `after`; 0 with the reply, or an exit code.
static int ask_state(struct cli *cli, const char *after, Sb__Reply **ret)
{
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    if (cli->word_count > 1)
        snapshot.job = (char *)cli->words[1];
    snapshot.after = (char *)after;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &snapshot;
    Sb__Reply *reply = NULL;
    int code = cli_ask(cli, &request, 0, &reply);
    if (code == EXIT_CODE_OK && reply->body_case != SB__REPLY__BODY_STATE) {
        (void)fprintf(stderr, "syncbus: the broker did not tell its state\n");
        sb__reply__free_unpacked(reply, NULL);
        return EXIT_CODE_FAILED;
    }
    *ret = reply;
    return code;
}

int command_status(struct cli *cli)
{
    static const char *const columns[] = {"JOB",       ">EVERY", ">NEXT",   "NOW", "LAST",
                                          "SUCCEEDED", ">RUNS",  ">FAILED", ">P95"};
    struct table *jobs = cli->json ? NULL : table_new(columns, 9);
    char after[WIRE_NAME_MAX + 1] = "";
    int code = EXIT_CODE_OK;
    for (bool first = true, more = true; more && code == EXIT_CODE_OK; first = false) {
        Sb__Reply *reply = NULL;
        code = ask_state(cli, after, &reply);
        if (code != EXIT_CODE_OK)
            break;
        const Sb__State *state = reply->state;
        more = state->more && state->n_jobs > 0;
        if (state->n_jobs > 0)
            (void)snprintf(after, sizeof after, "%s", state->jobs[state->n_jobs - 1]->job);
        if (cli->json) {
            code = cli_print_json(state);
        } else {
            if (first)
                print_resources(state);
            add_jobs(jobs, state);
        }
        if (!cli->json && !more) {
            (void)printf("\n");
            table_print(&jobs);
            (void)printf("\n");
            print_services(state);
        }
        sb__reply__free_unpacked(reply, NULL);
    }
    table_destroy(&jobs);
    return code;
}
