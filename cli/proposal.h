// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/checker.h"
#include "lib/audit/suggest.h"
#include "lib/base/json.h"
#include "lib/base/map.h"

/*
 * What is proposed for a policy because of what was denied: rules and abstractions, each with its
 * evidence, and what no rule helps against.
 */
struct proposal {
    const cJSON *denials; /* of denial_set_json(); borrowed */
    struct audit_suggestions suggestions;
    cJSON *rules;       /* [{profile, rule, count, nodes, pods, accesses}] */
    cJSON *not_covered; /* [{access, profile, why}] */
    struct map *added;  /* by profile: struct strv * of what goes into the text */
};

struct proposal_options {
    bool exact;
    struct checker *checker; /* for abstractions; NULL: none are proposed */
};

/* `text`: the policy. */
void proposal_init(struct proposal *proposal, const cJSON *denials, const char *text,
                   const struct proposal_options *options);
void proposal_done(struct proposal *proposal);
