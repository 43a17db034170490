// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "controller/holders.h"
#include "controller/opinion.h"
#include "controller/profiles.h"
#include "controller/promotion.h"
#include "controller/rollout.h"
#include "controller/tally.h"
#include "controller/violation_sum.h"
#include "lib/base/json.h"

/*
 * The status of an AppArmorProfile (DESIGN §4) as a pure function of what is known.
 *
 * Conditions follow kstatus
 * (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md): Reconciling and
 * Stalled are "abnormal-true", there only while True, at most one of them: kstatus takes the first
 * of the two that it meets for the whole answer, and their absence for health. So a tool that
 * follows kstatus sees
 *
 *   Ready  Reconciling  Stalled
 *   True   -            -        Current
 *   False  True         -        InProgress   selected nodes have not said the last word
 *   False  -            True     Failed       all have, and it will not change by itself
 *   False  -            -        (deletionTimestamp) Terminating
 */
struct rollup {
    const struct profile_spec *profile;
    const struct tally *tally;
    const struct holders *holders;     /* of one that is being deleted; may be NULL */
    const struct promotion *promotion; /* likewise; or NULL */
    const struct rollout *rollout;     /* of one that is valid and not being deleted; or NULL */
    const struct opinion *opinion;     /* the controller's own; may be NULL */
    struct violation_sum violations;   /* of the present revision */
    const cJSON *old;                  /* the status that the object has, or NULL */
    int64_t now_ms;                    /* since the epoch */
};

/* Failures that status lists, and nodes that a message names. */
#define ROLLUP_FAILURES_MAX 10
#define ROLLUP_NAMES_MAX 3

/* The field of status with counts that change all the time where policy is met all the time. */
#define ROLLUP_VIOLATIONS "violations"

/* The caller owns the status. Equal input but for `now_ms` gives an equal status when `old` is what
 * it gave before. */
cJSON *rollup_status(const struct rollup *rollup);
