#include "proto/io/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define RESOURCE "resources: {erp: {}}\n"
#define JOB      "{every: 30m, key: [id], source: {url: \"http://erp/x.csv\"}}"
#define SMALL    RESOURCE "jobs: {prices: " JOB "}\n"

#define SOURCE(options)                                                                                      \
    RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/y\", " options "}}}\n"

// Every line that the reading told.
struct told {
    char text[8192];
    size_t size;
    size_t lines;
};

static void take_line(void *arg, const char *line)
{
    struct told *told = arg;
    told->size += (size_t)snprintf(told->text + told->size, sizeof told->text - told->size, "%s\n", line);
    assert_true(told->size < sizeof told->text);
    told->lines++;
}

static struct config *accepted(const char *text, uint32_t speed, struct told *told)
{
    struct config *config = NULL;
    struct fault fault = {0};
    enum err err = config_parse(text, strlen(text), "f.yaml", speed, take_line, told, &config, &fault);
    if (err != ERR_OK)
        fail_msg("%s", told->text);
    return config;
}

static void accepted_and_dropped(const char *text)
{
    struct told told = {0};
    struct config *config = accepted(text, 1, &told);
    config_destroy(&config);
}

// The file is refused, and this line is told.
static void refused(const char *text, const char *line)
{
    struct config *config = NULL;
    struct fault fault = {0};
    struct told told = {0};
    enum err err = config_parse(text, strlen(text), "f.yaml", 1, take_line, &told, &config, &fault);
    assert_int_equal(err, ERR_INVALID);
    assert_null(config);
    if (strstr(told.text, line) == NULL)
        fail_msg("not told: %s\ntold:\n%s", line, told.text);
    assert_int_equal(strncmp(told.text, fault.text, strlen(fault.text)), 0);
}

static void what_is_left_out_takes_its_default(void **state)
{
    (void)state;
    struct told told = {0};
    struct config *config = accepted(SMALL, 1, &told);
    assert_int_equal(told.lines, 0);
    assert_string_equal(config->broker.requests, "ipc:///run/syncbus/requests");
    assert_int_equal(config->broker.beat_ms, 1000);
    assert_int_equal(config->broker.keep_ms, INT64_C(90) * 24 * 3600 * 1000);
    assert_int_equal(config->broker.frame_max, 1024 * 1024);
    assert_int_equal(config->resources[0].lease_ttl_ms, 10000);
    assert_int_equal(config->resources[0].max_exclusive_streak_ms, 15 * 60 * 1000);
    const struct config_job *job = &config->jobs[0];
    assert_string_equal(job->name, "prices");
    assert_string_equal(job->data, "/var/lib/syncbus/prices");
    assert_int_equal(job->resource, 0);
    assert_int_equal(job->offset_ms, 0);
    assert_int_equal(job->fresh_within_ms, 45 * 60 * 1000);
    assert_int_equal(job->settle_ms, 250);
    assert_int_equal(job->yield, YIELD_FINISH);
    assert_int_equal(job->max_rejects_ppm, 10000);
    assert_true(job->source.complete);
    assert_true(job->source.csv_header);
    assert_string_equal(job->source.csv_delimiter, ",");
    assert_string_equal(job->source.json_records, "$");
    assert_null(job->source.json_object_key);
    assert_false(config->orders.present);
    config_destroy(&config);
    assert_null(config);
}

