// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * Whether a pod keeps to a level that a namespace asks for, by its labels apparmor.io/enforce,
 * apparmor.io/warn and apparmor.io/audit.
 */
enum pod_level {
    POD_LEVEL_UNRESTRICTED,
    /* Every container has RuntimeDefault or a Localhost profile, by what the pod says. */
    POD_LEVEL_CONFINED,
    /* And every Localhost profile is one that an AppArmorProfile declares. */
    POD_LEVEL_MANAGED,
};

const char *pod_level_name(enum pod_level level);
/* -EINVAL: no such level. */
int pod_level_parse(const char *text, enum pod_level *ret);

/* What no API server lets pass, and what would take long to look at. */
#define POD_REVIEW_CONTAINERS_MAX 1000
#define POD_REVIEW_ANNOTATIONS_MAX 2000

/* An AppArmorProfile declares a profile of this name. */
typedef bool (*pod_declared_fn)(void *userdata, const char *profile);

struct pod_review {
    const cJSON *pod; /* or a pod's template: metadata.annotations and spec */
    const cJSON *old; /* NULL, or the pod as it was: only its new containers are looked at */
    pod_declared_fn declared;
    void *userdata;
};

struct pod_verdict {
    /* NULL: it keeps to the level. Else each container that does not, and what to write. */
    char *violations;
    /* What is admitted and may not be what is meant. */
    struct strv warnings;
    /* Localhost profiles that no AppArmorProfile declares. */
    struct strv undeclared;
};

void pod_review(const struct pod_review *review, enum pod_level level, struct pod_verdict *ret);
void pod_verdict_done(struct pod_verdict *verdict);
#define _cleanup_pod_verdict_ _cleanup_(pod_verdict_done)

/* More containers or annotations than are looked at. */
bool pod_is_oversize(const cJSON *pod);
/* Linux security has no meaning there: spec.os.name is windows. */
bool pod_is_windows(const cJSON *pod);
/* What the API has of a pod that a kubelet has from a file: to refuse it stops nothing. */
bool pod_is_mirror(const cJSON *pod);

/*
 * The pod that `object` is, or its template if it makes pods: Deployments, ReplicaSets,
 * StatefulSets, DaemonSets, Jobs, CronJobs, ReplicationControllers, PodTemplates. NULL for others.
 */
const cJSON *pod_template_of(const char *kind, const cJSON *object);
