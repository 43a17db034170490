// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * Node affinity of a pod
 * (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity), to
 * which labels are added that a node is to have with the value "true". What the pod asks for
 * already stays as it is, and what that implies is not added.
 */
#define POD_AFFINITY_TRUE "true"

/* Appends operations (RFC 6902) to `patch`; they follow what is there for the same pod. */

/*
 * Nodes must have one label of each list. -E2BIG: more than `terms_max` nodeSelectorTerms would
 * come of it, and nothing is appended. At most one call for a pod.
 */
_must_check_ int pod_affinity_require(const cJSON *pod, const struct strv *lists, size_t count,
                                      size_t terms_max, cJSON *patch);
/* Nodes that have a label come before others. At most one call for a pod. */
void pod_affinity_prefer(const cJSON *pod, const struct strv *labels, cJSON *patch);

/* { "op": "add", ... }; takes ownership of the value. */
void pod_patch_add(cJSON *patch, const char *path, cJSON *value);
