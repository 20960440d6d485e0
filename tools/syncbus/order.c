// `syncbus order …`: places orders and looks after them.
#include "tools/syncbus/cli.h"

#include "proto/base/utf8.h"
#include "proto/io/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const SERVICE = "order";

static int exit_code_of(const Sb__OrderState *order)
{
    switch (order->status) {
    case SB__ORDER_STATUS__ORDER_STATUS_REJECTED:
    case SB__ORDER_STATUS__ORDER_STATUS_CANCELLED: return EXIT_CODE_FAILED;
    case SB__ORDER_STATUS__ORDER_STATUS_UNKNOWN:
    case SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON: return EXIT_CODE_UNKNOWN;
    default: return EXIT_CODE_OK;
    }
}

static bool is_final(const Sb__OrderState *order)
{
    switch (order->status) {
    case SB__ORDER_STATUS__ORDER_STATUS_PLACED:
    case SB__ORDER_STATUS__ORDER_STATUS_REJECTED:
    case SB__ORDER_STATUS__ORDER_STATUS_CANCELLED:
    case SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON: return true;
    default: return false;
    }
}

static bool stands_in_line(const Sb__OrderState *order)
{
    return order->status == SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED && order->position > 0;
}

// What an order that has not ended waits for, its blockers with it; "" when there is nothing to say.
static const char *waiting_text(const Sb__OrderState *order, char text[256])
{
    struct syncbus_blocker blockers[8];
    size_t count = 0;
    for (; count < order->n_blockers && count < 8; count++) {
        const Sb__Blocker *from = order->blockers[count];
        blockers[count] = (struct syncbus_blocker){.job = from->job,
                                                   .holder = from->holder,
                                                   .run = from->run,
                                                   .held_ms = from->held_ms,
                                                   .done = from->done,
                                                   .total = from->total,
                                                   .eta_ms = from->eta_ms};
    }
    text[0] = '\0';
    if (stands_in_line(order))
        return cli_waiting_text(text, order->position, order->eta_ms, blockers, count);
    if (order->why[0] != '\0')
        (void)snprintf(text, 256, "%s: %s", json_enum(&sb__order_status__descriptor, (int)order->status),
                       order->why);
    return text;
}

static void print_history(const Sb__OrderState *order)
{
    static const char *const columns[] = {"TIME", "STATUS", ">ATTEMPT", ">TOKEN", "WHAT", "BY"};
    struct table *table = table_new(columns, 6);
    for (size_t i = 0; i < order->n_history; i++) {
        const Sb__OrderStep *step = order->history[i];
        char time[32], attempt[16], token[24];
        (void)snprintf(attempt, sizeof attempt, "%" PRIu32, step->attempt);
        (void)snprintf(token, sizeof token, "%" PRIu64, step->token);
        table_row(table, (const char *const[]){cli_time(step->time_ms, time, sizeof time),
                                               json_enum(&sb__order_status__descriptor, (int)step->status),
                                               attempt, token, step->what, step->by});
    }
    table_print(&table);
}

static int print_order(const struct cli *cli, const Sb__OrderState *order, bool history)
{
    if (cli->json)
        return cli_print_json(order);
    say(stdout, "order %s: %s%s%s%s%s\n", order->key,
        json_enum(&sb__order_status__descriptor, (int)order->status),
        order->erp_id[0] != '\0' ? ", in the ERP " : "", order->erp_id, order->why[0] != '\0' ? ", " : "",
        order->why);
    char waiting[256];
    if (history && stands_in_line(order))
        say(stdout, "%s\n", waiting_text(order, waiting));
    if (history && order->n_history > 0)
        print_history(order);
    if (order->status == SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON)
        say(stderr,
            "syncbus: do not order again under another key; look in the ERP, then say how it ended: "
            "syncbus order resolve %s --placed ID|--rejected WHY\n",
            order->key);
    return EXIT_CODE_OK;
}

// Reads all of a file; NULL when it is an order's text, else what is wrong with it.
static const char *read_text(FILE *file, struct buffer *ret)
{
    char chunk[4096];
    enum err err = ERR_OK;
    errno = 0;
    for (size_t size; err == ERR_OK && (size = fread(chunk, 1, sizeof chunk, file)) > 0;)
        err = buffer_add(ret, chunk, size);
    if (err == ERR_OK && ferror(file))
        return strerror(errno);
    // A zero byte would end the text where its reader does not see it.
    if (err == ERR_OK && ret->size > 0 &&
        (memchr(ret->data, '\0', ret->size) != NULL || !utf8_valid(ret->data, ret->size)))
        return "not a text in UTF-8";
    if (err == ERR_OK)
        err = buffer_add_byte(ret, '\0');
    return err == ERR_OK ? NULL : err == ERR_FULL ? "larger than an order can be (64 KiB)" : err_text(err);
}

