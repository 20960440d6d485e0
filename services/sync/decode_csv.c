#include "services/sync/decode_csv.h"

#include "proto/base/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS_MAX = 4096,
    PART_SIZE = 256 << 10,      // bytes looked at in one go
    HEADER_SHOWN = 200,         // bytes of a header that an error shows
    LINE_END_WITHIN = 64 << 10, // bytes in which a line feed is looked for before lines may end with CR alone
};

struct column {
    char *name;       // owned
    size_t name_size; // bytes
    bool kept;        // part of the record
    bool key;         // names it
};

struct decode_csv {
    const struct config_job *job;
    struct decode_sink sink;
    const char *delimiter;  // the job's
    size_t delimiter_size;  // bytes
    uint64_t line;          // number of the line that comes next, from 1
    uint32_t skip;          // banner lines still to come
    char line_end;          // the last byte of each line: LF, or CR where there is no LF; NUL: not known yet
    bool has_header;        // the columns are known
    bool skipping;          // inside a line that was given up as too long
    struct column *columns; // owned
    size_t column_count;    // of them
    size_t leading;         // how many columns at the start are key fields
    size_t *order;          // the kept columns by name; owned
    size_t order_count;     // of them
    struct field *fields;   // of the row in hand; owned, room for each column
    struct bytes *cells;    // of the row in hand; owned, COLUMNS_MAX
    size_t cell_count;      // cells of the row, also those past COLUMNS_MAX
    struct buffer pending;  // a row whose end has not come yet
    struct buffer text;     // cells whose doubled quotes were undone
    char why[160];          // of the bad row in hand
};

// ---------------------------------------------------------------- columns

static int compare_columns(const void *a, const void *b, void *arg)
{
    const struct column *columns = arg;
    const struct column *left = &columns[*(const size_t *)a];
    const struct column *right = &columns[*(const size_t *)b];
    return record_compare_names(left->name, left->name_size, right->name, right->name_size);
}

static bool is_key(const struct decode_csv *self, const char *name)
{
    for (size_t i = 0; i < self->job->key.count; i++)
        if (strcmp(self->job->key.items[i], name) == 0)
            return true;
    return false;
}

static enum err no_memory(struct fault *fault)
{
    return fault_set(fault, ERR_NO_MEMORY, "decoding CSV: %s", err_text(ERR_NO_MEMORY));
}

static enum err add_column(struct decode_csv *self, const char *name, size_t size, struct fault *fault)
{
    const struct bytes trimmed = record_trim(name, size);
    struct column *column = &self->columns[self->column_count];
    column->name = strndup(trimmed.data, trimmed.size);
    if (column->name == NULL)
        return no_memory(fault);
    self->column_count++;
    column->name_size = strlen(column->name);
    column->kept =
        column->name_size > 0 && !record_ignores(&self->job->ignore, column->name, column->name_size);
    column->key = is_key(self, column->name);
    return ERR_OK;
}

static enum err check_keys(const struct decode_csv *self, struct fault *fault)
{
    for (size_t i = 0; i < self->job->key.count; i++) {
        bool found = false;
        char header[HEADER_SHOWN] = "";
        size_t size = 0;
        for (size_t j = 0; j < self->column_count; j++) {
            const struct column *column = &self->columns[j];
            found = found || (column->kept && strcmp(column->name, self->job->key.items[i]) == 0);
            if (size < sizeof header)
                size += (size_t)snprintf(header + size, sizeof header - size, "%s%s", j > 0 ? ", " : "",
                                         column->name);
        }
        if (!found)
            return fault_set(fault, ERR_INVALID,
                             "the export has no column for the key field %s; line %" PRIu64 " names: %s",
                             self->job->key.items[i], self->line, header);
    }
    return ERR_OK;
}

// Sorts the columns once, so that no row has to be.
static enum err arrange_columns(struct decode_csv *self, struct fault *fault)
{
    self->order = calloc(self->column_count, sizeof *self->order);
    self->fields = calloc(self->column_count, sizeof *self->fields);
    if (self->order == NULL || self->fields == NULL)
        return no_memory(fault);
    for (size_t i = 0; i < self->column_count; i++)
        if (self->columns[i].kept)
            self->order[self->order_count++] = i;
    qsort_r(self->order, self->order_count, sizeof *self->order, compare_columns, self->columns);
    for (size_t i = 1; i < self->order_count; i++)
        if (compare_columns(&self->order[i - 1], &self->order[i], self->columns) == 0)
            return fault_set(fault, ERR_INVALID, "the export has two columns %s",
                             self->columns[self->order[i]].name);
    while (self->leading < self->column_count && self->columns[self->leading].key)
        self->leading++;
    self->has_header = true;
    return check_keys(self, fault);
}

