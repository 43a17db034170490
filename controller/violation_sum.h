// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "controller/violations.h"

/* What all nodes have counted of one revision of an AppArmorProfile. All zero: nothing. */
struct violation_sum {
    size_t nodes;
    uint64_t denied, allowed;
    int64_t last_ms; /* since the epoch */
};

/* Adds what a node says of the object, if that is about this revision. */
void violation_sum_add(struct violation_sum *sum, const struct violations *violations,
                       const char *object, const char *revision);
/* status.violations of an AppArmorProfile; NULL when there are none. The caller owns it. */
cJSON *violation_sum_json(const struct violation_sum *sum);
