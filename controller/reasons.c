// SPDX-License-Identifier: Apache-2.0
#include "controller/reasons.h"

#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/policy/profile.h"

static const char *const names[] = {
#define REASON_NAME(symbol, reason, conditions, meaning, remedy) [REASON_##symbol] = (reason),
    REASONS(REASON_NAME)
#undef REASON_NAME
};

/* Reasons of the agents (lib/compile/compile.h) and of lib/policy. A compile that ran out of time
 * or memory is not among them: another node may well manage. */
static const char *const invalid[] = {
    "CompileError",   "ForbiddenInclude", "InvalidPolicy",
    "HostAttachment", "InvalidProfile",   POLICY_REASON_INVALID,
};

const char *reason_name(enum reason reason)
{
    return names[reason];
}

enum reason reason_find(const char *name)
{
    size_t i = 0;

    while (i < REASON_COUNT && strcmp(names[i], name) != 0)
        i++;
    return (enum reason) i;
}

bool reason_is_invalid(const char *reason)
{
    for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
        if (strcmp(invalid[i], reason) == 0)
            return true;
    return false;
}
