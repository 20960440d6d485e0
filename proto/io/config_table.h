// The table of options: each with its type, range, default and help. Private to proto/io/config*.c.
#ifndef SYNCBUS_IO_CONFIG_TABLE_H
#define SYNCBUS_IO_CONFIG_TABLE_H

#include "proto/io/config.h"

// How an option is written, and what its place in the structs holds.
enum option_type {
    OPTION_TEXT,      // any text → char *
    OPTION_PATH,      // a file system path → char *
    OPTION_ENDPOINT,  // ipc:// or tcp:// on loopback → char *
    OPTION_EXPORT,    // http, https or file URL → char *
    OPTION_HEADER,    // name of an HTTP header → char *
    OPTION_PARAMETER, // name of a URL's parameter → char *
    OPTION_URL,       // http or https URL → char *
    OPTION_DURATION,  // "90s" → int64_t, ms
    OPTION_COUNT,     // whole number → uint32_t
    OPTION_SIZE,      // "64MiB" → uint64_t, bytes
    OPTION_SHARE,     // "1%" → uint32_t, parts in a million
    OPTION_FLAG,      // true or false → bool
    OPTION_CHOICE,    // one of some words → an enum
    OPTION_WORDS,     // a list of words → struct words
    OPTION_HEADERS,   // name: value or name: { env: VARIABLE } → struct config_headers
    OPTION_SECTION,   // options of its own, at the same struct
    OPTION_RESOURCES, // name: options → config.resources
    OPTION_JOBS,      // name: options → config.jobs
    OPTION_ORDERS,    // options → config.orders, present
    OPTION_PROFILES,  // name: { job: offset } → offsets of jobs
};

// What is said when a word of a choice is taken.
enum choice_verdict { CHOICE_OK, CHOICE_REFUSED };

// One word of an OPTION_CHOICE; a list ends with a NULL name.
struct option_choice {
    const char *name;            // as written
    int value;                   // of the enum
    enum choice_verdict verdict; // whether this version can do it
    const char *why;             // what is said if it is not CHOICE_OK
};

struct section;

// One option.
struct option_spec {
    const char *name;                    // its key in the file
    enum option_type type;               // how it is written
    size_t place;                        // offset in the section's struct
    const char *fallback;                // default, as written in a file; NULL: none
    bool required;                       // an error when it is left out
    bool raw;                            // a text that may hold control characters
    int64_t min;                         // smallest value of a number or duration
    int64_t max;                         // greatest value; 0: no limit
    const struct option_choice *choices; // words of a choice
    const struct section *section;       // options of a section
    const char *help;                    // one line for people
};

enum { SECTION_OPTIONS_MAX = 64 };

// The options that one mapping of the file may hold.
struct section {
    const struct option_spec *options;
    size_t count; // at most SECTION_OPTIONS_MAX
};

// The whole file, into struct config.
extern const struct section config_section_file;

// Frees what the options of a section hold in `target`.
void config_section_free(const struct section *section, void *target);

// Of `count` names the one that is nearest to `word` and near enough to be meant, or NULL.
const char *config_nearest(const char *word, const char *const *names, size_t count);

// Whether a text can be the name of a header: a token of RFC 9110.
bool config_is_token(const char *text);

// ERR_INVALID where a text, or a word of a list, steers what shows it and the option does not say that it
// may.
SB_MUST_CHECK
enum err config_check_plain(const struct option_spec *option, const char *text, struct fault *fault);

// Fills in an option from its default, if it has one; ERR_NO_MEMORY, as the table's own texts always fit.
SB_MUST_CHECK
enum err config_set_default(const struct option_spec *option, void *target);

// Reads a scalar into an option's place; ERR_INVALID with the reason (without the option's name) in `fault`.
// A place that held a text before is not freed.
SB_MUST_CHECK
enum err config_set(const struct option_spec *option, void *target, const char *text, struct fault *fault);

#endif
