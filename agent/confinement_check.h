// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/findings.h"
#include "agent/loaded.h"
#include "agent/node_pods.h"
#include "lib/base/metrics.h"
#include "lib/kube/events.h"

/*
 * Compares each running container's confinement with what its pod asks for, and tells of those that
 * are not as they should be: an Event on the pod, once, and metrics. It looks when containers have
 * come or gone, when the kernel's policy has changed, and now and then.
 */
struct confinement_check;

struct confinement_check_options {
    const char *proc; /* NULL: /proc */
    const struct node_pods *pods;
    struct loaded *loaded;
    struct metrics *metrics;
    struct kube_recorder *recorder; /* or NULL */
    /* What confinement_check_findings() tells may have changed. */
    void (*changed)(void *userdata);
    void *userdata;
};

/* All of the options are borrowed. */
struct confinement_check *confinement_check_new(uv_loop_t *loop,
                                                const struct confinement_check_options *options);
void confinement_check_free(struct confinement_check *check);
DEFINE_CLEANUP(struct confinement_check *, confinement_check_free)

/* Containers or the kernel's policy have changed. */
void confinement_check_wake(struct confinement_check *check);
/* What the node's status said before this start: no Event is made again for what is in it. */
void confinement_check_adopt(struct confinement_check *check, const cJSON *status);
/* NULL until all pods have been looked at. Borrowed. */
const struct findings *confinement_check_findings(const struct confinement_check *check);
