// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "lib/policy/profile.h"

/*
 * An AppArmorProfile as the controller keeps it: the text is replaced by its revision, as the
 * informer receives the object, so that texts of 256 KiB do not pile up in memory.
 */

/* A projection for kube_informer_options: spec.policy becomes spec.revision, or spec.invalid with
 * `reason` and `message` when the object is not acceptable. */
cJSON *profile_project(void *userdata, cJSON *object);

/* Held by the object until no live node has the profile any more; see protection.h. */
#define PROFILE_FINALIZER "apparmor.io/profile-protection"
/* The annotation that, when "true", lets a deleted object go at once. */
#define PROFILE_FORCE_DELETE "apparmor.io/force-delete"

/* The projected object, decoded. Strings and selector are borrowed from it. */
struct profile_spec {
    const char *name;
    int64_t generation;
    bool deleting;
    bool protected;        /* has PROFILE_FINALIZER */
    bool forced;           /* by PROFILE_FORCE_DELETE */
    const char *held_by;   /* another finalizer, or NULL */
    const char *revision;  /* "" when invalid */
    const cJSON *selector; /* NULL: every node */
    bool progressive;      /* spec.rollout.strategy */
    bool rollout_paused;   /* spec.rollout.paused */
    const cJSON *rollout;  /* spec.rollout, or NULL */
    /* Annotations: what was published of a rollout (lib/policy/rollout.h), and by which people
     * intervene (rollout.h); or NULL. */
    const char *rollout_published, *rollout_resume, *rollout_skip;
    const char *invalid_reason; /* NULL: acceptable */
    const char *invalid_message;
};

void profile_spec_read(struct profile_spec *spec, const cJSON *projected);
