// SPDX-License-Identifier: Apache-2.0
#include "agent/node_pods.h"

#include <string.h>

#include "agent/confinement.h"
#include "agent/pods.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/kube/informer.h"
#include "lib/policy/pod_profile.h"

/* With it, the kubelet tells the API of a pod that it has from a file or an address of its own. */
#define ANNOTATION_HASH "kubernetes.io/config.hash"
#define ANNOTATION_MIRROR "kubernetes.io/config.mirror"

struct node_pods {
    struct node_pods_options options;
    struct kube_informer *informer;
};

/* --- what is kept: {metadata, hash, only, containers: [{name, id, asked, running}]} --- */

static const cJSON *find_named(const cJSON *list, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const char *other = json_string(item, "name");

        if (other && strcmp(other, name) == 0)
            return item;
    }
    return NULL;
}

/* Without "<runtime>://"; NULL for a container that has never been created. */
static const char *id_of(const cJSON *status)
{
    const char *id = json_string(status, "containerID");
    const char *end = id ? strstr(id, "://") : NULL;

    return end && end[3] ? end + 3 : NULL;
}

static void keep_container(cJSON *containers, const cJSON *pod, const cJSON *container,
                           const cJSON *statuses)
{
    const char *name = json_string(container, "name");
    const cJSON *status = name ? find_named(statuses, name) : NULL;
    const char *id = id_of(status);
    _cleanup_free_ char *asked = confinement_asked(pod, container);
    cJSON *kept;

    if (!id)
        return;
    kept = cJSON_CreateObject();
    json_add_string(kept, "name", name);
    json_add_string(kept, "id", id);
    if (asked)
        json_add_string(kept, "asked", asked);
    if (cJSON_IsObject(json_get(status, "state", "running")))
        json_add_bool(kept, "running", true);
    json_append(containers, kept);
}

static cJSON *keep_metadata(const cJSON *pod)
{
    static const char *const keys[] = {"namespace", "name", "uid", "resourceVersion"};
    cJSON *metadata = cJSON_CreateObject();

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *value = json_string(pod, "metadata", keys[i]);

        if (value)
            json_add_string(metadata, keys[i], value);
    }
    return metadata;
}

/* The name of its one container; NULL when there are several. */
static const char *only_container(const cJSON *pod)
{
    const cJSON *only = NULL;
    int count = 0;

    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++) {
        const cJSON *list = json_get(pod, "spec", pod_container_lists[i].spec);

        count += cJSON_GetArraySize(list);
        only = only ? only : cJSON_GetArrayItem(list, 0);
    }
    return count == 1 ? json_string(only, "name") : NULL;
}

cJSON *node_pods_project(cJSON *pod)
{
    const char *only = only_container(pod);
    cJSON *kept = cJSON_CreateObject(), *containers;
    const char *hash = json_string(pod, "metadata", "annotations", ANNOTATION_HASH);
    const cJSON *container;

    json_add(kept, "metadata", keep_metadata(pod));
    if (hash && json_string(pod, "metadata", "annotations", ANNOTATION_MIRROR))
        json_add_string(kept, "hash", hash);
    if (only)
        json_add_string(kept, "only", only);
    containers = json_add_array(kept, "containers");
    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++)
        cJSON_ArrayForEach(container, json_get(pod, "spec", pod_container_lists[i].spec))
        {
            keep_container(containers, pod, container,
                           json_get(pod, "status", pod_container_lists[i].status));
        }
    json_free(pod);
    return kept;
}

