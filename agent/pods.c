// SPDX-License-Identifier: Apache-2.0
#include "agent/pods.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/label.h"
#include "lib/policy/pod_profile.h"

struct pods_list {
    struct kube_request *request;
    struct map *users;
    pods_fn fn;
    void *userdata;
};

char *pods_selector(const char *node)
{
    return xasprintf("spec.nodeName=%s,status.phase!=Succeeded,status.phase!=Failed", node);
}

static void add_user(struct map *users, const char *profile, const cJSON *pod)
{
    const char *namespace = json_string(pod, "metadata", "namespace");
    const char *name = json_string(pod, "metadata", "name");

    map_set(users, profile, xasprintf("%s/%s", namespace ? namespace : "", name ? name : ""));
}

/* `place` is a pod's spec or a container. */
static void collect_field(const cJSON *place, const cJSON *pod, struct map *users)
{
    const char *profile =
        json_string(place, "securityContext", "appArmorProfile", "localhostProfile");

    if (profile)
        add_user(users, profile, pod);
}

static void collect_containers(const cJSON *pod, const char *list, struct map *users)
{
    const cJSON *container;

    cJSON_ArrayForEach(container, json_get(pod, "spec", list))
    {
        collect_field(container, pod, users);
    }
}

static void collect_annotations(const cJSON *pod, struct map *users)
{
    size_t localhost = strlen(POD_PROFILE_ANNOTATION_LOCALHOST);
    const cJSON *annotation;

    cJSON_ArrayForEach(annotation, json_get(pod, "metadata", "annotations"))
    {
        const char *value = cJSON_GetStringValue(annotation);

        if (value && annotation->string &&
            strncmp(annotation->string, POD_PROFILE_ANNOTATION, strlen(POD_PROFILE_ANNOTATION)) ==
                0 &&
            strncmp(value, POD_PROFILE_ANNOTATION_LOCALHOST, localhost) == 0)
            add_user(users, value + localhost, pod);
    }
}

void pods_collect(const cJSON *pod, struct map *users)
{
    collect_field(json_get(pod, "spec"), pod, users);
    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++)
        collect_containers(pod, pod_container_lists[i].spec, users);
    collect_annotations(pod, users);
}

const char *pods_user(const struct map *users, const struct strv *names)
{
    const char *profile;
    void *pod;
    size_t position = 0;

    while (map_next(users, &position, &profile, &pod))
        for (size_t i = 0; i < names->len; i++)
            if (policy_label_uses(profile, names->items[i]))
                return pod;
    return NULL;
}

static void on_pod(void *userdata, struct kube_object *object)
{
    struct pods_list *list = userdata;

    pods_collect(kube_object_json(object), list->users);
}

static void on_done(void *userdata, _unused_ const char *resource_version, const struct error *err)
{
    struct pods_list *list = userdata;

    list->request = NULL;
    list->fn(list->userdata, err->code ? NULL : TAKE_PTR(list->users), err);
    pods_list_cancel(list);
}

struct pods_list *pods_list(struct kube_client *client, const char *node, pods_fn fn,
                            void *userdata)
{
    _cleanup_free_ char *selector = pods_selector(node);
    struct kube_list_options options = {.field_selector = selector};
    struct pods_list *list = xcalloc(1, sizeof(*list));

    list->users = map_new(free);
    list->fn = fn;
    list->userdata = userdata;
    list->request = kube_list(client, &kube_pods, NULL, &options, on_pod, on_done, list);
    return list;
}

void pods_list_cancel(struct pods_list *list)
{
    if (!list)
        return;
    kube_request_cancel(list->request);
    map_free(list->users);
    free(list);
}