static enum err take_names(struct decode_csv *self, const struct words *names, struct fault *fault)
{
    const size_t count = names != NULL ? names->count : self->cell_count;
    if (count > COLUMNS_MAX)
        return fault_set(fault, ERR_FULL, "line %" PRIu64 " has %zu columns, more than %d", self->line, count,
                         COLUMNS_MAX);
    self->columns = calloc(count, sizeof *self->columns);
    if (self->columns == NULL)
        return no_memory(fault);
    for (size_t i = 0; i < count; i++) {
        const char *name = names != NULL ? names->items[i] : self->cells[i].data;
        const size_t size = names != NULL ? strlen(names->items[i]) : self->cells[i].size;
        const enum err err = add_column(self, name, size, fault);
        if (err != ERR_OK)
            return err;
    }
    return arrange_columns(self, fault);
}

// ---------------------------------------------------------------- life

enum err decode_csv_new(const struct config_job *job, const struct decode_sink *sink, struct decode_csv **ret,
                        struct fault *fault)
{
    struct decode_csv *self = calloc(1, sizeof *self);
    if (self == NULL)
        return no_memory(fault);
    self->job = job;
    self->sink = *sink;
    self->delimiter = job->source.csv_delimiter;
    self->delimiter_size = strlen(self->delimiter);
    assert(self->delimiter_size > 0);
    self->line = 1;
    self->skip = job->source.csv_skip_lines;
    self->cells = calloc(COLUMNS_MAX, sizeof *self->cells);
    buffer_init(&self->pending, RECORD_SIZE_MAX + 2 * (size_t)PART_SIZE);
    buffer_init(&self->text, RECORD_SIZE_MAX);
    enum err err = self->cells == NULL ? no_memory(fault) : ERR_OK;
    if (err == ERR_OK && !job->source.csv_header)
        err = take_names(self, &job->source.csv_columns, fault);
    if (err != ERR_OK)
        decode_csv_destroy(&self);
    else
        *ret = self;
    return err;
}

void decode_csv_destroy(struct decode_csv **self_p)
{
    struct decode_csv *self = *self_p;
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->column_count; i++)
        free(self->columns[i].name);
    free(self->columns);
    free(self->order);
    free(self->fields);
    free(self->cells);
    buffer_free(&self->pending);
    buffer_free(&self->text);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------- cells

static const char *find_delimiter(const struct decode_csv *self, const char *from, const char *end)
{
    while (from < end) {
        const char *at = memchr(from, *self->delimiter, (size_t)(end - from));
        if (at == NULL || self->delimiter_size == 1)
            return at;
        if ((size_t)(end - at) < self->delimiter_size)
            return NULL;
        if (memcmp(at, self->delimiter, self->delimiter_size) == 0)
            return at;
        from = at + 1;
    }
    return NULL;
}

static void add_cell(struct decode_csv *self, const char *data, size_t size)
{
    if (self->cell_count < COLUMNS_MAX)
        self->cells[self->cell_count] = (struct bytes){.data = data, .size = size};
    self->cell_count++;
}

// A line without quotes, or of a dialect that has none.
static void split_plain(struct decode_csv *self, const char *line, size_t size)
{
    const char *end = line + size;
    for (;;) {
        const char *delimiter = find_delimiter(self, line, end);
        if (delimiter == NULL)
            break;
        add_cell(self, line, (size_t)(delimiter - line));
        line = delimiter + self->delimiter_size;
    }
    add_cell(self, line, (size_t)(end - line));
}

enum scan { SCAN_WHOLE, SCAN_PART, SCAN_BROKEN };

// Finds the quote that ends the field whose content begins at `from`, and whether doubled ones stand before.
static enum scan find_quote(const char *from, const char *end, bool last, const char **ret_quote,
                            bool *ret_doubled)
{
    const char *at = from;
    *ret_doubled = false;
    for (;;) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL || (quote + 1 == end && !last))
            return last ? SCAN_BROKEN : SCAN_PART;
        if (quote + 1 == end || quote[1] != '"') {
            *ret_quote = quote;
            return SCAN_WHOLE;
        }
        *ret_doubled = true;
        at = quote + 2;
    }
}

