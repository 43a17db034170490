// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/proc_scan.h"
#include "lib/base/error.h"
#include "lib/base/strv.h"

/*
 * Which tasks of this node run under, or are about to enter, given profiles: every thread of every
 * process, read from /proc/<pid>/task/<tid>/attr (invariant 2). When in doubt a profile counts as
 * used.
 */
struct tasks;

/*
 * Reads all of them once, which takes from milliseconds to half a second: not on the loop. Fails
 * when `proc` (NULL: "/proc") cannot be read or does not show the whole node, which the caller must
 * treat as use of everything.
 */
_must_check_ int tasks_read(const char *proc, struct tasks **ret, struct error *err);
void tasks_free(struct tasks *tasks);
DEFINE_CLEANUP(struct tasks *, tasks_free)

struct tasks_use {
    bool used;
    pid_t pid;     /* an example, 0 when none */
    size_t count;  /* tasks found, at least */
    bool starting; /* a container runtime's init that may still exec into a profile */
};

/* tasks_read() off the loop; the result is a struct tasks. */
extern const struct proc_scan_kind tasks_scan;

/* `names` are profile names; their children, hats, null profiles and stacks count. */
struct tasks_use tasks_use_of(const struct tasks *tasks, const struct strv *names);
/* Of these, what runs under null profiles of theirs. */
struct tasks_use tasks_learnt(const struct tasks *tasks, const struct strv *names);