static void the_shipped_file_is_whole_and_without_warnings(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct fault fault = {0};
    struct told told = {0};
    if (config_load(SHIPPED, 1, take_line, &told, &config, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    assert_int_equal(told.lines, 0);
    assert_int_equal(config->job_count, 6);
    assert_string_equal(config->profile, "60m");
    const struct config_job *ddt = config_job(config, "ddt", &fault);
    assert_non_null(ddt);
    assert_int_equal(ddt->every_ms, 45 * 60 * 1000);
    assert_int_equal(ddt->offset_ms, 20 * 60 * 1000);
    assert_true(config->orders.present);
    assert_string_equal(config->orders.data, "/var/lib/syncbus/order");
    config_destroy(&config);
}

static void the_demo_speed_divides_only_the_schedule(void **state)
{
    (void)state;
    struct told told = {0};
    struct config *config =
        accepted(RESOURCE "profile: p\nprofiles: {p: {a: 10m}}\njobs: {a: " JOB "}\n", 60, &told);
    assert_int_equal(config->jobs[0].every_ms, 30000);
    assert_int_equal(config->jobs[0].offset_ms, 10000);
    assert_int_equal(config->jobs[0].fresh_within_ms, 45000);
    assert_int_equal(config->jobs[0].pause_timeout_ms, 60000);
    assert_int_equal(config->resources[0].lease_ttl_ms, 10000);
    config_destroy(&config);
}

static void a_jobs_own_offset_wins_over_the_profiles(void **state)
{
    (void)state;
    struct told told = {0};
    struct config *config =
        accepted(RESOURCE "profile: p\nprofiles: {p: {a: 10m, b: 20m}}\njobs:\n  a: " JOB "\n"
                          "  b: {every: 30m, offset: 1m, key: [id], source: {url: \"file:///x\"}}\n",
                 1, &told);
    assert_int_equal(config->jobs[0].offset_ms, 600000);
    assert_int_equal(config->jobs[1].offset_ms, 60000);
    config_destroy(&config);
}

static void every_source_option_is_read(void **state)
{
    (void)state;
    struct told told = {0};
    struct config *config = accepted(
        RESOURCE
        "jobs:\n  a:\n    every: 30m\n    key: [x, y]\n    ignore: [z]\n    max_rejects: 0.5%\n    source:\n"
        "      url: https://erp/a.json\n      format: json\n      json: { records: $.items, object_key: name "
        "}\n"
        "      csv: { delimiter: \"|\", quote: none, encoding: latin-1, skip_lines: 1, header: false,"
        " columns: [x, y], null_as: [NULL, \"\"] }\n"
        "      headers: { Authorization: { env: ERP_TOKEN }, Accept: text/csv }\n      complete: false\n"
        "      max_size: 2KiB\n",
        1, &told);
    const struct config_source *source = &config->jobs[0].source;
    assert_int_equal(source->format, FORMAT_JSON);
    assert_string_equal(source->json_records, "$.items");
    assert_string_equal(source->json_object_key, "name");
    assert_int_equal(source->csv_quote, QUOTE_NONE);
    assert_int_equal(source->encoding, ENCODING_LATIN1);
    assert_int_equal(source->csv_skip_lines, 1);
    assert_false(source->csv_header);
    assert_int_equal(source->csv_null_as.count, 2);
    assert_string_equal(source->csv_null_as.items[1], "");
    assert_int_equal(source->headers.count, 2);
    assert_string_equal(source->headers.items[0].value_env, "ERP_TOKEN");
    assert_null(source->headers.items[0].value);
    assert_string_equal(source->headers.items[1].value, "text/csv");
    assert_false(source->complete);
    assert_int_equal(source->size_max, 2048);
    assert_int_equal(config->jobs[0].max_rejects_ppm, 5000);
    assert_int_equal(config->jobs[0].key.count, 2);
    config_destroy(&config);
}

static void an_unknown_word_is_refused_where_it_stands_with_a_suggestion(void **state)
{
    (void)state;
    refused(SMALL "brokr: {}\n",
            "f.yaml:3:1: \"brokr\" is not an option of the file; did you mean \"broker\"?");
    refused("resources:\n  erp:\n    capactiy: 2\n"
            "jobs: {a: " JOB "}\n",
            "f.yaml:3:5: \"capactiy\" is not an option of resources.erp; did you mean \"capacity\"?");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id], yield: abrt, source: {url: \"http://x/y\"}}}\n",
            "\"abrt\" is none of finish, page, abort; did you mean \"abort\"?");
    refused(SMALL "qqqqqqqq: 1\n", "\"qqqqqqqq\" is not an option of the file\n");
    refused(SMALL "orders: {resource: epr, url: \"http://x/o\"}\n",
            "there is no resource \"epr\"; did you mean \"erp\"?");
    refused(SMALL "profile: 60\nprofiles: {60m: {prices: 1m}}\n", "did you mean \"60m\"?");
    refused(SMALL "profile: p\nprofiles: {p: {price: 1m}}\n",
            "there is no job \"price\"; did you mean \"prices\"?");
}

static void what_is_required_is_asked_for(void **state)
{
    (void)state;
    refused("", "f.yaml: is empty");
    refused("jobs: {a: " JOB "}\n", "resources is missing");
    refused(RESOURCE, "jobs is missing");
    refused(RESOURCE "jobs: {a: {key: [id], source: {url: \"http://x/y\"}}}\n", "jobs.a.every is missing");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id], source: {}}}\n",
            "f.yaml:2:42: jobs.a.source.url is missing");
    refused(RESOURCE "jobs: {a: {every: 1m, source: {url: \"http://x/y\"}}}\n", "jobs.a.key is missing");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [], source: {url: \"http://x/y\"}}}\n",
            "at least one field");
    refused(SMALL "orders: {}\n", "orders.url is missing");
    refused("resources: {a: {}, b: {}}\njobs: {j: " JOB "}\n", "jobs.j.resource is missing: there are 2");
    refused(SMALL "profiles: {p: {prices: 1m}}\n", "profile is missing");
}

