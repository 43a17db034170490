// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/map.h"
#include "lib/policy/mode.h"

/* What the kernel shows of a profile that it holds. */
struct kernel_profile {
    enum policy_mode mode;
    enum digest_type digest_type;
    char digest[DIGEST_HEX_SIZE]; /* "" when the kernel has none */
};

/*
 * Reads securityfs' folder policy/profiles: map of struct kernel_profile by full name (children and
 * hats as "parent//child"; null profiles have no folder). A profile that goes meanwhile is left
 * out.
 */
_must_check_ int kernel_profiles_read(const char *path, struct map **ret, struct error *err);
