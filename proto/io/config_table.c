#include "proto/io/config_table.h"

#include "proto/base/duration.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SECOND       INT64_C(1000)
#define HOUR         (3600 * SECOND)
#define DAY          (24 * HOUR)

static const struct option_choice yields[] = {
    {"finish", YIELD_FINISH, CHOICE_OK, NULL},
    {"page", YIELD_PAGE, CHOICE_OK, NULL},
    {"abort", YIELD_ABORT, CHOICE_OK, NULL},
    {NULL, 0, CHOICE_OK, NULL},
};
static const struct option_choice formats[] = {
    {"csv", FORMAT_CSV, CHOICE_OK, NULL},
    {"json", FORMAT_JSON, CHOICE_OK, NULL},
    {"ndjson", 0, CHOICE_REFUSED, "is not supported by this version: use csv or json"},
    {"pdf", 0, CHOICE_REFUSED, "is not supported by this version: use csv or json"},
    {NULL, 0, CHOICE_OK, NULL},
};
static const struct option_choice quotes[] = {
    {"double", QUOTE_DOUBLE, CHOICE_OK, NULL},
    {"none", QUOTE_NONE, CHOICE_OK, NULL},
    {NULL, 0, CHOICE_OK, NULL},
};
static const struct option_choice encodings[] = {
    {"utf-8", ENCODING_UTF8, CHOICE_OK, NULL},
    {"latin-1", ENCODING_LATIN1, CHOICE_OK, NULL},
    {NULL, 0, CHOICE_OK, NULL},
};

#define ALL(array)                                                                                           \
    {                                                                                                        \
        array, COUNT(array)                                                                                  \
    }

#define PLACE(type, field) .place = offsetof(struct type, field)

static const struct option_spec csv_options[] = {
    {"delimiter", OPTION_TEXT, PLACE(config_source, csv_delimiter), .fallback = ",", .raw = true, .min = 1,
     .max = 8, .help = "one or more characters between two fields"},
    {"quote", OPTION_CHOICE, PLACE(config_source, csv_quote), .fallback = "double", .choices = quotes,
     .help = "whether fields may be in double quotes"},
    {"encoding", OPTION_CHOICE, PLACE(config_source, encoding), .fallback = "utf-8", .choices = encodings,
     .help = "how text is encoded"},
    {"skip_lines", OPTION_COUNT, PLACE(config_source, csv_skip_lines), .fallback = "0", .max = 1000,
     .help = "banner lines before the header"},
    {"header", OPTION_FLAG, PLACE(config_source, csv_header), .fallback = "true",
     .help = "the first line names the columns"},
    {"columns", OPTION_WORDS, PLACE(config_source, csv_columns),
     .help = "names of the columns, when there is no header or to choose others"},
    {"null_as", OPTION_WORDS, PLACE(config_source, csv_null_as), .raw = true, .help = "texts that mean null"},
};
static const struct section csv_section = ALL(csv_options);

static const struct option_spec json_options[] = {
    {"records", OPTION_TEXT, PLACE(config_source, json_records), .fallback = "$", .min = 1, .max = 256,
     .help = "path of the records: $.items, or $.orders[*].lines for those of each element"},
    {"object_key", OPTION_TEXT, PLACE(config_source, json_object_key), .min = 1, .max = 64,
     .help = "the records are an object: the field that takes each name"},
    {"parent", OPTION_WORDS, PLACE(config_source, json_parent),
     .help =
         "fields of the element that holds the records; id joins each record as parent.id, and parent.id, "
         "of the element above that one, as parent.parent.id"},
};
static const struct section json_section = ALL(json_options);

