// The command line: finds the command and hands it its words and flags. Public API of the bus only.
#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    OPTION_FOLLOW = 'f',
};

static const struct command commands[] = {
    {"status", "status [JOB]", "resources, jobs, services", 0, 1, command_status},
    {"watch", "watch [TOPIC…]", "publications as they come, gaps said", 0, 64, command_watch},
    {"runs", "runs [JOB] [--limit N]", "the last runs", 0, 1, command_runs},
    {"ledger", "ledger [JOB] [--limit N]", "the outcome of each tick", 0, 1, command_ledger},
    {"trigger", "trigger JOB [--wait]", "an extra run", 1, 1, command_trigger},
    {"run", "run [--resource R] [--timeout 60s] -- CMD…", "a command under the exclusive lease", 1,
     CLI_WORDS_MAX - 2, command_run},
    {"order",
     "order place FILE|- --key K [--by WHO] [--wait] | show K | list | cancel K | resolve K --placed "
     "ID|--rejected "
     "WHY",
     "orders", 1, 2, command_order},
    {"records", "records ENTITY [KEY… | --index FIELD VALUE]",
     "an entity's records, one with its tracking, or those with a value", 1, 17, command_records},
    {"changes", "changes ENTITY [--after N] [-f]", "an entity's feed", 1, 1, command_changes},
    {"rejects", "rejects ENTITY", "rows of the last run that did not parse", 1, 1, command_rejects},
    {"deletions", "deletions ENTITY [--release --by WHO [--list N]]",
     "records that are missed but kept until they are released", 1, 1, command_deletions},
    {"check", "check", "the configuration, and when its jobs start together", 0, 0, command_check},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

// Reads a number into `ret`; says so when it is none.
static bool read_number(const char *name, const char *text, uint64_t max, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > max) {
        (void)fprintf(stderr, "syncbus: %s: \"%s\" is not a number from 0 to %llu\n", name, text,
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
        (void)fprintf(stderr, "syncbus: more than %d words\n", CLI_WORDS_MAX - 1);
        return false;
    }
    cli->words[cli->word_count++] = word;
    return true;
}

static bool take_by(struct cli *cli, const char *name)
{
    cli->by = name;
    if (name[0] != '\0' && strlen(name) <= WIRE_NAME_MAX)
        return true;
    (void)fprintf(stderr, "syncbus: --by: a name has 1 to %d bytes\n", WIRE_NAME_MAX);
    return false;
}

static bool take(void *arg, int option, const char *value)
{
    struct cli *cli = arg;
    struct fault fault = {0};
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
    case OPTION_TIMEOUT:
        if (duration_parse(value, &cli->timeout_ms, &fault) == ERR_OK && cli->timeout_ms > 0 &&
            cli->timeout_ms <= UINT32_MAX / 2)
            return true;
        (void)fprintf(stderr, "syncbus: --timeout: \"%s\" is not a duration such as 60s%s%s\n", value,
                      fault.text[0] != '\0' ? ": " : "", fault.text);
        return false;
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
        (void)fprintf(stderr, "syncbus: %s%s%s; see syncbus --help\n",
                      cli->word_count > 0 ? "no command is called \"" : "which command?",
                      cli->word_count > 0 ? cli->words[0] : "", cli->word_count > 0 ? "\"" : "");
        return EXIT_CODE_USAGE;
    }
    const size_t words = cli->word_count - 1;
    if (words < command->words_min || words > command->words_max) {
        (void)fprintf(stderr, "usage: syncbus %s\n", command->usage);
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
        {NULL, 0, NULL, 0},
    };
    static char usage[4096];
    write_usage(usage, sizeof usage);
    const struct program program = {
        .name = "syncbus", .usage = usage, .options = options, .needs_config = true};
    struct cli cli = {.timeout_ms = 60000};
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
