// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/metrics.h"
#include "lib/kube/client.h"
#include "lib/kube/events.h"
#include "lib/kube/informer.h"

/*
 * Evicts pods that nodes report as unconfined and that opt in, so that they start again confined:
 * one at a time per node, the next when the last has gone. What the report says is checked against
 * the pod as the server has it: see eviction.h. What a PodDisruptionBudget refuses is tried again,
 * with back-off, for as long as the report stands.
 */
struct evictor;

struct evictor_options {
    struct kube_client *client;
    const struct kube_informer *reports; /* see sources_reports() */
    struct metrics *metrics;
    struct kube_recorder *recorder; /* or NULL */
    /* Asked right before each eviction; false: it is not made, as others may be at it. */
    bool (*may_write)(void *userdata);
    void *userdata;
};

/* All of the options are borrowed. */
struct evictor *evictor_new(const struct evictor_options *options);
/* Cancels what is under way; before the client goes. */
void evictor_free(struct evictor *evictor);
DEFINE_CLEANUP(struct evictor *, evictor_free)

/* The node's report may have changed. */
void evictor_enqueue(struct evictor *evictor, const char *node);
