// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/tasks.h"

/* Reads the node's tasks on a thread of the pool, as a node may have very many. */
struct task_scan;

/* `tasks` passes to the callee, NULL on failure. Called from the loop, never from inside. */
typedef void (*task_scan_fn)(void *userdata, struct tasks *tasks, const struct error *err);

/* `proc` as in tasks_read(). */
struct task_scan *task_scan_start(uv_loop_t *loop, const char *proc, task_scan_fn fn,
                                  void *userdata);
/* `fn` is not called; the loop lives until the thread is done. NULL is accepted; not from after the
 * callback. */
void task_scan_cancel(struct task_scan *scan);
