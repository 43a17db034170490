// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/policy/mode.h"

/* A rule of policy text that has compiled. */
struct policy_rule {
    unsigned line;
    const char *word; /* what kind it is: "signal", "mount", …; a path's or variable's first
                         characters for a file rule; not terminated */
    size_t word_len;
    bool deny, audit;
    /* Of the profile it is in, by its own flags: POLICY_ENFORCE without any that says another. */
    enum policy_mode mode;
};

typedef void (*policy_rule_fn)(void *userdata, const struct policy_rule *rule);

/*
 * Calls `fn` for each rule in the text, in its order; what is included is not looked at. Ends where
 * the text is not understood, which is -EBADMSG.
 */
int policy_rules_each(const char *text, size_t len, policy_rule_fn fn, void *userdata);
bool policy_rule_is(const struct policy_rule *rule, const char *word);