// Reads the order's text from a file, or from the standard input for "-".
static bool read_body(const char *path, struct buffer *ret)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    const char *wrong = file == NULL ? strerror(errno) : read_text(file, ret);
    if (wrong != NULL)
        say(stderr, "syncbus: %s: %s\n", path, wrong);
    if (file != NULL && file != stdin)
        (void)fclose(file);
    return wrong == NULL;
}

static int call_with_key(struct cli *cli, const char *method, const char *key, Sb__OrderState **ret)
{
    Sb__OrderKey body = SB__ORDER_KEY__INIT;
    body.key = (char *)key;
    return cli_call(cli, SERVICE, method, &body, &sb__order_state__descriptor, ret);
}

static void say_waiting(const Sb__OrderState *order, char said[256])
{
    char now[256];
    const char *why = waiting_text(order, now);
    if (why[0] == '\0' || strcmp(why, said) == 0)
        return;
    (void)snprintf(said, 256, "%s", why);
    say(stderr, "%s\n", why);
}

// Follows an order to its end: its publications wake this up, and it looks each second without one.
static int await_order(struct cli *cli, const char *key, Sb__OrderState **order)
{
    const int64_t until = cli_until(cli->timeout_ms);
    char said[256] = "";
    while (!is_final(*order) && clock_boot_ms() < until) {
        say_waiting(*order, said);
        struct syncbus_notice notice;
        (void)syncbus_wait(cli->client, 1000, &notice);
        Sb__OrderState *now = NULL;
        int code = call_with_key(cli, "show", key, &now);
        if (code == EXIT_CODE_OK) {
            sb__order_state__free_unpacked(*order, NULL);
            *order = now;
        } else if (code == EXIT_CODE_USAGE) {
            return code;
        }
    }
    if (is_final(*order))
        return exit_code_of(*order);
    say(stderr, "syncbus: order %s is %s after the time given; it goes on, see syncbus order show %s\n", key,
        json_enum(&sb__order_status__descriptor, (int)(*order)->status), key);
    return (*order)->status == SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED ? EXIT_CODE_TIMED_OUT
                                                                       : EXIT_CODE_UNKNOWN;
}

static int order_place(struct cli *cli)
{
    if (cli->word_count != 3 || cli->key == NULL) {
        say(stderr, "usage: syncbus order place FILE|- --key K [--by WHO] [--wait]\n");
        return EXIT_CODE_USAGE;
    }
    struct buffer text;
    buffer_init(&text, 64 * 1024 + 1);
    Sb__OrderState *order = NULL;
    int code = EXIT_CODE_USAGE;
    static const char *const topics[] = {"order.", NULL};
    if (read_body(cli->words[2], &text) && cli_connect(cli, cli->wait ? topics : NULL, false)) {
        Sb__PlaceOrder body = SB__PLACE_ORDER__INIT;
        body.key = (char *)cli->key;
        body.body = text.data;
        body.by = (char *)cli->by;
        code = cli_call(cli, SERVICE, "place", &body, &sb__order_state__descriptor, &order);
    }
    buffer_free(&text);
    if (code == EXIT_CODE_TIMED_OUT || code == EXIT_CODE_UNREACHABLE)
        say(stderr,
            "syncbus: it is not known whether the order was accepted: place it again under the same key, "
            "or see syncbus order show %s\n",
            cli->key);
    if (code != EXIT_CODE_OK)
        return code;
    code = cli->wait ? await_order(cli, cli->key, &order) : exit_code_of(order);
    const int printed = print_order(cli, order, false);
    sb__order_state__free_unpacked(order, NULL);
    return code != EXIT_CODE_OK ? code : printed;
}

// The entity whose records the placed orders are, under their ids in the ERP.
static const char *const ENTITY = "orders";

static int print_tracked_json(struct cli *cli, const Sb__OrderState *order)
{
    struct buffer line;
    buffer_init(&line, WIRE_FRAME_MAX * 16U);
    enum err err = json_message(&order->base, &line);
    if (err == ERR_OK) {
        line.size--; // its brace
        err = cli_add_tracking(cli, ENTITY, order->erp_id, &line);
    }
    if (err == ERR_OK)
        err = buffer_add_byte(&line, '}');
    const int code = cli_put_line(&line, err);
    buffer_free(&line);
    return code;
}

