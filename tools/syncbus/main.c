// The command line: finds the command and hands it its words and flags. Public API of the bus only.
#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"
#include "proto/base/utf8.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPTION_JSON = 256,
    OPTION_WAIT,
    OPTION_TIMEOUT,
    OPTION_RESOURCE,
    OPTION_KEY,
    OPTION_BY,
    OPTION_PLACED,
    OPTION_REJECTED,
    OPTION_AFTER,
    OPTION_LIMIT,
    OPTION_RELEASE,
    OPTION_LIST,
    OPTION_INDEX,
    OPTION_REASON,
    OPTION_FOR,
    OPTION_ORDERS_TOO,
    OPTION_WEBHOOK,
    OPTION_FOLLOW = 'f',
};

static const struct command commands[] = {
    {"status", "status [JOB]", "resources, jobs, services, what is wrong or on hold; or all of one job", 0, 1,
     command_status},
    {"watch", "watch [TOPIC…]", "publications as they come, gaps said", 0, 64, command_watch},
    {"runs", "runs [JOB] [--limit N]", "the last runs", 0, 1, command_runs},
    {"ledger", "ledger [JOB] [--limit N]", "the outcome of each tick", 0, 1, command_ledger},
    {"pauses", "pauses [RESOURCE] [--limit N]", "how often and how long orders waited, and for whom", 0, 1,
     command_pauses},
    {"alerts", "alerts", "what is wrong now", 0, 0, command_alerts},
    {"trigger", "trigger JOB [--wait] [--webhook]",
     "an extra run; --webhook: as a webhook asks, which waits 2s for more of the same", 1, 1,
     command_trigger},
    {"hold", "hold JOB|--resource R --reason WHY [--for 2h] [--orders-too] [--by WHO]",
     "starts nothing more there until it is taken off or has ended; what runs goes on", 0, 1, command_hold},
    {"holds", "holds", "what is on hold, by whom and why", 0, 0, command_holds},
    {"unhold", "unhold ID", "takes a hold off; others on the same thing stay", 1, 1, command_unhold},
    {"revoke", "revoke TOKEN --reason WHY [--resource R] [--by WHO]",
     "takes a lease from a holder that hangs; the next one gets it when its time is over", 1, 1,
     command_revoke},
    {"run", "run [--resource R] [--timeout 60s] -- CMD…", "a command under the exclusive lease", 1,
     CLI_WORDS_MAX - 2, command_run},
    {"order",
     "order place FILE|- --key K [--by WHO] [--wait] | show K | list | cancel K | resolve K --placed "
     "ID|--rejected "
     "WHY",
     "orders", 1, 2, command_order},
    {"records", "records ENTITY [KEY… | --index FIELD VALUE] [--limit N]",
     "an entity's records, one with its tracking, or those with a value", 1, 17, command_records},
    {"changes", "changes ENTITY [--after N] [--limit N] [-f]", "an entity's feed", 1, 1, command_changes},
    {"rejects", "rejects ENTITY [--limit N]", "rows of the last run that did not parse", 1, 1,
     command_rejects},
    {"deletions", "deletions ENTITY [--limit N | --release [--by WHO] [--list N]]",
     "records that are missed but kept until they are released", 1, 1, command_deletions},
    {"reload", "reload", "lets the broker read its configuration again; a wrong one changes nothing", 0, 0,
     command_reload},
    {"rebind", "rebind NAME --reason WHY [--by WHO]",
     "lets another store answer for an entity, or for \"order\": the next one that asks", 1, 1,
     command_rebind},
    {"check", "check", "the configuration, and when its jobs start together", 0, 0, command_check},
};

static const int64_t FOR_MAX_MS = INT64_C(366) * 24 * 3600 * 1000; // of --for

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

// Reads a number into `ret`; says so when it is none.
static bool read_number(const char *name, const char *text, uint64_t max, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > max) {
        say(stderr, "syncbus: %s: \"%s\" is not a number from 0 to %llu\n", name, text,
            (unsigned long long)max);
        return false;
    }
    *ret = number;
    return true;
}

static bool take_number(struct cli *cli, int option, const char *value)
{
    if (option == OPTION_AFTER)
        return read_number("--after", value, UINT64_MAX, &cli->after);
    if (option == OPTION_LIST)
        return read_number("--list", value, UINT64_MAX, &cli->list);
    uint64_t limit = 0;
    if (!read_number("--limit", value, 100000, &limit))
        return false;
    cli->limit = (uint32_t)limit;
    return true;
}

static bool take_word(struct cli *cli, const char *word)
{
    if (cli->word_count == CLI_WORDS_MAX - 1) {
        say(stderr, "syncbus: more than %d words\n", CLI_WORDS_MAX - 1);
        return false;
    }
    cli->words[cli->word_count++] = word;
    return true;
}

static bool take_by(struct cli *cli, const char *name)
{
    cli->by = name;
    if (name[0] != '\0' && strlen(name) <= WIRE_NAME_MAX && utf8_plain(name, strlen(name)))
        return true;
    say(stderr, "syncbus: --by: a name has 1 to %d bytes and no control characters\n", WIRE_NAME_MAX);
    return false;
}