static const struct option_spec page_options[] = {
    {"parameter", OPTION_PARAMETER, PLACE(config_source, page_parameter), .min = 1, .max = 64,
     .help = "the URL's parameter for the number of the page"},
    {"size", OPTION_COUNT, PLACE(config_source, page_size), .min = 1, .max = 1000000,
     .help = "records of a page; one with fewer is the last"},
    {"size_parameter", OPTION_PARAMETER, PLACE(config_source, page_size_parameter), .fallback = "size",
     .min = 1, .max = 64, .help = "the URL's parameter for the size"},
    {"first", OPTION_COUNT, PLACE(config_source, page_first), .fallback = "1", .max = 1,
     .help = "number of the first page: 1 or 0"},
    {"total_header", OPTION_HEADER, PLACE(config_source, page_total_header), .fallback = "X-Total-Count",
     .min = 1, .max = 64,
     .help = "the answer's header with the number of all records; without it nothing is deleted"},
};
static const struct section page_section = ALL(page_options);

static const struct option_spec source_options[] = {
    {"url", OPTION_EXPORT, PLACE(config_source, url), .required = true,
     .help = "where the export is: http://, https:// or file:///"},
    {"format", OPTION_CHOICE, PLACE(config_source, format), .fallback = "csv", .choices = formats,
     .help = "what the export is"},
    {"csv", OPTION_SECTION, .section = &csv_section, .help = "how a CSV export is written"},
    {"json", OPTION_SECTION, .section = &json_section, .help = "where a JSON export has its records"},
    {"headers", OPTION_HEADERS, PLACE(config_source, headers),
     .help = "headers of each request, NAME: VALUE or NAME: { env: VARIABLE }"},
    {"complete", OPTION_FLAG, PLACE(config_source, complete), .fallback = "true",
     .help = "false: an export of changes only, which deletes nothing"},
    {"max_size", OPTION_SIZE, PLACE(config_source, size_max), .fallback = "4GiB", .min = 1,
     .help = "a longer export fails"},
    {"connect_timeout", OPTION_DURATION, PLACE(config_source, connect_timeout_ms), .fallback = "10s",
     .min = 10, .max = HOUR, .help = "to connect"},
    {"stall_timeout", OPTION_DURATION, PLACE(config_source, stall_timeout_ms), .fallback = "30s", .min = 10,
     .max = DAY, .help = "without a single byte"},
    {"timeout", OPTION_DURATION, PLACE(config_source, timeout_ms), .fallback = "20m", .min = 10, .max = DAY,
     .help = "for the whole fetch"},
    {"full_every", OPTION_DURATION, PLACE(config_source, full_every_ms), .fallback = "24h", .min = 1,
     .max = 366 * DAY, .help = "a fetch that takes all, whatever the ERP says has not changed"},
    {"full_url", OPTION_EXPORT, PLACE(config_source, full_url),
     .help = "with complete: false: where the whole is, fetched each full_every; what it lacks is deleted"},
    {"page", OPTION_SECTION, .section = &page_section, .help = "how an export is asked for page by page"},
};
static const struct section source_section = ALL(source_options);

static const struct option_choice overlaps[] = {
    {"skip", OVERLAP_SKIP, CHOICE_OK, NULL},
    {"queue", OVERLAP_QUEUE, CHOICE_OK, NULL},
    {NULL, 0, CHOICE_OK, NULL},
};
static const struct option_choice catch_ups[] = {
    {"once", CATCH_UP_ONCE, CHOICE_OK, NULL},
    {"none", CATCH_UP_NONE, CHOICE_OK, NULL},
    {NULL, 0, CHOICE_OK, NULL},
};
static const struct option_choice pause_timeouts[] = {
    {"refuse", PAUSE_TIMEOUT_REFUSE, CHOICE_OK, NULL},
    {"revoke", PAUSE_TIMEOUT_REVOKE, CHOICE_OK, NULL},
    {NULL, 0, CHOICE_OK, NULL},
};
static const struct option_spec guard_options[] = {
    {"max_share", OPTION_SHARE, PLACE(config_job, delete_max_share_ppm), .fallback = "10%",
     .help = "deletions up to this share of the records are made; 100% turns the guard off"},
    {"min_count", OPTION_COUNT, PLACE(config_job, delete_min_count), .fallback = "10", .max = 1000000000,
     .help = "so many deletions are made, whatever their share"},
};
static const struct section guard_section = ALL(guard_options);

