// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/finding.h"
#include "cli/input.h"
#include "lib/base/yaml_locate.h"
#include "lib/policy/profile.h"

/*
 * A profile in a file: an AppArmorProfile of a manifest, or a file of policy as a whole. Knows
 * where each line of its policy stands.
 */
struct subject {
    const struct input *input;
    size_t document;
    struct strv path;               /* of the object in the document */
    struct policy_profile *profile; /* NULL: it is no valid one, which is found already */
    char *object; /* metadata.name as it stands there, "" without; NULL: a file of policy */
    struct yaml_place policy; /* of spec.policy */
};

/* Checks all that needs no compiler, and adds what is wrong. */
struct subject *subject_of_object(const struct input_object *object, struct findings *findings);
struct subject *subject_of_policy(const struct input *input, struct findings *findings);
void subject_free(struct subject *subject);
DEFINE_CLEANUP(struct subject *, subject_free)

/*
 * What compiler and checks say of the policy: "line 3: …", pieces of which are joined by "; ".
 * Each piece becomes a finding at its place.
 */
void subject_find(const struct subject *subject, struct findings *findings, bool warning,
                  const char *reason, const char *message);
/* At the object itself. */
void subject_find_object(const struct subject *subject, struct findings *findings, bool warning,
                         const char *reason, const char *message);

/* What of a policy line a message is about: bytes [*ret_start, *ret_start + *ret_len). */
void subject_mark(const char *line, size_t len, const char *message, size_t *ret_start,
                  size_t *ret_len);
