// SPDX-License-Identifier: Apache-2.0
#include "agent/node_pods.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/packed.h"

TestSuite(node_pods, .init = alloc_init);

#define POD "1f7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5b"

static const char WEB_POD[] =
    "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"web-1\",\"uid\":\"" POD
    "\",\"resourceVersion\":\"7\",\"labels\":{\"app\":\"web\"},\"annotations\":{"
    "\"container.apparmor.security.beta.kubernetes.io/old\":\"localhost/legacy\"}},"
    "\"spec\":{\"nodeName\":\"n1\",\"volumes\":[{\"name\":\"v\"}],"
    "\"securityContext\":{\"appArmorProfile\":{\"type\":\"RuntimeDefault\"}},"
    "\"initContainers\":[{\"name\":\"setup\"},{\"name\":\"sidecar\",\"restartPolicy\":\"Always\"}],"
    "\"containers\":[{\"name\":\"web\",\"securityContext\":{\"appArmorProfile\":{\"type\":"
    "\"Localhost\",\"localhostProfile\":\"web\"}}},{\"name\":\"old\"},"
    "{\"name\":\"free\",\"securityContext\":{\"appArmorProfile\":{\"type\":\"Unconfined\"}}},"
    "{\"name\":\"late\"}],"
    "\"ephemeralContainers\":[{\"name\":\"debug\",\"securityContext\":{\"privileged\":true}}]},"
    "\"status\":{\"phase\":\"Running\",\"initContainerStatuses\":["
    "{\"name\":\"sidecar\",\"containerID\":\"containerd://22\",\"state\":{\"running\":{}}},"
    "{\"name\":\"setup\",\"containerID\":\"containerd://11\",\"state\":{\"terminated\":{}}}],"
    "\"containerStatuses\":["
    "{\"name\":\"web\",\"containerID\":\"containerd://33\",\"state\":{\"running\":{}}},"
    "{\"name\":\"old\",\"containerID\":\"cri-o://44\",\"state\":{\"running\":{}}},"
    "{\"name\":\"free\",\"containerID\":\"containerd://55\",\"state\":{\"running\":{}}},"
    "{\"name\":\"late\",\"state\":{\"waiting\":{}}}],"
    "\"ephemeralContainerStatuses\":["
    "{\"name\":\"debug\",\"containerID\":\"containerd://66\",\"state\":{\"running\":{}}}]}}";

static cJSON *kept_of(const char *text)
{
    cJSON *pod = NULL;

    cr_assert_eq(json_parse(text, strlen(text), &pod, NULL), 0);
    return node_pods_project(pod);
}

static struct strv told;

static void tell(_unused_ void *userdata, const struct node_container *container)
{
    strv_take(&told, xasprintf("%s/%s %s %s %s %s %s", container->ns, container->pod,
                               container->cgroup_pod, container->name, container->id,
                               container->asked ? container->asked : "-",
                               container->running ? "running" : "not"));
}

Test(node_pods, every_kind_of_container_is_kept_with_what_it_asks_for)
{
    static const char *const expected[] = {
        "shop/web-1 " POD " setup 11 RuntimeDefault not",
        "shop/web-1 " POD " sidecar 22 RuntimeDefault running",
        "shop/web-1 " POD " web 33 Localhost/web running",
        "shop/web-1 " POD " old 44 Localhost/legacy running",
        "shop/web-1 " POD " free 55 - running",
        "shop/web-1 " POD " debug 66 - running",
    };
    _cleanup_json_ cJSON *kept = kept_of(WEB_POD);

    node_pods_containers(kept, tell, NULL);
    cr_assert_eq(told.len, ARRAY_SIZE(expected));
    for (size_t i = 0; i < told.len; i++)
        cr_expect_str_eq(told.items[i], expected[i]);
    strv_done(&told);
}

/* Some 100 bytes for each container, whatever else is in the pod. */
Test(node_pods, little_is_kept)
{
    _cleanup_json_ cJSON *kept = kept_of(WEB_POD);
    _cleanup_free_ struct packed *packed = packed_new(kept);

    cr_assert_lt(packed_size(packed), 640, "%zu bytes for six containers", packed_size(packed));
    cr_assert_str_eq(json_string(kept, "metadata", "resourceVersion"), "7");
}

Test(node_pods, pods_of_files_are_known_by_their_hash)
{
    static const char text[] =
        "{\"metadata\":{\"namespace\":\"kube-system\",\"name\":\"etcd-n1\",\"uid\":\"" POD "\","
        "\"annotations\":{\"kubernetes.io/config.hash\":\"0123456789abcdef0123456789abcdef\","
        "\"kubernetes.io/config.mirror\":\"0123456789abcdef0123456789abcdef\"}},"
        "\"spec\":{\"containers\":[{\"name\":\"etcd\"}]},"
        "\"status\":{\"containerStatuses\":[{\"name\":\"etcd\",\"containerID\":\"containerd://11\","
        "\"state\":{\"running\":{}}}]}}";
    _cleanup_json_ cJSON *kept = kept_of(text);

    node_pods_containers(kept, tell, NULL);
    cr_assert_eq(told.len, 1);
    cr_assert_str_eq(told.items[0],
                     "kube-system/etcd-n1 0123456789abcdef0123456789abcdef etcd 11 - running");
    strv_done(&told);
}

Test(node_pods, a_pod_with_nothing_in_it_has_no_containers)
{
    static const char *const texts[] = {
        "{}",
        "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":\"c\"}]}}",
        "{\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"containerStatuses\":"
        "[{\"name\":\"c\",\"containerID\":\"\"}]}}",
        "{\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"containerStatuses\":"
        "[{\"name\":\"c\",\"containerID\":\"containerd://\"}]}}",
        "{\"spec\":{\"containers\":[{}]},\"status\":{\"containerStatuses\":[{}]}}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_json_ cJSON *kept = kept_of(texts[i]);

        node_pods_containers(kept, tell, NULL);
        cr_expect_eq(told.len, 0, "%s", texts[i]);
    }
}
