// Measures how fast a sync tells what has changed, beside what it could cost at least and what SQLite takes.
// delta.py starts this program once for each thing measured, so that each has memory of its own; it prints
// one JSON line.
#include "tests/bench/delta.h"

#include "services/sync/delta_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yajl/yajl_parse.h>

enum {
    BLOCK = 256,           // rows that are looked up in one go, where decoding is not to count
    BLOCK_BYTES = 1 << 20, // of their fields
    LOOK_MS = 5,           // between two looks at the memory in use
    READ_SIZE = 256 << 10, // as the decoder reads
};

_Noreturn void delta_fail_bench(const char *what)
{
    (void)fprintf(stderr, "bench-delta: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

void delta_need(enum err err, const struct fault *fault)
{
    if (err == ERR_OK)
        return;
    (void)fprintf(stderr, "bench-delta: %s: %s\n", err_text(err), fault->text);
    exit(EXIT_FAILURE);
}

// ---------------------------------------------------------------- time and memory

static int64_t time_ns(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct moment now(void)
{
    return (struct moment){.clock_ns = time_ns(CLOCK_MONOTONIC),
                           .thread_ns = time_ns(CLOCK_THREAD_CPUTIME_ID)};
}

// Adds what has passed since `begin`.
static void add_since(struct moment *sum, struct moment begin)
{
    const struct moment end = now();
    sum->clock_ns += end.clock_ns - begin.clock_ns;
    sum->thread_ns += end.thread_ns - begin.thread_ns;
}

// A number of /proc/self/status, in KiB.
static uint64_t status_kib(const char *name)
{
    char line[128];
    unsigned long long number = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL)
        delta_fail_bench("/proc/self/status");
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            number = strtoull(line + strlen(name) + 1, NULL, 10);
    (void)fclose(file);
    return number;
}

// The kernel keeps the most that was resident with the pages of the map, but not without them: a thread
// looks.
struct watch {
    pthread_t thread;
    atomic_bool over;
    uint64_t anon_kib; // the most that was seen
};

static void *watch_memory(void *arg)
{
    struct watch *watch = arg;
    const struct timespec time = {.tv_nsec = LOOK_MS * 1000000};
    while (!atomic_load(&watch->over)) {
        const uint64_t now = status_kib("RssAnon");
        watch->anon_kib = now > watch->anon_kib ? now : watch->anon_kib;
        (void)nanosleep(&time, NULL);
    }
    return NULL;
}

static void watch_begin(struct watch *watch)
{
    if (pthread_create(&watch->thread, NULL, watch_memory, watch) != 0)
        delta_fail_bench("thread");
}

static void watch_end(struct watch *watch)
{
    atomic_store(&watch->over, true);
    (void)pthread_join(watch->thread, NULL);
}

static void print(const struct watch *watch, const struct delta_counts *counts, const struct moment *spent)
{
    (void)printf("{\"records\":%llu,\"created\":%llu,\"changed\":%llu,\"unchanged\":%llu,\"seconds\":%.6f,"
                 "\"thread_seconds\":%.6f,"
                 "\"hwm_kib\":%llu,\"anon_kib\":%llu}\n",
                 (unsigned long long)counts->records, (unsigned long long)counts->created,
                 (unsigned long long)counts->changed, (unsigned long long)counts->unchanged,
                 (double)spent->clock_ns / 1e9, (double)spent->thread_ns / 1e9,
                 (unsigned long long)status_kib("VmHWM"), (unsigned long long)watch->anon_kib);
}

// ---------------------------------------------------------------- the sync

struct sync {
    const struct config_job *job;
    struct delta *delta;
};

static void *sync_open(const struct config_job *job)
{
    struct sync *self = calloc(1, sizeof *self);
    struct fault fault = {.err = ERR_OK};
    if (self == NULL)
        delta_fail_bench("memory");
    delta_need(delta_open(job, &self->delta, &fault), &fault);
    return self;
}

static void sync_pass(void *arg, const char *path, struct delta_counts *ret)
{
    struct sync *self = arg;
    struct fault fault = {.err = ERR_OK};
    Sb__Result result = SB__RESULT__INIT;
    const struct delta_run run = {.started_ms = 1};
    const atomic_bool never = false;
    delta_need(delta_apply(self->delta, path, &run, &never, &result, &fault), &fault);
    if (!result.ok || result.rejected > 0 || result.deleted > 0)
        delta_fail_bench(result.ok ? "rows were rejected" : fault.text);
    *ret = (struct delta_counts){.records = result.seen,
                                 .created = result.created,
                                 .changed = result.changed,
                                 .unchanged = result.unchanged};
}

static void sync_close(void *arg)
{
    struct sync *self = arg;
    delta_close(&self->delta);
    free(self);
}

// ---------------------------------------------------------------- the floors

// Each row's key, hash and look-up, and nothing else.
struct floor {
    const struct config_job *job;
    struct delta *delta;
    struct store_txn *txn;
    struct store_scan *scan;
    struct buffer key;          // of the row in hand
    struct buffer scratch;      // its canonical bytes
    struct delta_counts counts; // unchanged: found, with this hash
    bool without_decoding;      // rows are gathered, and looked up by blocks
    struct row rows[BLOCK];     // gathered
    size_t row_count;           // of them
    struct field *fields;       // of these rows
    size_t field_count;         // of them
    char *bytes;                // of these fields
    size_t size;                // of them
};

static void look_up(struct floor *floor, const struct row *row)
{
    struct fault fault = {.err = ERR_OK};
    uint8_t hash[RECORD_HASH_SIZE];
    uint8_t room[RECORD_STORE_KEY_SIZE];
    struct bytes value;
    delta_need(record_key(row, &floor->job->key, &floor->key, &fault), &fault);
    delta_need(record_hash(row, &floor->scratch, hash), &fault);
    const struct bytes key = {.data = floor->key.data, .size = floor->key.size};
    if (store_scan_find(floor->scan, record_store_key(key, room), &value) == ERR_OK)
        floor->counts.unchanged += memcmp(value.data, hash, sizeof hash) == 0;
    floor->counts.records++;
}

static enum err take_at_once(void *arg, const struct row *row, struct fault *fault)
{
    (void)fault;
    look_up(arg, row);
    return ERR_OK;
}

static void look_block_up(struct floor *floor)
{
    const struct moment begin = now();
    for (size_t i = 0; i < floor->row_count; i++)
        look_up(floor, &floor->rows[i]);
    add_since(&floor->counts.counted, begin);
    floor->row_count = floor->field_count = floor->size = 0;
}

// Keeps a copy of the row until the block is full.
static enum err take_later(void *arg, const struct row *row, struct fault *fault)
{
    struct floor *floor = arg;
    (void)fault;
    struct row *kept = &floor->rows[floor->row_count++];
    *kept =
        (struct row){.line = row->line, .fields = floor->fields + floor->field_count, .count = row->count};
    for (size_t i = 0; i < row->count; i++) {
        const struct field *field = &row->fields[i];
        char *place = floor->bytes + floor->size;
        if (floor->size + field->name_size + field->value_size > BLOCK_BYTES)
            delta_fail_bench("rows that are too long");
        memcpy(place, field->name, field->name_size);
        memcpy(place + field->name_size, field->value, field->value_size);
        floor->fields[floor->field_count++] = (struct field){.name = place,
                                                             .name_size = field->name_size,
                                                             .value = place + field->name_size,
                                                             .value_size = field->value_size,
                                                             .raw = field->raw};
        floor->size += field->name_size + field->value_size;
    }
    if (floor->row_count == BLOCK)
        look_block_up(floor);
    return ERR_OK;
}

static struct floor *floor_new(const struct config_job *job)
{
    enum { FIELDS_MAX = 32 };
    struct floor *self = calloc(1, sizeof *self);
    struct fault fault = {.err = ERR_OK};
    if (self == NULL)
        delta_fail_bench("memory");
    self->job = job;
    self->fields = calloc((size_t)BLOCK * FIELDS_MAX, sizeof *self->fields);
    self->bytes = malloc(BLOCK_BYTES);
    if (self->fields == NULL || self->bytes == NULL)
        delta_fail_bench("memory");
    buffer_init(&self->key, 2 * (size_t)RECORD_SIZE_MAX);
    buffer_init(&self->scratch, 4 * (size_t)RECORD_SIZE_MAX);
    delta_need(delta_open(job, &self->delta, &fault), &fault);
    return self;
}

static void *floor_open(const struct config_job *job)
{
    return floor_new(job);
}

static void *look_up_open(const struct config_job *job)
{
    struct floor *self = floor_new(job);
    self->without_decoding = true;
    return self;
}

static void floor_pass(void *arg, const char *path, struct delta_counts *ret)
{
    struct floor *self = arg;
    struct fault fault = {.err = ERR_OK};
    const atomic_bool never = false;
    const struct decode_sink sink = {.take = self->without_decoding ? take_later : take_at_once, .arg = self};
    self->counts = (struct delta_counts){.records = 0};
    delta_need(store_read(self->delta->store, &self->txn, &fault), &fault);
    delta_need(store_scan_begin(self->txn, TABLE_RECORDS, &self->scan), &fault);
    delta_need(decode_file(self->job, path, &sink, &never, &fault), &fault);
    look_block_up(self);
    store_scan_end(&self->scan);
    store_end(&self->txn);
    if (!self->without_decoding)
        self->counts.counted = (struct moment){.clock_ns = 0};
    *ret = self->counts;
}

static void floor_close(void *arg)
{
    struct floor *self = arg;
    delta_close(&self->delta);
    buffer_free(&self->key);
    buffer_free(&self->scratch);
    free(self->fields);
    free(self->bytes);
    free(self);
}

// yajl with callbacks that do nothing but count objects: the least that JSON can cost here.
static int on_nothing(void *arg)
{
    (void)arg;
    return 1;
}

static int on_object(void *arg)
{
    ((struct delta_counts *)arg)->records++;
    return 1;
}

static int on_number(void *arg, const char *text, size_t size)
{
    (void)text;
    (void)size;
    return on_nothing(arg);
}

static int on_text(void *arg, const unsigned char *text, size_t size)
{
    (void)text;
    (void)size;
    return on_nothing(arg);
}

static void *parse_open(const struct config_job *job)
{
    static char nothing;
    (void)job;
    return &nothing;
}

static void parse_close(void *arg)
{
    (void)arg;
}

static void parse_pass(void *arg, const char *path, struct delta_counts *ret)
{
    (void)arg;
    static unsigned char data[READ_SIZE];
    const yajl_callbacks callbacks = {.yajl_null = on_nothing,
                                      .yajl_number = on_number,
                                      .yajl_string = on_text,
                                      .yajl_start_map = on_object,
                                      .yajl_map_key = on_text,
                                      .yajl_end_map = on_nothing,
                                      .yajl_start_array = on_nothing,
                                      .yajl_end_array = on_nothing};
    FILE *file = fopen(path, "rb");
    yajl_handle parser = yajl_alloc(&callbacks, NULL, ret);
    if (file == NULL || parser == NULL)
        delta_fail_bench(path);
    for (size_t size; (size = fread(data, 1, sizeof data, file)) > 0;)
        if (yajl_parse(parser, data, size) != yajl_status_ok)
            delta_fail_bench("this is no JSON");
    if (yajl_complete_parse(parser) != yajl_status_ok)
        delta_fail_bench("this is no whole JSON");
    yajl_free(parser);
    (void)fclose(file);
}

// ---------------------------------------------------------------- what to do

static struct config *config_of(const char *format, const char *folder)
{
    char text[1024];
    struct config *config = NULL;
    struct fault fault = {.err = ERR_OK};
    (void)snprintf(text, sizeof text,
                   "resources: {erp: {}}\njobs: {articles: {every: 30m, key: [id], data: \"%s\","
                   " source: {url: \"http://erp.example/\", format: %s}}}\n",
                   folder, format);
    delta_need(config_parse(text, strlen(text), "bench.yaml", 1, NULL, NULL, &config, &fault), &fault);
    return config;
}

static int measure(const struct delta_contender *contender, const char *format, const char *folder, int count,
                   char **paths)
{
    struct config *config = config_of(format, folder);
    void *self = contender->open(&config->jobs[0]);
    for (int i = 0; i < count; i++) {
        struct delta_counts counts = {.records = 0};
        struct watch watch = {.anon_kib = 0};
        struct moment spent = {.clock_ns = 0};
        watch_begin(&watch);
        const struct moment begin = now();
        contender->pass(self, paths[i], &counts);
        add_since(&spent, begin);
        watch_end(&watch);
        print(&watch, &counts, counts.counted.clock_ns > 0 ? &counts.counted : &spent);
    }
    contender->close(self);
    config_destroy(&config);
    return EXIT_SUCCESS;
}

static uint64_t number(const char *text)
{
    char *end = NULL;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        errno = EINVAL;
        delta_fail_bench(text);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct delta_contender sync = {"sync", sync_open, sync_pass, sync_close};
    static const struct delta_contender whole = {"floor", floor_open, floor_pass, floor_close};
    static const struct delta_contender look_up_alone = {"look-up", look_up_open, floor_pass, floor_close};
    static const struct delta_contender parse = {"parse", parse_open, parse_pass, parse_close};
    const struct delta_contender *const contenders[] = {
        &sync, &whole, &look_up_alone, &parse, &delta_sqlite_wal, &delta_sqlite_delete};
    if (argc == 7 && strcmp(argv[1], "make") == 0) {
        delta_make_export(argv[2], argv[3], number(argv[4]), number(argv[5]), argv[6]);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; argc >= 5 && i < sizeof contenders / sizeof contenders[0]; i++)
        if (strcmp(argv[1], contenders[i]->name) == 0)
            return measure(contenders[i], argv[2], argv[3], argc - 4, argv + 4);
    (void)fputs("usage: bench-delta make csv|json ordered|random COUNT CHANGED_PERCENT FILE |\n"
                "       sync|floor|look-up|parse|sqlite-wal|sqlite-delete csv|json FOLDER FILE...\n",
                stderr);
    return 2;
}
