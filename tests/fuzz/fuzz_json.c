// Any bytes are records or an error, the same however they are cut into parts.
#include "tests/fuzz/sync_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char id[] = "id", below[] = "b", upper[] = "parent.a.0", all[] = "$", items[] = "$.x.items",
                lines[] = "$[*].lines", deep[] = "$.x[*].y[*].z";
    static char *const paths[] = {all, items, lines, deep};
    static char *names[] = {id};
    static char *parents[] = {id, upper};
    static char *ignored[] = {below};
    if (size == 0)
        return 0;
    const uint8_t choice = data[0];
    const struct config_job job = {
        .key = {.items = names, .count = 1},
        .ignore = {.items = ignored, .count = 1},
        .source = {.format = FORMAT_JSON,
                   .json_records = paths[(choice & 1) + (choice >> 2 & 2)],
                   .json_parent = {.items = parents, .count = choice >> 3 & 1 ? 1 + (choice & 1) : 0},
                   .json_object_key = (choice & 2) != 0 ? id : NULL,
                   .encoding = (choice & 4) != 0 ? ENCODING_LATIN1 : ENCODING_UTF8}};
    compare_cuts(&job, (const char *)data + 1, size - 1);
    return 0;
}
