// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/*
 * Names out of audit records as patterns of policy. The names are whatever an attacker made files
 * of: each character that means something to the compiler is escaped, and what cannot be said
 * exactly is refused.
 */
struct audit_pattern_options {
    bool variables; /* those of <tunables/global> may be used: @{PROC}, @{HOME} … */
    bool exact;     /* nothing is generalised */
    bool wildcard;  /* the last part, "*", stands for many names */
};

/*
 * The path of a file. Process ids become @{pid}, users' homes @{HOME}, ids and numbers that differ
 * from one container to the next [0-9]* or [0-9a-f]*, versions in names of libraries and of their
 * folders likewise. -EINVAL says why there is no rule for it.
 */
_must_check_ int audit_pattern_path(const char *path, const struct audit_pattern_options *options,
                                    struct buf *out, struct error *err);
/* Any other text (a label, a name on a bus), as it is. */
_must_check_ int audit_pattern_text(const char *text, struct buf *out, struct error *err);
/* Appends a pattern as it may stand in a rule: in quotes unless it needs none. */
void audit_pattern_quote(const char *pattern, struct buf *out);
/* It holds a word that begins something in policy, which what checks policy for includes looks for
 * in the middle of words, too. */
bool audit_pattern_has_keyword(const char *text);
