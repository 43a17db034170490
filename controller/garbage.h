// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/kernels.h"
#include "controller/liveness.h"
#include "lib/base/metrics.h"
#include "lib/kube/client.h"
#include "lib/kube/events.h"
#include "lib/kube/informer.h"

/*
 * Takes away what nobody else does:
 *
 * - AppArmorNodes whose Node has gone, or is another of the same name. Kubernetes' own collector
 *   goes by their owner references; this is for those that have none, and where it is slow.
 * - Labels apparmor.io/enabled and apparmor.io/profile-* of nodes whose agent is lost for good, as
 *   nobody sees to it that they are true. A label that a pod on the node requires stays as long as
 *   the pod: a kubelet that starts anew would end the pod, and what confines it is still in the
 *   kernel. Nothing goes while more than half of the nodes with such labels are without their
 *   agents: then it is not the nodes that are at fault.
 * - ConfigMaps with features of kernels that no node has (kernels.h).
 */
struct garbage;

struct garbage_options {
    struct kube_client *client;
    const char *ns; /* of the ConfigMaps */
    const struct kube_informer *reports, *nodes, *features;
    const struct kernels *kernels;
    const struct liveness *liveness;
    struct metrics *metrics;
    struct kube_recorder *recorder;
    uint64_t labels_after_ms; /* an agent is lost for good */
    /* Asked right before each write; false: it is not made. */
    bool (*may_write)(void *userdata);
    void *userdata;
};

/* All of the options are borrowed. */
struct garbage *garbage_new(const struct garbage_options *options);
/* Cancels what is under way; before the client goes. */
void garbage_free(struct garbage *garbage);
DEFINE_CLEANUP(struct garbage *, garbage_free)
