// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/json.h"

/* The steps of spec.rollout, in order of their percentage; 100 % need not be one of them. */
#define ROLLOUT_STEPS_MAX 20

struct rollout_steps {
    struct rollout_step {
        unsigned percent;
        int64_t pause_ms; /* after it */
    } items[ROLLOUT_STEPS_MAX + 1];
    size_t count; /* at least 1; the last is 100 % */
};

/* `rollout`: spec.rollout or NULL. What the schema does not allow is left out. */
void rollout_steps_read(struct rollout_steps *steps, const cJSON *rollout);
/* The first above that percentage; 100 when there is none. */
unsigned rollout_steps_after(const struct rollout_steps *steps, unsigned percent);
/* The last not above it, from 1 on: steps may be edited while one is under way. */
size_t rollout_steps_number(const struct rollout_steps *steps, unsigned percent);
