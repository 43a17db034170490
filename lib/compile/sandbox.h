// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/compile/confine.h"

/*
 * What the compiler's child gives up between fork and exec: identity, capabilities, new privileges,
 * resources, many system calls (lib/compile/syscalls.h), and with Landlock the sight of every file
 * but those named here.
 *
 * Made for one child, just before it starts: rules name inodes, which an upgrade of a package
 * replaces.
 */
struct sandbox;

struct sandbox_path {
    const char *path; /* a file or a folder with all below it; one that is not there is left out */
    bool execute;
};

struct sandbox_options {
    const struct sandbox_path *paths;
    size_t path_count;
    uid_t uid; /* taken on when we are root */
    gid_t gid;
    struct confine_limits limits;
    bool serves; /* it makes other processes, which take `limits` on by confine_self() */
};

_must_check_ int sandbox_new(const struct sandbox_options *options, struct sandbox **ret,
                             struct error *err);
void sandbox_free(struct sandbox *sandbox);
DEFINE_CLEANUP(struct sandbox *, sandbox_free)

/* child_options.prepare: async-signal-safe calls only. `userdata` is a struct sandbox. */
int sandbox_enter(void *userdata);

/* The kernel's Landlock ABI, 0 where there is none
 * (https://docs.kernel.org/userspace-api/landlock.html). */
int sandbox_landlock_abi(void);
