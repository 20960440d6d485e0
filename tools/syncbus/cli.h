// What every command of the CLI shares: its words and flags, one client, asking and saying what went wrong.
#ifndef SYNCBUS_TOOLS_CLI_H
#define SYNCBUS_TOOLS_CLI_H

#include "proto/io/config.h"
#include "proto/io/program.h"
#include "proto/io/say.h"
#include "proto/json.h"
#include "proto/syncbus.h"
#include "proto/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLI_WORDS_MAX = 512, CLI_PAGE = 200 };

// One invocation. Texts belong to argv and to the config.
struct cli {
    const struct config *config;
    syncbus_client_t *client;         // made by the first ask, or by cli_connect
    bool json;                        // --json
    bool wait;                        // --wait
    bool follow;                      // -f, --follow
    int64_t timeout_ms;               // --timeout; 60 s unless given
    const char *resource;             // --resource, or NULL
    const char *key;                  // --key, or NULL
    const char *by;                   // --by, or the user's name and host
    const char *reason;               // --reason, or NULL
    int64_t for_ms;                   // --for; 0: without an end
    bool orders_too;                  // --orders-too
    bool webhook;                     // --webhook
    const char *placed;               // --placed, or NULL
    const char *rejected;             // --rejected, or NULL
    bool release;                     // --release
    uint64_t list;                    // --list; 0: not given
    const char *index;                // --index, or NULL
    uint64_t after;                   // --after
    uint32_t limit;                   // --limit; 0: the command's own
    enum syncbus_code answer;         // the last reply's code
    char answer_text[1200];           // what was wrong with it, for a person
    const char *words[CLI_WORDS_MAX]; // the command's name and its words
    size_t word_count;
};

// A command: `words` of its own beside its name, between min and max.
struct command {
    const char *name;
    const char *usage; // after "syncbus "
    const char *help;  // one line
    size_t words_min;
    size_t words_max;
    int (*run)(struct cli *cli); // gives the exit code
};

int command_status(struct cli *cli);
int command_watch(struct cli *cli);
int command_runs(struct cli *cli);
int command_ledger(struct cli *cli);
int command_trigger(struct cli *cli);
int command_hold(struct cli *cli);
int command_holds(struct cli *cli);
int command_unhold(struct cli *cli);
int command_revoke(struct cli *cli);
int command_rebind(struct cli *cli);
int command_reload(struct cli *cli);
int command_pauses(struct cli *cli);
int command_alerts(struct cli *cli);
int command_run(struct cli *cli);
int command_order(struct cli *cli);
int command_records(struct cli *cli);
int command_changes(struct cli *cli);
int command_rejects(struct cli *cli);
int command_deletions(struct cli *cli);
int command_check(struct cli *cli);

// Stands between `syncbus run` and its command; see run.c. Gives the exit code.
int run_guard(int argc, char **argv);

// A client with the given publications (topics end with NULL, may be NULL); `session`: one that may hold
// leases. Gives false after it said why not.
bool cli_connect(struct cli *cli, const char *const *topics, bool session);

// Asks the broker and waits `timeout_ms` for the answer (0: 5 s, or --timeout if that is less): 0 with the
// reply (the caller frees it by sb__reply__free_unpacked), or an exit code after it said what went wrong.
// Other notices that come meanwhile are dropped. A service that is not there is waited for, for some seconds.
int cli_ask(struct cli *cli, const Sb__Request *request, uint32_t timeout_ms, Sb__Reply **ret);

// Asks for one thing whose answer is OK or a refusal; the exit code, after it said what went wrong.
int cli_do(struct cli *cli, const Sb__Request *request);

// Asks for the broker's state: of all (`job` is ""), in pages of `limit` jobs (0: the broker's own) behind
// `after`, or of one job. 0 with the reply, whose body it is; or an exit code after it said what went wrong.
int cli_state(struct cli *cli, const char *job, const char *after, uint32_t limit, Sb__Reply **ret);

