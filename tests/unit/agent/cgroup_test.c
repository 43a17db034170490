// SPDX-License-Identifier: Apache-2.0
#include "agent/cgroup.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

#define POD "1f7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5b"
#define POD_ "1f7a8a70_9b0c_4d4e_8a53_0c1d2e3f4a5b"
#define OTHER_POD "2e7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5c"
#define HASH "0123456789abcdef0123456789abcdef"
#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER_ID "ff112233445566778899aabbccddeeff00112233445566778899aabbccddee00"

static const char *const PLACES[] = {
    /* v2, systemd: containerd, CRI-O, crun below CRI-O, cri-dockerd */
    "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
    ".slice/cri-containerd-" ID ".scope\n",
    "0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope\n",
    "0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope/container\n",
    "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_ ".slice/docker-" ID
    ".scope\n",
    /* v2, cgroupfs */
    "0::/kubepods/burstable/pod" POD "/" ID "\n",
    "0::/kubepods/pod" POD "/" ID "\n",
    "0::/kubepods/besteffort/pod" POD "/crio-" ID "\n",
    /* v1: each controller has a line, and the unified hierarchy may say nothing */
    "12:memory:/kubepods/burstable/pod" POD "/" ID "\n1:name=systemd:/kubepods/burstable/pod" POD
    "/" ID "\n0::/system.slice/containerd.service\n",
    "0::/\n11:cpu,cpuacct:/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" ID ".scope\n",
    /* a kubelet with systemd, a containerd without */
    "4:memory:/system.slice/containerd.service/kubepods-burstable-pod" POD_
    ".slice:cri-containerd:" ID "\n",
    "0::/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID,
    /* one that has gone, of whose processes one is still a zombie */
    "0::/kubepods/burstable/pod" POD "/" ID " (deleted)\n",
    "0::/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" ID ".scope (deleted)\n",
    "0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope/container (deleted)\n",
    /* another cgroup namespace, a node that is itself a container */
    "0::/../../pod" POD "/" ID "\n",
    "0::/../../../burstable/pod" POD "/" ID "/init.scope\n",
    "0::/../kubepods-besteffort-pod" POD_ ".slice/cri-containerd-" ID ".scope\n",
    "0::/docker/" OTHER_ID "/kubelet/kubepods/burstable/pod" POD "/" ID "\n",
    "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_ ".slice/cri-containerd-" ID
    ".scope",
};

Test(cgroup, every_runtime_and_driver)
{
    for (size_t i = 0; i < ARRAY_SIZE(PLACES); i++) {
        struct cgroup_place place;

        cr_expect(cgroup_parse(PLACES[i], &place), "%s", PLACES[i]);
        cr_expect_str_eq(place.pod, POD, "%s", PLACES[i]);
        cr_expect_str_eq(place.container, ID, "%s", PLACES[i]);
    }
}

Test(cgroup, pods_of_files_have_a_hash)
{
    struct cgroup_place place;

    cr_assert(cgroup_parse("0::/kubepods/burstable/pod" HASH "/" ID "\n", &place));
    cr_assert_str_eq(place.pod, HASH);
    cr_assert(
        cgroup_parse("0::/kubepods.slice/kubepods-pod" HASH ".slice/crio-" ID ".scope", &place));
    cr_assert_str_eq(place.pod, HASH);
}

/* A container with cgroups of its own may name them as it likes. */
Test(cgroup, the_outermost_place_counts)
{
    static const char *const texts[] = {
        "0::/kubepods/pod" POD "/" ID "/kubepods/pod" OTHER_POD "/" OTHER_ID "\n",
        "0::/kubepods/pod" POD "/" ID "/pod" OTHER_POD "/" OTHER_ID "\n",
        "0::/kubepods/pod" POD "/" ID "/kubepods-pod" OTHER_POD ".slice:cri-containerd:" OTHER_ID,
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct cgroup_place place;

        cr_expect(cgroup_parse(texts[i], &place), "%s", texts[i]);
        cr_expect_str_eq(place.pod, POD, "%s", texts[i]);
        cr_expect_str_eq(place.container, ID, "%s", texts[i]);
    }
}

static const char *const OTHERS[] = {
    "",
    "\n",
    "0::/\n",
    "0::/init.scope\n",
    "0::/system.slice/containerd.service\n",
    "0::/kubepods/burstable/pod" POD "\n",
    "0::/kubepods/burstable/pod" POD "/\n",
    "0::/kubepods.slice/kubepods-pod" POD_ ".slice\n",
    /* CRI-O's watcher of a container lives beside it */
    "0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" ID ".scope\n",
    "0::/user.slice/libpod-" ID ".scope\n",
    "0::/docker/" ID "\n",
    "0::/../" ID "\n",
    /* neither a uid nor an id */
    "0::/kubepods/pod" POD_ "x/" ID "\n",
    "0::/kubepods/pod1f7a8a70-9b0c-4d4e_8a53-0c1d2e3f4a5b/" ID "\n",
    "0::/kubepods/pod1F7A8A70-9B0C-4D4E-8A53-0C1D2E3F4A5B/" ID "\n",
    "0::/kubepods/pod1f7a8a7009b0c04d4e08a5300c1d2e3f4a5b/" ID "\n",
    "0::/kubepods/mypod" POD "/" ID "\n",
    "0::/kubepods.slice/mypod" POD_ ".slice/" ID "\n",
    "0::/kubepods/pod" POD "/" ID "0\n",
    "0::/kubepods/pod" POD "/x" ID "\n",
    "0::/kubepods/pod" POD "/cri-containerd-crio-" ID ".scope\n",
    "0::/kubepods/pod" POD " (deleted)\n",
    "0::/kubepods/pod" POD "/" ID "(deleted)\n",
    "0::/kubepods/pod" POD "/" ID " (deleted) (deleted)\n",
    "0::/kubepods-pod" POD_ ".slice:docker:" ID "\n",
    "0::/kubepods-pod" POD_ ".slice:cri-containerd:" ID ":x\n",
    /* not the form of the file */
    "/kubepods/pod" POD "/" ID "\n",
    ":/kubepods/pod" POD "/" ID "\n",
};

Test(cgroup, anything_else_is_in_no_container)
{
    for (size_t i = 0; i < ARRAY_SIZE(OTHERS); i++) {
        struct cgroup_place place = {.pod = "untouched"};

        cr_expect_not(cgroup_parse(OTHERS[i], &place), "%s", OTHERS[i]);
        cr_expect_str_eq(place.pod, "untouched");
    }
}