static const struct option_spec match_options[] = {
    {"entity", OPTION_TEXT, PLACE(config_job, match_entity), .min = 1, .max = 64,
     .help = "the job whose records these belong to, as delivery notes to orders"},
    {"field", OPTION_TEXT, PLACE(config_job, match_field), .min = 1, .max = 256,
     .help = "the field that holds the other record's key; it is indexed"},
};
static const struct section match_section = ALL(match_options);

static const struct option_spec job_options[] = {
    {"resource", OPTION_TEXT, PLACE(config_job, resource_name), .min = 1, .max = 64,
     .help = "the ERP that it reads; may be left out when there is only one"},
    {"every", OPTION_DURATION, PLACE(config_job, every_ms), .required = true, .min = SECOND, .max = 366 * DAY,
     .help = "time from one tick to the next"},
    {"offset", OPTION_DURATION, PLACE(config_job, offset_ms), .max = 366 * DAY,
     .help = "shifts the ticks on the grid; default: the profile's, else 0"},
    {"priority", OPTION_COUNT, PLACE(config_job, priority), .fallback = "3", .min = 1, .max = 5,
     .help = "who goes first when several wait: 5 critical … 1 low"},
    {"pause_timeout", OPTION_DURATION, PLACE(config_job, pause_timeout_ms), .fallback = "60s", .min = 100,
     .max = DAY, .help = "an order waits at most this long for this job"},
    {"yield", OPTION_CHOICE, PLACE(config_job, yield), .fallback = "finish", .choices = yields,
     .help = "what a fetch does when an order waits"},
    {"max_yields", OPTION_COUNT, PLACE(config_job, max_yields), .fallback = "3", .max = 1000,
     .help = "a run that yielded so often finishes its fetch"},
    {"stall", OPTION_DURATION, PLACE(config_job, stall_ms), .fallback = "60s", .min = 100, .max = DAY,
     .help = "without progress while an order waits: its lease is not renewed"},
    {"settle", OPTION_DURATION, PLACE(config_job, settle_ms), .fallback = "250ms", .max = HOUR,
     .help = "after a cut, before its lease counts as ended"},
    {"retry_after", OPTION_DURATION, PLACE(config_job, retry_after_ms), .fallback = "30s", .min = 1,
     .max = DAY, .help = "a failed or lost run gets one more attempt after this"},
    {"fresh_within", OPTION_DURATION, PLACE(config_job, fresh_within_ms), .min = 1, .max = 366 * DAY,
     .help = "older data are stale; default: one and a half times `every`"},
    {"overlap", OPTION_CHOICE, PLACE(config_job, overlap), .fallback = "skip", .choices = overlaps,
     .help = "a slot that falls into the job's own run: skip it, or queue one behind it"},
    {"catch_up", OPTION_CHOICE, PLACE(config_job, catch_up), .fallback = "once", .choices = catch_ups,
     .help = "slots missed while the broker was down: one run for all of them, or none"},
    {"max_duration", OPTION_DURATION, PLACE(config_job, max_duration_ms), .fallback = "20m", .min = SECOND,
     .max = 7 * DAY, .help = "a run that takes longer raises an alert"},
    {"source", OPTION_SECTION, PLACE(config_job, source), .required = true, .section = &source_section,
     .help = "the export"},
    {"key", OPTION_WORDS, PLACE(config_job, key), .required = true, .help = "fields that name a record"},
    {"ignore", OPTION_WORDS, PLACE(config_job, ignore), .help = "volatile fields, not part of the record"},
    {"max_rejects", OPTION_SHARE, PLACE(config_job, max_rejects_ppm), .fallback = "1%",
     .help = "more rejected rows than this share fail the run"},
    {"data", OPTION_PATH, PLACE(config_job, data),
     .help = "directory of its store; default: named as the job, beside the broker's"},
    {"index", OPTION_WORDS, PLACE(config_job, index),
     .help = "fields that records are found by: syncbus records JOB --index FIELD VALUE"},
    {"match", OPTION_SECTION, .section = &match_section,
     .help = "which records of another job these belong to; shown with them as tracking"},
    {"delete_guard", OPTION_SECTION, .section = &guard_section,
     .help = "more deletions than this are withheld until syncbus deletions JOB --release"},
};
static const struct section job_section = ALL(job_options);