static void a_wrong_type_or_range_is_refused(void **state)
{
    (void)state;
    refused(RESOURCE "jobs: {a: {every: 30, key: [id], source: {url: \"http://x/y\"}}}\n",
            "f.yaml:2:19: jobs.a.every:");
    refused(RESOURCE "jobs: {a: {every: [1m], key: [id], source: {url: \"http://x/y\"}}}\n",
            "one value is expected, and this is a list");
    refused(RESOURCE "jobs: {a: {every: 1ms, key: [id], source: {url: \"http://x/y\"}}}\n",
            "1ms is out of range");
    refused(RESOURCE "jobs: {a: {every: 1m, priority: 6, key: [id], source: {url: \"http://x/y\"}}}\n",
            "6 is out of range: 1 to 5");
    refused(RESOURCE "jobs: {a: {every: 1m, priority: high, key: [id], source: {url: \"http://x/y\"}}}\n",
            "\"high\" is not a whole number");
    refused(RESOURCE "jobs: {a: {every: 1m, key: id, source: {url: \"http://x/y\"}}}\n",
            "a list is expected");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: ftp://x/y}}}\n", "is not a URL");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/y\", complete: maybe}}}\n",
            "neither true nor false");
    refused(RESOURCE "jobs: {\"a b\": " JOB "}\n", "is not a name");
    refused(RESOURCE "jobs: []\n", "options are expected");
    refused("resources: {erp: {capacity: 0}}\njobs: {a: " JOB "}\n", "0 is out of range");
    refused(SMALL "broker: {requests: \"ftp://x\"}\n", "neither ipc://PATH nor tcp://");
    refused(SMALL "broker: {max_sessions: 100000}\n", "100000 is out of range: 1 to 65536");
    refused(SMALL "broker: {max_waiters: 65537}\n", "65537 is out of range: 1 to 65536");
    refused("broker: {max_jobs: 1}\nresources: {erp: {}}\njobs:\n"
            "  a: {every: 1m, key: [id], source: {url: \"http://x/y\"}}\n"
            "  b: {every: 1m, key: [id], source: {url: \"http://x/y\"}}\n",
            "f.yaml:5:3: jobs: 2 of them are more than the 1 of broker.max_jobs");
    refused(SMALL "broker: {max_calls: 65537}\n", "65537 is out of range: 1 to 65536");
    refused("resources: [\n", "f.yaml:2:1: is not YAML");
    refused("\x80", "is not UTF-8 text");
}

