// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "agent/kernel.h"
#include "lib/base/strv.h"
#include "lib/policy/blob.h"
#include "lib/policy/marker.h"

/*
 * What the kernel holds, as last read back, and how that compares with what we own. Read again only
 * after something has changed, and then only as much as a question is about: among a thousand
 * profiles one load costs the reading of one.
 */
struct loaded;

/* The kernel is borrowed. */
struct loaded *loaded_new(const struct kernel *kernel);
void loaded_free(struct loaded *loaded);
DEFINE_CLEANUP(struct loaded *, loaded_free)

/* Nothing but this profile and its children is asked about; as of kernel_profiles_only(). */
void loaded_only(struct loaded *loaded, const char *name);
/* Policy has changed: what is known is old. */
void loaded_invalidate(struct loaded *loaded);
/*
 * Reads from the kernel what is old of these profiles, which may be none, and which others there
 * are; `names` NULL: everything. While this fails, the answers below are old ones.
 */
_must_check_ int loaded_refresh(struct loaded *loaded, const struct strv *names, struct error *err);

bool loaded_has(const struct loaded *loaded, const char *name);
/* As kernel_profiles_attachment() and kernel_profiles_children(). */
char *loaded_attachment(const struct loaded *loaded, const char *name);
void loaded_children(const struct loaded *loaded, const char *name, struct strv *ret);
/* Every profile of the marker but leftovers is in the kernel, with that content. */
bool loaded_matches(const struct loaded *loaded, const struct marker *marker);
/* Every profile of the marker but leftovers is in the kernel, with whatever content. */
bool loaded_present(const struct loaded *loaded, const struct marker *marker);
/* The kernel's names and modes are those of the compiled policy. NULL, or the name that is not. */
const char *loaded_mode_mismatch(const struct loaded *loaded, const struct blob *blob);
/* Top-level profiles of the marker, leftovers apart, that are in the kernel, and their common mode.
 */
enum policy_mode loaded_names(const struct loaded *loaded, const struct marker *marker,
                              struct strv *ret_names);
