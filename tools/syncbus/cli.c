#include "tools/syncbus/cli.h"

#include "proto/base/duration.h"
#include "proto/base/utf8.h"
#include "proto/io/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    ANSWER_MS = 5000,   // for the broker to answer
    PATIENCE_MS = 5000, // for a service to come back after the broker's restart
    AGAIN_MS = 200,     // between two tries
    REASON_MAX = 160,   // bytes of a reason that the broker keeps
};

bool cli_connect(struct cli *cli, const char *const *topics, bool session)
{
    const struct syncbus_options options = {
        .requests = cli->config->broker.requests,
        .events = topics != NULL ? cli->config->broker.events : NULL,
        .name = cli->by,
        .version = SYNCBUS_VERSION,
        .topics = topics,
        .anonymous = !session,
    };
    cli->client = syncbus_new(&options);
    if (cli->client == NULL)
        say(stderr, "syncbus: cannot join the bus at %s: %s\n", options.requests, strerror(errno));
    return cli->client != NULL;
}

int cli_exit_code(enum syncbus_code code)
{
    switch (code) {
    case SYNCBUS_OK: return EXIT_CODE_OK;
    case SYNCBUS_INVALID: return EXIT_CODE_USAGE;
    case SYNCBUS_FORBIDDEN:
    case SYNCBUS_BUSY:
    case SYNCBUS_PAUSE_TIMEOUT:
    case SYNCBUS_CONFLICT:
    case SYNCBUS_ON_HOLD: return EXIT_CODE_REFUSED;
    case SYNCBUS_TIMEOUT: return EXIT_CODE_TIMED_OUT;
    default: return EXIT_CODE_FAILED;
    }
}

// Waits for the answer to `ask`, and keeps nothing of it but the notice's code and text in `cli->answer`; 0
// with the unpacked reply if it is good.
static int await_reply(struct cli *cli, uint64_t ask, Sb__Reply **ret)
{
    struct syncbus_notice notice;
    do {
        (void)syncbus_wait(cli->client, -1, &notice);
    } while (notice.kind != SYNCBUS_REPLY || notice.ask != ask);
    cli->answer = notice.code;
    if (notice.body_size == 0) {
        (void)snprintf(cli->answer_text, sizeof cli->answer_text,
                       "the broker at %s does not answer; is syncbus-broker running?",
                       cli->config->broker.requests);
        return EXIT_CODE_UNREACHABLE;
    }
    struct fault fault = {0};
    if (notice.code != SYNCBUS_OK) {
        (void)snprintf(cli->answer_text, sizeof cli->answer_text, "%s", notice.text);
        return cli_exit_code(notice.code);
    }
    if (wire_reply(notice.body, notice.body_size, ret, &fault) == ERR_OK)
        return EXIT_CODE_OK;
    (void)snprintf(cli->answer_text, sizeof cli->answer_text, "the broker's answer cannot be read: %s",
                   fault.text);
    return EXIT_CODE_FAILED;
}

// Asks once, without a word to the person.
static int ask_once(struct cli *cli, const Sb__Request *request, uint32_t timeout_ms, Sb__Reply **ret)
{
    struct buffer bytes;
    buffer_init(&bytes, WIRE_FRAME_MAX);
    uint64_t ask = 0;
    if (timeout_ms == 0)
        timeout_ms = cli->timeout_ms < ANSWER_MS ? (uint32_t)cli->timeout_ms : ANSWER_MS;
    Sb__Request *checked = NULL;
    struct fault fault = {0};
    if (wire_pack(&request->base, &bytes) != ERR_OK)
        (void)fault_set(&fault, ERR_FULL, "the request is too large to be sent");
    else if (wire_request(bytes.data, bytes.size, &checked, &fault) == ERR_OK)
        ask = syncbus_ask(cli->client, bytes.data, bytes.size, timeout_ms);
    buffer_free(&bytes);
    sb__request__free_unpacked(checked, NULL);
    if (ask != 0)
        return await_reply(cli, ask, ret);
    (void)snprintf(cli->answer_text, sizeof cli->answer_text, "%s",
                   fault.err != ERR_OK ? fault.text : strerror(errno));
    return EXIT_CODE_USAGE;
}

