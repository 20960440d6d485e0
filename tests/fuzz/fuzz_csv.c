// Any bytes are rows or an error, the same however they are cut into parts.
#include "tests/fuzz/sync_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char comma[] = ",", bars[] = "||", id[] = "id", a[] = "a", null[] = "NULL";
    static char *names[] = {id, a};
    if (size == 0)
        return 0;
    const uint8_t choice = data[0];
    const struct words columns = {.items = names, .count = 2};
    char *nulls[] = {null};
    const struct config_job job = {.key = {.items = names, .count = 1},
                                   .source = {.format = FORMAT_CSV,
                                              .csv_delimiter = (choice & 1) != 0 ? bars : comma,
                                              .csv_quote = (choice & 2) != 0 ? QUOTE_NONE : QUOTE_DOUBLE,
                                              .encoding = (choice & 4) != 0 ? ENCODING_LATIN1 : ENCODING_UTF8,
                                              .csv_skip_lines = (choice & 8) != 0,
                                              .csv_header = (choice & 16) == 0,
                                              .csv_columns = (choice & 16) != 0 ? columns : (struct words){0},
                                              .csv_null_as = {.items = nulls, .count = 1}}};
    compare_cuts(&job, (const char *)data + 1, size - 1);
    return 0;
}
