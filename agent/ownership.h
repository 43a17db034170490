// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "agent/host.h"
#include "lib/compile/compile.h"
#include "lib/policy/marker.h"

/* How ownership records are made from what was compiled, and who stands in the way. */

/*
 * What the record of an install says. Names that `old` (NULL: none) holds and the new policy does
 * not have stay as leftovers, so that they remain ours until they are removed.
 */
struct marker *ownership_marker(const struct policy_profile *profile, const char *build,
                                const struct compiled *compiled, const struct marker *old);
/* As leftovers, too: names that nobody holds and that are below one of these, which the record
 * adopts; a load leaves them there. */
void ownership_adopt_children(struct marker *marker, const struct host *host,
                              const struct strv *adopted);
/* Of the names those that are in the kernel from elsewhere. */
void ownership_foreign(const struct host *host, const struct strv *names, struct strv *ret);
/* The profile that a record describes, without its text. */
struct policy_profile *ownership_profile(const struct marker *marker);
/* Brings object, generation and spec's other fields up to date; true when anything changed. */
bool ownership_refresh(struct marker *marker, const struct policy_profile *profile);
/* Digest of all that the compiled policy depends on; "" without a compiler. `compiler` is its
 * compiler_id(). */
const char *ownership_build(const char *compiler, const char *revision,
                            char ret[static DIGEST_HEX_SIZE]);

/* -EPERM with NameConflict or NotOwned when the record's object may not have one of the names. */
_must_check_ int ownership_check(const struct host *host, const struct record *record,
                                 const struct strv *names, struct error *err);
/* Names of the marker's own revision, children and hats included. */
void ownership_names(const struct marker *marker, struct strv *ret);