static enum err add_quoted(struct decode_csv *self, const char *from, const char *quote, bool doubled)
{
    if (!doubled) {
        add_cell(self, from, (size_t)(quote - from));
        return ERR_OK;
    }
    char *place = NULL;
    // All the room at once: cells point into it.
    const enum err err = self->text.size == 0 ? buffer_reserve(&self->text, RECORD_SIZE_MAX, &place) : ERR_OK;
    if (err != ERR_OK)
        return err;
    place = self->text.data + self->text.size;
    size_t size = 0;
    for (const char *at = from; at < quote; at++) {
        place[size++] = *at;
        at += *at == '"';
    }
    self->text.size += size;
    add_cell(self, place, size);
    return ERR_OK;
}

// Where a quoted field may stand: past the blanks.
static const char *past_blanks(const struct decode_csv *self, const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r') && *at != *self->delimiter &&
           *at != self->line_end)
        at++;
    return at;
}

// A row with quotes, which may run over several lines. `ret_used` takes its bytes with the line end.
static enum scan split_quoted(struct decode_csv *self, const char *data, size_t size, bool last,
                              size_t *ret_used, enum err *ret_err)
{
    const char *end = data + (size < RECORD_SIZE_MAX ? size : RECORD_SIZE_MAX);
    const bool all = last && size <= RECORD_SIZE_MAX;
    const char *at = data;
    buffer_clear(&self->text);
    for (;;) {
        const char *next = past_blanks(self, at, end);
        if (next < end && *next == '"') {
            const char *quote;
            bool doubled;
            const enum scan scan = find_quote(next + 1, end, all, &quote, &doubled);
            if (scan != SCAN_WHOLE)
                return scan == SCAN_PART && size > RECORD_SIZE_MAX ? SCAN_BROKEN : scan;
            *ret_err = add_quoted(self, next + 1, quote, doubled);
            if (*ret_err != ERR_OK)
                return SCAN_BROKEN;
            next = past_blanks(self, quote + 1, end);
            if (!all && (size_t)(end - next) < self->delimiter_size)
                return size > RECORD_SIZE_MAX ? SCAN_BROKEN : SCAN_PART;
            if (next < end && *next != self->line_end && find_delimiter(self, next, end) != next)
                return SCAN_BROKEN;
        } else {
            const char *line_end = memchr(next, self->line_end, (size_t)(end - next));
            const char *limit = line_end == NULL ? end : line_end;
            const char *delimiter = find_delimiter(self, at, limit);
            if (delimiter == NULL && line_end == NULL && !all)
                return size > RECORD_SIZE_MAX ? SCAN_BROKEN : SCAN_PART;
            next = delimiter == NULL ? limit : delimiter;
            add_cell(self, at, (size_t)(next - at));
        }
        if (next == end || *next == self->line_end) {
            *ret_used = (size_t)(next - data) + (next < end);
            return SCAN_WHOLE;
        }
        at = next + self->delimiter_size;
    }
}

// ---------------------------------------------------------------- rows

static bool is_null(const struct decode_csv *self, struct bytes value)
{
    const struct words *nulls = &self->job->source.csv_null_as;
    for (size_t i = 0; i < nulls->count; i++)
        if (strlen(nulls->items[i]) == value.size && memcmp(nulls->items[i], value.data, value.size) == 0)
            return true;
    return false;
}

// The byte at which the text stops being text, or its size.
static size_t text_size(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint64_t word;
        if (size - at >= sizeof word) {
            memcpy(&word, text + at, sizeof word);
            const uint64_t high = 0x8080808080808080u;
            const uint64_t zero = (word - 0x0101010101010101u) & ~word & high;
            if ((word & high) == 0 && zero == 0) {
                at += sizeof word;
                continue;
            }
        }
        const size_t length = text[at] == '\0' ? 0 : utf8_character(text + at, size - at);
        if (length == 0)
            return at;
        at += length;
    }
    return size;
}

