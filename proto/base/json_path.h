// Where the records of a JSON document lie: "$" is the document, ".name" a member of an object (['name'] if
// the name holds a dot or bracket), "[*]" each element of an array. "$.orders[*].lines" are the arrays of all
// orders.
//
// The element that "[*]" stands for is a parent of the records if a member of it follows: its fields can join
// each of them. Pure; any bytes are a path or an error that says at which character.
#ifndef SYNCBUS_BASE_JSON_PATH_H
#define SYNCBUS_BASE_JSON_PATH_H

#include "proto/base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { JSON_PATH_STEPS_MAX = 32, JSON_PATH_SIZE_MAX = 256 };

struct json_path {
    char names[JSON_PATH_SIZE_MAX + 1];  // of the steps, each with its NUL
    uint16_t steps[JSON_PATH_STEPS_MAX]; // where each one's name begins; JSON_PATH_EACH: "[*]"
    size_t count;                        // of steps
    size_t depths[JSON_PATH_STEPS_MAX];  // of each parent, outermost first: containers open once its own is
    size_t parents;                      // of them
};

#define JSON_PATH_EACH UINT16_MAX

// Reads a path. ERR_INVALID: with the character and what is wrong there.
SB_MUST_CHECK
enum err json_path_parse(const char *text, struct json_path *ret, struct fault *fault);

// The name of a step, or NULL for "[*]". It belongs to the path.
const char *json_path_name(const struct json_path *self, size_t step);

// A field of a parent, as a person writes it: "id" is of the nearest one, "parent.id" of the one above it.
struct json_parent {
    size_t parent;    // whose: number in json_path.depths
    const char *name; // of the field there, flattened with dots; points into the word
};

// Reads one. ERR_INVALID: the path has no such parent, or no name is left.
SB_MUST_CHECK
enum err json_parent_parse(const struct json_path *path, const char *word, struct json_parent *ret,
                           struct fault *fault);

#endif