// Who types: the user behind sudo, if there is one, at this host.
static const char *default_by(char *text, size_t size)
{
    const char *user = getenv("SUDO_USER");
    const struct passwd *entry = user == NULL || user[0] == '\0' ? getpwuid(geteuid()) : NULL;
    char host[HOST_NAME_MAX + 1] = "";
    char number[24];
    if (entry != NULL)
        user = entry->pw_name;
    if (user == NULL || user[0] == '\0') {
        (void)snprintf(number, sizeof number, "uid-%u", (unsigned)geteuid());
        user = number;
    }
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        (void)snprintf(host, sizeof host, "?");
    (void)snprintf(text, size, "%.31s@%.31s", user, host);
    if (!utf8_plain(text, strlen(text))) // a name that was cut, or of another encoding
        (void)snprintf(text, size, "uid-%u", (unsigned)geteuid());
    return text;
}

static bool take_duration(const char *name, const char *value, int64_t max_ms, int64_t *ret_ms)
{
    struct fault fault = {0};
    if (duration_parse(value, ret_ms, &fault) == ERR_OK && *ret_ms > 0 && *ret_ms <= max_ms)
        return true;
    say(stderr, "syncbus: %s: \"%s\" is not a duration such as 60s%s%s\n", name, value,
        fault.text[0] != '\0' ? ": " : "", fault.text);
    return false;
}

static bool take(void *arg, int option, const char *value)
{
    struct cli *cli = arg;
    switch (option) {
    case 0: return take_word(cli, value);
    case OPTION_JSON: cli->json = true; return true;
    case OPTION_WAIT: cli->wait = true; return true;
    case OPTION_FOLLOW: cli->follow = true; return true;
    case OPTION_RELEASE: cli->release = true; return true;
    case OPTION_INDEX: cli->index = value; return true;
    case OPTION_RESOURCE: cli->resource = value; return true;
    case OPTION_KEY: cli->key = value; return true;
    case OPTION_BY: return take_by(cli, value);
    case OPTION_PLACED: cli->placed = value; return true;
    case OPTION_REJECTED: cli->rejected = value; return true;
    case OPTION_REASON: cli->reason = value; return true;
    case OPTION_ORDERS_TOO: cli->orders_too = true; return true;
    case OPTION_WEBHOOK: cli->webhook = true; return true;
    case OPTION_FOR: return take_duration("--for", value, FOR_MAX_MS, &cli->for_ms);
    case OPTION_TIMEOUT: return take_duration("--timeout", value, UINT32_MAX / 2, &cli->timeout_ms);
    default: return take_number(cli, option, value);
    }
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int run_command(struct cli *cli)
{
    const struct command *command = cli->word_count > 0 ? find_command(cli->words[0]) : NULL;
    if (command == NULL) {
        say(stderr, "syncbus: %s%s%s; see syncbus --help\n",
            cli->word_count > 0 ? "no command is called \"" : "which command?",
            cli->word_count > 0 ? cli->words[0] : "", cli->word_count > 0 ? "\"" : "");
        return EXIT_CODE_USAGE;
    }
    const size_t words = cli->word_count - 1;
    if (words < command->words_min || words > command->words_max) {
        say(stderr, "usage: syncbus %s\n", command->usage);
        return EXIT_CODE_USAGE;
    }
    return command->run(cli);
}

// The text of --help: one line a command.
static void write_usage(char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "usage: syncbus COMMAND [flags]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "  %s\n        %s\n", commands[i].usage,
                                 commands[i].help);
    if (used < size)
        (void)snprintf(
            text + used, size - used,
            "\n  --json           for programs: one object a line\n"
            "  --wait           wait for the end; --timeout 60s is its limit\n"
            "  --by WHO         who does this; the user's name and host unless given\n"
            "\nExit codes: 0 ok, 1 definitely failed, 2 usage or config, 3 refused, 4 timed out,\n"
            "5 broker not reachable, 6 outcome not known. Of run: the command's own, or 124 not granted\n"
            "in time, 125 syncbus failed or the lease was lost, 126 and 127 as shells have it,\n"
            "128+n by signal n.\n");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "run-guard") == 0)
        return run_guard(argc - 2, argv + 2);
    static const struct option options[] = {
        {"json", no_argument, NULL, OPTION_JSON},
        {"wait", no_argument, NULL, OPTION_WAIT},
        {"follow", no_argument, NULL, OPTION_FOLLOW},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {"resource", required_argument, NULL, OPTION_RESOURCE},
        {"key", required_argument, NULL, OPTION_KEY},
        {"by", required_argument, NULL, OPTION_BY},
        {"placed", required_argument, NULL, OPTION_PLACED},
        {"rejected", required_argument, NULL, OPTION_REJECTED},
        {"after", required_argument, NULL, OPTION_AFTER},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {"release", no_argument, NULL, OPTION_RELEASE},
        {"list", required_argument, NULL, OPTION_LIST},
        {"index", required_argument, NULL, OPTION_INDEX},
        {"reason", required_argument, NULL, OPTION_REASON},
        {"for", required_argument, NULL, OPTION_FOR},
        {"orders-too", no_argument, NULL, OPTION_ORDERS_TOO},
        {"webhook", no_argument, NULL, OPTION_WEBHOOK},
        {NULL, 0, NULL, 0},
    };
    static char usage[8192];
    write_usage(usage, sizeof usage);
    const struct program program = {
        .name = "syncbus", .usage = usage, .options = options, .needs_config = true};
    char by[WIRE_NAME_MAX + 1];
    struct cli cli = {.timeout_ms = 60000, .by = default_by(by, sizeof by)};
    struct config *config = NULL;
    int code = program_start(&program, argc, argv, take, &cli, &config);
    if (code < 0) {
        cli.config = config;
        code = run_command(&cli);
        syncbus_destroy(&cli.client);
    }
    config_destroy(&config);
    if (fflush(stdout) != 0 && code == EXIT_CODE_OK)
        code = EXIT_CODE_FAILED;
    return code;
}
