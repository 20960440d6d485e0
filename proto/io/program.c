#include "proto/io/program.h"

#include "proto/io/say.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 64, SPEED_MAX = 100000 };
enum { FLAG_HELP = 1000, FLAG_HELP_CONFIG, FLAG_VERSION, FLAG_CHECK, FLAG_CONFIG, FLAG_SPEED };

static const struct option common[] = {
    {"help", no_argument, NULL, FLAG_HELP},           {"help-config", no_argument, NULL, FLAG_HELP_CONFIG},
    {"version", no_argument, NULL, FLAG_VERSION},     {"check-config", no_argument, NULL, FLAG_CHECK},
    {"config", required_argument, NULL, FLAG_CONFIG}, {"demo-speed", required_argument, NULL, FLAG_SPEED},
};

// What the common flags asked for.
struct flags {
    const char *config; // --config, or NULL
    uint32_t speed;     // --demo-speed, or 1
    bool check;         // --check-config
};

static void print_usage(const struct program *self)
{
    for (const char *line = self->usage; *line != '\0';) {
        const size_t size = strcspn(line, "\n");
        say(stdout, "%.*s\n", (int)size, line);
        line += size + (line[size] == '\n');
    }
    say(stdout, "\n"
                "  --config FILE     the configuration; else $SYNCBUS_CONFIG, ./syncbus.yaml, "
                "/etc/syncbus/syncbus.yaml\n"
                "  --check-config    only check the configuration\n"
                "  --demo-speed N    divide every, offset and fresh_within by N\n"
                "  --help            show this\n"
                "  --help-config     show every option of the configuration\n"
                "  --version         show the version\n");
}

// The program's own options behind the common ones; `shorts` gets those that are a letter too, behind the "-"
// that keeps words and options in the order in which they were written.
static void join_options(const struct program *self, struct option all[OPTIONS_MAX],
                         char shorts[2 * OPTIONS_MAX])
{
    size_t count = sizeof common / sizeof *common;
    size_t letters = 0;
    shorts[letters++] = '-';
    memcpy(all, common, sizeof common);
    for (const struct option *own = self->options; own != NULL && own->name != NULL; own++) {
        assert(count < OPTIONS_MAX - 1);
        assert(own->val >= 256 || isalpha(own->val));
        assert(own->val < FLAG_HELP);
        if (own->val < 256)
            shorts[letters++] = (char)own->val;
        if (own->val < 256 && own->has_arg == required_argument)
            shorts[letters++] = ':';
        all[count++] = *own;
    }
    all[count] = (struct option){0};
    shorts[letters] = '\0';
}

static bool read_speed(const struct program *self, const char *text, uint32_t *ret)
{
    char *end;
    long speed = strtol(text, &end, 10);
    if (end == text || *end != '\0' || speed < 1 || speed > SPEED_MAX) {
        say(stderr, "%s: --demo-speed: a number from 1 to %d is expected, not \"%s\"\n", self->name,
            SPEED_MAX, text);
        return false;
    }
    *ret = (uint32_t)speed;
    return true;
}

// One option; -1 to go on, or the exit code to end with.
static int take_option(const struct program *self, int value, program_option *option, void *arg,
                       struct flags *flags)
{
    switch (value) {
    case FLAG_HELP: print_usage(self); return EXIT_CODE_OK;
    case FLAG_HELP_CONFIG: config_print_help(stdout); return EXIT_CODE_OK;
    case FLAG_VERSION: say(stdout, "%s %s\n", self->name, SYNCBUS_VERSION); return EXIT_CODE_OK;
    case FLAG_CHECK: flags->check = true; return -1;
    case FLAG_CONFIG: flags->config = optarg; return -1;
    case FLAG_SPEED: return read_speed(self, optarg, &flags->speed) ? -1 : EXIT_CODE_USAGE;
    case 1: value = 0; break; // a word
    case '?': say(stderr, "%s --help shows what is possible\n", self->name); return EXIT_CODE_USAGE;
    default: break;
    }
    if (option == NULL) {
        say(stderr, "%s: \"%s\" is not expected; --help shows what is possible\n", self->name, optarg);
        return EXIT_CODE_USAGE;
    }
    return option(arg, value, optarg) ? -1 : EXIT_CODE_USAGE;
}

static void print_line(void *arg, const char *line)
{
    (void)arg;
    say(stderr, "%s\n", line);
}

static int load(const struct program *self, const struct flags *flags, struct config **ret_config)
{
    struct fault fault = {0};
    struct config *config = NULL;
    const char *path = config_find(flags->config, &fault);
    if (path == NULL) {
        say(stderr, "%s: %s\n", self->name, fault.text);
        return EXIT_CODE_USAGE;
    }
    enum err err = config_load(path, flags->speed, print_line, NULL, &config, &fault);
    if (err != ERR_OK) {
        if (err != ERR_INVALID) // else each error was printed as it was found
            say(stderr, "%s: %s\n", self->name, fault.text);
        return EXIT_CODE_USAGE;
    }
    if (flags->check) {
        say(stdout, "%s: ok (%zu job%s, %zu resource%s)\n", path, config->job_count,
            config->job_count == 1 ? "" : "s", config->resource_count,
            config->resource_count == 1 ? "" : "s");
        config_destroy(&config);
        return EXIT_CODE_OK;
    }
    *ret_config = config;
    return -1;
}

int program_start(const struct program *self, int argc, char **argv, program_option *option, void *arg,
                  struct config **ret_config)
{
    struct option all[OPTIONS_MAX];
    char shorts[2 * OPTIONS_MAX];
    struct flags flags = {.speed = 1};
    int value, code = -1;
    *ret_config = NULL;
    join_options(self, all, shorts);
    while (code == -1 && (value = getopt_long(argc, argv, shorts, all, NULL)) != -1)
        code = take_option(self, value, option, arg, &flags);
    for (; code == -1 && optind < argc; optind++) { // what follows "--"
        optarg = argv[optind];
        code = take_option(self, 1, option, arg, &flags);
    }
    if (code != -1)
        return code;
    if (!self->needs_config && flags.config == NULL && !flags.check)
        return -1;
    return load(self, &flags, ret_config);
}
