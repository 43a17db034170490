// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"

/*
 * Whether a pod that an agent reports as unconfined is to be evicted. The agent's word counts for
 * pods of its own node alone, and for what only it can see; the rest is what the API has. Pure.
 */

/* On the pod or its namespace: "true" opts in; "false" on the pod overrides its namespace's. */
#define EVICTION_ANNOTATION "apparmor.io/evict-unconfined"

enum eviction {
    EVICTION_NO,
    EVICTION_YES,
    EVICTION_ASK_NAMESPACE, /* yes, if the pod's namespace opts in */
};

/* `entry`: of the status.unconfined of the AppArmorNode `node`; `pod`: as the server has it now. */
enum eviction eviction_of(const cJSON *entry, const char *node, const cJSON *pod);
bool eviction_opts_in(const cJSON *namespace);
