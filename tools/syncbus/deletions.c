// `syncbus deletions`: the deletions that are withheld, and their release.
#include "tools/syncbus/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int ask(struct cli *cli, const Sb__DeletionQuery *query, Sb__DeletionList **ret)
{
    return cli_call(cli, cli->words[1], "deletions", query, &sb__deletion_list__descriptor, ret);
}

// {"key":…,"record":…,"run":…,"since_ms":…,"list":…}: one line.
static int print_deletion(const Sb__Deletion *deletion, uint64_t list)
{
    struct buffer line;
    buffer_init(&line, WIRE_FRAME_MAX * 8U);
    enum err err = buffer_add_byte(&line, '{');
    if (err == ERR_OK)
        err = cli_add_record(deletion->record, &line);
    if (err == ERR_OK)
        err = buffer_print(&line, ",\"run\":%" PRIu64 ",\"since_ms\":%" PRId64 ",\"list\":%" PRIu64 "}",
                           deletion->run, deletion->since_ms, list);
    const int code = cli_put_line(&line, err);
    buffer_free(&line);
    return code;
}

static int show_page(const struct cli *cli, const Sb__DeletionList *list, struct table *table)
{
    int code = EXIT_CODE_OK;
    for (size_t i = 0; i < list->n_deletions && code == EXIT_CODE_OK; i++) {
        const Sb__Deletion *deletion = list->deletions[i];
        char since[32], key[256];
        if (cli->json)
            code = print_deletion(deletion, list->list);
        else
            table_row(table, (const char *const[]){cli_time(deletion->since_ms, since, sizeof since),
                                                   cli_key_text(deletion->record, key, sizeof key),
                                                   deletion->record->record});
    }
    return code;
}

// Says how many there are beside those shown, and how all of them are released.
static void explain(const struct cli *cli, const Sb__DeletionList *list, uint64_t shown)
{
    const uint64_t hidden = list->withheld > shown ? list->withheld - shown : 0;
    if (cli->json && hidden > 0)
        say(stderr, "syncbus: %" PRIu64 " more are withheld; --limit leaves them out\n", hidden);
    if (!cli->json && list->note[0] != '\0')
        say(stdout, "\nthe last good fetch could delete nothing: %s\n", list->note);
    if (cli->json || list->withheld == 0)
        return;
    if (hidden > 0)
        say(stdout, "%" PRIu64 " more are withheld; --limit leaves them out\n", hidden);
    say(stdout,
        "\nlist %" PRIu64 ": %" PRIu64 " deletions are withheld%s. To delete %s:\n"
        "  syncbus deletions %s --release --list %" PRIu64 "\n",
        list->list, list->withheld,
        list->guarded ? " by the delete guard" : ", as rows without a readable key may be theirs",
        hidden > 0 ? "all of them, seen or not" : "exactly these", cli->words[1], list->list);
}

static int show_all(struct cli *cli)
{
    static const char *const columns[] = {"MISSED SINCE", "KEY", "RECORD"};
    struct table *table = cli->json ? NULL : table_new(columns, 3);
    Sb__DeletionQuery query = SB__DELETION_QUERY__INIT;
    Sb__DeletionList *last = NULL;
    uint32_t left = cli->limit != 0 ? cli->limit : UINT32_MAX;
    uint64_t shown = 0;
    int code = EXIT_CODE_OK;
    for (bool more = true; more && left > 0 && code == EXIT_CODE_OK;) {
        Sb__DeletionList *list = NULL;
        query.limit = left < CLI_PAGE ? left : CLI_PAGE;
        code = ask(cli, &query, &list);
        if (code != EXIT_CODE_OK)
            break;
        more = list->more && list->n_deletions > 0;
        if (last != NULL && last->list != list->list) {
            say(stderr, "syncbus: the list changed while it was read: ask again\n");
            code = EXIT_CODE_REFUSED;
        } else {
            code = show_page(cli, list, table);
            shown += list->n_deletions;
            left -= (uint32_t)list->n_deletions < left ? (uint32_t)list->n_deletions : left;
        }
        if (last != NULL)
            sb__deletion_list__free_unpacked(last, NULL);
        last = list;
        if (more) {
            query.after = list->deletions[list->n_deletions - 1]->record->key;
            query.n_after = list->deletions[list->n_deletions - 1]->record->n_key;
        }
    }
    if (table != NULL && code == EXIT_CODE_OK)
        table_print(&table);
    if (code == EXIT_CODE_OK)
        explain(cli, last, shown);
    table_destroy(&table);
    if (last != NULL)
        sb__deletion_list__free_unpacked(last, NULL);
    return code;
}

// Without --list the list as it is now is released, and no later one.
static int find_list(struct cli *cli, uint64_t *ret)
{
    Sb__DeletionQuery query = SB__DELETION_QUERY__INIT;
    Sb__DeletionList *list = NULL;
    query.limit = 1;
    const int code = ask(cli, &query, &list);
    if (code != EXIT_CODE_OK)
        return code;
    *ret = list->list;
    sb__deletion_list__free_unpacked(list, NULL);
    return code;
}

static int release(struct cli *cli)
{
    Sb__DeletionQuery query = SB__DELETION_QUERY__INIT;
    Sb__DeletionList *list = NULL;
    query.release = true;
    query.by = (char *)cli->by;
    query.list = cli->list;
    int code = query.list != 0 ? EXIT_CODE_OK : find_list(cli, &query.list);
    if (code == EXIT_CODE_OK)
        code = ask(cli, &query, &list);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli->json)
        say(stdout, "{\"entity\":\"%s\",\"released\":%" PRIu64 ",\"last_seq\":%" PRIu64 "}\n", cli->words[1],
            list->released, list->last_seq);
    else
        say(stdout, "%" PRIu64 " records of %s are deleted\n", list->released, cli->words[1]);
    sb__deletion_list__free_unpacked(list, NULL);
    return EXIT_CODE_OK;
}

int command_deletions(struct cli *cli)
{
    if (!cli_knows_job(cli, cli->words[1]))
        return EXIT_CODE_USAGE;
    return cli->release ? release(cli) : show_all(cli);
}
