// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_index.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

#define UID "1f7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5b"
#define HASH "0123456789abcdef0123456789abcdef"
#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER_ID "ff112233445566778899aabbccddeeff00112233445566778899aabbccddee00"

static struct cgroup_place place_of(const char *pod, const char *container)
{
    struct cgroup_place place;

    memcpy(place.pod, pod, strlen(pod) + 1);
    memcpy(place.container, container, strlen(container) + 1);
    return place;
}

static const struct node_pod web = {.ns = "shop", .name = "web-1", .uid = UID, .cgroup_pod = UID};

static void assert_found(struct pod_index *index, const char *pod, const char *container,
                         enum pod_known known, const char *expected)
{
    const struct cgroup_place place = place_of(pod, container);
    struct pod_names names;

    cr_expect_eq(pod_index_find(index, &place, &names), known, "%s", expected);
    _cleanup_free_ char *found = xasprintf("%s/%s/%s", names.ns, names.pod, names.container);
    cr_expect_str_eq(found, expected);
}

Test(pod_index, a_container_is_known_once_the_kubelet_has_told)
{
    _cleanup_(pod_index_freep) struct pod_index *index = pod_index_new(NULL);
    const struct node_container main = {
        .ns = "shop", .pod = "web-1", .uid = UID, .cgroup_pod = UID, .name = "main", .id = ID};

    assert_found(index, UID, ID, POD_UNKNOWN, "unknown/unknown/unknown");
    pod_index_add_pod(index, &web);
    assert_found(index, UID, ID, POD_KNOWN, "shop/web-1/unknown");
    pod_index_add_container(index, &main);
    assert_found(index, UID, ID, POD_CONTAINER_KNOWN, "shop/web-1/main");
    assert_found(index, UID, OTHER_ID, POD_KNOWN, "shop/web-1/unknown");
}

Test(pod_index, a_pod_s_only_container_is_known_at_once)
{
    _cleanup_(pod_index_freep) struct pod_index *index = pod_index_new(NULL);
    struct node_pod pod = web;

    pod.only = "main";
    pod_index_add_pod(index, &pod);
    assert_found(index, UID, ID, POD_CONTAINER_KNOWN, "shop/web-1/main");
    /* It has got another one since. */
    pod.only = NULL;
    pod_index_add_pod(index, &pod);
    assert_found(index, UID, ID, POD_KNOWN, "shop/web-1/unknown");
}

Test(pod_index, pods_of_files_are_known_by_their_hash)
{
    _cleanup_(pod_index_freep) struct pod_index *index = pod_index_new(NULL);
    struct node_pod pod = web;

    pod.cgroup_pod = HASH;
    pod.only = "etcd";
    pod_index_add_pod(index, &pod);
    assert_found(index, HASH, ID, POD_CONTAINER_KNOWN, "shop/web-1/etcd");
    assert_found(index, UID, ID, POD_UNKNOWN, "unknown/unknown/unknown");
}

Test(pod_index, a_pod_keeps_a_bounded_number_of_containers)
{
    _cleanup_(pod_index_freep) struct pod_index *index = pod_index_new(NULL);
    struct node_container container = {.cgroup_pod = UID, .name = "main"};
    char id[CGROUP_CONTAINER_SIZE];

    pod_index_add_pod(index, &web);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "%064d", i);
        container.id = id;
        pod_index_add_container(index, &container);
    }
    assert_found(index, UID, id, POD_CONTAINER_KNOWN, "shop/web-1/main");
    snprintf(id, sizeof(id), "%064d", 0);
    assert_found(index, UID, id, POD_KNOWN, "shop/web-1/unknown");
}
