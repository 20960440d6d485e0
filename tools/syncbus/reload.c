// `syncbus reload`: lets the broker read its configuration again.
#include "tools/syncbus/cli.h"

#include <stdio.h>

int command_reload(struct cli *cli)
{
    Sb__Reload reload = SB__RELOAD__INIT;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_RELOAD;
    request.reload = &reload;
    const int code = cli_do(cli, &request);
    if (code == EXIT_CODE_USAGE)
        say(stderr, "syncbus: nothing was changed\n");
    if (code != EXIT_CODE_OK)
        return code;
    if (cli->json)
        say(stdout, "{\"reloaded\":true}\n");
    else
        say(stdout,
            "the broker has read its configuration again; services read theirs at SIGHUP, when no run is\n"
            "under way\n");
    return EXIT_CODE_OK;
}
