// `syncbus hold`, `holds` and `unhold`: maintenance stops of a job or a resource.
#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"
#include "proto/io/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *subject_of(const Sb__Hold *hold)
{
    return hold->job[0] != '\0' ? hold->job : hold->resource;
}

// Whether the words and flags name one thing to hold; says so when not.
static bool is_whole(const struct cli *cli)
{
    if ((cli->word_count > 1) == (cli->resource != NULL)) {
        say(stderr, "usage: syncbus hold JOB|--resource R --reason WHY [--for 2h] [--orders-too]\n");
        return false;
    }
    if (cli->word_count > 1 && cli->orders_too) {
        say(stderr, "syncbus: --orders-too goes with --resource: orders do not wait for a job\n");
        return false;
    }
    return cli_has_reason(cli) &&
           (cli->word_count > 1 ? cli_knows_job(cli, cli->words[1]) : cli_knows_resource(cli, cli->resource));
}

static void tell_held(const Sb__Hold *hold)
{
    char until[32];
    say(stdout, "%s is on hold%s until %s; what runs goes on to its end, %s\n", subject_of(hold),
        hold->until_ms != 0 ? "" : ",",
        hold->until_ms != 0 ? cli_time(hold->until_ms, until, sizeof until) : "it is taken off",
        hold->orders_too ? "orders wait too" : "orders go on");
    say(stdout, "take it off with: syncbus unhold %016" PRIx64 "\n", hold->hold);
}

int command_hold(struct cli *cli)
{
    if (!is_whole(cli))
        return EXIT_CODE_USAGE;
    Sb__Hold hold = SB__HOLD__INIT;
    if (cli->word_count > 1)
        hold.job = (char *)cli->words[1];
    else
        hold.resource = (char *)cli->resource;
    hold.by = (char *)cli->by;
    hold.reason = (char *)cli->reason;
    hold.since_ms = clock_wall_ms();
    hold.until_ms = cli->for_ms != 0 ? hold.since_ms + cli->for_ms : 0;
    hold.orders_too = cli->orders_too;
    hold.hold = clock_entropy(); // our own number: however often this is asked, there is one hold
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_HOLD;
    request.hold = &hold;
    const int code = cli_do(cli, &request);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli->json)
        return cli_print_json(&hold);
    tell_held(&hold);
    return EXIT_CODE_OK;
}

int command_unhold(struct cli *cli)
{
    const char *word = cli->words[1];
    char *end = NULL;
    errno = 0;
    const uint64_t number = strtoull(word, &end, 16);
    if (errno != 0 || *end != '\0' || strspn(word, "0123456789abcdefABCDEF") != 16) {
        say(stderr, "syncbus: \"%s\" is not the number of a hold: 16 digits, as syncbus holds shows\n", word);
        return EXIT_CODE_USAGE;
    }
    Sb__Unhold unhold = SB__UNHOLD__INIT;
    unhold.hold = number;
    unhold.by = (char *)cli->by;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_UNHOLD;
    request.unhold = &unhold;
    const int code = cli_do(cli, &request);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli->json)
        return cli_print_json(&unhold);
    say(stdout, "hold %016" PRIx64 " is taken off; others on the same thing stay\n", number);
    return EXIT_CODE_OK;
}

// ---------------------------------------------------------------- what lies

// Whether the hold stops something of this resource; of any, for NULL.
static bool concerns(const Sb__State *state, const Sb__Hold *hold, const char *resource)
{
    if (resource == NULL || strcmp(hold->resource, resource) == 0)
        return true;
    for (size_t i = 0; i < state->n_jobs; i++) {
        if (strcmp(state->jobs[i]->job, hold->job) == 0)
            return true;
    }
    return false;
}

static struct table *new_table(void)
{
    static const char *const columns[] = {"HOLD", "ON", "STOPS", "BY", "SINCE", "UNTIL", "REASON"};
    return table_new(columns, 7);
}

static void add_hold(struct table *table, const Sb__Hold *hold)
{
    char number[24], since[32], until[32];
    (void)snprintf(number, sizeof number, "%016" PRIx64, hold->hold);
    table_row(table, (const char *const[]){number, subject_of(hold),
                                           hold->job[0] != '\0' ? "the job"
                                           : hold->orders_too   ? "syncs, orders"
                                                                : "syncs",
                                           hold->by, cli_time(hold->since_ms, since, sizeof since),
                                           hold->until_ms != 0 ? cli_time(hold->until_ms, until, sizeof until)
                                                               : "taken off",
                                           hold->reason});
}

void holds_print(const Sb__State *state, const char *resource)
{
    struct table *table = NULL;
    for (size_t i = 0; i < state->n_holds; i++) {
        if (!concerns(state, state->holds[i], resource))
            continue;
        table = table != NULL ? table : new_table();
        add_hold(table, state->holds[i]);
    }
    if (table == NULL)
        return;
    say(stdout, "\n");
    table_print(&table);
}

int command_holds(struct cli *cli)
{
    Sb__Reply *reply = NULL;
    int code = cli_state(cli, "", "", 1, &reply);
    if (code != EXIT_CODE_OK)
        return code;
    struct table *table = cli->json ? NULL : new_table();
    for (size_t i = 0; i < reply->state->n_holds && code == EXIT_CODE_OK; i++) {
        if (table != NULL)
            add_hold(table, reply->state->holds[i]);
        else
            code = cli_print_json(reply->state->holds[i]);
    }
    if (table != NULL)
        table_print(&table);
    sb__reply__free_unpacked(reply, NULL);
    return code;
}
