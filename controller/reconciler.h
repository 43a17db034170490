// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "controller/history.h"
#include "controller/liveness.h"
#include "controller/nodes.h"
#include "controller/reviews.h"
#include "lib/base/metrics.h"
#include "lib/kube/client.h"
#include "lib/kube/events.h"
#include "lib/kube/informer.h"

/*
 * Protects AppArmorProfiles from going before nodes have unloaded them (see protection.h), and
 * keeps the status of each what the index says, at most one write per profile and second: the first
 * change is written at once, what follows within the second together. A write names the version of
 * the object that it was decided on: if a replica that has lost its lead is late with one, the
 * server refuses it when another has written meanwhile.
 */
struct reconciler;

struct reconciler_options {
    struct kube_client *client;
    const struct kube_informer *profiles;
    const struct node_index *index;
    const struct liveness *liveness;
    struct history *history;
    struct reviews *reviews;
    struct metrics *metrics;
    struct kube_recorder *recorder; /* or NULL: nobody is told of what changes */
    uint64_t promotable_after_ms;   /* see promotion.h */
    uint64_t interval_ms;           /* between two writes of one profile; 0: 1 s */
    unsigned max_active;            /* writes under way at once; 0: 8 */
    /* Asked right before each write; false: it is not made, as others may be writing. */
    bool (*may_write)(void *userdata);
    void *userdata;
};

/* All of the options are borrowed. */
struct reconciler *reconciler_new(const struct reconciler_options *options);
/* Cancels what is under way; before the client goes. */
void reconciler_free(struct reconciler *reconciler);
DEFINE_CLEANUP(struct reconciler *, reconciler_free)

/* The profile may need a new status: it, or its tally, has changed, or it has gone. */
void reconciler_enqueue(struct reconciler *reconciler, const char *profile);
/* The informer shows this version of the profile. */
void reconciler_observed(struct reconciler *reconciler, const struct kube_object *profile);
/* Profiles waiting or worked on. */
size_t reconciler_depth(const struct reconciler *reconciler);