// Fills the fields from the first `cells` cells; of a bad row only the key fields that are text.
static size_t fill_fields(struct decode_csv *self, size_t cells, bool bad)
{
    size_t count = 0;
    for (size_t i = 0; i < self->order_count; i++) {
        const struct column *column = &self->columns[self->order[i]];
        if (self->order[i] >= cells)
            continue;
        const struct bytes cell = self->cells[self->order[i]];
        if (bad && (!column->key || text_size(cell.data, cell.size) < cell.size))
            continue;
        const struct bytes value = record_trim(cell.data, cell.size);
        if (is_null(self, value))
            continue;
        self->fields[count++] = (struct field){.name = column->name,
                                               .name_size = column->name_size,
                                               .value = value.data,
                                               .value_size = value.size};
    }
    return count;
}

// Gives a bad row. `whole`: each of its cells stands for its column; else only those before any damage do.
static enum err give_bad(struct decode_csv *self, const char *raw, size_t raw_size, bool whole,
                         struct fault *fault)
{
    const size_t sure = whole ? self->column_count : self->leading;
    const struct row row = {.line = self->line,
                            .fields = self->fields,
                            .count =
                                fill_fields(self, self->cell_count < sure ? self->cell_count : sure, true),
                            .why = self->why,
                            .raw = raw,
                            .raw_size = raw_size};
    return self->sink.take(self->sink.arg, &row, fault);
}

static enum err give(struct decode_csv *self, const char *raw, size_t raw_size, bool ended,
                     struct fault *fault)
{
    if (!self->has_header) {
        const struct words *names = &self->job->source.csv_columns;
        if (text_size(raw, raw_size) < raw_size)
            return fault_set(fault, ERR_INVALID, "the header in line %" PRIu64 " is not UTF-8", self->line);
        return take_names(self, names->count > 0 ? names : NULL, fault);
    }
    if (!ended && self->cell_count < self->column_count)
        return fault_set(fault, ERR_CORRUPT, "the export ends in the middle of line %" PRIu64, self->line);
    const size_t good = text_size(raw, raw_size);
    if (good < raw_size)
        snprintf(self->why, sizeof self->why, "%s at byte %zu of the row",
                 raw[good] == '\0' ? "a NUL" : "not UTF-8", good);
    else if (self->cell_count != self->column_count)
        snprintf(self->why, sizeof self->why, "%zu fields in place of %zu", self->cell_count,
                 self->column_count);
    else if (raw_size > RECORD_SIZE_MAX)
        snprintf(self->why, sizeof self->why, "more than %d bytes", RECORD_SIZE_MAX);
    else {
        const struct row row = {.line = self->line,
                                .fields = self->fields,
                                .count = fill_fields(self, self->column_count, false)};
        return self->sink.take(self->sink.arg, &row, fault);
    }
    return give_bad(self, raw, raw_size, self->cell_count == self->column_count, fault);
}

static uint64_t count_lines(const struct decode_csv *self, const char *data, size_t size)
{
    uint64_t count = 0;
    const char *end = data + size;
    for (const char *at = data; (at = memchr(at, self->line_end, (size_t)(end - at))) != NULL; at++)
        count++;
    return count;
}

// Takes one row, whose first line has `size` bytes and, if `ended`, a line end. `ret_used` 0: the row goes on
// past what is there.
static enum err take_row(struct decode_csv *self, const char *data, size_t size, size_t left, bool last,
                         size_t *ret_used, struct fault *fault)
{
    const bool ended = size < left;
    enum scan scan = SCAN_WHOLE;
    enum err err = ERR_OK;
    size_t used = size + ended;
    self->cell_count = 0;
    if (self->job->source.csv_quote == QUOTE_DOUBLE && memchr(data, '"', size) != NULL)
        scan = split_quoted(self, data, left, last, &used, &err);
    else
        split_plain(self, data, size);
    if (err != ERR_OK)
        return no_memory(fault);
    *ret_used = scan == SCAN_PART ? 0 : used;
    if (scan == SCAN_PART)
        return ERR_OK;
    if (scan == SCAN_WHOLE) {
        const bool newline = data[used - 1] == self->line_end;
        err = give(self, data, used - newline, newline, fault);
    } else if (!self->has_header || !ended) {
        return fault_set(fault, self->has_header ? ERR_CORRUPT : ERR_INVALID,
                         "a quote in line %" PRIu64 " does not end", self->line);
    } else {
        snprintf(self->why, sizeof self->why, "a quote that does not end where a field ends");
        err = give_bad(self, data, size, false, fault);
    }
    self->line += count_lines(self, data, used);
    return err;
}

