// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/json.h"

/*
 * Whether nodes that have a new text refuse more by it than it is usual: within one step of a
 * rollout they are compared with the nodes that do not have it yet, node for node. Pure: what is
 * remembered stands in status.rollout.
 */
struct rollout_denials {
    /* What is known now, of live nodes. */
    size_t chosen, others;     /* that are to have the new text; the rest */
    int64_t refused;           /* by the new text; never falls within a rollout */
    int64_t refused_by_others; /* by what the rest has */
    /* Worked out. */
    int64_t refused_before, refused_by_others_before; /* when the step began */
    int64_t usual; /* what as many of the rest have refused in the step */
};

enum rollout_moment {
    ROLLOUT_OTHER_REVISION, /* status.rollout is of another, or there is none */
    ROLLOUT_OTHER_STEP,     /* … of an earlier step */
    ROLLOUT_SAME_STEP,
    /* It was halted so long ago that every node has told what it had refused by then. What is
     * usual grows no more: nodes on which nothing works refuse nothing. */
    ROLLOUT_HALTED_FOR_LONG,
};

/* Agents tell mere counts each five minutes. */
#define ROLLOUT_DENIALS_TOLD_MS 360000
/* Of one node; more than a kernel refuses in a year. */
#define ROLLOUT_DENIALS_MAX INT64_C(1000000000000)

/* `old`: status.rollout or NULL. */
void rollout_denials_compare(struct rollout_denials *denials, const cJSON *old,
                             enum rollout_moment moment);
/* How many more than usual; below 0: fewer. */
int64_t rollout_denials_rise(const struct rollout_denials *denials);
/* The fields of status.rollout; `halted`: because of them. */
void rollout_denials_add(const struct rollout_denials *denials, bool halted, cJSON *status);
