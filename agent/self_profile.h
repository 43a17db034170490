// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/self_places.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"

/*
 * The text of the agent's own profile: deploy/apparmor-agent.profile, which is compiled into the
 * program, and in its variables what this agent's flags name besides.
 */

/* Reserved (policy/blob_name.h). */
#define SELF_PROFILE "apparmor.io.agent"
/* What the compiler runs under, on top of that. */
#define SELF_PARSER_PROFILE SELF_PROFILE "//parser"

/* The text as it is shipped. */
const char *self_profile_shipped(void);
/* With the places added. */
_must_check_ int self_profile_text(const struct self_places *places, struct buf *out,
                                   struct error *err);
