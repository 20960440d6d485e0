// Runs a story: each line at the margin is something that somebody does; the indented lines below it are all
// that followed from it. `test_scenario STORY` compares them exactly; `test_scenario --write STORY` writes
// down what happens.
#include "tests/scenario/trace.h"
#include "tests/scenario/world.h"

#include "proto/base/duration.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 24, LINE_MAX_SIZE = 512 };

// One line of the story, cut into words.
struct line {
    char text[LINE_MAX_SIZE];
    char *words[WORDS_MAX];
    size_t count;
};

static void cut(struct line *line)
{
    char *rest = line->text;
    line->count = 0;
    while (*rest != '\0' && line->count < WORDS_MAX) {
        const size_t gap = strspn(rest, " \n");
        rest += gap;
        if (*rest == '\0')
            break;
        line->words[line->count++] = rest;
        rest += strcspn(rest, " \n");
        if (*rest != '\0')
            *rest++ = '\0';
    }
}

static void fail(const char *what, const char *word)
{
    (void)fprintf(stderr, "the story says \"%s\": %s\n", word, what);
    exit(1);
}

static bool is(const struct line *line, size_t index, const char *word)
{
    return index < line->count && strcmp(line->words[index], word) == 0;
}

// The value of `name=…` among the words; NULL if it is not there.
static const char *option(const struct line *line, const char *name)
{
    const size_t size = strlen(name);
    for (size_t i = 0; i < line->count; i++) {
        if (strncmp(line->words[i], name, size) == 0 && line->words[i][size] == '=')
            return line->words[i] + size + 1;
    }
    return NULL;
}

static int64_t duration(const char *text)
{
    int64_t ms = 0;
    struct fault fault;
    if (duration_parse(text, &ms, &fault) != ERR_OK)
        fail("no duration", text);
    return ms;
}

static void read_duration(const struct line *line, const char *name, int64_t *ret)
{
    const char *value = option(line, name);
    if (value != NULL)
        *ret = duration(value);
}

static void read_number(const struct line *line, const char *name, uint32_t *ret)
{
    const char *value = option(line, name);
    if (value != NULL)
        *ret = (uint32_t)strtoul(value, NULL, 10);
}

// ---------------------------------------------------------------- the set-up

static void set_resource(struct world *world, const struct line *line)
{
    read_number(line, "capacity", &world->resource.capacity);
    read_duration(line, "ttl", &world->resource.lease_ttl_ms);
    read_duration(line, "grant_delay", &world->resource.grant_delay_ms);
    read_duration(line, "max_exclusive", &world->resource.max_exclusive_ms);
    read_duration(line, "streak", &world->resource.max_exclusive_streak_ms);
    read_duration(line, "aging", &world->resource.aging_ms);
    read_number(line, "waiters", &world->waiters_max);
    read_number(line, "calls", &world->calls_max);
    read_number(line, "sessions", &world->sessions_max);
}

static void add_job(struct world *world, const struct line *line)
{
    size_t index = world_job(world, line->words[1]);
    assert(index < JOBS_MAX_TOLD);
    (void)snprintf(world->job_names[index], sizeof world->job_names[index], "%s", line->words[1]);
    struct core_job_config *job = &world->jobs[index];
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
                                        .fresh_within_ms = 900000};
    }
    read_duration(line, "every", &job->every_ms);
    read_duration(line, "offset", &job->offset_ms);
    read_number(line, "priority", &job->priority);
    read_duration(line, "pause_timeout", &job->pause_timeout_ms);
    read_number(line, "max_yields", &job->max_yields);
    read_duration(line, "stall", &job->stall_ms);
    read_duration(line, "retry_after", &job->retry_after_ms);
    read_duration(line, "fresh_within", &job->fresh_within_ms);
    if (option(line, "yield") != NULL)
        job->yields = strcmp(option(line, "yield"), "finish") != 0;
}

static bool set_up(struct world *world, const struct line *line)
{
    if (is(line, 0, "resource"))
        set_resource(world, line);
    else if (is(line, 0, "job"))
        add_job(world, line);
    else if (is(line, 0, "start"))
        world_start(world);
    else if (is(line, 0, "crash"))
        world_crash(world);
    else if (is(line, 0, "stop"))
        world_stop(world);
    else if (is(line, 0, "pass"))
        world_pass(world, duration(line->words[1]));
    else if (is(line, 0, "wall"))
        world->wall_ms += (line->words[1][0] == '-' ? -1 : 1) * duration(line->words[1] + 1);
    else
        return false;
    return true;
}

// ---------------------------------------------------------------- what clients do

static struct wish *any_wish(struct client *client)
{
    for (size_t i = 0; i < WISHES_MAX; i++) {
        if (client->wishes[i].acquire.claim != 0)
            return &client->wishes[i];
    }
    fail("it has no wish", client->name);
    return NULL;
}

