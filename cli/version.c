// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

static int run(struct cli *cli, struct error *err)
{
    (void) err;
    fprintf(cli->out, "kubectl-apparmor %s\n", options_version());
    return CLI_OK;
}

const struct command command_version = {
    .name = "version",
    .summary = "Prints the version of this plugin.",
    .run = run,
};
