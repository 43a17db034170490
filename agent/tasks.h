// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/error.h"
#include "lib/base/strv.h"

/*
 * Which tasks of this node run under, or are about to enter, given profiles: every thread of every
 * process, read from /proc/<pid>/task/<tid>/attr (invariant 2). When in doubt a profile counts as
 * used.
 */
struct tasks_use {
    bool used;
    pid_t pid;     /* an example, 0 when none */
    size_t count;  /* tasks found, at least */
    bool starting; /* a container runtime's init that may still exec into a profile */
};

/*
 * `names` are top-level profile names; their children, hats, null profiles and stacks count. Fails
 * only when /proc itself cannot be read, which the caller must treat as used. `proc` NULL: "/proc".
 */
_must_check_ int tasks_scan(const char *proc, const struct strv *names, struct tasks_use *ret,
                            struct error *err);

/*
 * Whether a label as in attr/current ("p (enforce)", "a//&:ns:b//kid (mixed)") has `name` as one of
 * its profiles or as a parent of one.
 */
bool tasks_label_uses(const char *label, const char *name);
