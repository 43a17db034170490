// SPDX-License-Identifier: Apache-2.0

/*
 * kubectl-apparmor: `kubectl apparmor …` for people at their own machine, and for CI.
 *
 * Exit status: 0 when all is well; 1 when something was found that is not in order; 2 for wrong
 * usage and for what could not be read.
 */
#include "cli/commands.h"
#include "lib/base/alloc.h"

int main(int argc, char **argv)
{
    alloc_init();
    return command_main(commands, argc, argv);
}
