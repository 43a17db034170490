// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/cgroup.h"
#include "lib/base/error.h"

/*
 * What the container runtime has begun in this node's containers, and under which label it runs:
 * each container's first process, and those of exec. What these have begun themselves is left out:
 * where it goes from there is for the policy to say.
 */
struct container_task {
    struct cgroup_place place;
    pid_t pid;
    uint64_t start; /* clock ticks from boot; with the pid, no other process has it */
    bool starting;  /* by its name, about to become the container's program */
    char *label;    /* as in attr/current, without line break */
};

/* Sorted by container, each container's oldest first. */
struct containers {
    struct container_task *items;
    size_t len, capacity;
};

/*
 * Reads /proc once, which takes from milliseconds to half a second: not on the loop. Fails when
 * `proc` (NULL: "/proc") cannot be read or does not show the whole node.
 */
_must_check_ int containers_read(const char *proc, struct containers **ret, struct error *err);
void containers_free(struct containers *containers);
DEFINE_CLEANUP(struct containers *, containers_free)

/* Those of a container, by its id; there are `*ret_count`. */
const struct container_task *containers_find(const struct containers *containers, const char *id,
                                             size_t *ret_count);
