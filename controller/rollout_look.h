// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "controller/history.h"
#include "controller/liveness.h"
#include "controller/nodes.h"
#include "controller/rollout.h"

/* Where what decides about a rollout is to be found. */
struct rollout_sources {
    const struct node_index *index;
    const struct liveness *liveness;
    const struct history *history;
};

/*
 * Decides about the rollout of a profile that is valid and not being deleted. `old` is its status
 * or NULL, `now_ms` monotonic. The caller releases the result.
 */
void rollout_look(const struct rollout_sources *sources, const struct kube_object *profile,
                  const struct profile_spec *spec, const cJSON *old, uint64_t now_ms,
                  struct rollout *ret);
