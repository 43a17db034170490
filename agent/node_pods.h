// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "lib/kube/client.h"

/*
 * The pods of this node that have not ended, and their containers: the agent's one watch of pods.
 * Some hundred bytes of each are kept. What a removal of policy rests on is listed anew: pods.h.
 */
struct node_pods;

struct node_pods_options {
    struct kube_client *client; /* borrowed */
    const char *node;
    /* What node_pods_each() tells has changed, or is complete for the first time. */
    void (*changed)(void *userdata);
    /* A pod has ended or was deleted. */
    void (*gone)(void *userdata);
    void *userdata;
};

struct node_pods *node_pods_new(const struct node_pods_options *options);
/* Before its client. */
void node_pods_free(struct node_pods *pods);
DEFINE_CLEANUP(struct node_pods *, node_pods_free)
void node_pods_start(struct node_pods *pods);

/* All pods are known. */
bool node_pods_synced(const struct node_pods *pods);

/* A container that has been created; borrowed. */
struct node_container {
    const char *ns, *pod, *uid;
    const char *cgroup_pod; /* what its cgroup calls the pod: see agent/cgroup.h */
    const char *name;
    const char *id;    /* without "<runtime>://" */
    const char *asked; /* see confinement_asked(); NULL: nothing */
    bool running;      /* as the kubelet says, which is after its start */
};

typedef void (*node_container_fn)(void *userdata, const struct node_container *container);
void node_pods_each(const struct node_pods *pods, node_container_fn fn, void *userdata);

struct node_pod {
    const char *ns, *name, *uid;
    const char *cgroup_pod;
    const char *only; /* its container, when its spec has no other; or NULL */
};

/* Pods without a container that has been created are among them. */
typedef void (*node_pod_fn)(void *userdata, const struct node_pod *pod);
void node_pods_each_pod(const struct node_pods *pods, node_pod_fn fn, void *userdata);

/* What is kept of a pod: for tests. Takes ownership of the pod. */
cJSON *node_pods_project(cJSON *pod);
/* The containers of what is kept. */
void node_pods_containers(const cJSON *kept, node_container_fn fn, void *userdata);
/* Itself. */
struct node_pod node_pods_pod(const cJSON *kept);
