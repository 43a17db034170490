// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * What is added to a pod at its creation so that it comes to a node that has its profiles: node
 * affinity for the labels apparmor.io/profile-<object>, and fields for legacy annotations.
 */
enum pod_scheduling {
    POD_SCHEDULING_PREFERRED, /* nodes that have them come first */
    POD_SCHEDULING_REQUIRED,  /* the pod waits for a node that has them */
    POD_SCHEDULING_DISABLED,  /* the pod goes where it goes */
};

/* The label of a namespace and the annotation of a pod that say which; the pod's word counts. */
#define POD_SCHEDULING_KEY "apparmor.io/scheduling"
/* -EINVAL: there is no such mode. */
int pod_scheduling_parse(const char *text, enum pod_scheduling *ret);

/* Distinct Localhost profiles of one pod, and objects that declare one of them, that are heeded. */
#define POD_PLACEMENT_PROFILES_MAX 16
#define POD_PLACEMENT_OBJECTS_MAX 16
/* nodeSelectorTerms that come out; more are not added. */
#define POD_PLACEMENT_TERMS_MAX 64

/*
 * Adds the names of the AppArmorProfiles that declare the profile to `ret_objects`; true when a
 * node has one of them.
 */
typedef bool (*pod_objects_fn)(void *userdata, const char *profile, struct strv *ret_objects);

struct pod_placement {
    const cJSON *pod; /* that is being created */
    enum pod_scheduling scheduling;
    pod_objects_fn objects;
    void *userdata;
};

struct pod_placement_result {
    cJSON *patch;         /* RFC 6902; NULL: nothing is to be changed */
    struct strv warnings; /* for whoever creates the pod */
    bool undeclared;      /* it names a profile that no AppArmorProfile declares */
};

/* The same again on what the patch makes of the pod gives no patch. */
void pod_place(const struct pod_placement *placement, struct pod_placement_result *ret);
void pod_placement_result_done(struct pod_placement_result *result);
#define _cleanup_pod_placement_result_ _cleanup_(pod_placement_result_done)
