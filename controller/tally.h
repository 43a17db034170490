// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "controller/report.h"
#include "lib/base/map.h"

/*
 * The sum of what all nodes mean for one profile. Each node's share is added and taken out again as
 * it changes, so that a change costs the same in a cluster of three nodes and of five thousand.
 */
enum node_state {
    NODE_UNCOUNTED, /* not selected, or no longer in the cluster */
    NODE_AGENTLESS, /* selected, and no agent has reported */
    NODE_DISABLED,  /* selected, and without AppArmor: it cannot take a profile */
    NODE_LOST,      /* would be one of the last three, and nobody is there to change that */
    NODE_LOADED,    /* this generation */
    NODE_OUTDATED,  /* still at an earlier one */
    NODE_PENDING,
    NODE_FAILED,
    NODE_STATES,
};

/* "selected" where the states from NODE_LOADED on are meant is the caller's word. */
const char *node_state_name(enum node_state state);

/* What one node adds. */
struct share {
    enum node_state state;
    const struct report *report; /* selected or not; or NULL */
};

bool share_equal(const struct share *a, const struct share *b);

/* What nodes that loaded this generation found in it: the same everywhere, as a rule. */
struct tally_variant {
    size_t count;
    struct strv names;
    char *mode;
};

struct tally {
    size_t counts[NODE_STATES]; /* [NODE_UNCOUNTED] stays 0 */
    size_t invalid;             /* of the failed: for a reason that speaks of the object */
    struct map *variants;       /* of struct tally_variant */
    struct map *failed;         /* node → const struct report, borrowed */
    struct map *waiting;        /* outdated and pending: node → const struct report or NULL */
};

void tally_init(struct tally *tally);
void tally_done(struct tally *tally);
void tally_add(struct tally *tally, const char *node, const struct share *share);
/* The same share as was added; its report must still be alive. */
void tally_remove(struct tally *tally, const char *node, const struct share *share);

/* Nodes that are to load the profile. */
size_t tally_selected(const struct tally *tally);
size_t tally_waiting(const struct tally *tally);
