// Made-up exports: the same seed, version and size give the same bytes for ever.
#ifndef SYNCBUS_ERP_GENERATE_H
#define SYNCBUS_ERP_GENERATE_H

#include "proto/base/buffer.h"

#include <stdint.h>

enum { GENERATED_ENTITIES = 6 };

// The name of entity `i` of GENERATED_ENTITIES; static.
const char *generate_name(uint32_t i);

// Appends version `version` (from 0) of entity `i`: `rows` records with the key `id`. From one version to the
// next about one in fifty changes, one in two hundred leaves and as many come. CSV with a header, or a JSON
// array.
SB_MUST_CHECK
enum err generate_csv(uint32_t i, uint64_t rows, uint64_t seed, uint32_t version, struct buffer *out);
SB_MUST_CHECK
enum err generate_json(uint32_t i, uint64_t rows, uint64_t seed, uint32_t version, struct buffer *out);

#endif
