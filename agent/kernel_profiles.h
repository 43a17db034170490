// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/strv.h"
#include "lib/policy/mode.h"

/* What the kernel shows of a profile that it holds. */
struct kernel_profile {
    enum policy_mode mode;
    enum digest_type digest_type;
    char digest[DIGEST_HEX_SIZE]; /* "" when the kernel has none */
};

/*
 * The profiles of securityfs' folder policy/profiles as they were last read, by full name (children
 * and hats as "parent//child"; null profiles have no folder). A profile that goes while it is read
 * is left out.
 */
struct kernel_profiles;

/* `path` of the folder; nothing is read yet. */
struct kernel_profiles *kernel_profiles_new(const char *path);
void kernel_profiles_free(struct kernel_profiles *profiles);
DEFINE_CLEANUP(struct kernel_profiles *, kernel_profiles_free)

/* Other profiles than this one and its children are not read. `name` has no slash, which the kernel
 * would write otherwise (mangle_name in security/apparmor/apparmorfs.c). */
void kernel_profiles_only(struct kernel_profiles *profiles, const char *name);
/* Policy has changed: what was read is old. */
void kernel_profiles_changed(struct kernel_profiles *profiles);
/*
 * Reads what is old: which profiles there are, and of those that were known all (`names` NULL) or
 * these alone, children and hats with their parents. A failure leaves the answers below as they
 * were, but for those that were read before it.
 */
_must_check_ int kernel_profiles_refresh(struct kernel_profiles *profiles, const struct strv *names,
                                         struct error *err);

/* NULL: there is none of that name. */
const struct kernel_profile *kernel_profiles_get(const struct kernel_profiles *profiles,
                                                 const char *name);
/* What an outermost profile attaches to, its name when nothing, as the kernel shows it now; NULL:
 * it cannot be read. The caller frees it. */
char *kernel_profiles_attachment(const struct kernel_profiles *profiles, const char *name);
/* Adds the full names of the profile's children and hats. */
void kernel_profiles_children(const struct kernel_profiles *profiles, const char *name,
                              struct strv *ret);
size_t kernel_profiles_count(const struct kernel_profiles *profiles);
