// What is found by a text, at once however much there is.
#ifndef SYNCBUS_TESTS_SIM_KEYS_H
#define SYNCBUS_TESTS_SIM_KEYS_H

#include <stddef.h>

// One place of the table.
struct key_slot {
    const char *key; // of the value; NULL: the place is free
    void *value;     // the caller's
};

struct keys {
    struct key_slot *slots; // owned
    size_t capacity;        // of them, a power of two; 0: none yet
    size_t count;           // that are taken
};

// Forgets all; values and keys are the caller's.
void keys_free(struct keys *self);

// The value of a key, or NULL.
void *keys_get(const struct keys *self, const char *key);

// Adds one; the key is not there yet, and stays where it is for as long as the table lasts.
void keys_add(struct keys *self, const char *key, void *value);

#endif
