// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/cgroup.h"
#include "agent/node_pods.h"

/*
 * The names of a container, by its place among the cgroups. A pod that has gone is remembered for a
 * minute, as what it did may be told later, and so are containers before their present ones.
 */
struct pod_index;

enum pod_known {
    POD_UNKNOWN,
    POD_KNOWN,           /* not yet which of its containers it is: the kubelet tells later */
    POD_CONTAINER_KNOWN, /* both */
};

/* Strings are borrowed until the next pod_index_changed(). */
struct pod_names {
    const char *ns, *pod, *uid;
    const char *container; /* "unknown" unless it is known */
};

#define POD_NAME_UNKNOWN "unknown"

/* For pods of the node, which are borrowed. */
struct pod_index *pod_index_new(const struct node_pods *pods);
void pod_index_free(struct pod_index *index);
DEFINE_CLEANUP(struct pod_index *, pod_index_free)

/* The node's pods have changed. */
void pod_index_changed(struct pod_index *index);
/* `ret` says "unknown" of what is not known. */
enum pod_known pod_index_find(struct pod_index *index, const struct cgroup_place *place,
                              struct pod_names *ret);

/* One of the node's pods, and one of its containers: what pod_index_changed() takes. For tests. */
void pod_index_add_pod(struct pod_index *index, const struct node_pod *pod);
void pod_index_add_container(struct pod_index *index, const struct node_container *container);
