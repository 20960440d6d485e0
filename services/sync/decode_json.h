// A JSON document into rows: the arrays, or the objects keyed by name, at a path (proto/base/json_path.h).
// Nested values are flattened with dots (`address.city`, `details.0.price`), numbers keep their text, nulls
// are left out. Wanted fields of the elements around a record join it as `parent.NAME`.
//
// What is not JSON fails as a whole; a record that is no object, too large or says two things of one field is
// given as a bad row.
#ifndef SYNCBUS_SERVICES_SYNC_DECODE_JSON_H
#define SYNCBUS_SERVICES_SYNC_DECODE_JSON_H

#include "services/sync/decode.h"

struct decode_json;

// As decode_new and its companions. decode_json_new: ERR_INVALID also for a path that is none.
SB_MUST_CHECK
enum err decode_json_new(const struct config_job *job, const struct decode_sink *sink,
                         struct decode_json **ret, struct fault *fault);
void decode_json_destroy(struct decode_json **self_p);
SB_MUST_CHECK
enum err decode_json_feed(struct decode_json *self, const char *data, size_t size, struct fault *fault);
SB_MUST_CHECK
enum err decode_json_end(struct decode_json *self, struct fault *fault);

#endif