static void what_is_there_twice_is_refused(void **state)
{
    (void)state;
    refused(SMALL RESOURCE, "\"resources\" is there twice");
    refused(RESOURCE "jobs: {a: " JOB ", a: " JOB "}\n", "\"a\" is there twice");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id, id], source: {url: \"http://x/y\"}}}\n",
            "\"id\" is there twice");
    refused(SMALL "profile: p\nprofiles: {p: {prices: 1m, prices: 2m}}\n",
            "f.yaml:4:28: profiles.p: \"prices\" is there twice");
    refused(SMALL "profile: p\nprofiles: {p: {prices: 1m}, p: {prices: 2m}}\n",
            "f.yaml:4:29: profiles: \"p\" is there twice");
    refused(SMALL "orders: {url: \"http://x/o\", headers: {Accept: a, accept: b}}\n",
            "f.yaml:3:50: orders.headers: \"accept\" is there twice");
    refused(SMALL "---\nmore: 1\n", "a second document");
}

static void what_would_be_a_header_of_its_own_is_refused_where_it_stands(void **state)
{
    (void)state;
    static const char *const names[] = {"X-All: 1", "X All", "X\\r\\nA", "X\\e", "", "caf\\xe9"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       RESOURCE "jobs:\n  a:\n    every: 1m\n    key: [id]\n    source:\n"
                                "      url: \"http://x/y\"\n"
                                "      page: {parameter: p, size: 5, total_header: \"%s\"}\n",
                       names[i]);
        refused(text, "f.yaml:8:51: jobs.a.source.page.total_header: ");
    }
    refused(SMALL "orders: {url: \"http://x/o\", headers: {Accept: \"a\\rb\"}}\n",
            "f.yaml:3:47: header Accept: a line break would end it");
    refused(SMALL "orders: {url: \"http://x/o\", headers: {Accept: \"a\\eb\"}}\n",
            "other controls garble it");
    refused(SMALL "orders: {url: \"http://x/o\", headers: {Accept: \"a\\x7f\"}}\n",
            "other controls garble it");
    refused(SMALL "orders: {url: \"http://x/o\", headers: {\"A: b\": c}}\n",
            "cannot be the name of a header");
    refused(SMALL "orders: {url: \"http://x/o\", headers: {A: {env: \"B=c\"}}}\n",
            "{ env: VARIABLE } is expected");
    accepted_and_dropped(SMALL "orders: {url: \"http://x/o\", headers: {Accept: \"a\\tb caf\xc3\xa9\"}}\n");
}

static void what_a_url_or_a_path_cannot_hold_is_refused_where_it_stands(void **state)
{
    (void)state;
    static const char *const parameters[] = {"a b", "a=b", "a&b", "a?", "a#", "a\\n", "caf\\xe9", ""};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/y\",\n"
                                " page: {parameter: \"%s\", size: 5}}}}\n",
                       parameters[i]);
        refused(text, "f.yaml:3:20: jobs.a.source.page.parameter: ");
    }
    refused(SMALL "orders: {url: \"http://x/o\\eb\"}\n",
            "f.yaml:3:15: orders.url: holds a control character");
    refused(SMALL "orders: {url: \"http://x/o b\"}\n", "is not a whole URL");
    refused(SMALL "orders: {url: \"http://x/o\", data: \"/d/\\n\"}\n",
            "f.yaml:3:35: orders.data: holds a control character");
    refused(SMALL "broker: {requests: \"ipc:///r/\\a\"}\n",
            "f.yaml:3:20: broker.requests: holds a control character");
    refused(SMALL "\"bro\\eker\\x9b\": {}\n",
            "\"bro ker  \" is not an option of the file"); // nor is it told so
    refused(SMALL "broker: {data: \"/d/\\u202e\"}\n", "broker.data: holds a control character");
}

