// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/kernel.h"
#include "lib/base/metrics.h"
#include "lib/base/strv.h"
#include "lib/kube/client.h"

/*
 * Removes profiles from the kernel by the order of DESIGN invariant 2: the Node's label is gone, as
 * the server has answered; a consistent list of the node's pods has none that names the profile; no
 * task has it or is about to; and the kernel begins the removal within 100 ms of that list, else
 * everything is looked at again. What is in use is tried again
 * when the process or pod ends that has it, and with back-off. One list and one look
 * at the tasks serve all that wait.
 */
struct drain;

struct drain_options {
    struct kernel *kernel;
    const char *proc;           /* NULL: /proc */
    struct kube_client *client; /* NULL: no cluster, hence no pods */
    const char *node;
    struct metrics *metrics;
    /* May these profiles be removed at all, now? Asked again right before each removal. */
    bool (*wanted)(void *userdata, const char *object, const struct strv *names);
    /* The object's label is not on the Node and will not come back by a write under way. */
    bool (*label_gone)(void *userdata, const char *object);
    /* Look at the object again: a removal has ended, or none is wanted any more. */
    void (*changed)(void *userdata, const char *object);
    /* Not yet, and why; may be called again with the same. */
    void (*waiting)(void *userdata, const char *object, const char *reason, const char *message);
    void *userdata;
};

struct drain *drain_new(uv_loop_t *loop, const struct drain_options *options);
void drain_free(struct drain *drain);
DEFINE_CLEANUP(struct drain *, drain_free)

/* The names of `object` that shall go; replaces what was asked for before. */
void drain_set(struct drain *drain, const char *object, const struct strv *names, bool labelled);
/* None of the object's names shall go. */
void drain_clear(struct drain *drain, const char *object);
/* Something has changed (a label went): look at once. */
void drain_wake(struct drain *drain);
/* A pod of this node has ended or was deleted: what waits for pods looks again soon. */
void drain_pod_gone(struct drain *drain);
/*
 * The kernel is removing a profile of the object: what it shows of it says nothing until `changed`
 * is called.
 */
bool drain_is_removing(const struct drain *drain, const char *object);
/* `waiting` or `changed` has been called for all objects since they were asked for. */
bool drain_settled(const struct drain *drain);
