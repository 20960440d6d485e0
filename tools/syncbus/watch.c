// `syncbus watch`: publications as they come.
#include "tools/syncbus/cli.h"

#include "proto/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// One line of JSON: the topic before the event's own fields.
static int print_json(const char *topic, const Sb__Event *event)
{
    struct buffer text;
    struct buffer line;
    buffer_init(&text, WIRE_FRAME_MAX * 8U);
    buffer_init(&line, WIRE_FRAME_MAX * 8U);
    int code = EXIT_CODE_FAILED;
    if (json_message(&event->base, &text) == ERR_OK && buffer_print(&line, "{\"topic\":") == ERR_OK &&
        json_string(topic, strlen(topic), &line) == ERR_OK && buffer_print(&line, ",") == ERR_OK &&
        buffer_add(&line, text.data + 1, text.size - 1) == ERR_OK) {
        say_json(stdout, line.data, line.size);
        code = EXIT_CODE_OK;
    }
    buffer_free(&text);
    buffer_free(&line);
    return code;
}

// What a person wants to know of an event, in one line.
static void describe(const Sb__Event *event, char *text, size_t size)
{
    switch (event->body_case) {
    case SB__EVENT__BODY_TICK:
        (void)snprintf(text, size, "run %" PRIu64 ", attempt %" PRIu32, event->tick->run,
                       event->tick->attempt);
        break;
    case SB__EVENT__BODY_RESOURCE:
        (void)snprintf(
            text, size, "%s %s%s%s", json_enum(&sb__phase__descriptor, (int)event->resource->phase),
            event->resource->holder, event->resource->reason[0] != '\0' ? ": " : "", event->resource->reason);
        break;
    case SB__EVENT__BODY_RUN:
        (void)snprintf(text, size, "run %" PRIu64 " %s %s", event->run->run,
                       json_enum(&sb__stage__descriptor, (int)event->run->stage),
                       event->run->result != NULL ? event->run->result->error : "");
        break;
    case SB__EVENT__BODY_LEASE:
        (void)snprintf(text, size, "%s, token %" PRIu64 ", %s of %s",
                       json_enum(&sb__lease_change__descriptor, (int)event->lease->change),
                       event->lease->token, json_enum(&sb__mode__descriptor, (int)event->lease->mode),
                       event->lease->holder);
        break;
    case SB__EVENT__BODY_CHANGE:
        (void)snprintf(
            text, size, "%" PRIu64 " created, %" PRIu64 " changed, %" PRIu64 " deleted; feed at %" PRIu64,
            event->change->created, event->change->changed, event->change->deleted, event->change->last);
        break;
    case SB__EVENT__BODY_ALERT:
        (void)snprintf(text, size, "%s: %s%s", event->alert->subject, event->alert->cleared ? "over: " : "",
                       event->alert->text);
        break;
    case SB__EVENT__BODY_ORDER:
        (void)snprintf(text, size, "%s %s %s", event->order->key,
                       json_enum(&sb__order_status__descriptor, (int)event->order->status),
                       event->order->erp_id);
        break;
    default: (void)snprintf(text, size, "%s", ""); break;
    }
}

static int show(const struct cli *cli, const struct syncbus_notice *notice)
{
    if (notice->kind == SYNCBUS_GAP) {
        say(stderr, "%s: %" PRIu64 " publications were missed\n", notice->topic, notice->missed);
        return EXIT_CODE_OK;
    }
    if (notice->kind == SYNCBUS_DISCONNECTED) {
        say(stderr, "syncbus: the broker does not answer: %s; waiting for it\n", notice->text);
        return EXIT_CODE_OK;
    }
    if (notice->kind != SYNCBUS_PUBLICATION)
        return EXIT_CODE_OK;
    Sb__Event *event = NULL;
    struct fault fault = {0};
    if (wire_event(notice->body, notice->body_size, &event, &fault) != ERR_OK) {
        say(stderr, "%s: a publication that cannot be read: %s\n", notice->topic, fault.text);
        return EXIT_CODE_OK;
    }
    int code = EXIT_CODE_OK;
    if (cli->json) {
        code = print_json(notice->topic, event);
    } else {
        char time[32], text[512];
        describe(event, text, sizeof text);
        say(stdout, "%s  %-20s %6" PRIu64 "  %s\n", cli_time(event->time_ms, time, sizeof time),
            notice->topic, event->seq, text);
    }
    sb__event__free_unpacked(event, NULL);
    if (fflush(stdout) != 0) // the reader has gone
        code = EXIT_CODE_FAILED;
    return code;
}

int command_watch(struct cli *cli)
{
    // All kinds but the beats, unless topics are named.
    static const char *const all[] = {"tick.",   "pause.", "resume.", "run.", "lease.",
                                      "change.", "order.", "alert.",  NULL};
    cli->words[cli->word_count] = NULL;
    for (size_t i = 1; i < cli->word_count; i++) {
        if (strncmp(cli->words[i], WIRE_JSON_TOPIC, strlen(WIRE_JSON_TOPIC)) == 0) {
            say(stderr,
                "syncbus: watch %s: topics are named without \"" WIRE_JSON_TOPIC
                "\"; --json shows what comes as JSON\n",
                cli->words[i]);
            return EXIT_CODE_USAGE;
        }
    }
    if (!cli_connect(cli, cli->word_count > 1 ? cli->words + 1 : all, false))
        return EXIT_CODE_FAILED;
    for (;;) {
        struct syncbus_notice notice;
        if (syncbus_wait(cli->client, -1, &notice) != 1)
            continue;
        int code = show(cli, &notice);
        if (code != EXIT_CODE_OK)
            return code;
    }
}
