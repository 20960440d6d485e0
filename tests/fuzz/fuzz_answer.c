// Any bytes are lines of headers, never a crash: what is taken from them is text that ends, of its kind.
#include "services/sync/answer.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct answer *answer)
{
    const size_t etag = strnlen(answer->etag, sizeof answer->etag);
    assert(etag < sizeof answer->etag);
    assert(etag == 0 || answer->etag[etag - 1] == '"');
    assert(etag == 0 || answer->etag[0] == '"' || answer->etag[0] == 'W');
    assert(answer_is_strong(answer->etag) == (etag > 0 && answer->etag[0] == '"'));
    assert(answer_same(answer->etag, answer->etag));
    assert(strnlen(answer->last_modified, sizeof answer->last_modified) < sizeof answer->last_modified);
    assert(answer->date_s >= 0);
    assert(answer->counted || answer->records == 0);
    assert(!answer_dates_tell(answer) || answer->last_modified[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer answer = {.counted = false};
    const char *at = (const char *)data;
    const char *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline != NULL ? newline + 1 : end;
        answer_line(&answer, at, (size_t)(next - at), "X-Total-Count");
        check(&answer);
        at = next;
    }
    return 0;
}
