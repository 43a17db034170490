// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "controller/admission.h"
#include "controller/declared.h"

/*
 * Sends pods to nodes that have their profiles: /scheduling/<mode>, by what the namespace's label
 * apparmor.io/scheduling says; see lib/policy/pod_placement.h.
 */
struct webhook_scheduling_options {
    const struct declared *declared;
    /* What AppArmorProfiles there are is known. */
    bool (*synced)(void *userdata);
    void *userdata;
};

#define WEBHOOK_SCHEDULING_PATHS 3
/* The options must outlive what is filled in. */
void webhook_scheduling_paths(const struct webhook_scheduling_options *options,
                              struct admission_webhook ret[static WEBHOOK_SCHEDULING_PATHS]);