static void names_of_fields_and_profiles_hold_no_control_characters(void **state)
{
    (void)state;
    refused(RESOURCE "jobs: {a: {every: 1m, key: [\"i\\ed\"], source: {url: \"http://x/y\"}}}\n",
            "f.yaml:2:29: jobs.a.key: holds a control character");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id], index: [\"\\x9b\"], source: {url: \"http://x/y\"}}}\n",
            "jobs.a.index: holds a control character");
    refused(SOURCE("json: {object_key: \"a\\nb\"}"), "source.json.object_key: holds a control character");
    refused(SMALL "profile: \"p q\"\nprofiles: {\"p q\": {prices: 1m}}\n",
            "f.yaml:4:12: profiles: \"p q\" is not a name");
    // An export may use any characters between its fields, and for what is missing.
    accepted_and_dropped(SOURCE("csv: {delimiter: \"\\x1f\", null_as: [\"\\x1a\", \"\"]}"));
}

static void two_stores_cannot_share_a_directory(void **state)
{
    (void)state;
    refused(RESOURCE "jobs:\n  a: {every: 1m, key: [id], data: /d/x, source: {url: \"http://x/y\"}}\n"
                     "  b: {every: 1m, key: [id], data: /d//x/, source: {url: \"http://x/y\"}}\n",
            "f.yaml:4:3: jobs.b.data is that of jobs.a");
    refused(RESOURCE "jobs: {broker: " JOB "}\n", "jobs.broker.data is the broker's");
    refused(SMALL "orders: {url: \"http://x/o\", data: /var/lib/syncbus/prices}\n",
            "orders.data is that of jobs.prices");
    refused(SMALL "broker: {requests: ipc:///r/x, events: ipc:///r/x}\n",
            "f.yaml:3:40: broker.requests and broker.events are the same");
}

static void tcp_is_only_for_loopback(void **state)
{
    (void)state;
    struct told told = {0};
    const char *const good[] = {"tcp://127.0.0.1:7000", "tcp://127.9.8.7:7000", "tcp://localhost:7000",
                                "tcp://[::1]:7000"};
    const char *const bad[] = {"tcp://0.0.0.0:7000",  "tcp://*:7000",
                               "tcp://erp:7000",      "tcp://127.0.0.1.evil.example:7000",
                               "tcp://10.0.0.1:7000", "tcp://127.0.0.256:7000",
                               "tcp://127.0.1:7000"};
    char text[512];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        (void)snprintf(text, sizeof text, SMALL "broker: {requests: \"%s\"}\n", good[i]);
        struct config *config = accepted(text, 1, &told);
        config_destroy(&config);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(text, sizeof text, SMALL "broker: {requests: \"%s\"}\n", bad[i]);
        refused(text, "not elsewhere until encryption exists");
    }
}

static void what_a_later_version_does_is_refused(void **state)
{
    (void)state;
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/y\", format: pdf}}}\n",
            "\"pdf\" is not supported");
}

static void pages_and_full_fetches_are_read_and_fit_together(void **state)
{
    (void)state;
    struct told told = {0};
    struct config *config = accepted(SMALL, 1, &told);
    const struct config_source *source = &config->jobs[0].source;
    assert_null(source->page_parameter);
    assert_null(source->full_url);
    assert_int_equal(source->full_every_ms, 24 * 3600 * 1000);
    config_destroy(&config);
    config =
        accepted(SOURCE("page: {parameter: p, size: 200, size_parameter: n, first: 0, total_header: X-All},"
                        " complete: false, full_url: \"http://x/all\", full_every: 7d"),
                 1, &told);
    source = &config->jobs[0].source;
    assert_string_equal(source->page_parameter, "p");
    assert_int_equal(source->page_size, 200);
    assert_string_equal(source->page_size_parameter, "n");
    assert_int_equal(source->page_first, 0);
    assert_string_equal(source->page_total_header, "X-All");
    assert_string_equal(source->full_url, "http://x/all");
    assert_int_equal(source->full_every_ms, 7 * 24 * 3600 * 1000);
    assert_int_equal(told.lines, 0);
    config_destroy(&config);
    refused(SOURCE("page: {parameter: page}"), "source.page needs both `parameter` and `size`");
    refused(SOURCE("page: {size: 200}"), "source.page needs both `parameter` and `size`");
    refused(SOURCE("page: {parameter: page, size: 0}"), "0 is out of range");
    refused(SOURCE("page: {parameter: size, size: 5}"), "size_parameter are the same");
    refused(SOURCE("full_url: \"http://x/all\""), "goes with `complete: false` only");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id],"
                     " source: {url: \"file:///x/y\", page: {parameter: page, size: 1}}}}\n",
            "source.page goes with http:// and https:// only");
}

