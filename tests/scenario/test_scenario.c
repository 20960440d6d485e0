// Runs a story: each line at the margin is something that somebody does; the indented lines below it are all
// that followed from it. `test_scenario STORY` compares them exactly; `test_scenario --write STORY` writes
// down what happens.
#include "tests/scenario/acts.h"
#include "tests/scenario/line.h"
#include "tests/scenario/trace.h"
#include "tests/scenario/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------- the set-up

static void set_resource(struct world *world, const struct line *line)
{
    line_number_option(line, "capacity", &world->resource.capacity);
    line_duration_option(line, "ttl", &world->resource.lease_ttl_ms);
    line_duration_option(line, "grant_delay", &world->resource.grant_delay_ms);
    line_duration_option(line, "max_exclusive", &world->resource.max_exclusive_ms);
    line_duration_option(line, "streak", &world->resource.max_exclusive_streak_ms);
    line_duration_option(line, "aging", &world->resource.aging_ms);
    if (line_option(line, "on_pause_timeout") != NULL)
        world->resource.revokes = strcmp(line_option(line, "on_pause_timeout"), "revoke") == 0;
    line_number_option(line, "waiters", &world->waiters_max);
    line_number_option(line, "calls", &world->calls_max);
    line_number_option(line, "sessions", &world->sessions_max);
}

static void add_job(struct world *world, const struct line *line)
{
    size_t index = world_job(world, line->words[1]);
    assert(index < JOBS_MAX_TOLD);
    (void)snprintf(world->job_names[index], sizeof world->job_names[index], "%s", line->words[1]);
    struct core_job_config *job = &world->jobs[index];
    world->removed[index] = false;
    if (index == world->job_count) {
        world->job_count++;
        *job = (struct core_job_config){.name = world->job_names[index],
                                        .every_ms = 600000,
                                        .priority = 3,
                                        .pause_timeout_ms = 60000,
                                        .max_yields = 3,
                                        .yields = true,
                                        .stall_ms = 60000,
                                        .settle_ms = 250,
                                        .retry_after_ms = 30000,
                                        .fresh_within_ms = 900000,
                                        .max_duration_ms = 1200000,
                                        .catches_up = true};
    }
    line_duration_option(line, "every", &job->every_ms);
    line_duration_option(line, "offset", &job->offset_ms);
    line_number_option(line, "priority", &job->priority);
    line_duration_option(line, "pause_timeout", &job->pause_timeout_ms);
    line_number_option(line, "max_yields", &job->max_yields);
    line_duration_option(line, "stall", &job->stall_ms);
    line_duration_option(line, "retry_after", &job->retry_after_ms);
    line_duration_option(line, "fresh_within", &job->fresh_within_ms);
    line_duration_option(line, "max_duration", &job->max_duration_ms);
    line_duration_option(line, "settle", &job->settle_ms);
    if (line_option(line, "overlap") != NULL)
        job->queues_overlap = strcmp(line_option(line, "overlap"), "queue") == 0;
    if (line_option(line, "catch_up") != NULL)
        job->catches_up = strcmp(line_option(line, "catch_up"), "once") == 0;
    if (line_option(line, "yield") != NULL)
        job->yields = strcmp(line_option(line, "yield"), "finish") != 0;
}

// Takes a job out of the config; a line `job` puts it back.
static void remove_job(struct world *world, const struct line *line)
{
    const size_t index = world_job(world, line->words[1]);
    if (index == world->job_count)
        line_fail("no such job", line->words[1]);
    world->removed[index] = true;
}

static void tell_tally(struct world *world)
{
    world->quiet = false;
    trace_tally(world);
}

static bool set_up(struct world *world, const struct line *line)
{
    if (line_is(line, 0, "resource"))
        set_resource(world, line);
    else if (line_is(line, 0, "job"))
        add_job(world, line);
    else if (line_is(line, 0, "start"))
        world_start(world);
    else if (line_is(line, 0, "crash"))
        world_crash(world);
    else if (line_is(line, 0, "stop"))
        world_stop(world);
    else if (line_is(line, 0, "remove"))
        remove_job(world, line);
    else if (line_is(line, 0, "quiet"))
        world->quiet = true;
    else if (line_is(line, 0, "tally"))
        tell_tally(world);
    else if (line_is(line, 0, "reload"))
        world_reload(world, NULL);
    else if (line_is(line, 0, "pass"))
        world_pass(world, line_duration(line->words[1]));
    else if (line_is(line, 0, "wall"))
        world->wall_ms += (line->words[1][0] == '-' ? -1 : 1) * line_duration(line->words[1] + 1);
    else
        return false;
    return true;
}

// ---------------------------------------------------------------- the story

// Plays the story and gives it back with what happened in the place of what it expected.
static void play(FILE *story, struct buffer *ret_expected, struct buffer *ret_actual)
{
    static struct world world; // large
    struct line line;
    enum err err = ERR_OK;
    world_init(&world);
    while (err == ERR_OK && fgets(line.text, sizeof line.text, story) != NULL) {
        const size_t size = strlen(line.text);
        err = buffer_add(ret_expected, line.text, size);
        if (line.text[0] == ' ' || err != ERR_OK)
            continue;
        err = buffer_add(ret_actual, line.text, size);
        line_cut(&line);
        if (line.count == 0 || line.words[0][0] == '#')
            continue;
        if (!set_up(&world, &line))
            act(&world, &line);
        if (err == ERR_OK)
            err = buffer_add(ret_actual, world.trace.data != NULL ? world.trace.data : "", world.trace.size);
        buffer_clear(&world.trace);
    }
    if (err != ERR_OK)
        line_fail("too long", err_text(err));
    world_free(&world);
}

// Says where the two part; false if they do not.
static bool differ(const char *path, const char *expected, const char *actual)
{
    size_t line = 1;
    size_t start = 0;
    size_t i = 0;
    while (expected[i] != '\0' && expected[i] == actual[i]) {
        if (expected[i++] == '\n') {
            line++;
            start = i;
        }
    }
    if (expected[i] == actual[i])
        return false;
    (void)fprintf(stderr, "%s:%zu:\n  expected: %.*s\n  happened: %.*s\n", path, line,
                  (int)strcspn(expected + start, "\n"), expected + start, (int)strcspn(actual + start, "\n"),
                  actual + start);
    return true;
}

int main(int argc, char **argv)
{
    const bool writes = argc == 3 && strcmp(argv[1], "--write") == 0;
    if (argc != 2 && !writes) {
        (void)fprintf(stderr, "usage: test_scenario [--write] STORY\n");
        return 2;
    }
    const char *path = argv[argc - 1];
    struct buffer expected;
    struct buffer actual;
    buffer_init(&expected, 1 << 20);
    buffer_init(&actual, 1 << 20);
    FILE *story = fopen(path, "r");
    if (story == NULL)
        line_fail("cannot be read", path);
    play(story, &expected, &actual);
    (void)fclose(story);
    if (buffer_add_byte(&expected, '\0') != ERR_OK || buffer_add_byte(&actual, '\0') != ERR_OK)
        line_fail("too long", path);
    bool bad = !writes && differ(path, expected.data, actual.data);
    story = writes ? fopen(path, "w") : NULL;
    if (story != NULL) {
        bad = fputs(actual.data, story) < 0;
        bad = fclose(story) != 0 || bad;
    }
    buffer_free(&expected);
    buffer_free(&actual);
    return bad ? 1 : 0;
}
