// `syncbus rebind`: lets another store answer for an entity or a call.
#include "tools/syncbus/cli.h"

#include <stdio.h>
#include <string.h>

int command_rebind(struct cli *cli)
{
    const char *name = cli->words[1];
    if (name[0] == '\0' || strlen(name) > WIRE_NAME_MAX) {
        say(stderr, "syncbus: a name has 1 to %d bytes\n", WIRE_NAME_MAX);
        return EXIT_CODE_USAGE;
    }
    if (!cli_has_reason(cli))
        return EXIT_CODE_USAGE;
    Sb__Rebind rebind = SB__REBIND__INIT;
    rebind.name = (char *)name;
    rebind.by = (char *)cli->by;
    rebind.reason = (char *)cli->reason;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_REBIND;
    request.rebind = &rebind;
    const int code = cli_do(cli, &request);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli->json)
        return cli_print_json(&rebind);
    say(stdout,
        "the next service that asks answers for %s; the store that did so until now is refused from then\n"
        "on: start no service on its directory any more\n",
        name);
    return EXIT_CODE_OK;
}