static void the_text_of_a_job_differs_when_any_of_its_options_does(void **state)
{
    (void)state;
    static const char *const variants[] = {
        SOURCE("complete: true"),
        SOURCE("format: json"),
        SOURCE("csv: {delimiter: \";\"}"),
        SOURCE("csv: {null_as: [a, b]}"),
        SOURCE("csv: {null_as: [a, c]}"),
        SOURCE("csv: {null_as: [\"a 1:b\"]}"),
        SOURCE("headers: {Accept: a}"),
        SOURCE("headers: {Accept: {env: a}}"),
        SOURCE("page: {parameter: p, size: 200}"),
        SOURCE("page: {parameter: q, size: 200}"),
        SOURCE("page: {parameter: p, size: 200, size_parameter: n}"),
        SOURCE("page: {parameter: p, size: 200, total_header: X-All}"),
        SOURCE("page: {parameter: page, size: 2}"),
        SOURCE("page: {parameter: page, size: 3}"),
        SOURCE("max_size: 1MiB"),
        RESOURCE "jobs: {a: {every: 1m, key: [id, b], source: {url: \"http://x/y\"}}}\n",
        RESOURCE "jobs: {a: {every: 1m, key: [id], ignore: [b], source: {url: \"http://x/y\"}}}\n",
        RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/z\"}}}\n",
    };
    enum { COUNT = sizeof variants / sizeof *variants };
    struct buffer texts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        struct config *config = accepted(variants[i], 1, &(struct told){0});
        buffer_init(&texts[i], 1 << 16);
        assert_int_equal(config_job_text(&config->jobs[0], &texts[i]), ERR_OK);
        for (size_t other = 0; other < i; other++)
            if (texts[i].size == texts[other].size &&
                memcmp(texts[i].data, texts[other].data, texts[i].size) == 0)
                fail_msg("%s\nreads as\n%s", variants[i], variants[other]);
        config_destroy(&config);
    }
    for (size_t i = 0; i < COUNT; i++)
        buffer_free(&texts[i]);
}

static void a_path_to_records_is_checked_with_its_place(void **state)
{
    (void)state;
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/y\", format: json,"
                     " json: {records: \"$.a[0]\"}}}}\n",
            "f.yaml:2:8: jobs.a: source.json.records: \"$.a[0]\" is no path, at character 4");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/y\", format: json,"
                     " json: {records: \"$.a[*].b\", parent: [id, parent.id]}}}}\n",
            "source.json.parent: \"parent.id\": it is above the outermost parent of the path");
    struct config *config = accepted(
        RESOURCE "jobs: {a: {every: 1m, key: [id, parent.id], source: {url: \"http://x/y\", format: json,"
                 " json: {records: \"$.a[*].b\", parent: [id]}}}}\n",
        1, &(struct told){0});
    assert_int_equal(config->jobs[0].source.json_parent.count, 1);
    assert_string_equal(config->jobs[0].source.json_parent.items[0], "id");
    config_destroy(&config);
}