// An order with what the ERP sent of it, once it has an id there.
static int print_tracked(struct cli *cli, const Sb__OrderState *order)
{
    if (order->erp_id[0] == '\0' || !cli_has_tracking(cli, ENTITY))
        return print_order(cli, order, true);
    if (cli->json)
        return print_tracked_json(cli, order);
    const int code = print_order(cli, order, true);
    cli_print_tracking(cli, ENTITY, order->erp_id);
    return code;
}

static int order_with_key(struct cli *cli, const char *method)
{
    if (cli->word_count != 3) {
        say(stderr, "usage: syncbus order %s K\n", method);
        return EXIT_CODE_USAGE;
    }
    Sb__OrderState *order = NULL;
    int code = call_with_key(cli, method, cli->words[2], &order);
    if (code != EXIT_CODE_OK)
        return code;
    code = strcmp(method, "show") == 0 ? print_tracked(cli, order) : print_order(cli, order, true);
    sb__order_state__free_unpacked(order, NULL);
    return code;
}

static int order_resolve(struct cli *cli)
{
    if (cli->word_count != 3 || (cli->placed == NULL) == (cli->rejected == NULL)) {
        say(stderr, "usage: syncbus order resolve K --placed ID|--rejected WHY\n");
        return EXIT_CODE_USAGE;
    }
    Sb__ResolveOrder body = SB__RESOLVE_ORDER__INIT;
    body.key = (char *)cli->words[2];
    body.placed = (char *)(cli->placed != NULL ? cli->placed : "");
    body.rejected = (char *)(cli->rejected != NULL ? cli->rejected : "");
    body.by = (char *)cli->by;
    Sb__OrderState *order = NULL;
    int code = cli_call(cli, SERVICE, "resolve", &body, &sb__order_state__descriptor, &order);
    if (code != EXIT_CODE_OK)
        return code;
    code = print_order(cli, order, true);
    sb__order_state__free_unpacked(order, NULL);
    return code;
}

static void add_row(struct table *table, const Sb__OrderState *order)
{
    char accepted[32], changed[32], attempts[16], waiting[256];
    (void)snprintf(attempts, sizeof attempts, "%" PRIu32, order->attempts);
    table_row(table, (const char *const[]){
                         order->key, json_enum(&sb__order_status__descriptor, (int)order->status),
                         order->erp_id, attempts, cli_time(order->accepted_ms, accepted, sizeof accepted),
                         cli_time(order->changed_ms, changed, sizeof changed), order->by,
                         stands_in_line(order) ? waiting_text(order, waiting) : order->why});
}

// All orders, page by page, in the order of their keys.
static int order_list(struct cli *cli)
{
    static const char *const columns[] = {"KEY",      "STATUS",  "ERP ID", ">ATTEMPTS",
                                          "ACCEPTED", "CHANGED", "BY",     "WHY"};
    if (cli->word_count != 2) {
        say(stderr, "usage: syncbus order list [--limit N]\n");
        return EXIT_CODE_USAGE;
    }
    struct table *table = cli->json ? NULL : table_new(columns, 8);
    char after[512] = "";
    int code = EXIT_CODE_OK;
    uint32_t left = cli->limit != 0 ? cli->limit : UINT32_MAX;
    for (bool more = true; more && left > 0 && code == EXIT_CODE_OK;) {
        Sb__OrderQuery query = SB__ORDER_QUERY__INIT;
        query.after = after;
        query.limit = left < CLI_PAGE ? left : CLI_PAGE;
        Sb__OrderList *list = NULL;
        code = cli_call(cli, SERVICE, "list", &query, &sb__order_list__descriptor, &list);
        if (code != EXIT_CODE_OK)
            break;
        more = list->more && list->n_orders > 0;
        left -= (uint32_t)list->n_orders < left ? (uint32_t)list->n_orders : left;
        for (size_t i = 0; i < list->n_orders && code == EXIT_CODE_OK; i++) {
            if (table != NULL)
                add_row(table, list->orders[i]);
            else
                code = cli_print_json(list->orders[i]);
            (void)snprintf(after, sizeof after, "%s", list->orders[i]->key);
        }
        sb__order_list__free_unpacked(list, NULL);
    }
    if (table != NULL && code == EXIT_CODE_OK)
        table_print(&table);
    table_destroy(&table);
    return code;
}

int command_order(struct cli *cli)
{
    const char *what = cli->words[1];
    if (strcmp(what, "place") == 0)
        return order_place(cli);
    if (strcmp(what, "show") == 0 || strcmp(what, "cancel") == 0)
        return order_with_key(cli, what);
    if (strcmp(what, "list") == 0)
        return order_list(cli);
    if (strcmp(what, "resolve") == 0)
        return order_resolve(cli);
    say(stderr, "syncbus: order %s: place, show, list, cancel or resolve\n", what);
    return EXIT_CODE_USAGE;
}
