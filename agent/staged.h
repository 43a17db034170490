// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/kube/client.h"
#include "lib/policy/marker.h"
#include "lib/policy/rollout.h"

/*
 * What this node is to have of an object that is rolled out step by step (lib/policy/rollout.h):
 * the text of its spec, what the node has, or the text before, which a ControllerRevision keeps.
 */

/*
 * What was published in the object's metadata, in two halves: enough to tell whether this node is
 * to have another text than before. The caller frees it.
 */
char *staged_version(const char *node, const struct kube_object *object);
/* The marker's own text is no longer what this node is to have of the object, whose spec is still
 * the one that the marker speaks of. */
bool staged_outgrown(const char *node, const struct kube_object *object,
                     const struct marker *marker);

/*
 * Decides for an object and its parsed profile. Returns 0 when the profile is what this node is to
 * have, be it changed to what it has (`held`, or NULL for nothing), without the text; 1 when it
 * is the text before, which staged_fetch() gets; -EAGAIN when it is nothing yet.
 */
_must_check_ int staged_choose(const char *node, const struct kube_object *object,
                               struct policy_profile *profile, const struct marker *held,
                               struct error *err);

/* `profile` passes to the callee; NULL on failure. */
typedef void (*staged_fn)(void *userdata, struct policy_profile *profile, const struct error *err);
struct staged;

/* Changes the profile, which it takes over, to the text before. Calls `fn` later from the loop. */
struct staged *staged_fetch(struct kube_client *client, const struct kube_object *object,
                            struct policy_profile *profile, staged_fn fn, void *userdata);
/* The callback is not called. NULL is accepted; not from after the callback. */
void staged_cancel(struct staged *staged);
