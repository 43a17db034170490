// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "lib/base/error.h"

/* The mode of a profile. The numbers from POLICY_ENFORCE on are 1 + the
 * kernel's (enum profile_mode). */
enum policy_mode {
    POLICY_MODE_UNSET, /* spec.mode absent: as the text says */
    POLICY_ENFORCE,
    POLICY_COMPLAIN,
    POLICY_KILL,
    POLICY_UNCONFINED,
    POLICY_USER,  /* "prompt" in newer policy; never an override */
    POLICY_MIXED, /* an object's profiles differ; only shown */
};

/* "Enforce" …, as in spec.mode and status.mode; "" for POLICY_MODE_UNSET. */
const char *policy_mode_name(enum policy_mode mode);
/* "Enforce", "Complain", "Kill", "Unconfined", or NULL and "" for unset.
 * -EINVAL otherwise. */
_must_check_ int policy_mode_parse(const char *text, enum policy_mode *ret);
/* "enforce", "complain", …, as the kernel writes it. -EINVAL otherwise. */
_must_check_ int policy_mode_parse_kernel(const char *text, enum policy_mode *ret);
const char *policy_mode_kernel_name(enum policy_mode mode);