static const struct option_spec resource_options[] = {
    {"capacity", OPTION_COUNT, PLACE(config_resource, capacity), .fallback = "1", .min = 1, .max = 1024,
     .help = "syncs at once"},
    {"lease_ttl", OPTION_DURATION, PLACE(config_resource, lease_ttl_ms), .fallback = "10s", .min = 500,
     .max = HOUR, .help = "a lease's life from its last renewal"},
    {"grant_delay", OPTION_DURATION, PLACE(config_resource, grant_delay_ms), .fallback = "1s", .max = HOUR,
     .help = "added after a lease that was not given back"},
    {"on_pause_timeout", OPTION_CHOICE, PLACE(config_resource, on_pause_timeout), .fallback = "refuse",
     .choices = pause_timeouts,
     .help = "when a pause cannot complete: refuse the orders, or revoke the leases in their way"},
    {"max_exclusive", OPTION_DURATION, PLACE(config_resource, max_exclusive_ms), .fallback = "10m",
     .min = SECOND, .max = 7 * DAY, .help = "an exclusive lease is not renewed past this"},
    {"max_exclusive_streak", OPTION_DURATION, PLACE(config_resource, max_exclusive_streak_ms),
     .fallback = "15m", .min = SECOND, .max = 7 * DAY,
     .help = "pauses in a row before stale syncs get a turn"},
    {"aging", OPTION_DURATION, PLACE(config_resource, aging_ms), .fallback = "10m", .min = SECOND,
     .max = 7 * DAY, .help = "a waiting run gains one level of priority for each of these"},
};
static const struct section resource_section = ALL(resource_options);

static const struct option_spec broker_options[] = {
    {"requests", OPTION_ENDPOINT, PLACE(config_broker, requests), .fallback = "ipc:///run/syncbus/requests",
     .help = "where requests are taken: ipc://PATH, or tcp://127.0.0.1:PORT"},
    {"events", OPTION_ENDPOINT, PLACE(config_broker, events), .fallback = "ipc:///run/syncbus/events",
     .help = "where events are published"},
    {"data", OPTION_PATH, PLACE(config_broker, data), .fallback = "/var/lib/syncbus/broker",
     .help = "directory of the journal"},
    {"keep", OPTION_DURATION, PLACE(config_broker, keep_ms), .fallback = "90d", .min = HOUR,
     .max = 3660 * DAY, .help = "runs and ledger are kept this long"},
    {"beat", OPTION_DURATION, PLACE(config_broker, beat_ms), .fallback = "1s", .min = 50, .max = HOUR,
     .help = "time between two beats"},
    {"session_ttl", OPTION_DURATION, PLACE(config_broker, session_ttl_ms), .fallback = "15s", .min = 200,
     .max = HOUR, .help = "a service that was silent for so long is gone"},
    {"max_jobs", OPTION_COUNT, PLACE(config_broker, jobs_max), .fallback = "1024", .min = 1, .max = 100000,
     .help = "room for jobs; a reload cannot go past it"},
    {"max_resources", OPTION_COUNT, PLACE(config_broker, resources_max), .fallback = "256", .min = 1,
     .max = 256, .help = "room for resources; a reload cannot go past it"},
    {"max_sessions", OPTION_COUNT, PLACE(config_broker, sessions_max), .fallback = "4096", .min = 1,
     .max = 65536, .help = "sessions at once; a newcomer past it is told BUSY"},
    {"max_waiters", OPTION_COUNT, PLACE(config_broker, waiters_max), .fallback = "4096", .min = 1,
     .max = 65536, .help = "wishes for a lease at once"},
    {"max_calls", OPTION_COUNT, PLACE(config_broker, calls_max), .fallback = "1024", .min = 1, .max = 65536,
     .help = "calls under way at once"},
    {"max_frame", OPTION_SIZE, PLACE(config_broker, frame_max), .fallback = "1MiB", .min = 4096,
     .max = 64 * 1024 * 1024, .help = "a longer message is refused"},
};
static const struct section broker_section = ALL(broker_options);

