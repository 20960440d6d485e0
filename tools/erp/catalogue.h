// What the ERP exports: for each entity its versions, from a directory or made up, and the one that is
// current. Any thread, once opened.
#ifndef SYNCBUS_ERP_CATALOGUE_H
#define SYNCBUS_ERP_CATALOGUE_H

#include "tools/erp/content.h"

#include <json-c/json.h>
#include <pthread.h>
#include <stdbool.h>

enum { FORMATS = 2 };
enum format { CSV, JSON };

// One entity and its versions.
struct entity {
    char *name;
    char **files;                     // one a version, in order; NULL when generated
    uint32_t file_count;              // versions; 0 when generated: without end
    uint32_t version;                 // the current one, from 0
    time_t since;                     // when it became current
    struct content *current[FORMATS]; // its bytes, once asked for
};

struct catalogue {
    pthread_mutex_t lock;
    struct entity *entities;
    uint32_t count;
    uint64_t rows; // of each generated entity
    uint64_t seed; // of generated ones
};

// Finds DIR/ENTITY/*: versions in the order of their names. ERR_IO, or ERR_NOT_FOUND if there is none.
SB_MUST_CHECK
enum err catalogue_open(struct catalogue *self, const char *folder, struct fault *fault);

// Makes exports up.
void catalogue_generate(struct catalogue *self, uint64_t rows, uint64_t seed);

void catalogue_free(struct catalogue *self);

// The current version of an entity; the caller drops it. ERR_NOT_FOUND with the reason: no such entity, or
// its version has the other format. ERR_IO, ERR_CORRUPT.
SB_MUST_CHECK
enum err catalogue_get(struct catalogue *self, const char *name, enum format format, struct content **ret,
                       struct fault *fault);

// Makes the next version of an entity, or of all (NULL), the current one; the last stays. Gives name →
// version as an object that the caller owns, or NULL if there is no such entity.
json_object *catalogue_next(struct catalogue *self, const char *name);

#endif
