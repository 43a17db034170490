// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "lib/base/error.h"

/* Reads something of /proc on a thread of the pool, as a node may have very many processes. */
struct proc_scan;

struct proc_scan_kind {
    /* On the thread; as tasks_read(). */
    int (*read)(const char *proc, void **ret, struct error *err);
    void (*free)(void *result);
};

/* `result` passes to the callee, NULL on failure. Called from the loop, never from inside. */
typedef void (*proc_scan_fn)(void *userdata, void *result, const struct error *err);

/* `proc`: NULL is /proc. */
struct proc_scan *proc_scan_start(uv_loop_t *loop, const struct proc_scan_kind *kind,
                                  const char *proc, proc_scan_fn fn, void *userdata);
/* `fn` is not called; the loop lives until the thread is done. NULL is accepted; not from after the
 * callback. */
void proc_scan_cancel(struct proc_scan *scan);
