// SPDX-License-Identifier: Apache-2.0
#include "controller/resources.h"

#include "lib/policy/profile.h"

const struct kube_resource resource_profiles = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmorprofiles",
    .kind = "AppArmorProfile",
};

const struct kube_resource resource_nodes = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmornodes",
    .kind = "AppArmorNode",
};

const struct kube_resource resource_namespaces = {
    .group = "",
    .version = "v1",
    .plural = "namespaces",
    .kind = "Namespace",
};

const struct kube_resource resource_revisions = {
    .group = "apps",
    .version = "v1",
    .plural = "controllerrevisions",
    .kind = "ControllerRevision",
    .namespaced = true,
};

const struct kube_resource resource_configmaps = {
    .group = "",
    .version = "v1",
    .plural = "configmaps",
    .kind = "ConfigMap",
    .namespaced = true,
};

const struct kube_resource resource_secrets = {
    .group = "",
    .version = "v1",
    .plural = "secrets",
    .kind = "Secret",
    .namespaced = true,
};

const struct kube_resource resource_validating_webhooks = {
    .group = "admissionregistration.k8s.io",
    .version = "v1",
    .plural = "validatingwebhookconfigurations",
    .kind = "ValidatingWebhookConfiguration",
};

const struct kube_resource resource_mutating_webhooks = {
    .group = "admissionregistration.k8s.io",
    .version = "v1",
    .plural = "mutatingwebhookconfigurations",
    .kind = "MutatingWebhookConfiguration",
};
