// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/kernel.h"
#include "agent/records.h"
#include "lib/base/cleanup.h"

/*
 * Tasks that a profile's time in complain mode has left under "P//null-…", which the kernel makes
 * up for programs that the profile did not expect. They stay there, and are not confined, when the
 * profile is enforced: only a new start confines them.
 */
struct learnt;

struct learnt_options {
    const struct kernel *kernel;
    const char *proc; /* NULL: /proc */
    const struct records *records;
    /* A record's `learnt` has changed. */
    void (*changed)(void *userdata, const char *object);
    void *userdata;
};

struct learnt *learnt_new(uv_loop_t *loop, const struct learnt_options *options);
void learnt_free(struct learnt *learnt);
DEFINE_CLEANUP(struct learnt *, learnt_free)

/* Profiles were loaded. Looks soon, and again and again while there are such tasks. */
void learnt_wake(struct learnt *learnt);
