// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/pod_profile.h"

#include <string.h>

#include "lib/base/alloc.h"

const struct pod_container_list pod_container_lists[POD_CONTAINER_LISTS] = {
    {"initContainers", "initContainerStatuses"},
    {"containers", "containerStatuses"},
    {"ephemeralContainers", "ephemeralContainerStatuses"},
};

static struct pod_profile localhost(const char *name)
{
    if (!name || !*name)
        return (struct pod_profile){POD_PROFILE_NONE, NULL};
    return (struct pod_profile){POD_PROFILE_LOCALHOST, name};
}

/* `field`: an appArmorProfile. */
static struct pod_profile from_field(const cJSON *field)
{
    const char *type = json_string(field, "type");

    if (type && strcmp(type, "Localhost") == 0)
        return localhost(json_string(field, "localhostProfile"));
    if (type && strcmp(type, "RuntimeDefault") == 0)
        return (struct pod_profile){POD_PROFILE_RUNTIME_DEFAULT, NULL};
    if (type && strcmp(type, "Unconfined") == 0)
        return (struct pod_profile){POD_PROFILE_UNCONFINED, NULL};
    return (struct pod_profile){POD_PROFILE_NONE, NULL};
}

static struct pod_profile from_annotation(const char *value)
{
    size_t prefix = strlen(POD_PROFILE_ANNOTATION_LOCALHOST);

    if (strncmp(value, POD_PROFILE_ANNOTATION_LOCALHOST, prefix) == 0)
        return localhost(value + prefix);
    if (strcmp(value, "runtime/default") == 0)
        return (struct pod_profile){POD_PROFILE_RUNTIME_DEFAULT, NULL};
    if (strcmp(value, "unconfined") == 0)
        return (struct pod_profile){POD_PROFILE_UNCONFINED, NULL};
    return (struct pod_profile){POD_PROFILE_NONE, NULL};
}

static const char *annotation_of(const cJSON *pod, const cJSON *container)
{
    const char *name = json_string(container, "name");
    _cleanup_free_ char *key = xasprintf("%s%s", POD_PROFILE_ANNOTATION, name ? name : "");

    return json_string(pod, "metadata", "annotations", key);
}

struct pod_profile pod_profile_of(const cJSON *pod, const cJSON *container)
{
    const cJSON *own = json_get(container, "securityContext", "appArmorProfile");
    const char *annotation = annotation_of(pod, container);

    if (cJSON_IsObject(own))
        return from_field(own);
    if (annotation)
        return from_annotation(annotation);
    return from_field(json_get(pod, "spec", "securityContext", "appArmorProfile"));
}

bool pod_container_is_privileged(const cJSON *container)
{
    return json_bool(json_get(container, "securityContext", "privileged"), false);
}
