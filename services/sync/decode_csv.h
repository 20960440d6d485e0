// Lines of delimited text into rows: any delimiter, quotes or none, a header or given columns; lines end with
// LF, CRLF, or CR alone.
//
// A row that is not one (too few or too many fields, bad UTF-8, a quote that does not end) is given as bad,
// with the key fields that can be read of it. A quote that does not end costs no more than its first line.
// Columns without a name are left out. Bytes are UTF-8 when they come here.
#ifndef SYNCBUS_SERVICES_SYNC_DECODE_CSV_H
#define SYNCBUS_SERVICES_SYNC_DECODE_CSV_H

#include "services/sync/decode.h"

struct decode_csv;

// As decode_new and its companions.
SB_MUST_CHECK
enum err decode_csv_new(const struct config_job *job, const struct decode_sink *sink, struct decode_csv **ret,
                        struct fault *fault);
void decode_csv_destroy(struct decode_csv **self_p);
SB_MUST_CHECK
enum err decode_csv_feed(struct decode_csv *self, const char *data, size_t size, struct fault *fault);
SB_MUST_CHECK
enum err decode_csv_end(struct decode_csv *self, struct fault *fault);

#endif