static void want(struct world *world, struct client *client, const struct line *line)
{
    size_t index = 0;
    while (index < WISHES_MAX && client->wishes[index].acquire.claim != 0)
        index++;
    assert(index < WISHES_MAX);
    struct wish *wish = &client->wishes[index];
    *wish = (struct wish){.asks_again = !is(line, line->count - 1, "once")};
    Sb__Acquire *acquire = &wish->acquire;
    int64_t wait_ms = 0;
    int64_t settle_ms = 0;
    sb__acquire__init(acquire);
    acquire->resource = (char *)(uintptr_t)world->resource.name;
    acquire->mode = SB__MODE__MODE_EXCLUSIVE;
    acquire->claim = client->instance << 16 | client->next_id;
    const size_t job = world_job(world, line->words[2]);
    if (job < world->job_count) {
        acquire->mode = SB__MODE__MODE_SHARED;
        acquire->job = world->job_names[job];
        acquire->run = world->due[job].run;
        acquire->attempt = world->due[job].attempt;
        settle_ms = world->jobs[job].settle_ms;
    }
    read_duration(line, "wait", &wait_ms);
    read_duration(line, "settle", &settle_ms);
    acquire->wait_ms = (uint32_t)wait_ms;
    acquire->settle_ms = (uint32_t)settle_ms;
    world_ask(world, client, wish, 0);
}

static void hello(struct world *world, struct client *client, const struct line *line)
{
    uint64_t leases[WISHES_MAX];
    uint64_t runs[WISHES_MAX + 1];
    size_t lease_count = 0;
    size_t run_count = 0;
    for (size_t i = 0; i < WISHES_MAX; i++) {
        const struct wish *wish = &client->wishes[i];
        if (wish->acquire.claim != 0 && wish->token != 0 && !is(line, 2, "silently"))
            leases[lease_count++] = wish->token;
        if (wish->acquire.claim != 0 && wish->acquire.run != 0)
            runs[run_count++] = wish->acquire.run;
    }
    for (size_t i = is(line, 2, "silently") ? 3 : 2; i < line->count; i++) {
        const size_t job = world_job(world, line->words[i]);
        if (job == world->job_count)
            fail("no such job", line->words[i]);
        runs[run_count++] = world->due[job].run;
    }
    world_hello(world, client, leases, lease_count, runs, run_count);
}

static void report(struct world *world, struct client *client, const struct line *line)
{
    const size_t job = world_job(world, line->words[2]);
    Sb__Result result = SB__RESULT__INIT;
    Sb__Report message = SB__REPORT__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    result.ok = is(line, 3, "ok");
    result.error = (char *)(uintptr_t)(result.ok ? "" : "the export was empty");
    result.started_ms = world->wall_ms - 1000;
    result.ended_ms = world->wall_ms;
    message.job = world->job_names[job];
    message.run = world->due[job].run;
    message.attempt = world->due[job].attempt;
    message.result = &result;
    request.body_case = SB__REQUEST__BODY_REPORT;
    request.report = &message;
    world_send(world, client, &request);
}

// Gives the lease back, in mid-run or at its end; forgets the wish when it is withdrawn.
static void give_back(struct world *world, struct client *client, const struct line *line)
{
    struct wish *wish = any_wish(client);
    Sb__Release release = SB__RELEASE__INIT;
    Sb__Withdraw withdraw = SB__WITHDRAW__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    release.token = wish->token;
    release.resource = withdraw.resource = wish->acquire.resource;
    release.yielded = is(line, 1, "yields");
    withdraw.claim = wish->acquire.claim;
    request.body_case = is(line, 1, "withdraws") ? SB__REQUEST__BODY_WITHDRAW : SB__REQUEST__BODY_RELEASE;
    if (request.body_case == SB__REQUEST__BODY_WITHDRAW)
        request.withdraw = &withdraw;
    else
        request.release = &release;
    *wish = (struct wish){0};
    world_send(world, client, &request);
}

static void call(struct world *world, struct client *client, const struct line *line)
{
    Sb__Call message = SB__CALL__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.service = line->words[2];
    message.method = line->words[3];
    request.body_case = SB__REQUEST__BODY_CALL;
    request.call = &message;
    world_send(world, client, &request);
}

static void answer(struct world *world, struct client *client)
{
    Sb__Answer message = SB__ANSWER__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    message.call = client->call;
    message.code = SB__CODE__CODE_OK;
    request.body_case = SB__REQUEST__BODY_ANSWER;
    request.answer = &message;
    world_send(world, client, &request);
}

static void publish_change(struct world *world, struct client *client, const struct line *line)
{
    Sb__Change change = SB__CHANGE__INIT;
    Sb__Publish message = SB__PUBLISH__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    change.entity = line->words[2];
    message.body_case = SB__PUBLISH__BODY_CHANGE;
    message.change = &change;
    request.body_case = SB__REQUEST__BODY_PUBLISH;
    request.publish = &message;
    world_send(world, client, &request);
}

