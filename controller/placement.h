// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"

/*
 * Whether a pod that runs on a node depends on the node's labels: a kubelet that starts anew
 * compares them with what its pods require, and ends those whose node has lost one. Pure.
 */

/* It has not come to its end, and is not on its way there. */
bool placement_counts(const cJSON *pod);
/* Its nodeSelector or required node affinity speaks of the label, whatever it says. */
bool placement_requires(const cJSON *pod, const char *label);
/* It is an agent's, whose namespace is `ns`, and Ready. */
bool placement_is_agent(const cJSON *pod, const char *ns);
