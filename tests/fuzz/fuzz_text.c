// Any text is a duration, a size, a share, a header's value, or refused with a reason; what is shown to
// people of any bytes is plain UTF-8.
#include "proto/base/duration.h"
#include "proto/base/utf8.h"
#include "proto/io/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SHOWN_MAX = 1024 * 1024, MILLION = 1000000 };

static void check_numbers(const char *text)
{
    struct fault fault = {.err = ERR_OK};
    int64_t duration_ms = -1;
    uint64_t bytes = 0;
    uint32_t share_ppm = 0;
    if (duration_parse(text, &duration_ms, &fault) == ERR_OK)
        assert(duration_ms >= 0);
    else
        assert(duration_ms == -1 && fault.text[0] != '\0');
    fault = (struct fault){.err = ERR_OK};
    if (size_parse(text, &bytes, &fault) != ERR_OK)
        assert(bytes == 0 && fault.text[0] != '\0');
    fault = (struct fault){.err = ERR_OK};
    if (share_parse(text, &share_ppm, &fault) == ERR_OK)
        assert(share_ppm <= MILLION);
    else
        assert(share_ppm == 0 && fault.text[0] != '\0');
}

static void check_shown(const char *text, size_t size)
{
    struct buffer shown;
    buffer_init(&shown, SHOWN_MAX);
    const enum err err = utf8_show(text, size, &shown);
    assert(err == ERR_OK);
    assert(utf8_valid(shown.data, shown.size));
    assert(utf8_plain(shown.data, shown.size));
    buffer_free(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    assert(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    check_numbers(text);
    check_shown(text, size);
    if (config_is_header_value(text)) {
        assert(strchr(text, '\n') == NULL);
        assert(strchr(text, '\r') == NULL);
    }
    free(text);
    return 0;
}