static void ask_small(struct world *world, struct client *client, const struct line *line)
{
    Sb__Trigger trigger = SB__TRIGGER__INIT;
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    Sb__Bye bye = SB__BYE__INIT;
    Sb__Hold hold = SB__HOLD__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    if (is(line, 1, "triggers")) {
        trigger.job = line->words[2];
        trigger.cause = SB__CAUSE__CAUSE_MANUAL;
        request.body_case = SB__REQUEST__BODY_TRIGGER;
        request.trigger = &trigger;
        client->next_id -= is(line, 3, "again") ? 1 : 0;
    } else if (is(line, 1, "looks")) {
        snapshot.job = line->count > 2 ? line->words[2] : snapshot.job;
        request.body_case = SB__REQUEST__BODY_SNAPSHOT;
        request.snapshot = &snapshot;
    } else if (is(line, 1, "holds")) {
        request.body_case = SB__REQUEST__BODY_HOLD;
        request.hold = &hold;
    } else {
        client->alive = false;
        request.body_case = SB__REQUEST__BODY_BYE;
        request.bye = &bye;
    }
    world_send(world, client, &request);
}

static void renew(struct world *world, struct client *client, const struct line *line)
{
    struct wish *wish = any_wish(client);
    uint32_t done = (uint32_t)wish->done;
    uint32_t total = (uint32_t)wish->total;
    read_number(line, "done", &done);
    read_number(line, "total", &total);
    wish->done = done;
    wish->total = total;
    trace_line(world, "(%s)", wish->token != 0 ? "renews" : "has nothing to renew");
    world_renew(world, client, wish);
}

// What happens to a client, without a request.
static bool befall(struct world *world, struct client *client, const struct line *line)
{
    if (is(line, 1, "runs")) {
        for (size_t i = 2; i < line->count; i++)
            (void)snprintf(client->jobs[i - 2], sizeof client->jobs[0], "%s", line->words[i]);
    } else if (is(line, 1, "serves")) {
        (void)snprintf(client->serves, sizeof client->serves, "%s", line->words[2]);
    } else if (is(line, 1, "hangs")) {
        client->hangs = true;
    } else if (is(line, 1, "wakes")) {
        client->hangs = false;
    } else if (is(line, 1, "dies")) { // and forgets; its next life is another process
        client->alive = false;
        client->process++;
        memset(client->wishes, 0, sizeof client->wishes);
    } else if (is(line, 1, "restarts")) { // it remembers its leases
        client->process++;
    } else if (is(line, 1, "moves")) {
        client->host++;
        client->process++;
    } else if (is(line, 1, "impersonates")) {
        client->instance = world_client(world, line->words[2])->instance;
    } else if (is(line, 1, "steals")) { // the number of another's lease
        client->wishes[0] = world_client(world, line->words[2])->wishes[0];
        client->wishes[0].request = 0;
    } else if (is(line, 1, "unreachable")) {
        world_lose(world, client);
    } else {
        return false;
    }
    return true;
}

static void act(struct world *world, const struct line *line)
{
    struct client *client = world_client(world, line->words[0]);
    if (line->count < 2)
        fail("nobody does this", line->words[0]);
    if (befall(world, client, line))
        return;
    if (is(line, 1, "hello"))
        hello(world, client, line);
    else if (is(line, 1, "wants"))
        want(world, client, line);
    else if (is(line, 1, "asks"))
        world_ask(world, client, any_wish(client), 0);
    else if (is(line, 1, "renews"))
        renew(world, client, line);
    else if (is(line, 1, "releases") || is(line, 1, "yields") || is(line, 1, "withdraws"))
        give_back(world, client, line);
    else if (is(line, 1, "reports"))
        report(world, client, line);
    else if (is(line, 1, "calls"))
        call(world, client, line);
    else if (is(line, 1, "answers"))
        answer(world, client);
    else if (is(line, 1, "publishes"))
        publish_change(world, client, line);
    else if (is(line, 1, "triggers") || is(line, 1, "looks") || is(line, 1, "bye") || is(line, 1, "holds"))
        ask_small(world, client, line);
    else
        fail("nobody knows how to do this", line->words[1]);
}

// ---------------------------------------------------------------- the story

// Plays the story and gives it back with what happened in the place of what it expected.
static void play(FILE *story, struct buffer *ret_expected, struct buffer *ret_actual)
{
    struct world world;
    struct line line;
    enum err err = ERR_OK;
    world_init(&world);
    while (err == ERR_OK && fgets(line.text, sizeof line.text, story) != NULL) {
        const size_t size = strlen(line.text);
        err = buffer_add(ret_expected, line.text, size);
        if (line.text[0] == ' ' || err != ERR_OK)
            continue;
        err = buffer_add(ret_actual, line.text, size);
        cut(&line);
        if (line.count == 0 || line.words[0][0] == '#')
            continue;
        if (!set_up(&world, &line))
            act(&world, &line);
        if (err == ERR_OK)
            err = buffer_add(ret_actual, world.trace.data != NULL ? world.trace.data : "", world.trace.size);
        buffer_clear(&world.trace);
    }
    if (err != ERR_OK)
        fail("too long", err_text(err));
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
        fail("cannot be read", path);
    play(story, &expected, &actual);
    (void)fclose(story);
    if (buffer_add_byte(&expected, '\0') != ERR_OK || buffer_add_byte(&actual, '\0') != ERR_OK)
        fail("too long", path);
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