// Gives up a line that has no end in sight: its rest is passed over as it comes.
static enum err give_up_line(struct decode_csv *self, const char *data, size_t size, struct fault *fault)
{
    if (!self->has_header)
        return fault_set(fault, ERR_INVALID, "line %" PRIu64 " has more than %d bytes: this is no CSV",
                         self->line, RECORD_SIZE_MAX);
    self->skipping = true;
    self->cell_count = 0;
    size_t used;
    enum err err = ERR_OK;
    if (self->job->source.csv_quote == QUOTE_DOUBLE)
        (void)split_quoted(self, data, size, false, &used, &err);
    else
        split_plain(self, data, size);
    if (err != ERR_OK)
        return no_memory(fault);
    snprintf(self->why, sizeof self->why, "more than %d bytes", RECORD_SIZE_MAX);
    return give_bad(self, data, size, false, fault);
}

// Learns from the first bytes what ends a line; false: more of them are needed.
static bool learn_line_end(struct decode_csv *self, const char *data, size_t size, bool last)
{
    if (self->line_end != '\0')
        return true;
    const bool feeds = size > 0 && memchr(data, '\n', size) != NULL;
    if (!feeds && !last && size < LINE_END_WITHIN)
        return false;
    self->line_end = feeds || size == 0 || memchr(data, '\r', size) == NULL ? '\n' : '\r';
    return true;
}

// Takes the rows in `data`; `ret_used` says how far.
static enum err take_rows(struct decode_csv *self, const char *data, size_t size, bool last, size_t *ret_used,
                          struct fault *fault)
{
    size_t at = 0;
    enum err err = ERR_OK;
    if (!learn_line_end(self, data, size, last))
        size = 0;
    while (at < size && err == ERR_OK) {
        const char *line_end = memchr(data + at, self->line_end, size - at);
        const size_t line_size = line_end == NULL ? size - at : (size_t)(line_end - data) - at;
        if (line_end == NULL && !last && !self->skipping) {
            if (line_size <= RECORD_SIZE_MAX)
                break;
            err = give_up_line(self, data + at, line_size, fault);
            at = size;
        } else if (self->skipping || self->skip > 0 || record_trim(data + at, line_size).size == 0) {
            self->skip -= !self->skipping && self->skip > 0 && (line_end != NULL || last);
            self->skipping = self->skipping && line_end == NULL;
            self->line += line_end != NULL;
            at += line_size + (line_end != NULL);
        } else {
            size_t used = 0;
            err = take_row(self, data + at, line_size, size - at, last, &used, fault);
            at += used;
            if (used == 0)
                break;
        }
    }
    *ret_used = at;
    return err;
}

static enum err feed_part(struct decode_csv *self, const char *data, size_t size, struct fault *fault)
{
    size_t used = 0;
    enum err err = ERR_OK;
    if (self->pending.size == 0) {
        err = take_rows(self, data, size, false, &used, fault);
        if (err == ERR_OK && buffer_add(&self->pending, data + used, size - used) != ERR_OK)
            err = no_memory(fault);
        return err;
    }
    if (buffer_add(&self->pending, data, size) != ERR_OK)
        return no_memory(fault);
    err = take_rows(self, self->pending.data, self->pending.size, false, &used, fault);
    if (err == ERR_OK) {
        memmove(self->pending.data, self->pending.data + used, self->pending.size - used);
        self->pending.size -= used;
    }
    return err;
}

enum err decode_csv_feed(struct decode_csv *self, const char *data, size_t size, struct fault *fault)
{
    enum err err = ERR_OK;
    while (size > 0 && err == ERR_OK) {
        const size_t part = size < PART_SIZE ? size : PART_SIZE;
        err = feed_part(self, data, part, fault);
        data += part;
        size -= part;
    }
    return err;
}

enum err decode_csv_end(struct decode_csv *self, struct fault *fault)
{
    size_t used = 0;
    const enum err err = take_rows(self, self->pending.data, self->pending.size, true, &used, fault);
    if (err != ERR_OK)
        return err;
    if (self->skipping)
        return fault_set(fault, ERR_CORRUPT, "the export ends in the middle of line %" PRIu64, self->line);
    if (!self->has_header)
        return fault_set(fault, ERR_INVALID, "the export ends at line %" PRIu64 " without a header",
                         self->line);
    return ERR_OK;
}
