// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

/*
 * Which container of which pod a process belongs to, from the content of its /proc/<pid>/cgroup
 * (cgroups(7)): of cgroup v1 and v2, by a kubelet with the driver systemd or cgroupfs, by
 * containerd, CRI-O or cri-dockerd, also seen from within another cgroup namespace ("/../..").
 *
 *   0::/kubepods.slice/kubepods-pod<uid with _>.slice/cri-containerd-<id>.scope
 *   0::/kubepods/burstable/pod<uid>/<id>
 *   4:memory:/system.slice/containerd.service/kubepods-pod<uid with _>.slice:cri-containerd:<id>
 */

/* As the API writes it, or as 32 digits for a pod of a file on the node (annotation
 * kubernetes.io/config.hash of what the API has of it). */
#define CGROUP_POD_SIZE 37
/* As in containerStatuses[].containerID after "<runtime>://". */
#define CGROUP_CONTAINER_SIZE 65

struct cgroup_place {
    char pod[CGROUP_POD_SIZE];
    char container[CGROUP_CONTAINER_SIZE]; /* or a sandbox of the pod, which is none */
};

/*
 * False for a process that is in no container of a pod. What a container with cgroups of its own
 * puts below its place changes nothing.
 */
bool cgroup_parse(const char *text, struct cgroup_place *ret);
