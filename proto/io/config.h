// The configuration: one YAML file for every process, read into plain structs.
//
// One table in config.c names each option with its type, range, default and help; the reader, the checks and
// `--help-config` are driven by it. Errors are `file:line:col: what is wrong … did you mean …`.
#ifndef SYNCBUS_IO_CONFIG_H
#define SYNCBUS_IO_CONFIG_H

#include "proto/base/buffer.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_INDEXES_MAX = 32 }; // of a job

enum yield_policy { YIELD_FINISH, YIELD_PAGE, YIELD_ABORT };
enum overlap_policy { OVERLAP_SKIP, OVERLAP_QUEUE };
enum catch_up_policy { CATCH_UP_ONCE, CATCH_UP_NONE };
enum pause_timeout_policy { PAUSE_TIMEOUT_REFUSE, PAUSE_TIMEOUT_REVOKE };
enum source_format { FORMAT_CSV, FORMAT_JSON };
enum csv_quote { QUOTE_DOUBLE, QUOTE_NONE };
enum text_encoding { ENCODING_UTF8, ENCODING_LATIN1 };

// A list of words; owned by the config.
struct words {
    char **items;
    size_t count;
};

// One header of a request; the value may come from the environment and is never logged.
struct config_header {
    char *name;
    char *value;     // as written, or NULL when it comes from the environment
    char *value_env; // name of the environment variable, or NULL
};

struct config_headers {
    struct config_header *items;
    size_t count;
};

// One ERP that syncs and orders take turns on.
struct config_resource {
    char *name;
    uint32_t capacity;               // shared leases at once
    int64_t lease_ttl_ms;            // a lease's life from its last renewal
    int64_t grant_delay_ms;          // added after a lease that ended otherwise than by release
    int64_t max_exclusive_ms;        // an exclusive lease is not renewed past this
    int64_t max_exclusive_streak_ms; // pauses in a row before syncs get a turn
    int64_t aging_ms;                // a waiting run gains one priority level for each of these
    enum pause_timeout_policy on_pause_timeout;
};

// Where and how a job's export is fetched and decoded.
struct config_source {
    char *url; // http, https or file
    enum source_format format;
    struct config_headers headers; // sent with each request
    char *csv_delimiter;           // one or more characters
    enum csv_quote csv_quote;
    enum text_encoding encoding;
    uint32_t csv_skip_lines;    // banner lines before the header
    bool csv_header;            // the first line names the columns
    struct words csv_columns;   // names when there is no header, or to choose others
    struct words csv_null_as;   // texts that mean null
    char *json_records;         // path of the arrays or objects of records; proto/base/json_path.h
    char *json_object_key;      // records are an object: the field that takes each name; NULL for an array
    char *page_parameter;       // of the URL, for the number of the page; NULL: the export is one piece
    uint32_t page_size;         // records of a page; one with fewer is the last
    char *page_size_parameter;  // of the URL, for the size
    uint32_t page_first;        // number of the first page
    char *page_total_header;    // of each answer: the number of all records
    struct words json_parent;   // fields of the parents that join each record as parent.NAME
    bool complete;              // false: changes only, deletes nothing
    char *full_url;             // of the whole, where `url` has changes only; NULL: there is none
    int64_t full_every_ms;      // a fetch of all, whatever the ERP says has not changed
    uint64_t size_max;          // bytes; a longer export fails
    int64_t connect_timeout_ms; // to connect
    int64_t stall_timeout_ms;   // with no byte at all
    int64_t timeout_ms;         // for the whole fetch
};

