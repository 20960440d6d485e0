// Durations, sizes and shares as people write them ("90s", "250ms", "4MiB", "1%"), with their units always
// said.
#ifndef SYNCBUS_BASE_DURATION_H
#define SYNCBUS_BASE_DURATION_H

#include "proto/base/err.h"

#include <stddef.h>
#include <stdint.h>

// Reads a whole duration: a number and one of ms, s, m, h, d ("1h30m" is two parts; "0" needs no unit; "1.5s"
// is fine). ERR_INVALID with the reason in `fault` for anything else, negative or past 100 years.
SB_MUST_CHECK
enum err duration_parse(const char *text, int64_t *ret_ms, struct fault *fault);

// Reads a size: a number and one of B, KiB, MiB, GiB, KB, MB, GB. Errors as duration_parse.
SB_MUST_CHECK
enum err size_parse(const char *text, uint64_t *ret_bytes, struct fault *fault);

// Reads a share, "1%" or "0.5%", as parts in a million (1% is 10000). ERR_INVALID outside 0%..100%.
SB_MUST_CHECK
enum err share_parse(const char *text, uint32_t *ret_ppm, struct fault *fault);

// Writes a duration as a person would say it ("1h30m", "250ms", "4.2s") into `text` of `size` bytes; returns
// `text`.
const char *duration_format(int64_t ms, char *text, size_t size);

#endif
