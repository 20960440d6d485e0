// `syncbus status`: one look at the whole bus, or at one job.
#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"
#include "proto/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Whether a hold lies on the job or on its resource.
static bool is_held(const Sb__State *holds, const Sb__JobState *job)
{
    for (size_t i = 0; i < holds->n_holds; i++) {
        if (strcmp(holds->holds[i]->job, job->job) == 0 ||
            strcmp(holds->holds[i]->resource, job->resource) == 0)
            return true;
    }
    return false;
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

// The jobs of one page; `first` is the first one, which has the holds.
static void add_jobs(struct table *table, const Sb__State *state, const Sb__State *first)
{
    const int64_t now = clock_wall_ms();
    for (size_t i = 0; i < state->n_jobs; i++) {
        const Sb__JobState *job = state->jobs[i];
        char every[32], next[48], success[64], runs[24], failures[24], p95[32], stage[48];
        (void)snprintf(stage, sizeof stage, "%s%s",
                       job->current != NULL ? json_enum(&sb__stage__descriptor, (int)job->current->stage)
                                            : "",
                       !is_held(first, job)   ? (job->current != NULL ? "" : "-")
                       : job->current != NULL ? ", on hold"
                                              : "on hold");
        (void)snprintf(runs, sizeof runs, "%" PRIu64, job->runs);
        (void)snprintf(failures, sizeof failures, "%" PRIu64, job->failures);
        (void)cli_relative(job->last_success_ms, now, success, sizeof success);
        if (job->last_success_ms > 0 && job->fresh_within_ms > 0 &&
            now - job->last_success_ms > (int64_t)job->fresh_within_ms)
            (void)strncat(success, ", stale", sizeof success - strlen(success) - 1);
        table_row(table,
                  (const char *const[]){
                      job->job, duration_format((int64_t)job->every_ms, every, sizeof every),
                      cli_relative(job->next_ms, now, next, sizeof next), stage,
                      job->last != NULL ? json_enum(&sb__stage__descriptor, (int)job->last->stage) : "-",
                      success, runs, failures,
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
                                               cli_relative(service->seen_ms, now, seen, sizeof seen),
                                               service->version});
    }
    table_print(&table);
}

// Prints all pages from the first one on, the jobs of all in one table.
static int print_all(struct cli *cli, Sb__Reply *first_page)
{
    static const char *const columns[] = {"JOB",       ">EVERY", ">NEXT",   "NOW", "LAST",
                                          "SUCCEEDED", ">RUNS",  ">FAILED", ">P95"};
    struct table *jobs = table_new(columns, 9);
    const Sb__State *first = first_page->state;
    Sb__Reply *page = first_page;
    int code = EXIT_CODE_OK;
    print_resources(first);
    add_jobs(jobs, first, first);
    while (code == EXIT_CODE_OK && page->state->more && page->state->n_jobs > 0) {
        Sb__Reply *next = NULL;
        code = cli_state(cli, "", page->state->jobs[page->state->n_jobs - 1]->job, 0, &next);
        if (code == EXIT_CODE_OK)
            add_jobs(jobs, next->state, first);
        if (page != first_page)
            sb__reply__free_unpacked(page, NULL);
        page = next;
    }
    if (code == EXIT_CODE_OK) {
        say(stdout, "\n");
        table_print(&jobs);
        say(stdout, "\n");
        print_services(first);
        alerts_print(first);
        holds_print(first, NULL);
    }
    if (page != first_page)
        sb__reply__free_unpacked(page, NULL);
    table_destroy(&jobs);
    return code;
}

// Prints each page as one object; `page_p` has the first one, and then the last one.
static int print_all_json(struct cli *cli, Sb__Reply **page_p)
{
    int code = cli_print_json((*page_p)->state);
    while (code == EXIT_CODE_OK && (*page_p)->state->more && (*page_p)->state->n_jobs > 0) {
        Sb__Reply *next = NULL;
        code = cli_state(cli, "", (*page_p)->state->jobs[(*page_p)->state->n_jobs - 1]->job, 0, &next);
        if (code != EXIT_CODE_OK)
            break;
        sb__reply__free_unpacked(*page_p, NULL);
        *page_p = next;
        code = cli_print_json(next->state);
    }
    return code;
}

int command_status(struct cli *cli)
{
    const char *job = cli->word_count > 1 ? cli->words[1] : "";
    Sb__Reply *page = NULL;
    int code = cli_state(cli, job, "", 0, &page);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli->json)
        code = print_all_json(cli, &page);
    else if (job[0] != '\0' && page->state->n_jobs > 0)
        job_print(page->state);
    else
        code = print_all(cli, page);
    sb__reply__free_unpacked(page, NULL);
    return code;
}
