// What every program's main shares: the common flags, the search for the config, exit codes.
#ifndef SYNCBUS_IO_PROGRAM_H
#define SYNCBUS_IO_PROGRAM_H

#include "proto/io/config.h"

#include <getopt.h>

// Exit codes: a promise to scripts.
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILED = 1,  // definitely failed
    EXIT_CODE_USAGE = 2,   // usage or config
    EXIT_CODE_REFUSED = 3, // hold, pause timeout, conflict, busy
    EXIT_CODE_TIMED_OUT = 4,
    EXIT_CODE_UNREACHABLE = 5, // the broker
    EXIT_CODE_UNKNOWN = 6,     // the outcome is not known
};

// What a program says of itself.
struct program {
    const char *name;             // "syncbus-broker"
    const char *usage;            // the text of --help without the common flags
    const struct option *options; // its own long options, ended by zeros; values from 256 up, or the letter
                                  // that is its short name
    bool needs_config;            // false: no config is looked for unless --config was given
};

// One option or word of the program's own, as it comes: value from `options` with its argument, or 0 for a
// word. Returns false after it printed what is wrong.
typedef bool program_option(void *arg, int option, const char *value);

// Handles --help, --version, --check-config, --config FILE, --demo-speed N and the program's own flags; loads
// the config. Returns -1 to go on (the caller destroys *ret_config) or an exit code to end with.
int program_start(const struct program *self, int argc, char **argv, program_option *option, void *arg,
                  struct config **ret_config);

#endif
