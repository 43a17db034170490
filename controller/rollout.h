// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/profiles.h"
#include "controller/tally.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/strv.h"
#include "lib/policy/rollout.h"

/*
 * Progressive rollout as a pure function of what is known: what is to be published next, and what
 * there is to say. Nothing is remembered between two looks but what stands in the object: the
 * annotation says how far it has come, status.rollout since when.
 */

/* Spec edits and annotations by which people intervene; their value is a revision. */
#define ROLLOUT_RESUME "apparmor.io/rollout-resume"
#define ROLLOUT_SKIP "apparmor.io/rollout-skip"

enum rollout_state {
    ROLLOUT_PROGRESSING, /* chosen nodes are at work */
    ROLLOUT_PAUSING,     /* they are done; the next step comes when the pause is over */
    ROLLOUT_PAUSED,      /* by spec.rollout.paused */
    ROLLOUT_HALTED,      /* too many of them have failed */
    ROLLOUT_COMPLETE,
};

/* A node that is selected and can be waited for. */
struct rollout_node {
    uint64_t hash; /* with the profile's revision */
    const char *name;
    enum node_state state;
    uint64_t denied;        /* accesses refused by this revision */
    uint64_t denied_before; /* or by another, which it still has */
};

struct rollout_question {
    const struct profile_spec *profile;
    const char *ns;             /* of what is kept */
    const struct strv *kept;    /* revisions whose text is kept, the newest first */
    const cJSON *old;           /* status.rollout or NULL */
    struct rollout_node *nodes; /* in any order; is sorted */
    size_t count;
    size_t lost;    /* that are selected, too, and nobody waits for */
    size_t updated; /* nodes with this revision, lost ones included */
    bool refused;   /* the controller itself has found that the text is no policy */
    bool awaited;   /* it is still finding out */
    int64_t now_ms; /* since the epoch */
};

enum rollout_publish { ROLLOUT_PUBLISH_NOTHING, ROLLOUT_PUBLISH_NEXT, ROLLOUT_PUBLISH_REMOVAL };

struct rollout {
    enum rollout_publish publish;
    struct policy_rollout next; /* what is to be published */
    enum rollout_state state;
    cJSON *status;      /* status.rollout; NULL: none */
    struct buf message; /* of state and status */
    uint64_t again_ms;  /* look again after this; 0: need not */
};

/* The caller releases it. */
void rollout_decide(const struct rollout_question *question, struct rollout *ret);
void rollout_done(struct rollout *rollout);
