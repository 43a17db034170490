// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/compile/features.h"
#include "lib/kube/client.h"

/*
 * Sees to it that the text of this node's kernel features is in the cluster, in a ConfigMap that is
 * named after its digest, where the controller finds what to compile for. The first node that has
 * such a kernel creates it; all others find it there. Nothing is ever changed: who could not be
 * trusted with the text gets no hand on it, and one that does not have its digest is the
 * controller's to delete.
 */
struct features_publisher;

/* `ns` and `features` are borrowed, and looked at from now on. */
struct features_publisher *features_publisher_new(struct kube_client *client, const char *ns,
                                                  struct features *features);
void features_publisher_free(struct features_publisher *publisher);
DEFINE_CLEANUP(struct features_publisher *, features_publisher_free)
