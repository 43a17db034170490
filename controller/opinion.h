// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"

/*
 * What the controller itself holds of a revision, having compiled it for the kernels that nodes
 * have. It stands in the status, so that a restart need not compile anything again.
 */
enum opinion_result {
    OPINION_NONE, /* it has none (yet) */
    OPINION_ACCEPTED,
    OPINION_REFUSED,        /* for every kernel */
    OPINION_PARTLY_REFUSED, /* for some kernels */
    OPINION_UNDECIDED,      /* the compiler took too much time or memory */
};

struct opinion {
    enum opinion_result result;
    const char *reason, *message; /* refused: of condition Valid; undecided: the message says why */
    const char *checked_with;     /* digest of text, switches, compiler and kernels */
    const cJSON *warnings;        /* as status.warnings; or NULL */
};

static inline bool opinion_refuses(const struct opinion *opinion)
{
    return opinion->result == OPINION_REFUSED || opinion->result == OPINION_PARTLY_REFUSED;
}

/* Adds status.validation and status.warnings, where there is something to say. */
void opinion_add(cJSON *status, const struct opinion *opinion);
/* What a status (or NULL) says; borrowed from it. */
struct opinion opinion_of(const cJSON *status);
