// SPDX-License-Identifier: Apache-2.0
#include "controller/eviction.h"

#include <string.h>

#include "lib/policy/pod_profile.h"

/* What the API has of a pod that a kubelet has from a file. */
#define ANNOTATION_MIRROR "kubernetes.io/config.mirror"

static bool equal(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static const cJSON *find_named(const cJSON *list, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (equal(json_string(item, "name"), name))
            return item;
    }
    return NULL;
}

/* "containerd://<id>" */
static bool has_id(const cJSON *status, const char *id)
{
    const char *text = json_string(status, "containerID");
    const char *end = text ? strstr(text, "://") : NULL;

    return end && equal(end + strlen("://"), id);
}

/* The very container that the agent has seen runs, and asks for a profile. */
static bool is_affected(const cJSON *entry, const cJSON *pod)
{
    const char *name = json_string(entry, "container"), *id = json_string(entry, "containerID");

    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++) {
        const struct pod_container_list *list = &pod_container_lists[i];
        const cJSON *container = find_named(json_get(pod, "spec", list->spec), name);
        const cJSON *status = find_named(json_get(pod, "status", list->status), name);
        enum pod_profile_type asked;

        if (!container)
            continue;
        asked = pod_profile_of(pod, container).type;
        return (asked == POD_PROFILE_LOCALHOST || asked == POD_PROFILE_RUNTIME_DEFAULT) &&
               has_id(status, id) && cJSON_IsObject(json_get(status, "state", "running"));
    }
    return false;
}

/* Something makes another in its place. */
static bool has_controller(const cJSON *pod)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, json_get(pod, "metadata", "ownerReferences"))
    {
        if (json_bool(json_get(owner, "controller"), false))
            return !equal(json_string(owner, "kind"), "Node");
    }
    return false;
}

static const char *annotation(const cJSON *object, const char *key)
{
    return json_string(object, "metadata", "annotations", key);
}

enum eviction eviction_of(const cJSON *entry, const char *node, const cJSON *pod)
{
    const char *choice = annotation(pod, EVICTION_ANNOTATION);

    if (!equal(json_string(pod, "metadata", "uid"), json_string(entry, "podUID")) ||
        !equal(json_string(pod, "spec", "nodeName"), node))
        return EVICTION_NO;
    if (!json_bool(json_get(entry, "profileLoaded"), false) || !is_affected(entry, pod))
        return EVICTION_NO;
    if (annotation(pod, ANNOTATION_MIRROR) || !has_controller(pod))
        return EVICTION_NO;
    if (!choice)
        return EVICTION_ASK_NAMESPACE;
    return equal(choice, "true") ? EVICTION_YES : EVICTION_NO;
}

bool eviction_opts_in(const cJSON *namespace)
{
    return equal(annotation(namespace, EVICTION_ANNOTATION), "true");
}
