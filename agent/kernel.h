// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

/*
 * The kernel's AppArmor policy through securityfs and libapparmor. Writes run on the thread pool,
 * one at a time, since the kernel's policy lock can be stuck for ever; everything else is read on
 * the loop.
 */
struct kernel;

struct kernel_options {
    const char *apparmorfs;     /* NULL: /sys/kernel/security/apparmor */
    const char *module;         /* NULL: /sys/module/apparmor/parameters/enabled */
    uint64_t write_deadline_ms; /* 0: 30 s; past it the kernel counts as stuck */
};

/*
 * -EOPNOTSUPP with reason AppArmorDisabled or SecurityfsMissing when the node has no (usable)
 * AppArmor; the message says what to do.
 */
_must_check_ int kernel_new(uv_loop_t *loop, const struct kernel_options *options,
                            struct kernel **ret, struct error *err);
void kernel_free(struct kernel *kernel);
DEFINE_CLEANUP(struct kernel *, kernel_free)

/* The features folder for the compiler. */
const char *kernel_features_path(const struct kernel *kernel);
/* A write has passed its deadline and not returned: "kernel policy lock stuck". */
bool kernel_stuck(const struct kernel *kernel);

typedef void (*kernel_done_fn)(void *userdata, const struct error *err);

/* Replaces (or adds) what the blob holds, in one write. `data` is borrowed until `fn`. */
void kernel_load(struct kernel *kernel, const void *data, size_t len, kernel_done_fn fn,
                 void *userdata);
/*
 * Removes a profile with its children. One that is not there is success. What makes a removal safe
 * does not stay true: one that has waited its turn until after `until_ms` (clock_monotonic_ms();
 * UINT64_MAX: for ever) is not begun and fails with -ETIME.
 */
void kernel_remove(struct kernel *kernel, const char *name, uint64_t until_ms, kernel_done_fn fn,
                   void *userdata);

/* The folder of what is loaded, for struct kernel_profiles. The caller frees it. */
char *kernel_profiles_path(const struct kernel *kernel);

/* The file that lists them, and what the kernel has made up. The caller frees it. */
char *kernel_list_path(const struct kernel *kernel);

/*
 * Called after the policy's revision has changed; changes may be merged. `foreign`: by more than
 * our own writes, each of which the kernel counts as one (aa_bump_ns_revision in its
 * security/apparmor/policy.c).
 */
typedef void (*kernel_changed_fn)(void *userdata, bool foreign);

_must_check_ int kernel_watch(struct kernel *kernel, kernel_changed_fn fn, void *userdata,
                              struct error *err);
/* All of the policy is about to be read back: the changes that were told of are known then. */
void kernel_settle(struct kernel *kernel);
