// `syncbus trigger`: an extra run of a job, and with --wait its end.
#include "tools/syncbus/cli.h"

#include "proto/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Prints how a run ended; the exit code.
static int print_end(const struct cli *cli, const Sb__RunState *run)
{
    if (cli->json) {
        int code = cli_print_json(run);
        if (code != EXIT_CODE_OK)
            return code;
    } else if (run->result != NULL) {
        const Sb__Result *result = run->result;
        char note[512];
        (void)cli_note(result, note, sizeof note);
        say(stdout,
            "run %" PRIu64 " of %s %s: %" PRIu64 " created, %" PRIu64 " changed, %" PRIu64
            " unchanged, %" PRIu64 " deleted, %" PRIu64 " rejected%s%s\n",
            run->run, run->job, json_enum(&sb__stage__descriptor, (int)run->stage), result->created,
            result->changed, result->unchanged, result->deleted, result->rejected,
            note[0] != '\0' ? "; " : "", note);
    } else {
        say(stdout, "run %" PRIu64 " of %s %s\n", run->run, run->job,
            json_enum(&sb__stage__descriptor, (int)run->stage));
    }
    return run->stage == SB__STAGE__STAGE_SUCCEEDED ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

// Asks for the job until its last run is `run` (or a later one), or until the time is over.
static int await_end(struct cli *cli, const char *job, uint64_t run)
{
    const int64_t until = cli_until(cli->timeout_ms);
    while (clock_boot_ms() < until) {
        Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
        snapshot.job = (char *)job;
        Sb__Request request = SB__REQUEST__INIT;
        request.body_case = SB__REQUEST__BODY_SNAPSHOT;
        request.snapshot = &snapshot;
        Sb__Reply *reply = NULL;
        int code = cli_ask(cli, &request, 0, &reply);
        if (code != EXIT_CODE_OK)
            return code;
        const Sb__JobState *state = reply->body_case == SB__REPLY__BODY_STATE && reply->state->n_jobs > 0
                                        ? reply->state->jobs[0]
                                        : NULL;
        const bool open = state != NULL && state->current != NULL && state->current->run <= run;
        const bool ended = !open && state != NULL && state->last != NULL && state->last->run >= run;
        if (ended)
            code = print_end(cli, state->last);
        sb__reply__free_unpacked(reply, NULL);
        if (ended)
            return code;
        struct syncbus_notice
            notice; // a publication of the run wakes this up; without one it looks each second
        (void)syncbus_wait(cli->client, 1000, &notice);
    }
    say(stderr, "syncbus: run %" PRIu64 " of %s has not ended in time; it goes on\n", run, job);
    return EXIT_CODE_TIMED_OUT;
}

int command_trigger(struct cli *cli)
{
    const char *job = cli->words[1];
    if (!cli_knows_job(cli, job))
        return EXIT_CODE_USAGE;
    char topic[WIRE_NAME_MAX + 8];
    (void)snprintf(topic, sizeof topic, "run.%s", job);
    const char *const topics[] = {topic, NULL};
    if (!cli_connect(cli, cli->wait ? topics : NULL, false))
        return EXIT_CODE_FAILED;
    Sb__Trigger trigger = SB__TRIGGER__INIT;
    trigger.job = (char *)job;
    trigger.cause = cli->webhook ? SB__CAUSE__CAUSE_WEBHOOK : SB__CAUSE__CAUSE_MANUAL;
    trigger.detail = (char *)cli->by;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_TRIGGER;
    request.trigger = &trigger;
    Sb__Reply *reply = NULL;
    int code = cli_ask(cli, &request, 0, &reply);
    if (code != EXIT_CODE_OK)
        return code;
    const Sb__Triggered none = SB__TRIGGERED__INIT;
    const Sb__Triggered *triggered = reply->body_case == SB__REPLY__BODY_TRIGGERED ? reply->triggered : &none;
    const uint64_t run = triggered->run;
    if (cli->wait)
        code = await_end(cli, job, run);
    else if (cli->json)
        code = cli_print_json(triggered);
    else
        say(stdout, "%s: run %" PRIu64 "%s\n", job, run,
            triggered->merged ? ", merged with one that had not begun" : "");
    sb__reply__free_unpacked(reply, NULL);
    return code;
}
