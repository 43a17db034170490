// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "controller/admission.h"
#include "controller/declared.h"
#include "lib/base/strv.h"

/*
 * Levels for pods: /pods/<action>/<level>. Which of them an API server calls for a namespace, by
 * its labels apparmor.io/enforce, warn and audit, the namespaceSelectors of
 * deploy/components/webhooks say: the server knows the labels, and so the webhook need not follow
 * Namespaces.
 */
struct webhook_pods;

/* Who is not held to any level. Borrowed. */
struct webhook_exemptions {
    const struct strv *namespaces;
    const struct strv *users;
    const struct strv *runtime_classes;
};

struct webhook_pods_options {
    const struct declared *declared;
    struct webhook_exemptions exempt;
    /* What AppArmorProfiles there are is known. */
    bool (*synced)(void *userdata);
    void *userdata;
};

struct webhook_pods *webhook_pods_new(const struct webhook_pods_options *options);
void webhook_pods_free(struct webhook_pods *webhook);
DEFINE_CLEANUP(struct webhook_pods *, webhook_pods_free)

#define WEBHOOK_PODS_PATHS 6
void webhook_pods_paths(struct webhook_pods *webhook,
                        struct admission_webhook ret[static WEBHOOK_PODS_PATHS]);
