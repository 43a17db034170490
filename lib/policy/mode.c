// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/mode.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct mode_words {
    const char *name;   /* spec.mode, status.mode */
    const char *kernel; /* security/apparmor/policy.c, aa_profile_mode_names[] */
};

static const struct mode_words MODES[] = {
    [POLICY_MODE_UNSET] = {"", ""},
    [POLICY_ENFORCE] = {"Enforce", "enforce"},
    [POLICY_COMPLAIN] = {"Complain", "complain"},
    [POLICY_KILL] = {"Kill", "kill"},
    [POLICY_UNCONFINED] = {"Unconfined", "unconfined"},
    [POLICY_USER] = {"User", "user"},
    [POLICY_MIXED] = {"Mixed", "mixed"},
};

const char *policy_mode_name(enum policy_mode mode)
{
    return (size_t) mode < ARRAY_SIZE(MODES) ? MODES[mode].name : "";
}

const char *policy_mode_kernel_name(enum policy_mode mode)
{
    return (size_t) mode < ARRAY_SIZE(MODES) ? MODES[mode].kernel : "";
}

int policy_mode_parse(const char *text, enum policy_mode *ret)
{
    if (!text || !*text) {
        *ret = POLICY_MODE_UNSET;
        return 0;
    }
    for (size_t i = POLICY_ENFORCE; i <= POLICY_UNCONFINED; i++) {
        if (strcmp(text, MODES[i].name) == 0) {
            *ret = (enum policy_mode) i;
            return 0;
        }
    }
    return -EINVAL;
}

int policy_mode_parse_kernel(const char *text, enum policy_mode *ret)
{
    if (!text)
        return -EINVAL;
    for (size_t i = POLICY_ENFORCE; i < ARRAY_SIZE(MODES); i++) {
        if (strcmp(text, MODES[i].kernel) == 0) {
            *ret = (enum policy_mode) i;
            return 0;
        }
    }
    return -EINVAL;
}