int cli_ask(struct cli *cli, const Sb__Request *request, uint32_t timeout_ms, Sb__Reply **ret)
{
    if (cli->client == NULL && !cli_connect(cli, NULL, false))
        return EXIT_CODE_FAILED;
    const int64_t until = cli_until(PATIENCE_MS);
    int code = ask_once(cli, request, timeout_ms, ret);
    // A service comes back a moment after a restarted broker.
    while (code == EXIT_CODE_FAILED && cli->answer == SYNCBUS_NO_SERVICE && clock_boot_ms() < until) {
        struct syncbus_notice notice;
        (void)syncbus_wait(cli->client, AGAIN_MS, &notice);
        code = ask_once(cli, request, timeout_ms, ret);
    }
    if (code != EXIT_CODE_OK)
        say(stderr, "syncbus: %s\n", cli->answer_text);
    return code;
}

int cli_do(struct cli *cli, const Sb__Request *request)
{
    Sb__Reply *reply = NULL;
    const int code = cli_ask(cli, request, 0, &reply);
    if (code == EXIT_CODE_OK)
        sb__reply__free_unpacked(reply, NULL);
    return code;
}

int cli_state(struct cli *cli, const char *job, const char *after, uint32_t limit, Sb__Reply **ret)
{
    Sb__Snapshot snapshot = SB__SNAPSHOT__INIT;
    snapshot.job = (char *)job;
    snapshot.after = (char *)after;
    snapshot.limit = limit;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_SNAPSHOT;
    request.snapshot = &snapshot;
    Sb__Reply *reply = NULL;
    const int code = cli_ask(cli, &request, 0, &reply);
    if (code != EXIT_CODE_OK)
        return code;
    if (reply->body_case == SB__REPLY__BODY_STATE) {
        *ret = reply;
        return EXIT_CODE_OK;
    }
    say(stderr, "syncbus: the broker did not tell its state\n");
    sb__reply__free_unpacked(reply, NULL);
    return EXIT_CODE_FAILED;
}

int cli_call(struct cli *cli, const char *service, const char *method, const void *body,
             const ProtobufCMessageDescriptor *type, void *ret)
{
    struct buffer bytes;
    buffer_init(&bytes, WIRE_BODY_MAX);
    if (wire_pack(body, &bytes) != ERR_OK) {
        say(stderr, "syncbus: the request is larger than %d KiB\n", WIRE_BODY_MAX / 1024);
        buffer_free(&bytes);
        return EXIT_CODE_USAGE;
    }
    const uint32_t limit_ms = cli->timeout_ms < 10000 ? (uint32_t)cli->timeout_ms : 10000;
    Sb__Call call = SB__CALL__INIT;
    call.service = (char *)service;
    call.method = (char *)method;
    call.body.data = (uint8_t *)bytes.data;
    call.body.len = bytes.size;
    call.timeout_ms = limit_ms;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_CALL;
    request.call = &call;
    Sb__Reply *reply = NULL;
    int code = cli_ask(cli, &request, limit_ms + 2000, &reply);
    buffer_free(&bytes);
    if (code != EXIT_CODE_OK)
        return code;
    struct fault fault = {0};
    ProtobufCMessage *message = NULL;
    if (reply->body_case != SB__REPLY__BODY_ANSWERED ||
        wire_unpack(type, reply->answered->body.data, reply->answered->body.len, &message, &fault) !=
            ERR_OK) {
        say(stderr, "syncbus: the answer of %s cannot be read: %s\n", service, fault.text);
        code = EXIT_CODE_FAILED;
    } else {
        *(ProtobufCMessage **)ret = message;
    }
    sb__reply__free_unpacked(reply, NULL);
    return code;
}