static void the_delete_guard_is_ten_percent_and_ten_unless_told_otherwise(void **state)
{
    (void)state;
    struct config *config = accepted(
        RESOURCE "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/y\"}},"
                 " b: {every: 1m, key: [id], delete_guard: {max_share: 0.5%}, source: {url: \"http://x/y\"}},"
                 " c: {every: 1m, key: [id], delete_guard: {min_count: 0}, source: {url: \"http://x/y\"}}}\n",
        1, &(struct told){0});
    assert_int_equal(config->jobs[0].delete_max_share_ppm, 100000);
    assert_int_equal(config->jobs[0].delete_min_count, 10);
    assert_int_equal(config->jobs[1].delete_max_share_ppm, 5000);
    assert_int_equal(config->jobs[1].delete_min_count, 10);
    assert_int_equal(config->jobs[2].delete_max_share_ppm, 100000);
    assert_int_equal(config->jobs[2].delete_min_count, 0);
    config_destroy(&config);
}

#define NAMED(name, more) name ": {every: 1m, key: [id], " more ", source: {url: \"http://x/y\"}}"

static void the_field_of_a_match_is_an_index_and_holds_the_key_of_another_job(void **state)
{
    (void)state;
    struct config *config = accepted(
        RESOURCE "jobs: {" NAMED("orders", "index: [city]") ", " NAMED(
            "ddt",
            "match: {entity: orders, "
            "field: PO}") ", " NAMED("more", "index: [a, PO], match: {entity: orders, field: PO}") "}\n",
        1, &(struct told){0});
    assert_int_equal(config->jobs[0].index.count, 1);
    assert_null(config->jobs[0].match_entity);
    assert_string_equal(config->jobs[1].match_entity, "orders");
    assert_int_equal(config->jobs[1].index.count, 1);
    assert_string_equal(config->jobs[1].index.items[0], "PO");
    assert_int_equal(config->jobs[2].index.count, 2);
    config_destroy(&config);
    refused(RESOURCE "jobs: {" NAMED("orders", "priority: 3") ", " NAMED(
                "ddt", "match: {entity: order, field: PO}") "}\n",
            "jobs.ddt.match.entity: there is no job \"order\"; did you mean \"orders\"?");
    refused(RESOURCE "jobs: {" NAMED("ddt", "match: {entity: ddt}") "}\n", "jobs.ddt.match: both are needed");
    refused(RESOURCE "jobs: {a: {every: 1m, key: [x, y], source: {url: \"http://x/y\"}}, " NAMED(
                "ddt", "match: {entity: a, field: PO}") "}\n",
            "the key of a has 2 fields, and one field cannot hold it");
    refused(RESOURCE "jobs: {" NAMED("a", "index: [b.c], ignore: [b]") "}\n",
            "jobs.a.index: the field \"b.c\" is ignored, so no record has it");
}

static void policies_are_read_and_have_the_defaults_that_disturb_least(void **state)
{
    (void)state;
    struct config *config =
        accepted("resources: {erp: {on_pause_timeout: revoke}, crm: {}}\n"
                 "jobs: {a: {resource: erp, every: 1m, key: [id], overlap: queue, catch_up: none,"
                 " max_duration: 5m, source: {url: \"http://x/y\"}},"
                 " b: {resource: crm, every: 1m, key: [id], source: {url: \"http://x/y\"}}}\n",
                 1, &(struct told){0});
    assert_int_equal(config->resources[0].on_pause_timeout, PAUSE_TIMEOUT_REVOKE);
    assert_int_equal(config->resources[1].on_pause_timeout, PAUSE_TIMEOUT_REFUSE);
    assert_int_equal(config->jobs[0].overlap, OVERLAP_QUEUE);
    assert_int_equal(config->jobs[0].catch_up, CATCH_UP_NONE);
    assert_int_equal(config->jobs[0].max_duration_ms, 5 * 60 * 1000);
    assert_int_equal(config->jobs[1].overlap, OVERLAP_SKIP);
    assert_int_equal(config->jobs[1].catch_up, CATCH_UP_ONCE);
    assert_int_equal(config->jobs[1].max_duration_ms, 20 * 60 * 1000);
    assert_int_equal(config->broker.jobs_max, 1024);
    config_destroy(&config);
}

