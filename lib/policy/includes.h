// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

/*
 * First wall against policy text that reads files which are not policy (DESIGN
 * invariant 6): a strict reader of AppArmor's preamble and include syntax, with
 * comments and quoted strings. Only `include <x>`, `include if exists <x>`,
 * `#include <x>` where x begins with abstractions/, tunables/ or local/ … and
 * has no "..", and `abi <abi/x>`, pass. What it cannot prove harmless is
 * refused: -EPERM, reason "ForbiddenInclude", naming the line and what to write
 * instead.
 */
_must_check_ int policy_includes_check(const char *text, size_t len, struct error *err);
/* As above, for flattened policy: no include may be left in it, only `abi <abi/x>`. */
_must_check_ int policy_includes_none(const char *text, size_t len, struct error *err);
/* Whether an include may name this path, which is relative to the base folder. */
bool policy_include_is_shipped(const char *path, size_t len);