int cli_print_json(const void *message)
{
    struct buffer text;
    buffer_init(&text, 64U << 20);
    enum err err = json_message(message, &text);
    if (err == ERR_OK)
        say_json(stdout, text.data, text.size);
    else
        say(stderr, "syncbus: the answer cannot be shown: %s\n", err_text(err));
    buffer_free(&text);
    return err == ERR_OK ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

const char *cli_waiting_text(char now[256], uint32_t position, int64_t eta_ms,
                             const struct syncbus_blocker *blockers, size_t count)
{
    char eta[32] = "";
    char wait[64] = "";
    if (eta_ms > 0) // in whole seconds, so that a line comes only when something changed; 0 is overdue
        (void)snprintf(wait, sizeof wait, ", about %s",
                       duration_format((eta_ms + 999) / 1000 * 1000, eta, sizeof eta));
    int length = snprintf(now, 256, "waiting: position %" PRIu32 "%s", position, wait);
    for (size_t i = 0; i < count && length > 0 && length < 256; i++) {
        const struct syncbus_blocker *blocker = &blockers[i];
        char held[32];
        length += snprintf(now + length, (size_t)(256 - length), "%s %s%s%s%s (%s%s)",
                           i == 0 ? ", blocked by" : ",", blocker->job, blocker->job[0] != '\0' ? " of " : "",
                           blocker->holder, blocker->holder[0] == '\0' ? "an operation" : "", "for ",
                           duration_format(blocker->held_ms / 1000 * 1000, held, sizeof held));
    }
    return now;
}

void cli_say_waiting(char said[256], uint32_t position, int64_t eta_ms,
                     const struct syncbus_blocker *blockers, size_t count)
{
    char now[256];
    if (strcmp(cli_waiting_text(now, position, eta_ms, blockers, count), said) == 0)
        return;
    (void)snprintf(said, 256, "%s", now);
    say(stderr, "%s\n", now);
}

bool cli_knows_job(const struct cli *cli, const char *name)
{
    struct fault fault = {0};
    if (config_job(cli->config, name, &fault) != NULL)
        return true;
    say(stderr, "syncbus: %s\n", fault.text);
    return false;
}

bool cli_knows_resource(const struct cli *cli, const char *name)
{
    struct fault fault = {0};
    if (config_resource(cli->config, name, &fault) != NULL)
        return true;
    say(stderr, "syncbus: %s\n", fault.text);
    return false;
}

bool cli_has_reason(const struct cli *cli)
{
    if (cli->reason != NULL && cli->reason[0] != '\0' && strlen(cli->reason) <= REASON_MAX &&
        utf8_plain(cli->reason, strlen(cli->reason)))
        return true;
    say(stderr,
        "syncbus: --reason: say why, in 1 to %d bytes without control characters; others will read it\n",
        REASON_MAX);
    return false;
}

int64_t cli_until(int64_t timeout_ms)
{
    return clock_boot_ms() + timeout_ms;
}

const char *cli_time(int64_t unix_ms, char *text, size_t size)
{
    if (unix_ms <= 0) {
        (void)snprintf(text, size, "-");
        return text;
    }
    const time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    if (localtime_r(&seconds, &parts) == NULL || strftime(text, size, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        (void)snprintf(text, size, "%" PRId64, unix_ms);
    return text;
}

const char *cli_note(const Sb__Result *result, char *text, size_t size)
{
    if (result->not_modified)
        (void)snprintf(text, size, "not modified");
    else if (result->note[0] != '\0')
        (void)snprintf(text, size, "it could delete nothing: %s", result->note);
    else
        (void)snprintf(text, size, "%s", result->error);
    return text;
}

const char *cli_relative(int64_t unix_ms, int64_t now_ms, char *text, size_t size)
{
    char span[32];
    if (unix_ms <= 0)
        (void)snprintf(text, size, "-");
    else if (unix_ms >= now_ms)
        (void)snprintf(text, size, "in %s",
                       duration_format((unix_ms - now_ms) / 1000 * 1000, span, sizeof span));
    else
        (void)snprintf(text, size, "%s ago",
                       duration_format((now_ms - unix_ms) / 1000 * 1000, span, sizeof span));
    return text;
}

const char *cli_span(double ms, char *text, size_t size)
{
    return duration_format(ms > 0 ? (int64_t)(ms + 0.5) : 0, text, size);
}
