// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/audit/access.h"
#include "lib/base/error.h"

/*
 * The rule of policy that allows an access. Nothing of an audit record gets out of the place in the
 * rule that it is written to: who is denied something chooses names of files, sockets and programs.
 */
struct audit_rule {
    char *profile; /* whose rule it is to be: "web", "web//child" */
    /* Of a file: what lib/audit/pattern.h made of its path, and the letters of the rights. */
    char *path;
    char rights[16]; /* in the order "mrwaklix" */
    bool owner;
    char *text; /* of any other rule, with its comma */
};

void audit_rule_done(struct audit_rule *rule);

struct audit_rule_options {
    bool variables; /* the policy includes <tunables/global> */
    bool exact;     /* paths as they are */
};

/*
 * -EINVAL: there is no such rule; the message says why and what to do instead. `ret` is filled
 * anew.
 */
_must_check_ int audit_rule_of(const struct audit_access *access,
                               const struct audit_rule_options *options, struct audit_rule *ret,
                               struct error *err);
/* "owner /etc/x r,"; the caller frees it. */
char *audit_rule_print(const struct audit_rule *rule);
/* Adds the rights of another rule about the same path. */
void audit_rule_merge(struct audit_rule *rule, const struct audit_rule *other);

/* The profile without what mode Complain made of it: "web//null-/bin/sh" → "web". The caller frees
 * it. */
char *audit_rule_profile(const char *profile);