// One scheduled sync of one entity against one resource.
struct config_job {
    char *name;
    char *resource_name; // as written; NULL when left out, because there is only one
    size_t resource;     // index into config.resources
    int64_t every_ms;
    int64_t offset_ms; // own, or from the profile
    uint32_t priority; // 5 critical … 2 medium, 1 low
    int64_t pause_timeout_ms;
    enum yield_policy yield;
    uint32_t max_yields;
    int64_t stall_ms;        // no progress while an exclusive waits: renewals are refused
    int64_t settle_ms;       // added to grant_delay when its lease ends otherwise than by release
    int64_t retry_after_ms;  // a failed or lost run gets one more attempt after this
    int64_t fresh_within_ms; // older data are stale
    int64_t max_duration_ms; // a longer run raises an alert
    enum overlap_policy overlap;
    enum catch_up_policy catch_up;
    struct config_source source;
    struct words key;              // fields that name a record
    struct words ignore;           // volatile fields
    struct words index;            // fields that records are found by; that of `match` is one of them
    char *match_entity;            // job whose records these belong to; NULL: none
    char *match_field;             // the field that holds the other record's key
    uint32_t max_rejects_ppm;      // more rejected rows than this share fail the run
    uint32_t delete_max_share_ppm; // deletions beyond this share of the records, and beyond
    uint32_t delete_min_count;     // so many of them, are withheld
    char *data;                    // directory of its store
};

struct config_orders {
    bool present;        // false: no `orders:` in the file
    char *resource_name; // as in a job
    size_t resource;     // index into config.resources
    char *url;
    struct config_headers headers;
    int64_t timeout_ms;
    bool honours_keys;
    int64_t visibility_lag_ms;
    char *data;
};

struct config_broker {
    char *requests; // endpoint, ipc:// or tcp:// on loopback
    char *events;
    char *data;
    int64_t keep_ms; // runs and ledger are kept this long
    int64_t beat_ms;
    int64_t session_ttl_ms;
    uint32_t jobs_max; // limits of tables; see broker/core/limits.h for their maxima
    uint32_t resources_max;
    uint32_t sessions_max;
    uint32_t waiters_max;
    uint32_t calls_max;
    uint64_t frame_max; // bytes of one message
};

// The whole configuration; read-only once loaded. Strings and arrays belong to it.
struct config {
    char *path;     // the file it came from
    uint32_t speed; // that what schedules say was divided by
    char *profile;  // name of the offsets in use
    struct config_broker broker;
    struct config_resource *resources;
    size_t resource_count;
    struct config_job *jobs;
    size_t job_count;
    struct config_orders orders;
};

// Called for each error, one line without newline; `arg` is the caller's.
typedef void config_warn(void *arg, const char *line);

// Finds the file: `path` if not NULL, else $SYNCBUS_CONFIG, ./syncbus.yaml, /etc/syncbus/syncbus.yaml.
// Returns NULL with the list of places in `fault` if there is none. The result is static or the caller's own.
const char *config_find(const char *path, struct fault *fault);

// Reads a file. Every `every`, `offset` and `fresh_within` is divided by `speed` (1 for real time).
// All errors of the file (up to 20) are written to `warn` as lines, the first one also into `fault`;
// ERR_INVALID. `warn` may be NULL. The caller destroys the result.
SB_MUST_CHECK
enum err config_load(const char *path, uint32_t speed, config_warn *warn, void *arg, struct config **ret,
                     struct fault *fault);

// The same from text in memory; `path` is only for messages. For tests and fuzzing.
SB_MUST_CHECK
enum err config_parse(const char *text, size_t size, const char *path, uint32_t speed, config_warn *warn,
                      void *arg, struct config **ret, struct fault *fault);

// Whether the value of a header can be sent as it is: no line break, which would begin another header, and no
// other control character but the tab.
bool config_is_header_value(const char *text);

// Frees the config and sets the pointer to NULL; NULL is fine.
void config_destroy(struct config **self_p);

// The job or resource of that name, or NULL with a "did you mean" in `fault`.
const struct config_job *config_job(const struct config *self, const char *name, struct fault *fault);
const struct config_resource *config_resource(const struct config *self, const char *name,
                                              struct fault *fault);

// Appends all that the job's options say, defaults too, as a text that differs when any of them does; what
// comes from the environment stands there by the name of its variable. ERR_FULL, ERR_NO_MEMORY.
SB_MUST_CHECK
enum err config_job_text(const struct config_job *job, struct buffer *ret);

// Prints every option with type, unit, default and help, as a reference for people.
void config_print_help(void *stream);

#endif
