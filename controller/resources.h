// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/kube/client.h"

/* The kinds of crds/, as they stand in request paths. */
extern const struct kube_resource resource_profiles, resource_nodes;

extern const struct kube_resource resource_namespaces, resource_revisions, resource_configmaps;
extern const struct kube_resource resource_secrets, resource_validating_webhooks;
extern const struct kube_resource resource_mutating_webhooks;
