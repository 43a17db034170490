// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "controller/holders.h"
#include "controller/nodes.h"
#include "controller/reasons.h"
#include "lib/base/json.h"
#include "lib/policy/rollout.h"

/*
 * What people are told, by Events, when the status of an AppArmorProfile changes: a new generation
 * is on its way; it is everywhere; a node failed, and why; it recovered; its policy may not
 * mean what its author thinks; the object goes. Not that
 * nodes come and go, which in a large cluster they always do.
 */
struct transition {
    bool warning;
    char *reason, *message;
    char *other; /* the AppArmorProfile that it is told of; NULL: the one whose status changes */
};

struct transition_list {
    struct transition *items;
    size_t len;
};

void transition_list_done(struct transition_list *list);
#define _cleanup_transitions_ _cleanup_(transition_list_done)

/* The good news that was told last, so that it is told once. All zero: none. */
struct good_news {
    bool told;
    int64_t generation;
    enum reason reason;
};

/* What whoever wrote this status (or NULL) has told. */
struct good_news good_news_of(const cJSON *status);

struct status_change {
    const struct node_index *index;
    const char *profile; /* known to the index */
    const cJSON *old;    /* status, or NULL */
    const cJSON *new;
};

/* Whether a status (or NULL) has told that its object is being deleted. */
bool transitions_told_deletion(const cJSON *status);
/*
 * A deleted object is let go. Of one that nothing kept, nobody is told: `waited`, or left behind
 * somewhere, it must have. The caller releases the list.
 */
void transitions_find_release(bool forced, bool waited, const struct holders *holders,
                              struct transition_list *ret);

/* What is published of a rollout; that it is complete, Ready tells. The caller releases the list.
 */
void transitions_find_step(const struct policy_rollout *next, struct transition_list *ret);

/* `*news` is brought up to date. The caller releases the list. */
void transitions_find(const struct status_change *change, struct good_news *news,
                      struct transition_list *ret);