static const struct option_spec orders_options[] = {
    {"resource", OPTION_TEXT, PLACE(config_orders, resource_name), .min = 1, .max = 64,
     .help = "the ERP that takes the orders; may be left out when there is only one"},
    {"url", OPTION_URL, PLACE(config_orders, url), .required = true,
     .help = "POST places an order, GET ?key= finds it"},
    {"headers", OPTION_HEADERS, PLACE(config_orders, headers),
     .help = "headers of each request, NAME: VALUE or NAME: { env: VARIABLE }"},
    {"timeout", OPTION_DURATION, PLACE(config_orders, timeout_ms), .fallback = "120s", .min = 100,
     .max = HOUR, .help = "for one request; after it the outcome is not known"},
    {"honours_keys", OPTION_FLAG, PLACE(config_orders, honours_keys), .fallback = "false",
     .help = "true: the same Idempotency-Key twice makes one order"},
    {"visibility_lag", OPTION_DURATION, PLACE(config_orders, visibility_lag_ms), .fallback = "5s",
     .max = HOUR, .help = "how long a new order may stay invisible to the search"},
    {"data", OPTION_PATH, PLACE(config_orders, data),
     .help = "directory of the book; default: `order`, beside the broker's"},
};
static const struct section orders_section = ALL(orders_options);

static const struct option_spec file_options[] = {
    {"broker", OPTION_SECTION, PLACE(config, broker), .section = &broker_section, .help = "the broker"},
    {"profile", OPTION_TEXT, PLACE(config, profile), .min = 1, .max = 64, .help = "which offsets are in use"},
    {"profiles", OPTION_PROFILES, .help = "offsets of the jobs, by the name of the profile"},
    {"resources", OPTION_RESOURCES, .required = true, .section = &resource_section,
     .help = "what must not be used by two at once, by name"},
    {"jobs", OPTION_JOBS, .required = true, .section = &job_section, .help = "the syncs, by name"},
    {"orders", OPTION_ORDERS, PLACE(config, orders), .section = &orders_section, .help = "the order service"},
};
const struct section config_section_file = ALL(file_options);

static_assert(COUNT(job_options) <= SECTION_OPTIONS_MAX, "each option has a bit of a 64-bit mask");
static_assert(sizeof(enum yield_policy) == sizeof(int), "a choice is written as an int");

static bool holds_text(enum option_type type)
{
    return type <= OPTION_URL;
}

static void headers_free(struct config_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        free(headers->items[i].name);
        free(headers->items[i].value);
        free(headers->items[i].value_env);
    }
    free(headers->items);
}

void config_section_free(const struct section *section, void *target)
{
    assert(section->count <= SECTION_OPTIONS_MAX);
    for (size_t i = 0; i < section->count; i++) {
        const struct option_spec *option = &section->options[i];
        void *place = (char *)target + option->place;
        if (holds_text(option->type)) {
            free(*(char **)place);
        } else if (option->type == OPTION_SECTION || option->type == OPTION_ORDERS) {
            config_section_free(option->section, place);
        } else if (option->type == OPTION_HEADERS) {
            headers_free(place);
        } else if (option->type == OPTION_WORDS) {
            struct words *words = place;
            for (size_t word = 0; word < words->count; word++)
                free(words->items[word]);
            free(words->items);
        }
    }
}
