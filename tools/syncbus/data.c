// `syncbus records`, `changes` and `rejects`: an entity's data, asked of the service that owns it.
#include "tools/syncbus/cli.h"

#include "proto/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum err cli_add_record(const Sb__Record *record, struct buffer *line)
{
    enum err err = buffer_print(line, "\"key\":[");
    for (size_t i = 0; i < record->n_key && err == ERR_OK; i++) {
        if (i > 0)
            err = buffer_add_byte(line, ',');
        if (err == ERR_OK)
            err = json_string(record->key[i], strlen(record->key[i]), line);
    }
    if (err == ERR_OK)
        err = buffer_print(line, "],\"seq\":%" PRIu64 ",\"hash\":\"", record->seq);
    for (size_t i = 0; i < record->hash.len && err == ERR_OK; i++)
        err = buffer_print(line, "%02x", record->hash.data[i]);
    if (err == ERR_OK)
        err = buffer_print(line, "\",\"record\":%s", record->record[0] != '\0' ? record->record : "null");
    return err;
}

int cli_put_line(struct buffer *line, enum err err)
{
    if (err == ERR_OK)
        say_json(stdout, line->data, line->size);
    else
        say(stderr, "syncbus: a record cannot be shown: %s\n", err_text(err));
    buffer_clear(line);
    return err == ERR_OK && fflush(stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

// Prints a record; with what belongs to it if `tracked` names its entity.
static int print_record(struct cli *cli, const Sb__Record *record, const char *tracked)
{
    struct buffer line;
    buffer_init(&line, WIRE_FRAME_MAX * 16U);
    enum err err = buffer_add_byte(&line, '{');
    if (err == ERR_OK)
        err = cli_add_record(record, &line);
    if (err == ERR_OK && tracked != NULL)
        err = cli_add_tracking(cli, tracked, record->key[0], &line);
    if (err == ERR_OK)
        err = buffer_add_byte(&line, '}');
    int code = cli_put_line(&line, err);
    buffer_free(&line);
    return code;
}

const char *cli_key_text(const Sb__Record *record, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < record->n_key && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? " " : "", record->key[i]);
    return text;
}

static void add_row(struct table *table, const Sb__Record *record)
{
    char key[256];
    table_row(table, (const char *const[]){cli_key_text(record, key, sizeof key), record->record});
}

static int one_record(struct cli *cli)
{
    Sb__RecordKey key = SB__RECORD_KEY__INIT;
    key.key = (char **)(cli->words + 2);
    key.n_key = cli->word_count - 2;
    Sb__Record *record = NULL;
    int code = cli_call(cli, cli->words[1], "get", &key, &sb__record__descriptor, &record);
    if (code != EXIT_CODE_OK)
        return code;
    const bool tracked = record->n_key == 1 && cli_has_tracking(cli, cli->words[1]);
    if (cli->json)
        code = print_record(cli, record, tracked ? cli->words[1] : NULL);
    else
        say(stdout, "%s\n", record->record);
    if (!cli->json && tracked)
        cli_print_tracking(cli, cli->words[1], record->key[0]);
    sb__record__free_unpacked(record, NULL);
    return code;
}

void cli_keep_last_key(Sb__RecordQuery *query, Sb__RecordList **last, Sb__RecordList *list)
{
    if (*last != NULL)
        sb__record_list__free_unpacked(*last, NULL);
    *last = list;
    if (list != NULL && list->n_records > 0) {
        query->after = list->records[list->n_records - 1]->key;
        query->n_after = list->records[list->n_records - 1]->n_key;
    }
}

int command_records(struct cli *cli)
{
    if (!cli_knows_job(cli, cli->words[1]))
        return EXIT_CODE_USAGE;
    if (cli->index != NULL && cli->word_count != 3) {
        say(stderr, "usage: syncbus records ENTITY --index FIELD VALUE\n");
        return EXIT_CODE_USAGE;
    }
    if (cli->index == NULL && cli->word_count > 2)
        return one_record(cli);
    static const char *const columns[] = {"KEY", "RECORD"};
    struct table *table = cli->json ? NULL : table_new(columns, 2);
    Sb__RecordQuery query = SB__RECORD_QUERY__INIT;
    if (cli->index != NULL) {
        query.index = (char *)cli->index;
        query.value = (char *)cli->words[2];
    }
    Sb__RecordList *last = NULL;
    uint32_t left = cli->limit != 0 ? cli->limit : UINT32_MAX;
    int code = EXIT_CODE_OK;
    for (bool more = true; more && left > 0 && code == EXIT_CODE_OK;) {
        Sb__RecordList *list = NULL;
        query.limit = left < CLI_PAGE ? left : CLI_PAGE;
        code = cli_call(cli, cli->words[1], "list", &query, &sb__record_list__descriptor, &list);
        if (code != EXIT_CODE_OK)
            break;
        more = list->more && list->n_records > 0;
        left -= (uint32_t)list->n_records < left ? (uint32_t)list->n_records : left;
        for (size_t i = 0; i < list->n_records && code == EXIT_CODE_OK; i++) {
            if (table != NULL)
                add_row(table, list->records[i]);
            else
                code = print_record(cli, list->records[i], NULL);
        }
        cli_keep_last_key(&query, &last, list);
    }
    cli_keep_last_key(&query, &last, NULL);
    if (table != NULL && code == EXIT_CODE_OK)
        table_print(&table);
    table_destroy(&table);
    return code;
}

// "by":"eva",: who released a deletion.
static enum err add_releaser(const Sb__FeedItem *item, struct buffer *line)
{
    enum err err = buffer_print(line, "\"by\":");
    if (err == ERR_OK)
        err = json_string(item->by, strlen(item->by), line);
    return err == ERR_OK ? buffer_add_byte(line, ',') : err;
}

static int print_change(const struct cli *cli, const Sb__FeedItem *item)
{
    const Sb__Record none = SB__RECORD__INIT;
    const Sb__Record *record = item->record != NULL ? item->record : &none;
    const char *op = json_enum(&sb__op__descriptor, (int)item->op);
    char time[32], key[256];
    if (!cli->json) {
        say(stdout, "%8" PRIu64 "  %s  %-8s %s  %s%s%s\n", item->seq,
            cli_time(item->time_ms, time, sizeof time), op, cli_key_text(record, key, sizeof key),
            record->record, item->by[0] != '\0' ? "released by " : "", item->by);
        return fflush(stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILED;
    }
    struct buffer line;
    buffer_init(&line, WIRE_FRAME_MAX * 8U);
    enum err err = buffer_print(
        &line, "{\"change\":%" PRIu64 ",\"op\":\"%s\",\"run\":%" PRIu64 ",\"time_ms\":%" PRId64 ",",
        item->seq, op, item->run, item->time_ms);
    if (err == ERR_OK && item->by[0] != '\0')
        err = add_releaser(item, &line);
    if (err == ERR_OK)
        err = cli_add_record(record, &line);
    if (err == ERR_OK)
        err = buffer_add_byte(&line, '}');
    int code = cli_put_line(&line, err);
    buffer_free(&line);
    return code;
}

// Reads the feed on from `query` to its present end.
static int read_feed(struct cli *cli, Sb__FeedQuery *query, uint32_t *left)
{
    int code = EXIT_CODE_OK;
    for (bool more = true; more && *left > 0 && code == EXIT_CODE_OK;) {
        Sb__FeedList *list = NULL;
        query->limit = *left < CLI_PAGE ? *left : CLI_PAGE;
        code = cli_call(cli, cli->words[1], "feed", query, &sb__feed_list__descriptor, &list);
        if (code != EXIT_CODE_OK)
            return code;
        if (query->feed != 0 && list->feed != query->feed) {
            say(stderr, "syncbus: the store was made anew: this is another feed, read from its beginning\n");
            query->after = 0;
            query->feed = list->feed;
            sb__feed_list__free_unpacked(list, NULL);
            continue;
        }
        query->feed = list->feed;
        for (size_t i = 0; i < list->n_items && code == EXIT_CODE_OK; i++) {
            code = print_change(cli, list->items[i]);
            query->after = list->items[i]->seq;
        }
        *left -= (uint32_t)list->n_items < *left ? (uint32_t)list->n_items : *left;
        more = list->n_items > 0 && query->after < list->last_seq;
        sb__feed_list__free_unpacked(list, NULL);
    }
    return code;
}

int command_changes(struct cli *cli)
{
    if (!cli_knows_job(cli, cli->words[1]))
        return EXIT_CODE_USAGE;
    char topic[WIRE_NAME_MAX + 16];
    (void)snprintf(topic, sizeof topic, "change.%s", cli->words[1]);
    const char *const topics[] = {topic, NULL};
    if (!cli_connect(cli, cli->follow ? topics : NULL, false))
        return EXIT_CODE_FAILED;
    Sb__FeedQuery query = SB__FEED_QUERY__INIT;
    query.after = cli->after;
    uint32_t left = cli->limit != 0 ? cli->limit : UINT32_MAX;
    int code = read_feed(cli, &query, &left);
    while (cli->follow && left > 0 &&
           (code == EXIT_CODE_OK || code == EXIT_CODE_UNREACHABLE || code == EXIT_CODE_TIMED_OUT)) {
        struct syncbus_notice notice; // a publication wakes this up; without one it looks every five seconds
        (void)syncbus_wait(cli->client, 5000, &notice);
        code = read_feed(cli, &query, &left);
    }
    return code;
}

int command_rejects(struct cli *cli)
{
    static const char *const columns[] = {">LINE", "WHY", "ROW"};
    if (!cli_knows_job(cli, cli->words[1]))
        return EXIT_CODE_USAGE;
    struct table *table = cli->json ? NULL : table_new(columns, 3);
    Sb__FeedQuery query = SB__FEED_QUERY__INIT;
    uint32_t left = cli->limit != 0 ? cli->limit : UINT32_MAX;
    int code = EXIT_CODE_OK;
    for (bool more = true; more && left > 0 && code == EXIT_CODE_OK;) {
        Sb__RejectList *list = NULL;
        query.limit = left < CLI_PAGE ? left : CLI_PAGE;
        code = cli_call(cli, cli->words[1], "rejects", &query, &sb__reject_list__descriptor, &list);
        if (code != EXIT_CODE_OK)
            break;
        more = list->more && list->n_rejects > 0;
        left -= (uint32_t)list->n_rejects < left ? (uint32_t)list->n_rejects : left;
        for (size_t i = 0; i < list->n_rejects && code == EXIT_CODE_OK; i++) {
            const Sb__Reject *reject = list->rejects[i];
            char line[24], row[200];
            (void)snprintf(line, sizeof line, "%" PRIu64, reject->line);
            (void)snprintf(row, sizeof row, "%.*s", (int)(reject->raw.len < 120 ? reject->raw.len : 120),
                           (const char *)reject->raw.data);
            if (table != NULL)
                table_row(table, (const char *const[]){line, reject->why, row});
            else
                code = cli_print_json(reject);
            query.after = reject->line;
        }
        sb__reject_list__free_unpacked(list, NULL);
    }
    if (table != NULL && code == EXIT_CODE_OK)
        table_print(&table);
    table_destroy(&table);
    return code;
}
