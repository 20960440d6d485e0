// `syncbus check`: the configuration (its errors were told before this runs), and when its jobs start
// together.
#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { COLLISIONS_MAX = 1000 };

static const int64_t CYCLE_MAX_MS = INT64_C(7) * 24 * 3600 * 1000;

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// After how long the starts of all jobs of a resource repeat; a week at most.
static int64_t cycle_of(const struct config *config, size_t resource)
{
    int64_t cycle = 1;
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *job = &config->jobs[i];
        if (job->resource != resource)
            continue;
        const int64_t factor = job->every_ms / common_divisor(cycle, job->every_ms);
        if (cycle > CYCLE_MAX_MS / factor)
            return CYCLE_MAX_MS;
        cycle *= factor;
    }
    return cycle;
}

static bool starts_at(const struct config_job *job, int64_t time_ms)
{
    return (time_ms - job->offset_ms) % job->every_ms == 0;
}

// The first start of a job of the resource that is not before `from_ms`, by any job.
static int64_t next_start(const struct config *config, size_t resource, int64_t from_ms)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *job = &config->jobs[i];
        if (job->resource != resource)
            continue;
        const int64_t phase = job->offset_ms % job->every_ms;
        const int64_t past = from_ms > phase ? from_ms - phase : 0;
        const int64_t start = phase + (past + job->every_ms - 1) / job->every_ms * job->every_ms;
        if (start < next)
            next = start;
    }
    return next;
}

// Prints one time at which several jobs start.
static void print_collision(const struct cli *cli, size_t resource, int64_t time_ms)
{
    const struct config *config = cli->config;
    char at[32];
    bool first = true;
    if (cli->json)
        say(stdout, "{\"collision_ms\":%" PRId64 ",\"jobs\":[", time_ms);
    else
        say(stdout, "  %8s after the full cycle's start: ", duration_format(time_ms, at, sizeof at));
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *job = &config->jobs[i];
        if (job->resource != resource || !starts_at(job, time_ms))
            continue;
        say(stdout, cli->json ? "%s\"%s\"" : "%s%s", first ? "" : (cli->json ? "," : ", "), job->name);
        first = false;
    }
    say(stdout, cli->json ? "]}\n" : "\n");
}

// Tells the times within one cycle at which several jobs of a resource start; gives how many there are.
static size_t tell_collisions(const struct cli *cli, size_t resource)
{
    const struct config *config = cli->config;
    const int64_t cycle = cycle_of(config, resource);
    size_t found = 0;
    for (int64_t time = next_start(config, resource, 0); time < cycle && found < COLLISIONS_MAX;
         time = next_start(config, resource, time + 1)) {
        size_t starting = 0;
        for (size_t i = 0; i < config->job_count; i++)
            starting += config->jobs[i].resource == resource && starts_at(&config->jobs[i], time);
        if (starting > 1) {
            print_collision(cli, resource, time);
            found++;
        }
    }
    char span[32];
    if (!cli->json && cycle > 1)
        say(stdout, "%s: %zu simultaneous starts in %s; the jobs queue by priority then\n",
            config->resources[resource].name, found, duration_format(cycle, span, sizeof span));
    return found;
}

static void print_jobs(const struct config *config)
{
    static const char *const columns[] = {"JOB", "RESOURCE", ">EVERY", ">OFFSET", ">PRIORITY", "SOURCE"};
    struct table *table = table_new(columns, 6);
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *job = &config->jobs[i];
        char every[32], offset[32], priority[16];
        (void)snprintf(priority, sizeof priority, "%" PRIu32, job->priority);
        table_row(table, (const char *const[]){job->name, config->resources[job->resource].name,
                                               duration_format(job->every_ms, every, sizeof every),
                                               duration_format(job->offset_ms, offset, sizeof offset),
                                               priority, job->source.url});
    }
    table_print(&table);
}

int command_check(struct cli *cli)
{
    const struct config *config = cli->config;
    if (!cli->json) {
        say(stdout, "%s: ok\n\n", config->path);
        print_jobs(config);
        say(stdout, "\n");
    }
    for (size_t i = 0; cli->json && i < config->job_count; i++) {
        const struct config_job *job = &config->jobs[i];
        say(stdout,
            "{\"job\":\"%s\",\"resource\":\"%s\",\"every_ms\":%" PRId64 ",\"offset_ms\":%" PRId64
            ",\"priority\":%" PRIu32 "}\n",
            job->name, config->resources[job->resource].name, job->every_ms, job->offset_ms, job->priority);
    }
    for (size_t i = 0; i < config->resource_count; i++)
        (void)tell_collisions(cli, i);
    return EXIT_CODE_OK;
}
