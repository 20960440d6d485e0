// `syncbus revoke`: takes a lease from a holder that hangs.
#include "tools/syncbus/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int command_revoke(struct cli *cli)
{
    const char *word = cli->words[1];
    char *end = NULL;
    errno = 0;
    const uint64_t token = strtoull(word, &end, 10);
    if (errno != 0 || *end != '\0' || word[0] < '1' || word[0] > '9') {
        say(stderr, "syncbus: \"%s\" is not the token of a lease; syncbus status shows them\n", word);
        return EXIT_CODE_USAGE;
    }
    if (!cli_has_reason(cli) || (cli->resource != NULL && !cli_knows_resource(cli, cli->resource)))
        return EXIT_CODE_USAGE;
    Sb__Revoke revoke = SB__REVOKE__INIT;
    revoke.token = token;
    revoke.resource = (char *)(cli->resource != NULL ? cli->resource : "");
    revoke.by = (char *)cli->by;
    revoke.reason = (char *)cli->reason;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_REVOKE;
    request.revoke = &revoke;
    const int code = cli_do(cli, &request);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli->json)
        return cli_print_json(&revoke);
    say(stdout,
        "lease %" PRIu64 " is revoked: its holder is not renewed any more and is told why; the next one\n"
        "gets the resource when that holder has surely stopped, a lease's time from now at most\n",
        token);
    return EXIT_CODE_OK;
}
