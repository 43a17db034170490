// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <stddef.h>

const struct command *const commands[] = {
    &command_status,  &command_describe,   &command_denials,  &command_suggest,
    &command_promote, &command_history,    &command_lint,     &command_convert,
    &command_version, &command_completion, &command_complete, NULL,
};