static void a_stall_that_every_renewal_would_pass_is_refused(void **state)
{
    (void)state;
    refused("resources: {erp: {lease_ttl: 30s}}\n"
            "jobs:\n"
            "  a: {every: 1m, key: [id], stall: 10s, source: {url: \"http://x/y\"}}\n",
            "f.yaml:3:3: jobs.a.stall: 10s is not longer than a third of the lease_ttl of erp (30s)");
    struct config *config =
        accepted("resources: {erp: {lease_ttl: 30s}}\n"
                 "jobs: {a: {every: 1m, key: [id], stall: 11s, source: {url: \"http://x/y\"}}}\n",
                 1, &(struct told){0});
    assert_int_equal(config->jobs[0].stall_ms, 11000);
    config_destroy(&config);
}

static void many_errors_are_told_at_once_but_not_without_end(void **state)
{
    (void)state;
    char text[2048] = "";
    size_t size = 0;
    for (int i = 0; i < 50; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "wrong%d: 1\n", i);
    struct config *config = NULL;
    struct told told = {0};
    assert_int_equal(config_parse(text, size, "f.yaml", 1, take_line, &told, &config, NULL), ERR_INVALID);
    assert_int_equal(told.lines, 20);
}

static void a_value_of_a_header_is_never_shown(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct told told = {0};
    const char text[] = RESOURCE
        "jobs: {a: {every: 1m, key: [id], source: {url: \"http://x/y\", headers: {A: \"secret\\nB: c\"}}}}\n";
    assert_int_equal(config_parse(text, sizeof text - 1, "f.yaml", 1, take_line, &told, &config, NULL),
                     ERR_INVALID);
    assert_null(strstr(told.text, "secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_takes_its_default),
        cmocka_unit_test(the_shipped_file_is_whole_and_without_warnings),
        cmocka_unit_test(the_demo_speed_divides_only_the_schedule),
        cmocka_unit_test(a_jobs_own_offset_wins_over_the_profiles),
        cmocka_unit_test(every_source_option_is_read),
        cmocka_unit_test(an_unknown_word_is_refused_where_it_stands_with_a_suggestion),
        cmocka_unit_test(what_is_required_is_asked_for),
        cmocka_unit_test(a_wrong_type_or_range_is_refused),
        cmocka_unit_test(what_is_there_twice_is_refused),
        cmocka_unit_test(what_would_be_a_header_of_its_own_is_refused_where_it_stands),
        cmocka_unit_test(what_a_url_or_a_path_cannot_hold_is_refused_where_it_stands),
        cmocka_unit_test(names_of_fields_and_profiles_hold_no_control_characters),
        cmocka_unit_test(two_stores_cannot_share_a_directory),
        cmocka_unit_test(tcp_is_only_for_loopback),
        cmocka_unit_test(what_a_later_version_does_is_refused),
        cmocka_unit_test(pages_and_full_fetches_are_read_and_fit_together),
        cmocka_unit_test(the_text_of_a_job_differs_when_any_of_its_options_does),
        cmocka_unit_test(a_path_to_records_is_checked_with_its_place),
        cmocka_unit_test(the_delete_guard_is_ten_percent_and_ten_unless_told_otherwise),
        cmocka_unit_test(the_field_of_a_match_is_an_index_and_holds_the_key_of_another_job),
        cmocka_unit_test(policies_are_read_and_have_the_defaults_that_disturb_least),
        cmocka_unit_test(a_stall_that_every_renewal_would_pass_is_refused),
        cmocka_unit_test(many_errors_are_told_at_once_but_not_without_end),
        cmocka_unit_test(a_value_of_a_header_is_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
