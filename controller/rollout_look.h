// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "controller/history.h"
#include "controller/liveness.h"
#include "controller/nodes.h"
#include "controller/opinion.h"
#include "controller/rollout.h"

/* Where what decides about a rollout is to be found. */
struct rollout_sources {
    const struct node_index *index;
    const struct liveness *liveness;
    const struct history *history;
};

/* A profile that is valid and not being deleted. */
struct rollout_subject {
    const struct kube_object *profile;
    const struct profile_spec *spec;
    const cJSON *status;           /* that it has, or NULL */
    const struct opinion *opinion; /* the controller's own */
    uint64_t hold_ms;              /* for which it is worth waiting for that; 0: not */
};

/* Decides about its rollout. `now_ms` is monotonic. The caller releases the result. */
void rollout_look(const struct rollout_sources *sources, const struct rollout_subject *subject,
                  uint64_t now_ms, struct rollout *ret);
