// `syncbus alerts`: what is wrong now.
#include "tools/syncbus/cli.h"

#include <inttypes.h>
#include <stdio.h>

static struct table *new_table(void)
{
    static const char *const columns[] = {"ALERT", "OF", "SEVERITY", "SINCE", ">TIMES", "WHAT"};
    return table_new(columns, 6);
}

static void add_alert(struct table *table, const Sb__Alert *alert)
{
    char since[32], times[16];
    (void)snprintf(times, sizeof times, "%" PRIu32, alert->count);
    table_row(table,
              (const char *const[]){alert->kind, alert->subject,
                                    json_enum(&sb__severity__descriptor, (int)alert->severity),
                                    cli_time(alert->since_ms, since, sizeof since), times, alert->text});
}

// Says that not all were told.
static void print_rest(FILE *file, const Sb__State *state)
{
    if (state->more_alerts > 0)
        say(file, "and %" PRIu64 " more that were raised after these\n", state->more_alerts);
}

void alerts_print(const Sb__State *state)
{
    if (state->n_alerts == 0)
        return;
    struct table *table = new_table();
    for (size_t i = 0; i < state->n_alerts; i++)
        add_alert(table, state->alerts[i]);
    say(stdout, "\n");
    table_print(&table);
    print_rest(stdout, state);
}

int command_alerts(struct cli *cli)
{
    Sb__Reply *reply = NULL;
    int code = cli_state(cli, "", "", 1, &reply);
    if (code != EXIT_CODE_OK)
        return code;
    struct table *table = cli->json ? NULL : new_table();
    for (size_t i = 0; i < reply->state->n_alerts && code == EXIT_CODE_OK; i++) {
        if (table != NULL)
            add_alert(table, reply->state->alerts[i]);
        else
            code = cli_print_json(reply->state->alerts[i]);
    }
    if (table != NULL)
        table_print(&table);
    print_rest(cli->json ? stderr : stdout, reply->state);
    sb__reply__free_unpacked(reply, NULL);
    return code;
}
