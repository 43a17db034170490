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
        return (struct pod_profile){.type = POD_PROFILE_NONE};
    return (struct pod_profile){.type = POD_PROFILE_LOCALHOST, .name = name};
}

/* `field`: an appArmorProfile. */
static struct pod_profile from_field(const cJSON *field)
{
    const char *type = json_string(field, "type");

    if (type && strcmp(type, "Localhost") == 0)
        return localhost(json_string(field, "localhostProfile"));
    if (type && strcmp(type, "RuntimeDefault") == 0)
        return (struct pod_profile){.type = POD_PROFILE_RUNTIME_DEFAULT};
    if (type && strcmp(type, "Unconfined") == 0)
        return (struct pod_profile){.type = POD_PROFILE_UNCONFINED};
    return (struct pod_profile){.type = POD_PROFILE_NONE};
}

static struct pod_profile from_annotation(const char *value)
{
    size_t prefix = strlen(POD_PROFILE_ANNOTATION_LOCALHOST);

    if (strncmp(value, POD_PROFILE_ANNOTATION_LOCALHOST, prefix) == 0)
        return localhost(value + prefix);
    if (strcmp(value, "runtime/default") == 0)
        return (struct pod_profile){.type = POD_PROFILE_RUNTIME_DEFAULT};
    if (strcmp(value, "unconfined") == 0)
        return (struct pod_profile){.type = POD_PROFILE_UNCONFINED};
    return (struct pod_profile){.type = POD_PROFILE_NONE};
}

const char *pod_profile_annotation(const cJSON *pod, const cJSON *container)
{
    const char *name = json_string(container, "name");
    const cJSON *annotations = json_get(pod, "metadata", "annotations");
    _cleanup_free_ char *key = NULL;

    if (!cJSON_IsObject(annotations))
        return NULL;
    key = xasprintf("%s%s", POD_PROFILE_ANNOTATION, name ? name : "");
    return json_string(annotations, key);
}

cJSON *pod_profile_annotation_field(const char *annotation)
{
    static const char *const types[] = {
        [POD_PROFILE_UNCONFINED] = "Unconfined",
        [POD_PROFILE_RUNTIME_DEFAULT] = "RuntimeDefault",
        [POD_PROFILE_LOCALHOST] = "Localhost",
    };
    const struct pod_profile profile = from_annotation(annotation);
    cJSON *field;

    if (profile.type == POD_PROFILE_NONE)
        return NULL;
    field = cJSON_CreateObject();
    json_add_string(field, "type", types[profile.type]);
    if (profile.name)
        json_add_string(field, "localhostProfile", profile.name);
    return field;
}

struct pod_profile pod_profile_of(const cJSON *pod, const cJSON *container)
{
    const cJSON *own = json_get(container, "securityContext", "appArmorProfile");
    const cJSON *shared = json_get(pod, "spec", "securityContext", "appArmorProfile");
    const char *annotation;
    struct pod_profile profile = {.type = POD_PROFILE_NONE};

    if (cJSON_IsObject(own)) {
        profile = from_field(own);
        profile.source = POD_PROFILE_FROM_CONTAINER;
        return profile;
    }
    annotation = pod_profile_annotation(pod, container);
    if (annotation) {
        profile = from_annotation(annotation);
        profile.source = POD_PROFILE_FROM_ANNOTATION;
    } else if (cJSON_IsObject(shared)) {
        profile = from_field(shared);
        profile.source = POD_PROFILE_FROM_POD;
    }
    return profile;
}

bool pod_container_is_privileged(const cJSON *container)
{
    return json_bool(json_get(container, "securityContext", "privileged"), false);
}
