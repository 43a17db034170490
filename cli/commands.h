// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

/* The subcommands, one file each. */
extern const struct command command_status, command_describe, command_version, command_completion,
    command_complete, command_lint, command_convert, command_denials, command_suggest,
    command_history, command_promote;
/* All of them in the order of --help, ended by NULL. */
extern const struct command *const commands[];