static cJSON *project(_unused_ void *userdata, cJSON *pod)
{
    return node_pods_project(pod);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

struct node_pod node_pods_pod(const cJSON *kept)
{
    const cJSON *metadata = json_get(kept, "metadata");
    const char *hash = json_string(kept, "hash");
    struct node_pod pod = {
        .ns = or_empty(json_string(metadata, "namespace")),
        .name = or_empty(json_string(metadata, "name")),
        .uid = or_empty(json_string(metadata, "uid")),
        .only = json_string(kept, "only"),
    };

    pod.cgroup_pod = hash ? hash : pod.uid;
    return pod;
}

void node_pods_containers(const cJSON *kept, node_container_fn fn, void *userdata)
{
    const struct node_pod pod = node_pods_pod(kept);
    const cJSON *container;
    struct node_container found = {
        .ns = pod.ns,
        .pod = pod.name,
        .uid = pod.uid,
        .cgroup_pod = pod.cgroup_pod,
    };

    cJSON_ArrayForEach(container, json_get(kept, "containers"))
    {
        found.name = json_string(container, "name");
        found.id = json_string(container, "id");
        found.asked = json_string(container, "asked");
        found.running = json_bool(json_get(container, "running"), false);
        fn(userdata, &found);
    }
}

struct each {
    node_container_fn fn;
    void *userdata;
};

static void each_pod(void *userdata, struct kube_object *object)
{
    const struct each *each = userdata;

    node_pods_containers(kube_object_json(object), each->fn, each->userdata);
}

void node_pods_each(const struct node_pods *pods, node_container_fn fn, void *userdata)
{
    struct each each = {fn, userdata};

    kube_informer_each(pods->informer, each_pod, &each);
}

struct each_pod {
    node_pod_fn fn;
    void *userdata;
};

static void itself(void *userdata, struct kube_object *object)
{
    const struct each_pod *each = userdata;
    const struct node_pod pod = node_pods_pod(kube_object_json(object));

    each->fn(each->userdata, &pod);
}

void node_pods_each_pod(const struct node_pods *pods, node_pod_fn fn, void *userdata)
{
    struct each_pod each = {fn, userdata};

    kube_informer_each(pods->informer, itself, &each);
}

/* --- the watch --- */

static void tell(struct node_pods *pods)
{
    if (node_pods_synced(pods))
        pods->options.changed(pods->options.userdata);
}

static void on_added(void *userdata, _unused_ struct kube_object *object)
{
    tell(userdata);
}

/* Most changes of a pod are of no interest here, and what is kept of it stays the same. */
static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    if (strcmp(kube_object_uid(old), kube_object_uid(object)) != 0 ||
        !json_equal(json_get(kube_object_json(old), "containers"),
                    json_get(kube_object_json(object), "containers")))
        tell(userdata);
}

static void on_deleted(void *userdata, _unused_ struct kube_object *last,
                       _unused_ enum kube_delete_cause cause)
{
    struct node_pods *pods = userdata;

    tell(pods);
    if (pods->options.gone)
        pods->options.gone(pods->options.userdata);
}

static void on_synced(void *userdata)
{
    struct node_pods *pods = userdata;

    pods->options.changed(pods->options.userdata);
}

static void on_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("watch failed", "resource", "pods", "err", error_message(err));
}

struct node_pods *node_pods_new(const struct node_pods_options *options)
{
    struct node_pods *pods = xcalloc(1, sizeof(*pods));
    _cleanup_free_ char *selector = pods_selector(options->node);
    struct kube_informer_options informer = {
        .resource = &kube_pods,
        .field_selector = selector,
        .project = project,
    };
    struct kube_handler handler = {
        .added = on_added,
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = on_synced,
        .failed = on_failed,
        .userdata = pods,
    };

    pods->options = *options;
    pods->informer = kube_informer_new(options->client, &informer);
    kube_informer_add_handler(pods->informer, &handler);
    return pods;
}

void node_pods_free(struct node_pods *pods)
{
    if (!pods)
        return;
    kube_informer_free(pods->informer);
    free(pods);
}

void node_pods_start(struct node_pods *pods)
{
    kube_informer_start(pods->informer);
}

bool node_pods_synced(const struct node_pods *pods)
{
    return kube_informer_synced(pods->informer);
}
