// Exports that lie in a file, whole or in pages, and decodings that end before their export does.
#include "services/sync/decode_pages.h"
#include "tests/unit/sync_data/support.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARRAY  "key: [id], source: {url: \"http://e/x\", format: json}"
#define QUOTED "key: [id], source: {url: \"http://e/x\", format: csv}"
#define PARENTS                                                                                              \
    "key: [id], source: {url: \"http://e/x\", format: json, json: {records: \"$[*].l\", parent: [id]}}"

// Rows on their way into a text, of which only so many are taken.
struct taker {
    struct buffer told; // "line:key " for each
    unsigned left;      // rows that are still taken
};

static enum err take(void *arg, const struct row *row, struct fault *fault)
{
    struct taker *self = arg;
    if (self->left == 0)
        return fault_set(fault, ERR_REFUSED, "no more rows");
    self->left--;
    assert_true(row->count > 0);
    return buffer_print(&self->told, "%llu:%.*s%s ", (unsigned long long)row->line,
                        (int)row->fields[0].value_size, row->fields[0].value, row->why == NULL ? "" : "!");
}

// A file with an export in it.
struct spool {
    char path[64];
    struct config *config; // owned
    struct taker taker;
    struct decode_sink sink; // into the taker
    struct fault fault;
};

static void spool_open(struct spool *self, const char *fields, const char *text)
{
    *self = (struct spool){.path = "/tmp/syncbus-spool-XXXXXX", .config = support_config(fields)};
    const int file = mkstemp(self->path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    assert_int_equal(close(file), 0);
    buffer_init(&self->taker.told, 1000);
    self->taker.left = 1000;
    self->sink = (struct decode_sink){.take = take, .arg = &self->taker};
}

static void spool_close(struct spool *self)
{
    buffer_free(&self->taker.told);
    config_destroy(&self->config);
    assert_int_equal(unlink(self->path), 0);
}

static void assert_told(struct spool *self, const char *wanted)
{
    assert_int_equal(buffer_add_byte(&self->taker.told, '\0'), ERR_OK);
    assert_string_equal(self->taker.told.data, wanted);
    buffer_clear(&self->taker.told);
}

static enum err whole(struct spool *self, const char *path, bool cancelled)
{
    const atomic_bool cancel = cancelled;
    return decode_file(&self->config->jobs[0], path, &self->sink, &cancel, &self->fault);
}

static enum err pages(struct spool *self, const char *path, const uint64_t *ends, size_t count,
                      bool cancelled)
{
    const atomic_bool cancel = cancelled;
    return decode_pages(&self->config->jobs[0], path, ends, count, &self->sink, &cancel, &self->fault);
}

// ---------------------------------------------------------------- pages

static void pages_are_counted_as_if_they_were_one_document(void **state)
{
    (void)state;
    struct spool spool;
    spool_open(&spool, ARRAY, "[{\"id\":7},{\"id\":8}][][{\"id\":9}]");
    assert_int_equal(pages(&spool, spool.path, (const uint64_t[]){19, 21, 31}, 3, false), ERR_OK);
    assert_told(&spool, "1:7 2:8 3:9 ");
    assert_int_equal(pages(&spool, spool.path, (const uint64_t[]){19}, 1, false), ERR_OK);
    assert_told(&spool, "1:7 2:8 ");
    assert_int_equal(pages(&spool, spool.path, NULL, 0, false), ERR_OK);
    assert_told(&spool, "");
    spool_close(&spool);
}

static void a_broken_page_ends_what_comes_after_it(void **state)
{
    (void)state;
    struct spool spool;
    const uint64_t ends[] = {10, 17, 27};
    spool_open(&spool, ARRAY, "[{\"id\":7}][{\"id\":[{\"id\":9}]");
    assert_int_equal(pages(&spool, spool.path, ends, 3, false), ERR_CORRUPT);
    assert_non_null(strstr(spool.fault.text, "in the middle of its JSON"));
    assert_told(&spool, "1:7 ");
    spool_close(&spool);
    spool_open(&spool, ARRAY, "[{\"id\":7}][{]][][{\"id\":9}]");
    assert_int_equal(pages(&spool, spool.path, ends, 3, false), ERR_INVALID);
    assert_told(&spool, "1:7 ");
    spool_close(&spool);
}

static void a_broken_page_is_not_read_to_its_end(void **state)
{
    (void)state;
    enum { LONG = 200000 };
    struct spool spool;
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    spool_open(&spool, ARRAY, text);
    // The file ends before the page does, but the page is given up before that.
    assert_int_equal(pages(&spool, spool.path, (const uint64_t[]){2 * LONG}, 1, false), ERR_INVALID);
    assert_non_null(strstr(spool.fault.text, "is not JSON"));
    free(text);
    spool_close(&spool);
}

static void a_page_that_is_not_all_there_is_said_to_be_cut(void **state)
{
    (void)state;
    struct spool spool;
    spool_open(&spool, ARRAY, "[{\"id\":7}]");
    assert_int_equal(pages(&spool, spool.path, (const uint64_t[]){11}, 1, false), ERR_IO);
    assert_string_equal(spool.fault.text, "the spool: it was cut short");
    spool_close(&spool);
}

static void what_cannot_be_read_is_said(void **state)
{
    (void)state;
    struct spool spool;
    const uint64_t ends[] = {10};
    spool_open(&spool, ARRAY, "[{\"id\":7}]");
    assert_int_equal(pages(&spool, "/nowhere/spool", ends, 1, false), ERR_IO);
    assert_string_equal(spool.fault.text, "/nowhere/spool: No such file or directory");
    assert_int_equal(pages(&spool, "/tmp", ends, 1, false), ERR_IO);
    assert_string_equal(spool.fault.text, "the spool: Is a directory");
    assert_int_equal(whole(&spool, "/nowhere/spool", false), ERR_IO);
    assert_string_equal(spool.fault.text, "/nowhere/spool: No such file or directory");
    assert_int_equal(whole(&spool, "/tmp", false), ERR_IO);
    assert_string_equal(spool.fault.text, "/tmp: Is a directory");
    assert_told(&spool, "");
    spool_close(&spool);
}

static void who_gives_up_gets_no_more_rows(void **state)
{
    (void)state;
    struct spool spool;
    spool_open(&spool, ARRAY, "[{\"id\":7}]");
    assert_int_equal(whole(&spool, spool.path, true), ERR_REFUSED);
    assert_string_equal(spool.fault.text, "given up while the export was read");
    assert_int_equal(pages(&spool, spool.path, (const uint64_t[]){10}, 1, true), ERR_REFUSED);
    assert_string_equal(spool.fault.text, "given up while the export was read");
    assert_told(&spool, "");
    assert_int_equal(whole(&spool, spool.path, false), ERR_OK);
    assert_told(&spool, "1:7 ");
    spool_close(&spool);
}

// ---------------------------------------------------------------- sinks that take no more

// Decodes until the sink takes no more, once after each number of rows: its error ends the decoding, and no
// row comes after it.
static void assert_refused(const char *fields, const char *text, unsigned rows)
{
    for (unsigned taken = 0; taken <= rows; taken++) {
        struct spool spool;
        spool_open(&spool, fields, text);
        spool.taker.left = taken;
        const enum err err = whole(&spool, spool.path, false);
        assert_int_equal(err, taken < rows ? ERR_REFUSED : ERR_OK);
        assert_string_equal(spool.fault.text, taken < rows ? "no more rows" : "");
        assert_int_equal(spool.taker.left, 0);
        spool_close(&spool);
    }
}

static void an_error_of_the_sink_ends_the_decoding(void **state)
{
    (void)state;
    assert_refused(ARRAY, "[{\"id\":1},{\"id\":2},{\"id\":3,\"a\":1,\"a\":2}]", 3);
    assert_refused(QUOTED, "id,a\n1,x\n2,\"y\"\n3\n4,\"z\"\"\n5,\"\"\"\"", 5);
    assert_refused(PARENTS, "[{\"l\":[{\"id\":1},{\"id\":2}],\"id\":5},{\"id\":6,\"l\":[{\"id\":3}]}]", 3);
}

static void an_error_of_the_sink_at_what_is_no_record_ends_it_too(void **state)
{
    (void)state;
    static const char *const strangers[] = {"[[]]", "[1]", "[null]", "[\"x\"]"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        struct spool spool;
        spool_open(&spool, ARRAY, strangers[i]);
        spool.taker.left = 0;
        assert_int_equal(whole(&spool, spool.path, false), ERR_REFUSED);
        assert_string_equal(spool.fault.text, "no more rows");
        spool_close(&spool);
    }
}

// ---------------------------------------------------------------- the first bytes

static void parts_of_no_bytes_make_no_difference(void **state)
{
    (void)state;
    struct spool spool;
    struct decode *decode = NULL;
    char blanks[400];
    memset(blanks, ' ', sizeof blanks);
    spool_open(&spool, ARRAY, "");
    assert_int_equal(decode_new(&spool.config->jobs[0], &spool.sink, &decode, &spool.fault), ERR_OK);
    assert_int_equal(decode_feed(decode, "", 0, &spool.fault), ERR_OK);
    assert_int_equal(decode_feed(decode, blanks, 256, &spool.fault), ERR_OK);
    assert_int_equal(decode_feed(decode, "", 0, &spool.fault), ERR_OK);
    assert_int_equal(decode_feed(decode, blanks, sizeof blanks, &spool.fault), ERR_OK);
    assert_int_equal(decode_feed(decode, "[{\"id\":1}]", 10, &spool.fault), ERR_OK);
    assert_int_equal(decode_end(decode, &spool.fault), ERR_OK);
    assert_told(&spool, "1:1 ");
    decode_destroy(&decode);
    spool_close(&spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_counted_as_if_they_were_one_document),
        cmocka_unit_test(a_broken_page_ends_what_comes_after_it),
        cmocka_unit_test(a_broken_page_is_not_read_to_its_end),
        cmocka_unit_test(a_page_that_is_not_all_there_is_said_to_be_cut),
        cmocka_unit_test(what_cannot_be_read_is_said),
        cmocka_unit_test(who_gives_up_gets_no_more_rows),
        cmocka_unit_test(an_error_of_the_sink_ends_the_decoding),
        cmocka_unit_test(an_error_of_the_sink_at_what_is_no_record_ends_it_too),
        cmocka_unit_test(parts_of_no_bytes_make_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
