// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"

/*
 * Which AppArmor profile a pod asks for
 * (https://kubernetes.io/docs/tutorials/security/apparmor/#securing-a-pod).
 */
enum pod_profile_type {
    POD_PROFILE_NONE, /* nothing is asked for: the runtime decides */
    POD_PROFILE_UNCONFINED,
    POD_PROFILE_RUNTIME_DEFAULT,
    POD_PROFILE_LOCALHOST,
};

/* Where it is asked for. */
enum pod_profile_source {
    POD_PROFILE_FROM_NOWHERE,
    POD_PROFILE_FROM_CONTAINER,
    POD_PROFILE_FROM_ANNOTATION,
    POD_PROFILE_FROM_POD,
};

struct pod_profile {
    enum pod_profile_type type;
    const char *name; /* of POD_PROFILE_LOCALHOST; borrowed from the pod */
    enum pod_profile_source source;
};

/*
 * Of one of the pod's containers (of any of its three lists): its own
 * securityContext.appArmorProfile, else the annotation
 * container.apparmor.security.beta.kubernetes.io/<container>, else the pod's appArmorProfile. The
 * first that is there counts, whatever it says.
 */
struct pod_profile pod_profile_of(const cJSON *pod, const cJSON *container);
/* What the container's legacy annotation says; NULL when there is none. Borrowed from the pod. */
const char *pod_profile_annotation(const cJSON *pod, const cJSON *container);
/* An appArmorProfile that says the same; NULL when the annotation says nothing that is valid. */
cJSON *pod_profile_annotation_field(const char *annotation);
/* securityContext.privileged */
bool pod_container_is_privileged(const cJSON *container);

/* The lists of a pod's spec that hold containers, in the order in which they start. */
enum { POD_CONTAINER_LISTS = 3 };
struct pod_container_list {
    const char *spec;   /* "initContainers" … */
    const char *status; /* "initContainerStatuses" … */
};
extern const struct pod_container_list pod_container_lists[POD_CONTAINER_LISTS];

#define POD_PROFILE_ANNOTATION "container.apparmor.security.beta.kubernetes.io/"
/* What the annotation has before a profile's name. */
#define POD_PROFILE_ANNOTATION_LOCALHOST "localhost/"
