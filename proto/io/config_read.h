// From a YAML document to the config, option by option as the table says. Private to proto/io/config*.c.
#ifndef SYNCBUS_IO_CONFIG_READ_H
#define SYNCBUS_IO_CONFIG_READ_H

#include "proto/base/names.h"
#include "proto/io/config.h"
#include "proto/io/document.h"

enum {
    CONFIG_ERRORS_MAX = 20,              // more are not told
    CONFIG_BYTES_MAX = 64 * 1024 * 1024, // of a file
    CONFIG_NODES_MAX = 10000000,         // visited: aliases can make a small file a large one
    CONFIG_JOBS_MAX = 100000,
    CONFIG_RESOURCES_MAX = 256,
    CONFIG_LIST_MAX = 256, // words, headers, profiles
};

// What a reading knows and has found.
struct config_reader {
    const char *path;                     // for messages
    const struct document *document;      // being read
    struct config *config;                // being filled
    config_warn *warn;                    // hears of errors; may be NULL
    void *warn_arg;                       // the caller's
    struct fault *fault;                  // takes the first error; may be NULL
    size_t errors;                        // found so far
    size_t nodes;                         // visited so far
    const struct document_node **jobs;    // where each job is named
    struct names names;                   // of the jobs, by their places
    void *names_memory;                   // of it, owned
    const struct document_node *endpoint; // the broker's that was read last, or NULL
    const struct document_node *orders;   // where orders begin, or NULL
    const struct document_node *profile;  // where the profile is chosen, or NULL
    const struct document_node *profiles; // the offsets, or NULL
};

// Tells of an error at a node (NULL: of the whole file).
void config_error(struct config_reader *self, const struct document_node *node, const char *format, ...)
    SB_PRINTF(3, 4);

// Reads the whole document into self->config; what is wrong is counted in self->errors.
void config_read(struct config_reader *self);

// What no single option can know: names that refer to others, directories used twice, offsets of the profile.
void config_check(struct config_reader *self);

// The text of a scalar node, or NULL (told as an error) if it is none or holds a NUL.
const char *config_scalar(struct config_reader *self, const struct document_node *node, const char *what);

// Whether it is a name of 1 to 64 letters, digits, - and _: it ends up in topics, on command lines and in
// file names.
bool config_is_name(const char *text);

// The node at `*at`, or what it stands for, counted; `*at` goes on to its neighbour.
const struct document_node *config_take(struct config_reader *self, const struct document_node **at);

#endif
