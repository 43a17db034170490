// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/conditions.h"
#include "controller/liveness.h"
#include "controller/nodes.h"
#include "controller/profiles.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"

/*
 * Whether a profile in mode Complain is ready for mode Enforce: for a while no live node has let
 * anything through that it would refuse. It is evidence for people; nothing is enforced by it.
 */
struct promotion_question {
    const char *revision;
    bool everywhere;   /* every selected node has it loaded */
    const cJSON *old;  /* status.promotion or NULL */
    size_t nodes;      /* live ones with the revision loaded */
    size_t blind;      /* of them: those that are told of no denials */
    size_t silent;     /* … that do not tell of processes */
    int64_t processes; /* that the others have seen under the revision, at least */
    int64_t last_ms;   /* of their last access beyond the policy; 0: none */
    int64_t now_ms;    /* since the epoch */
    int64_t after_ms;  /* how long is long enough */
};

struct promotion {
    bool applies; /* the profile is in mode Complain */
    enum condition_status status;
    const char *reason;
    struct buf message;
    cJSON *json;       /* status.promotion */
    uint64_t again_ms; /* look again after this; 0: need not */
};

/* Times of accesses are told in steps of so much, so that a stream of them is no stream of writes.
 */
#define PROMOTION_STEP_MS 600000

/* The caller releases it. */
void promotion_decide(const struct promotion_question *question, struct promotion *ret);
void promotion_done(struct promotion *promotion);

/* The same for a profile that is valid and not being deleted; `status` is its own, or NULL. */
void promotion_look(const struct node_index *index, const struct liveness *liveness,
                    const struct profile_spec *spec, const cJSON *status, uint64_t now_ms,
                    uint64_t after_ms, struct promotion *ret);
