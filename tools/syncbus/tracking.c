// What belongs to a record of another entity: the delivery notes of an order. Joined when it is asked for, by
// the index that `match` keeps, so that it makes no difference which of them came first.
#include "tools/syncbus/cli.h"

#include <stdio.h>
#include <string.h>

// Takes one note; an exit code.
typedef int take_note(void *arg, const char *entity, const Sb__Record *note);

static bool matches(const struct config_job *job, const char *entity)
{
    return job->match_entity != NULL && strcmp(job->match_entity, entity) == 0;
}

bool cli_has_tracking(const struct cli *cli, const char *entity)
{
    for (size_t i = 0; i < cli->config->job_count; i++)
        if (matches(&cli->config->jobs[i], entity))
            return true;
    return false;
}

// The notes of one job, page by page. It is one call in any language: list(RecordQuery) of the job's service
// with the field of its `match` as index and the other record's key as value.
static int each_note(struct cli *cli, const struct config_job *job, const char *key, take_note *take,
                     void *arg)
{
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    Sb__RecordList *last = NULL;
    int code = EXIT_CODE_OK;
    query.index = job->match_field;
    query.value = (char *)key;
    query.limit = CLI_PAGE;
    for (bool more = true; more && code == EXIT_CODE_OK;) {
        Sb__RecordList *list = NULL;
        code = cli_call(cli, job->name, "list", &query, &sb__record_list__descriptor, &list);
        if (code != EXIT_CODE_OK)
            break;
        more = list->more && list->n_records > 0;
        for (size_t i = 0; i < list->n_records && code == EXIT_CODE_OK; i++)
            code = take(arg, job->name, list->records[i]);
        cli_keep_last_key(&query, &last, list);
    }
    cli_keep_last_key(&query, &last, NULL);
    return code;
}

static int each_match(struct cli *cli, const char *entity, const char *key, take_note *take, void *arg)
{
    int code = EXIT_CODE_OK;
    for (size_t i = 0; i < cli->config->job_count && code == EXIT_CODE_OK; i++)
        if (matches(&cli->config->jobs[i], entity))
            code = each_note(cli, &cli->config->jobs[i], key, take, arg);
    return code;
}

static int add_note(void *arg, const char *entity, const Sb__Record *note)
{
    struct buffer *notes = arg;
    enum err err = buffer_print(notes, "%s{\"entity\":\"%s\",", notes->size > 0 ? "," : "", entity);
    if (err == ERR_OK)
        err = cli_add_record(note, notes);
    if (err == ERR_OK)
        err = buffer_add_byte(notes, '}');
    return err == ERR_OK ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

enum err cli_add_tracking(struct cli *cli, const char *entity, const char *key, struct buffer *line)
{
    struct buffer notes;
    buffer_init(&notes, WIRE_FRAME_MAX * 8U);
    const bool known = each_match(cli, entity, key, add_note, &notes) == EXIT_CODE_OK;
    const enum err err =
        known ? buffer_print(line, ",\"tracking\":[%.*s]", (int)notes.size, notes.size > 0 ? notes.data : "")
              : buffer_print(line, ",\"tracking\":null");
    buffer_free(&notes);
    return err;
}

static int add_row(void *arg, const char *entity, const Sb__Record *note)
{
    char key[256];
    table_row(arg, (const char *const[]){entity, cli_key_text(note, key, sizeof key), note->record});
    return EXIT_CODE_OK;
}

void cli_print_tracking(struct cli *cli, const char *entity, const char *key)
{
    static const char *const columns[] = {"TRACKING", "KEY", "RECORD"};
    struct table *table = table_new(columns, 3);
    if (each_match(cli, entity, key, add_row, table) == EXIT_CODE_OK)
        table_print(&table);
    else
        say(stderr, "syncbus: so the tracking is not known now\n");
    table_destroy(&table);
}
