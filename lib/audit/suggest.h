// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/audit/rule.h"
#include "lib/base/cleanup.h"

/*
 * Rules that would allow a set of accesses: one for accesses that differ in nothing that matters,
 * with the rights of all of them.
 */
struct audit_suggestion {
    struct audit_rule rule;
    size_t *accesses; /* their numbers, as they were added */
    size_t access_count;
};

struct audit_suggestions {
    struct audit_suggestion *items;
    size_t len;
};

void audit_suggestions_done(struct audit_suggestions *suggestions);
#define _cleanup_suggestions_ _cleanup_(audit_suggestions_done)

/* `number`: the caller's, for the evidence. -EINVAL: no rule allows it; the message says why. */
_must_check_ int audit_suggestions_add(struct audit_suggestions *suggestions,
                                       const struct audit_access *access,
                                       const struct audit_rule_options *options, size_t number,
                                       struct error *err);
/*
 * When all are added: several files of one folder become all files of it, where folders hold data
 * and no configuration; rules come in the order of a profile: by profile, files last.
 */
void audit_suggestions_arrange(struct audit_suggestions *suggestions,
                               const struct audit_rule_options *options);
