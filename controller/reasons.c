// SPDX-License-Identifier: Apache-2.0
#include "controller/reasons.h"

#include <string.h>

#include "lib/base/cleanup.h"

static const char *const names[] = {
#define REASON_NAME(symbol, reason, conditions, meaning, remedy) [REASON_##symbol] = (reason),
    REASONS(REASON_NAME)
#undef REASON_NAME
};

enum speaks_of { OBJECT, NODE };

static const struct {
    const char *reason;
    enum speaks_of of;
} of_nodes[] = {
#define NODE_REASON(reason, of, meaning, remedy) {reason, of},
    NODE_REASONS(NODE_REASON)
#undef NODE_REASON
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
    for (size_t i = 0; i < ARRAY_SIZE(of_nodes); i++)
        if (strcmp(of_nodes[i].reason, reason) == 0)
            return of_nodes[i].of == OBJECT;
    return false;
}
