// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_index.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/map.h"

#define REMEMBER_MS 60000
/* Containers of a pod, ended ones among them. */
#define CONTAINERS_MAX 64

struct pod {
    char *ns, *name, *uid;
    char *only;             /* its one container, or NULL */
    struct map *containers; /* names by id */
    bool there;             /* at the last change */
    uint64_t gone_ms;
};

struct pod_index {
    const struct node_pods *source;
    struct map *pods; /* by what cgroups call them */
    bool changed;
};

static void pod_free(void *value)
{
    struct pod *pod = value;

    free(pod->ns);
    free(pod->name);
    free(pod->uid);
    free(pod->only);
    map_free(pod->containers);
    free(pod);
}

struct pod_index *pod_index_new(const struct node_pods *pods)
{
    struct pod_index *index = xcalloc(1, sizeof(*index));

    index->source = pods;
    index->pods = map_new(pod_free);
    return index;
}

void pod_index_free(struct pod_index *index)
{
    if (!index)
        return;
    map_free(index->pods);
    free(index);
}

/* --- what there is --- */

static void set_text(char **place, const char *text)
{
    if (*place && text && strcmp(*place, text) == 0)
        return;
    free(*place);
    *place = text ? xstrdup(text) : NULL;
}

void pod_index_add_pod(struct pod_index *index, const struct node_pod *found)
{
    struct pod *pod = map_get(index->pods, found->cgroup_pod);

    if (!pod) {
        pod = xcalloc(1, sizeof(*pod));
        pod->containers = map_new(free);
        map_set(index->pods, found->cgroup_pod, pod);
    }
    set_text(&pod->ns, found->ns);
    set_text(&pod->name, found->name);
    set_text(&pod->uid, found->uid);
    set_text(&pod->only, found->only);
    pod->there = true;
}

void pod_index_add_container(struct pod_index *index, const struct node_container *container)
{
    struct pod *pod = map_get(index->pods, container->cgroup_pod);
    const char *oldest;
    size_t position = 0;

    if (!pod || map_has(pod->containers, container->id))
        return;
    map_set(pod->containers, container->id, xstrdup(container->name));
    if (map_size(pod->containers) > CONTAINERS_MAX &&
        map_next(pod->containers, &position, &oldest, NULL))
        map_remove(pod->containers, oldest);
}

static void on_pod(void *userdata, const struct node_pod *pod)
{
    pod_index_add_pod(userdata, pod);
}

static void on_container(void *userdata, const struct node_container *container)
{
    pod_index_add_container(userdata, container);
}

static void refresh(struct pod_index *index)
{
    uint64_t now = clock_monotonic_ms();
    const char *key;
    size_t position = 0;
    void *value;

    while (map_next(index->pods, &position, NULL, &value))
        ((struct pod *) value)->there = false;
    node_pods_each_pod(index->source, on_pod, index);
    node_pods_each(index->source, on_container, index);
    position = 0;
    while (map_next(index->pods, &position, &key, &value)) {
        struct pod *pod = value;

        if (pod->there)
            pod->gone_ms = 0;
        else if (!pod->gone_ms)
            pod->gone_ms = now;
        else if (now - pod->gone_ms > REMEMBER_MS)
            map_remove(index->pods, key);
    }
}

void pod_index_changed(struct pod_index *index)
{
    index->changed = true;
}

/* --- asking --- */

enum pod_known pod_index_find(struct pod_index *index, const struct cgroup_place *place,
                              struct pod_names *ret)
{
    const struct pod *pod;
    const char *container;

    if (index->changed && index->source)
        refresh(index);
    index->changed = false;
    pod = map_get(index->pods, place->pod);
    *ret = (struct pod_names){POD_NAME_UNKNOWN, POD_NAME_UNKNOWN, "", POD_NAME_UNKNOWN};
    if (!pod)
        return POD_UNKNOWN;
    container = map_get(pod->containers, place->container);
    if (!container)
        container = pod->only;
    *ret =
        (struct pod_names){pod->ns, pod->name, pod->uid, container ? container : POD_NAME_UNKNOWN};
    return container ? POD_CONTAINER_KNOWN : POD_KNOWN;
}