// Calls a method of a service, with a message as body; 0 with the message that came back (freed by
// protobuf_c_message_free_unpacked), or an exit code after it said what went wrong.
int cli_call(struct cli *cli, const char *service, const char *method, const void *body,
             const ProtobufCMessageDescriptor *type, void *ret);

// The exit code that a reply's code means.
int cli_exit_code(enum syncbus_code code);

// Prints a message as one JSON line; an exit code.
int cli_print_json(const void *message);

// Appends what a record is to a JSON object that is open: key, seq, hash in hex, and the record itself.
enum err cli_add_record(const Sb__Record *record, struct buffer *line);

// Prints the line if it is whole, and empties it; an exit code.
int cli_put_line(struct buffer *line, enum err err);

// The parts of a record's key joined for people, cut to fit; returns `text`.
const char *cli_key_text(const Sb__Record *record, char *text, size_t size);

// The key after which the next page begins, copied out of the page before; freed by the next call or with
// NULL.
void cli_keep_last_key(Sb__RecordQuery *query, Sb__RecordList **last, Sb__RecordList *list);

// Whether some job's records belong to those of `entity` (its `match`).
bool cli_has_tracking(const struct cli *cli, const char *entity);

// Appends ,"tracking":[…] with the records that belong to the one of this key, or null, after it said why
// they are not known.
enum err cli_add_tracking(struct cli *cli, const char *entity, const char *key, struct buffer *line);

// Prints them as a table, or says why they are not known.
void cli_print_tracking(struct cli *cli, const char *entity, const char *key);

// What a waiter waits for, in one line: its position, ETA (unless it is not known or overdue) and blockers.
const char *cli_waiting_text(char now[256], uint32_t position, int64_t eta_ms,
                             const struct syncbus_blocker *blockers, size_t count);

// Says on stderr what a waiter waits for, if it differs from what was said last (kept in `said`).
void cli_say_waiting(char said[256], uint32_t position, int64_t eta_ms,
                     const struct syncbus_blocker *blockers, size_t count);

// Whether the configuration has a job of that name; says so when it has not.
bool cli_knows_job(const struct cli *cli, const char *name);

// Whether the configuration has a resource of that name; says so when it has not.
bool cli_knows_resource(const struct cli *cli, const char *name);

// Whether a --reason was given that the broker keeps whole; says so when not.
bool cli_has_reason(const struct cli *cli);

// BOOTTIME ms when `timeout_ms` from now is over.
int64_t cli_until(int64_t timeout_ms);

// Formats Unix ms as local time ("-" for 0) into `text` of at least 24 bytes; returns it.
const char *cli_time(int64_t unix_ms, char *text, size_t size);

// What is to be said of a result beside its counts: its error, that nothing had changed, why it could delete
// nothing; or "".
const char *cli_note(const Sb__Result *result, char *text, size_t size);

// Formats a time beside `now_ms`: "in 5m", "12s ago", "-" for 0; returns `text`.
const char *cli_relative(int64_t unix_ms, int64_t now_ms, char *text, size_t size);

// Formats ms as a person reads them: "250ms", "1m30s"; returns `text`.
const char *cli_span(double ms, char *text, size_t size);

// ---------------------------------------------------------------- parts of several commands

// Prints what is wrong, and what is on hold, as tables with an empty line before; nothing when there is none.
// `resource`: only holds of that resource or of a job; NULL: all.
void alerts_print(const Sb__State *state);
void holds_print(const Sb__State *state, const char *resource);

// Prints all there is to know of the one job in `state`.
void job_print(const Sb__State *state);

// ---------------------------------------------------------------- tables (table.c)

struct table;

// A table with the given column names; a name that begins with '>' is set to the right. Ends the program when
// memory is short.
struct table *table_new(const char *const *columns, size_t count);

// Adds a row of as many cells as there are columns; they are copied.
void table_row(struct table *self, const char *const *cells);

// Prints it to stdout, or that there is nothing to show, and frees it.
void table_print(struct table **self_p);

// Frees it and sets the pointer to NULL; NULL is fine.
void table_destroy(struct table **self_p);

#endif
